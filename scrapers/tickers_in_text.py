"""Which securities a forum post speaks of: cashtags, and upper-case words that are known symbols and no ordinary words."""

import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from scrapers import symbols

STOPWORDS = Path(__file__).parent / "lists" / "ticker_stopwords.txt"
_CASHTAG = re.compile(r"(?<![\w$])\$([A-Za-z]{1,5}(?:[.\-/][A-Za-z](?![A-Za-z]))?)(?![\w$])")
_BARE = re.compile(r"(?<![\w$#@&.])([A-Z]{2,5}(?:[.\-/][A-Z](?![\w&]))?)(?![\w&])")
_NOT_SAID = re.compile(
    r"^[ \t]*>(?!!).*$"  # a quoted line; `>!` opens a spoiler, which is the author's own text
    r"|https?://\S+|www\.\S+"
    r"|(?<![\w/])/?[ru]/\w+",  # names of forums and users
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A symbol that a post names at least once. cashtag: somewhere with a dollar sign. in_title: somewhere in the title."""

    symbol: str
    cashtag: bool
    in_title: bool


@cache
def stopwords() -> frozenset[str]:
    """Words that name a security only behind a dollar sign."""
    lines = STOPWORDS.read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


class Tickers:
    """Finds the symbols of a universe in texts.

    known: canonical symbols. Single letters count as cashtags alone; so do the stop words. cashtags_of_others: an upper-case
    cashtag counts although it is not known, for archives of times whose symbols nobody listed.
    """

    def __init__(self, known: Iterable[str], *, cashtags_of_others: bool = False) -> None:
        self._known, self._others = frozenset(known), cashtags_of_others

    def mentions(self, title: str, body: str) -> list[Mention]:
        """Each symbol once, sorted. Quoted lines, addresses and names of forums and users are not what the author says."""
        headline, text = dict(self._found(title)), dict(self._found(body))
        return [
            Mention(symbol=symbol, cashtag=headline.get(symbol, False) or text.get(symbol, False), in_title=symbol in headline)
            for symbol in sorted(headline.keys() | text.keys())
        ]

    def _found(self, text: str) -> Iterator[tuple[str, bool]]:
        """(symbol, whether as a cashtag), cashtags last, so that a dict of them keeps the stronger form."""
        said = _NOT_SAID.sub(" ", html.unescape(text))
        for word in _BARE.findall(said):
            if (symbol := self._symbol(word)) and symbol not in stopwords():
                yield symbol, False
        for word in _CASHTAG.findall(said):
            symbol = self._symbol(word)
            if symbol is None and self._others and word.isupper() and word not in stopwords():
                symbol = symbols.canonical(word)
            if symbol is not None:
                yield symbol, True

    def _symbol(self, word: str) -> str | None:
        """The known symbol that a word stands for: with its share class, else without."""
        candidates = (symbols.canonical(word), symbols.canonical(re.split(r"[.\-/]", word)[0]))
        return next((symbol for symbol in candidates if symbol in self._known), None)
