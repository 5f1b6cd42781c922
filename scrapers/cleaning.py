"""Text from outside as it may be stored: one line of printable characters, without markup."""

import html
import re
from html.entities import html5

TEXT_LIMIT = 4000
MOST_ROUNDS = 20
"""Entities inside entities and tags inside tags are resolved so often; honest text needs two rounds."""
_INPUT_LIMIT = 8 * TEXT_LIMIT
_ENTITY = re.compile(r"&(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_AMPERSANDS = re.compile(r"&(?:amp;)+")
_TAG = re.compile(r"</?([A-Za-z]*+)(?:[!?]?[^<>]*+)>")
_OPENS_TAG = re.compile(r"<(?=[A-Za-z/!?])")
_INLINE = frozenset("a abbr b big em font i mark small span strong sub sup u".split())
"""Elements that end no word."""
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_HIDDEN = re.compile("[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")
"""Marks that change how the characters beside them are shown and are not shown themselves."""
_SURROGATE = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """The text without tags and hidden marks, entities and white space resolved, cut at TEXT_LIMIT characters.

    Control characters become spaces and lone surrogates U+FFFD. A `<` that opens no complete tag is kept apart from what follows it,
    so that the result holds no markup whoever shows it. Cleaning twice changes nothing.
    """
    if is_clean(text):
        return text
    text = text[:_INPUT_LIMIT]
    for _ in range(MOST_ROUNDS):
        before = text
        text = _round(text)
        if text == before:
            break
    else:
        text = text.replace("&", " ")
    text = " ".join(_OPENS_TAG.sub("< ", text).split())
    return text[:TEXT_LIMIT].rstrip()


def is_clean(text: str) -> bool:
    """Whether a text can be stored as it is; most can, and this is quick to see."""
    return (
        text.isprintable()
        and "<" not in text
        and "&" not in text
        and "  " not in text
        and len(text) <= TEXT_LIMIT
        and text[:1] != " "
        and text[-1:] != " "
    )


def encodable(text: str) -> str:
    """The text with what no database takes, NUL and lone surrogates, replaced by U+FFFD."""
    return text if text.isprintable() else _SURROGATE.sub("\ufffd", text).replace("\x00", "\ufffd")


def _round(text: str) -> str:
    if not text.isprintable():
        text = _SURROGATE.sub("\ufffd", _HIDDEN.sub("", _CONTROL.sub(" ", text)))
    if "&" in text:
        text = _ENTITY.sub(_character, _AMPERSANDS.sub("&", text))
    return _TAG.sub(_gap, text) if "<" in text else text


def _character(entity: re.Match[str]) -> str:
    name = entity[1]
    return html.unescape(entity[0]) if name.startswith("#") else html5.get(f"{name};", entity[0])


def _gap(tag: re.Match[str]) -> str:
    if tag[0][1:2] not in "/!?" and not tag[1]:
        return tag[0]  # a comparison such as <5>
    return "" if tag[1].lower() in _INLINE else " "
