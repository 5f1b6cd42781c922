"""Cells and records of outside answers: what is a number, what is one record's fault, and what is the whole answer's."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from scrapers import cells, records, tables
from scrapers.base import Reject
from scrapers.errors import SourceChanged


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        (5, 5.0), ("45000.0", 45000.0), (" $1,234.50 ", 1234.5), ("-3", -3.0), ("1e3", 1000.0), (0, 0.0), (True, None), (None, None),
        ("", None), ("nan", None), ("1_000", None), ("inf", None), (float("inf"), None), (float("nan"), None), (10**400, None),
        (".505", 0.505), ("250.", 250.0), ("500.123456789012345", 500.123456789012345), (".", None), ("-.5", -0.5),
        ("12,5", None), ("1,234,56", None), ("1,234,567", 1234567.0), ("45.000,5", None), ("١٢", None),
        ("9" * 400, None), ("1e99", None), ([], None), ("12 USD", None),
    ],
)  # fmt: skip
def test_a_number_is_finite_and_of_this_world(cell: object, number: float | None):
    assert cells.number(cell) == number


@pytest.mark.parametrize(("cell", "whole"), [(5, 5), ("5", 5), (5.0, 5), ("5.0", 5), (5.5, None), ("x", None), (None, None)])
def test_a_whole_number_has_no_fraction(cell: object, whole: int | None):
    assert cells.whole(cell) == whole


def test_text_is_without_markup_and_control_characters_and_bounded():
    assert cells.text("<b>A</b> &amp; B\x00\n C") == "A & B C"
    assert len(cells.text("x" * 10_000)) == cells.TEXT_LIMIT
    assert cells.text(5) == ""
    assert "<script" not in cells.text("&lt;script&gt;alert(1)").lower()


@pytest.mark.parametrize(
    ("cell", "symbol"),
    [("brk/b", "BRK.B"), ("LMT - DEFUNCT", "LMT"), ("<a href='q'>LMT</a>", "LMT"), ("N/A", None), ("--", None), (None, None), ("", None)],
)
def test_a_ticker_cell_is_read_in_all_its_spellings(cell: object, symbol: str | None):
    assert records.symbol_of(cell) == symbol


@pytest.mark.parametrize("cell", ["CRDA CRDB", "^VIX", "VFC.VI", "MUCH TOO LONG", 5, ["LMT"]])
def test_a_ticker_cell_that_names_no_single_security_is_refused(cell: object):
    with pytest.raises(records.Unusable) as refused:
        records.symbol_of(cell)
    assert refused.value.reason == "bad_ticker"


def test_an_answer_of_which_most_records_lack_keys_has_changed_and_a_minority_has_not():
    good, bad = {"a": 1}, {"b": 1}
    assert records.check_shape([good, bad], ["a"], "u") == [good, bad]
    assert records.check_shape([], ["a"], "u") == []
    for changed in ([good, bad, bad], [bad], ["x"], {"a": 1}, None, "text"):
        with pytest.raises(SourceChanged, match=r"^u: "):
            records.check_shape(changed, ["a"], "u")


def test_a_saved_answer_is_of_a_shape_when_half_of_its_records_are():
    good = {"a": 1, "b": 2}
    assert [records.fits(found, ["a"]) for found in ([good], [None, good], [{}, None, good], [], None, good)] == [
        True, True, False, False, False, False,
    ]  # fmt: skip
    assert records.seen_keys([None, good]) == "keys a, b"
    assert records.seen_keys("text") == "keys none"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    symbol: str


def test_a_live_row_of_the_future_is_refused_and_the_others_bear_no_time_of_knowledge():
    until = datetime(2026, 11, 20, 12, tzinfo=UTC)
    rows = [tables.Timed(row=_Row(symbol="A"), event_at=until + timedelta(days=days), known_at=until) for days in (-1, 1, 2)]
    found = list(records.live(rows, until))
    assert [item.known_at for item in found if isinstance(item, tables.Timed)] == [None, None]
    assert [item.reason for item in found if isinstance(item, Reject)] == ["future_date"]


def test_a_fingerprint_tells_texts_apart_by_their_boundaries():
    assert records.fingerprint("a", "b") == records.fingerprint("a", "b")
    assert (
        len({records.fingerprint("a", "b"), records.fingerprint("ab", ""), records.fingerprint("ab"), records.fingerprint("b", "a")}) == 4
    )
    assert len(records.fingerprint("\ud800", None)) == 16
