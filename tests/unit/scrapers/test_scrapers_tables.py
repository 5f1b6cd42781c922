"""No wrong row is stored, and no value, however hostile, makes the making of a table fail."""

import dataclasses
import enum
import json
import time
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrapers import cleaning, symbols, tables
from scrapers.base import Batch, Reject

AT = datetime(2024, 1, 5, 21, 0, tzinfo=UTC)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    symbol: str | None
    name: str
    note: str | None
    source_url: str
    day: date
    at: datetime | None
    count: int | None
    price: float
    ratio: float | None
    flag: bool


GOOD: dict[str, Any] = {
    "symbol": "BRK.B", "name": "Synthetic Company", "note": None, "source_url": "https://x.org/a?b=1", "day": date(2024, 1, 5), "at": AT,
    "count": 3, "price": 1.5, "ratio": None, "flag": True,
}  # fmt: skip


def timed(**changed: Any) -> tables.Timed:
    beside = {name: changed.pop(name) for name in ("event_at", "known_at", "gone") if name in changed}
    return tables.Timed(row=Row(**GOOD | changed), **{"event_at": AT, "known_at": None} | beside)


def made(*items: tables.Timed | Reject) -> Batch:
    (batch,) = tables.batches(Row, items)
    return batch


def cell(name: str, value: Any) -> Any:
    """The value as it would be stored; fails when its row is refused."""
    batch = made(timed(**{name: value}))
    assert batch.rejects == ()
    return batch.rows.to_pylist()[0][name]


class Word(enum.StrEnum):
    BUY = "buy"


KEPT = [
    ("name", "Plain words", "Plain words"),
    ("name", "  two \t lines\r\nof\x00text\x1b[2J ", "two lines of text [2J"),
    ("name", "AT&amp;T &lt;b&gt;Inc&lt;/b&gt;", "AT&T Inc"),
    ("name", "S&amp;amp;P", "S&P"),
    ("name", "AT&T, R&D &copy=1 &notaword;", "AT&T, R&D &copy=1 &notaword;"),
    ("name", "&#65;&#x42;&#0;&#xD800;", "AB��"),
    ("name", "<a href='q?s=X'>X</a> and <em>App</em>le<br>Inc", "X and Apple Inc"),
    ("name", "x<script>alert(1)</script>y", "x alert(1) y"),
    ("name", "<scr<b>ipt>alert(1)</scr</b>ipt>", "alert(1)"),
    ("name", "<<b>script>x<</b>/script>", "x"),
    ("name", "P <0.05 and 3<5> or a<b", "P <0.05 and 3<5> or a< b"),
    ("name", "cut <script", "cut < script"),
    ("name", "<!-- hidden -->shown<?php x?>", "shown"),
    ("name", "\u202eAAPL\u200b\ufeff", "AAPL"),
    ("name", "a\xa0\u3000b\u2028c", "a b c"),
    ("name", "broken \ud800 half", "broken � half"),
    ("name", "Muñoz 日本 🙂", "Muñoz 日本 🙂"),
    ("name", "x" * 5000, "x" * 4000),
    ("name", Word.BUY, "buy"),
    ("name", "", ""),
    ("note", "", None),
    ("note", "  ", None),
    ("symbol", None, None),
    ("symbol", "BAC.PRK", "BAC.PRK"),
    ("source_url", "", ""),
    ("source_url", " https://x.org/ä?q=1&r=<2>", None),
    ("source_url", "https://x.org/a?b=1&amp;c=2", "https://x.org/a?b=1&amp;c=2"),
    ("count", 2**63 - 1, 2**63 - 1),
    ("count", np.int64(7), 7),
    ("price", 2, 2.0),
    ("price", np.float64(2.5), 2.5),
    ("at", datetime(2024, 1, 5, 16, tzinfo=timezone(timedelta(hours=-5))), AT),
    ("at", pd.Timestamp(AT), AT),
    ("day", date(1900, 1, 1), date(1900, 1, 1)),
    ("day", date(2100, 12, 31), date(2100, 12, 31)),
]


@pytest.mark.parametrize(("name", "value", "stored"), [case for case in KEPT if case[2] is not None or case[0] in ("note", "symbol")])
def test_a_value_that_its_field_can_have_is_stored_clean(name: str, value: Any, stored: Any):
    assert cell(name, value) == stored


