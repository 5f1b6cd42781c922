"""One canonical form of US tickers: upper case, a dot before the share class (`BRK.B`), `.PR` before a preferred series (`BAC.PRK`)."""

import re

_PLAIN = re.compile(r"[A-Z]{1,5}(\.[A-Z]{1,3})?")
_PREFERRED = re.compile(r"([A-Z]{1,5})(?:\$|-P|\.PR|-PR)([A-Z])")
_OPTION = re.compile(r"[A-Z]{1,6}\d{6}[CP]\d{8}")
_NOTHING = {"N/A", "N.A", "N.A.", "NONE", "NULL"}
"""What stands in a ticker's place where there is none."""
_SHARE_SUFFIXES = {"A", "B", "C", "D", "E", "K", "U", "W", "WS", "WI", "RT", "RP"}


def canonical(text: str) -> str | None:
    """The canonical symbol of one ticker in any of the usual spellings, or None when it names no US-listed security.

    `brk-b`, `BRK/B` and `BRK B` give `BRK.B`; `BAC$K` and `BAC-PK` give `BAC.PRK`. Option contracts, indices (`^MWE`), foreign
    listings (`VFC.VI`, `35G.SG`) and anything longer than five letters give None; `explain` says which.
    """
    word = text.strip().upper()
    if word in _NOTHING:
        return None
    preferred = _PREFERRED.fullmatch(word)
    if preferred:
        return f"{preferred[1]}.PR{preferred[2]}"
    word = re.sub(r"[-/ _]", ".", word)
    if not _PLAIN.fullmatch(word):
        return None
    _, _, suffix = word.partition(".")
    known = not suffix or suffix in _SHARE_SUFFIXES or (len(suffix) == 3 and suffix.startswith("PR"))
    return word if known else None


def explain(text: str) -> str:
    """Why `canonical` gave None for this text: option_contract, index, foreign_listing or unrecognised."""
    word = text.strip().upper()
    if _OPTION.fullmatch(word):
        return "option_contract"
    if word.startswith("^"):
        return "index"
    if re.fullmatch(r"[A-Z0-9]{1,6}\.[A-Z]{1,2}", word):
        return "foreign_listing"
    return "unrecognised"


def hyphenated(symbol: str) -> str:
    """The Yahoo and SEC spelling of a canonical symbol: `BRK.B` gives `BRK-B`."""
    return symbol.replace(".", "-")
