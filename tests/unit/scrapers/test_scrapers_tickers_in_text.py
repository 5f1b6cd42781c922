"""Which securities a post speaks of."""

import pytest

from scrapers import symbols
from scrapers.tickers_in_text import Tickers, stopwords

KNOWN = ["A", "AAPL", "ALL", "BB", "BRK.B", "F", "GME", "IT", "NOW", "SPY", "T"]


def found(body: str, *, title: str = "", known: list[str] = KNOWN) -> dict[str, tuple[bool, bool]]:
    return {m.symbol: (m.cashtag, m.in_title) for m in Tickers(known).mentions(title, body)}


@pytest.mark.parametrize(
    ("text", "symbols_in_it"),
    [
        ("I hold GME and AAPL.", {"GME", "AAPL"}),
        ("gme aapl Spy", set()),
        ("$gme, $Aapl!", {"GME", "AAPL"}),
        ("GME/BB/AAPL", {"GME", "BB", "AAPL"}),
        ("GME's price, GME-calls, (GME)", {"GME"}),
        ("GMEs GME2 XGME GME_ @GME #GME", set()),
        ("BRK.B BRK-B BRK/B $BRK.B", {"BRK.B"}),
        ("GME.A is no class of GME", {"GME"}),
        ("ALL IN ON IT NOW, A YOLO", set()),
        ("$ALL $IT $NOW", {"ALL", "IT", "NOW"}),
        ("F T A", set()),
        ("$F $T $A", {"F", "T", "A"}),
        ("$100 $5K 10$ $GMEX", set()),
        ("AT&T and S&P are no SPY", {"SPY"}),
        ("TSLA is not in the universe, $TSLA neither", set()),
        ("> GME\n>AAPL\nno, SPY", {"SPY"}),
        (">!GME!< is a spoiler, not a quotation", {"GME"}),
        ("&gt; GME\n\nAAPL &amp; SPY", {"AAPL", "SPY"}),
        ("https://example.org/GME www.example.org/SPY [x](https://example.org/AAPL)", set()),
        ("r/SPY and /r/GME and u/AAPL", set()),
        ("", set()),
    ],
)
def test_a_text_names_known_symbols_and_no_ordinary_words(text: str, symbols_in_it: set[str]):
    assert set(found(text)) == symbols_in_it


def test_a_symbol_is_found_once_with_the_stronger_form_and_its_place():
    assert found("gme? $GME! GME GME", title="GME and SPY") == {"GME": (True, True), "SPY": (False, True)}


def test_without_a_universe_nothing_is_found_unless_other_cashtags_are_asked_for():
    assert found("$GME AAPL", known=[]) == {}
    others = Tickers((), cashtags_of_others=True)
    assert [m.symbol for m in others.mentions("", "$GME $gme2 $yolo $YOLO AAPL $brk.b $BF.B")] == ["BF.B", "GME"]


def test_stop_words_are_upper_case_words_of_a_tickers_length():
    words = stopwords()
    assert len(words) >= 250
    assert {"A", "IT", "ALL", "DD", "CEO", "YOLO", "USA", "ATH"} <= words
    assert all(word.isupper() and word.isalpha() and len(word) <= 7 for word in words)
    assert not {"GME", "AAPL", "TSLA", "AMD", "NVDA", "SPY", "PLTR"} & words
    assert sum(symbols.canonical(word) is not None for word in words) > 0.9 * len(words)