REFUSED = [
    ("symbol", "brk-b"), ("symbol", ""), ("symbol", "AAPL MSFT"), ("symbol", "^VIX"), ("symbol", 5), ("name", None), ("name", b"bytes"),
    ("name", 5), ("name", ["a"]), ("source_url", "http://x.org/"), ("source_url", "javascript:alert(1)"), ("source_url", "https://x.org/<b>"),
    ("source_url", "https://"), ("source_url", "https://x.org/" + "a" * 5000), ("source_url", 'https://x.org/" onclick="'),
    ("source_url", "https://x.org/\ud800"), ("source_url", "https://x.org/a b"), ("source_url", None), ("day", AT), ("day", "2024-01-05"),
    ("day", date(1899, 12, 31)), ("day", date(2101, 1, 1)), ("day", date(9, 6, 9)), ("day", None), ("at", datetime(2024, 1, 5)),
    ("at", datetime(1899, 1, 1, tzinfo=UTC)), ("at", datetime.max.replace(tzinfo=UTC)), ("at", pd.NaT), ("at", date(2024, 1, 5)),
    ("count", True), ("count", 2**63), ("count", -(2**63) - 1), ("count", 10**400), ("count", 1.0), ("count", "1"), ("price", float("nan")),
    ("price", float("inf")), ("price", 10**400), ("price", True), ("price", "1.5"), ("price", None), ("ratio", float("nan")),
    ("ratio", -float("inf")), ("flag", 1), ("flag", "true"), ("flag", None), ("event_at", None), ("event_at", datetime(2024, 1, 5)),
    ("event_at", datetime(1850, 1, 1, tzinfo=UTC)), ("known_at", datetime(2024, 1, 5)), ("known_at", "now"), ("gone", None), ("gone", 1),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_a_row_with_a_value_that_its_field_cannot_have_is_refused_and_its_neighbours_are_not(name: str, value: Any):
    batch = made(timed(count=1), timed(**{name: value}), timed(count=2))
    assert [row["count"] for row in batch.rows.to_pylist()] == [1, 2]
    (refused,) = batch.rejects
    assert (refused.reason, refused.detail.split()[0]) == ("bad_value", name)
    refused.raw.encode("utf-8")


def test_a_reject_names_the_first_wrong_field_and_shows_the_record():
    (refused,) = made(timed(price=float("nan"), flag=3, name="Synthetic\ud800")).rejects
    assert refused.detail == "price is not finite"
    assert json.loads(refused.raw)["day"] == "2024-01-05"


def test_rejects_of_the_parser_come_first_and_lose_what_no_database_takes():
    mine = Reject(reason="no_ticker", detail="a\x00b", raw="\ud800", position="f:1")
    batch = made(timed(flag=None), mine)
    assert [r.reason for r in batch.rejects] == ["no_ticker", "bad_value"]
    assert batch.rejects[0] == Reject(reason="no_ticker", detail="a�b", raw="�", position="f:1")


def test_a_withdrawn_row_says_so():
    rows = made(timed(gone=True), timed()).rows
    assert rows.schema.names[-3:] == ["gone", "event_at", "known_at"]
    assert rows.column("gone").to_pylist() == [True, False]


def test_a_table_made_directly_refuses_what_batches_would_reject():
    with pytest.raises(ValueError, match="row 1: price is not finite"):
        tables.table(Row, [timed(), timed(price=float("inf"))])


def endless() -> Any:
    loop: list[Any] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize("record", [endless(), {(1, 2): 3}, {"n": 10**5000}, {"x": "\ud800" * 9}, object(), b"\xff", {"x": "y" * 10**6}])
def test_a_reject_can_be_made_of_any_record(record: object):
    made_ = tables.reject("bad", "\ud800" + "d" * 900, record, "f:1")
    assert len(made_.raw) <= tables.RAW_LIMIT and len(made_.detail) <= 500
    (made_.raw + made_.detail).encode("utf-8")


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(2**62, 2**70), st.floats(), st.text(), st.binary(), st.dates(), st.datetimes(),
    st.datetimes(timezones=st.just(UTC)), st.lists(st.integers(), max_size=2), st.text(st.characters(categories=["Cs", "Cc", "Cf"])),
    st.from_regex(r"<?/?[a-z]{0,3}>?&[a-z]{2,4};"),
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.dictionaries(st.sampled_from([*GOOD, "event_at", "known_at", "gone"]), ANYTHING, max_size=4), min_size=1, max_size=6))
def test_whatever_comes_becomes_a_right_row_or_a_reject(changes: list[dict[str, Any]]):
    batch = made(*(timed(**change) for change in changes))
    assert batch.rows.num_rows + len(batch.rejects) == len(changes)
    assert batch.rows.schema == tables.schema(Row)
    for row in batch.rows.to_pylist():
        assert row["symbol"] is None or symbols.canonical(row["symbol"]) == row["symbol"]
        assert row["source_url"] == "" or row["source_url"].startswith("https://")
        assert abs(row["price"]) < float("inf")


@settings(deadline=None)
@given(st.text() | st.from_regex(r"(<?/?!?(b|br|script|x)?>?|&(amp|lt|gt|#60|#x26);?|\s|[a-z\x00-\x1f]){0,30}"))
def test_clean_text_is_one_line_without_markup_and_stays_as_it_is(text: str):
    found = cleaning.clean(text)
    assert cleaning.clean(found) == found
    assert found == " ".join(found.split())
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 for c in found)
    assert not any(
        found[place + 1 : place + 2].isascii() and found[place + 1 : place + 2].isalpha()
        for place in range(len(found))
        if found[place] == "<"
    )


@pytest.mark.parametrize(
    "text", ["&amp;" * 9000, "&amp;" + "amp;" * 9000, "<a" * 20_000, "<a" * 9000 + ">" * 9000, "&" + "&#38;" * 9000, " <" * 30_000]
)
def test_no_text_takes_long_to_clean(text: str):
    begun = time.perf_counter()
    assert cleaning.clean(cleaning.clean(text)) == cleaning.clean(text)
    assert time.perf_counter() - begun < 1


def test_checking_costs_microseconds_a_row():
    rows = [timed(name=f"Synthetic {n % 500}", count=n, price=n * 0.1, at=AT + timedelta(seconds=n)) for n in range(40_000)]
    made(*rows[:10])
    best = min(_seconds(rows) for _ in range(3))
    assert best / len(rows) < 20e-6, "about 3 on a quiet machine"


def _seconds(rows: list[tables.Timed]) -> float:
    begun = time.perf_counter()
    assert made(*rows).rows.num_rows == len(rows)
    return time.perf_counter() - begun
