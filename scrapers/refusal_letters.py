"""Complete response letters: whether a press release says that one came, and when."""

import re
from datetime import date, timedelta
from itertools import islice

from scrapers.press_dates import MOST_PLACES, dates_beside, named_dates, sentence_around

LETTER = re.compile(r"complete response letter", re.IGNORECASE)
RECENT = timedelta(days=31)
"""How long before the filing that tells of it a letter may have come."""
_CAME = re.compile(r"\b(?:receiv(?:ed|es|ing)|receipt|issu(?:ed|es|ing|ance)|sent|got|gets|announc(?:ed|es|ing)|provided)\b", re.IGNORECASE)
_SUPPOSED = re.compile(
    r"\b(?:may|might|could|would|can|if|whether|unless|potential(?:ly)?|possib(?:le|ility|ly)|risks?|no assurance|in the event)\b",
    re.IGNORECASE,
)
_SUPPOSED_AFTER = re.compile(r"s?\W{0,3}(?:CRLs?\W{0,3})?(?:may|might|could|would|can)\b", re.IGNORECASE)
_EARLIER = re.compile(
    r"\b(?:resubmi\w+|previous(?:ly)?|prior|earlier|in response to|respon(?:ds?|ded|ding) to|address(?:es|ed|ing)?)\b", re.IGNORECASE
)


def told(text: str, filed: date) -> tuple[date, str] | None:
    """When a letter came and the words that say so; None when the text only speaks of one that may come, or that came long before.

    text: prose. The date is the one beside the words, when it lies within RECENT before `filed`, else `filed` itself.
    """
    for found in islice(LETTER.finditer(text), MOST_PLACES):
        start, end = sentence_around(text, found.start(), found.end())
        before, sentence = text[start : found.start()], text[start:end]
        supposed = _SUPPOSED.search(before) or _SUPPOSED_AFTER.match(text, found.end())
        days = [named.day for named in named_dates(sentence) if named.precision == "day" and named.day <= filed]
        old = any(named.day < filed - 2 * RECENT for named in named_dates(sentence)) and not any(d >= filed - RECENT for d in days)
        if supposed or old or _EARLIER.search(before) or not _CAME.search(sentence):
            continue
        beside = [named.day for named, _ in dates_beside(sentence, LETTER) if named.precision == "day"]
        day = next((day for day in beside if filed - RECENT <= day <= filed), filed)
        return day, text[max(0, found.start() - 150) : found.end() + 150]
    return None
