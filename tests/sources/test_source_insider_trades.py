"""Insider transactions: the quirks of Form 4, what an amendment corrects, ticker cells, Quiver's times, and imports."""

import json
import random
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from scrapers import SOURCES, edgar, edgar_amendments, edgar_filings, edgar_form4, insiders, quiver_insiders, times
from scrapers.base import Reject
from scrapers.edgar_form4 import Form4, Line, Owner
from scrapers.errors import BadFile, ScrapeError, SourceChanged, SourceUnavailable
from scrapers.markup import xml_of
from scrapers.sources import insider_trades
from tests.sources.canned import PAYLOADS, Case, case
from tests.sources.fuzz import damaged

SUBMISSIONS = PAYLOADS / "edgar_form4"


def submission(folder: str, name: str) -> Form4:
    return edgar_form4.parse_submission((SUBMISSIONS / folder / name).read_text(), name)


def loaded(*paths: Path) -> tuple[list[dict], list[Reject]]:
    batches = list(insider_trades.load(paths))
    return [row for batch in batches for row in batch.rows.to_pylist()], [reject for batch in batches for reject in batch.rejects]


def line(number: int, *, shares: float = 100.0, price: float | None = 10.0, day: int = 30, code: str = "P", title: str = "Common") -> Line:
    return Line(
        number=number, derivative=False, title=title, underlying="", day=date(2025, 4, day), code=code, acquired_disposed="A",
        shares=shares, price_usd=price, shares_after=None, ownership="D", footnoted=False,
    )  # fmt: skip


def report(accession: str, *lines: Line, amendment: bool = False, hour: int = 0, **changes: object) -> Form4:
    owner = Owner(cik="8", name="Synthetic", is_director=True, is_officer=False, is_ten_percent_owner=False, is_other=False, title="")
    values: dict = {
        "accession": accession, "mark": accession, "amendment": amendment, "period": date(2025, 4, 30), "issuer_cik": "9",
        "issuer_name": "Synthetic Inc.", "symbol_text": "ZAAA", "owners": (owner,), "is_10b5_1": None, "lines": lines,
        "accepted_at": datetime(2025, 5, 2, hour, tzinfo=UTC), "filed": date(2025, 5, 2),
    }  # fmt: skip
    return Form4(**(values | changes))


@pytest.mark.parametrize(
    ("cell", "symbols"),
    [
        ("MSFT", ["MSFT"]),
        (" msft ", ["MSFT"]),
        ('abc123:msft"', ["MSFT"]),
        ("NYSE: X", ["X"]),
        ("NYSE American: abc", ["ABC"]),
        ("(NASDAQ:ABC)", ["ABC"]),
        ("CRDA CRDB", ["CRDA", "CRDB"]),
        ("BRK.A, BRK.B", ["BRK.A", "BRK.B"]),
        ("BRK.A;NYSE:BRK.B", ["BRK.A", "BRK.B"]),
        ("GOOG and GOOGL", ["GOOG", "GOOGL"]),
        ("UA/UAA", ["UA", "UAA"]),
        ("BRK B", ["BRK.B"]),
        ("brk-b", ["BRK.B"]),
        ("ABC, ABC", ["ABC"]),
        ("NONE", []),
        ("N/A", []),
        ("none, N/A", []),
        ("--", []),
        ("Not Applicable", []),
        ("", []),
        (None, []),
        (7, []),
        ("SOMETHING LONG", []),
        ("A B C D E F G", []),
    ],
)
def test_a_ticker_cell_is_read_for_every_ticker_it_names(cell: object, symbols: list[str]):
    assert insiders.tickers(cell) == symbols


@pytest.mark.parametrize(
    ("title", "symbols"),
    [
        ("Class B Common Stock", ["BRK.B"]),
        ("CLASS A COMMON STOCK", ["BRK.A"]),
        ("Common Stock", ["BRK.A", "BRK.B"]),
        ("Class C Common Stock", ["BRK.A", "BRK.B"]),
        ("Class A or Class B Common Stock", ["BRK.A", "BRK.B"]),
    ],
)
def test_the_title_of_a_security_chooses_among_the_tickers_of_a_company(title: str, symbols: list[str]):
    assert insiders.of_class(["BRK.A", "BRK.B"], title) == symbols
    assert insiders.of_class(["ZAAA"], "Class B Common Stock") == ["ZAAA"]


def test_owners_of_a_joint_report_share_its_transactions():
    form = submission("dirt", "joint.txt")
    assert [owner.name for owner in form.owners] == ["Synthetic Fund LP", "Synthetic Manager LLC"]
    rows = [timed.row for timed in edgar_form4.rows(form, {}, None)]
    assert len(rows) == 2
    assert {row.owner_name for row in rows} == {"Synthetic Fund LP; Synthetic Manager LLC"}


def test_a_holding_is_no_transaction():
    text = (SUBMISSIONS / "backfill" / "b1.txt").read_text()
    assert text.count("nonDerivativeHolding>") == 2
    assert [(a.number, a.shares) for a in submission("backfill", "b1.txt").lines] == [(1, 1000.0), (2, 300.0)]


def test_names_keep_their_letters_whatever_encoding_the_form_declares():
    text = (SUBMISSIONS / "normal" / "submission.txt").read_text()
    text = text.replace('<?xml version="1.0"?>', '<?xml version="1.0" encoding="US-ASCII"?>').replace(
        "Synthetic One Inc.", "Synthétique S.A."
    )
    assert edgar_form4.parse_submission(text, "t").issuer_name == "Synthétique S.A."


def test_the_clock_of_a_submission_header_is_that_of_new_york():
    assert edgar.header_instant("20250502215847") == datetime(2025, 5, 3, 1, 58, 47, tzinfo=UTC)
    assert edgar.header_instant("20250115215847") == datetime(2025, 1, 16, 2, 58, 47, tzinfo=UTC)
    assert [edgar.header_instant(text) for text in ("20250532215847", "2025", "")] == [None] * 3


def test_a_filer_whose_stamps_fit_the_hours_of_edgar_only_in_utc_is_read_in_utc():
    evening = ["2025-05-03T01:58:47.000Z", "2025-05-06T20:15:00.000Z"]
    assert edgar.stamp_clock(evening, [date(2025, 5, 2), date(2025, 5, 6)]) is UTC
    assert edgar.submission_instant(evening[1], UTC) == datetime(2025, 5, 6, 20, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "stamps", [["2025-05-01T16:21:59.000Z", "2025-04-30T07:30:32.000Z"], ["2025-05-01T16:21:59.000Z"], [None, "", "soon"], []]
)
def test_without_evidence_for_utc_a_stamp_is_new_yorks_and_never_too_early(stamps: list):
    clock = edgar.stamp_clock(stamps, [date(2025, 5, 1)] * len(stamps))
    assert isinstance(clock, ZoneInfo)
    assert edgar.submission_instant("2025-05-01T16:21:59.000Z", clock) == datetime(2025, 5, 1, 20, 21, 59, tzinfo=UTC)


def test_an_amended_line_is_a_version_of_the_line_it_corrects():
    first = report("A", line(1), line(2, shares=300.0, price=11.0), line(3, shares=500.0, price=12.0))
    fixed = report("B", line(1, shares=350.0, price=11.0), amendment=True, hour=1)
    assert edgar_amendments.ids(fixed, [first]) == {1: "A:2"}


def test_an_amendment_that_repeats_everything_keeps_every_line_in_its_place():
    first = report("A", line(1), line(2), line(3, shares=500.0))
    again = report("B", line(1), line(2, shares=500.0), line(3), line(4, title="Preferred", day=29), amendment=True, hour=1)
    assert edgar_amendments.ids(again, [first]) == {1: "A:1", 2: "A:3", 3: "A:2"}


def test_a_corrected_date_or_code_is_still_the_same_line():
    first = report("A", line(1, shares=123.0))
    assert edgar_amendments.ids(report("B", line(1, shares=123.0, day=29), amendment=True), [first]) == {1: "A:1"}
    assert edgar_amendments.ids(report("B", line(1, shares=123.0, code="J"), amendment=True), [first]) == {1: "A:1"}


def test_the_amendment_of_an_amendment_corrects_the_first_report():
    first = report("A", line(1), line(2, shares=300.0, price=11.0))
    second = report("B", line(1, shares=350.0, price=11.0), line(2, title="Preferred", shares=1.0), amendment=True, hour=1)
    third = report("C", line(1, shares=375.0, price=11.0), line(2, title="Preferred", shares=2.0), amendment=True, hour=2)
    assert edgar_amendments.ids(third, [second, first]) == {1: "A:2", 2: "B:2"}


def test_lines_of_two_reports_of_one_day_are_never_one():
    rows = [t.row.trade_id for r in (report("A", line(1)), report("B", line(1), hour=1)) for t in edgar_form4.rows(r, {}, None)]
    assert rows == ["A:1", "B:1"]


@pytest.mark.parametrize(
    ("changes", "may"),
    [
        ({}, True),
        ({"issuer_cik": "10"}, False),
        ({"period": date(2025, 4, 29)}, False),
        ({"period": date(2025, 4, 29), "original_filed": date(2025, 5, 2)}, True),
        ({"accepted_at": datetime(2025, 5, 1, tzinfo=UTC)}, False),
    ],
)
def test_an_amendment_is_about_earlier_reports_of_its_owner_issuer_and_period(changes: dict, may: bool):
    assert edgar_amendments.corrects(report("B", line(1), amendment=True, hour=1, **changes), report("A", line(1))) is may


@pytest.mark.parametrize(
    ("value", "filed", "at"),
    [
        ("2025-05-02", date(2025, 5, 2), None),
        ("2025-05-02T00:00:00", date(2025, 5, 2), None),
        ("2025-05-02T00:00:00.000Z", date(2025, 5, 2), None),
        ("2025-05-02T16:31:07", date(2025, 5, 2), datetime(2025, 5, 2, 20, 31, 7, tzinfo=UTC)),
        ("2025-05-03T01:31:07Z", date(2025, 5, 2), datetime(2025, 5, 3, 1, 31, 7, tzinfo=UTC)),
        ("2025-05-02T04:00:00Z", date(2025, 5, 2), None),
        ("2025-05-02T02:31:07", date(2025, 5, 2), None),
        ("2025-05-02T22:30:00", date(2025, 5, 2), None),
        ("2025-11-03T04:00:00Z", date(2025, 11, 3), None),
        ("20221-11-18", None, None),
        (None, None, None),
    ],
)
def test_a_filing_time_of_quiver_is_exact_only_where_it_has_a_time(value: object, filed: date | None, at: datetime | None):
    assert quiver_insiders.filing_time(value) == (filed, at)


def test_a_report_without_header_and_signature_is_known_after_the_deadline_of_its_last_transaction():
    bare = report("A", line(1, day=28), line(2, day=30), period=date(2025, 4, 28), accepted_at=None, filed=None)
    assert edgar_form4.known(bare) == times.day_after(date(2025, 5, 2))
    assert edgar_form4.known(replace(bare, period=None)) == times.day_after(date(2025, 5, 2))
    assert edgar_form4.known(replace(bare, signed=date(2025, 5, 7))) == times.day_after(date(2025, 5, 7))


def test_an_index_line_is_read_whatever_its_columns_are_wide():
    text = (
        "Form Type   Company Name   CIK   Date Filed   File Name\n-----------------------\n"
        "4           Synthetic 4, Inc. /DE/  9000001  2025-05-01  edgar/data/9000001/0009999000-25-000021.txt\n"
        "NT 10-K     Synthetic Late Inc      9000002   20250501    edgar/data/9000002/0009999000-25-000022.txt   \n"
    )
    found = edgar_filings.parse_index(text, "index")
    assert [(f.form, f.ciks, f.accession) for f in found if not isinstance(f, Reject)] == [
        ("4", {9_000_001}, "0009999000-25-000021"),
        ("NT 10-K", {9_000_002}, "0009999000-25-000022"),
    ]


@pytest.mark.parametrize("text", ["", "<html><body>Not Found</body></html>", "Form Type\n----\nno row\nnor this\n"])
def test_another_page_than_an_index_is_a_changed_source(text: str):
    with pytest.raises(SourceChanged):
        edgar_filings.parse_index(text, "index")


def test_another_page_than_a_feed_is_a_changed_source():
    with pytest.raises(SourceChanged):
        edgar_filings.parse_feed(xml_of(b"<rss/>", "feed"), "feed")


def entries(count: int, *, last: str = "2025-05-02T09:00:00-04:00", first: int = 0) -> str:
    """A page of the feed with so many reports, all accepted at one time."""
    listed = (
        f"<entry><title>4 - Synthetic Inc. (0009000009) (Issuer)</title><updated>{last}</updated>"
        f'<category term="4"/><id>urn:tag:sec.gov,2008:accession-number=0009999000-25-{number:06d}</id></entry>'
        for number in range(first, first + count)
    )
    return f'<feed xmlns="http://www.w3.org/2005/Atom">{"".join(listed)}</feed>'


def live(*pages: str, indices: dict[str, str | None]) -> Case:
    """An exchange with the feed and the daily indices alone, from noon of the day before: none of its reports is of a wanted company."""
    answers: list[dict] = [{"url": edgar.TICKERS, "text": json.dumps({"0": {"cik_str": 1, "ticker": "ZAAA", "title": "x"}})}]
    answers += [{"url": edgar_filings.CURRENT, "text": page} for page in pages]
    for day, text in indices.items():
        url = edgar_filings.index_url(date.fromisoformat(day))
        answers.append({"url": url, "status": 404 if text is None else 200, "text": text or "not found"})
    document = {
        "since": "2025-05-01T16:00:00+00:00",
        "until": "2025-05-02T20:00:00+00:00",
        "options": {"symbols": ["ZAAA"]},
        "answers": answers,
    }
    return Case(SOURCES["edgar_form4"], Path(), document)


INDEX = "Form Type   Company Name   CIK   Date Filed   File Name\n-----\n"


def test_a_full_feed_that_does_not_reach_back_waits_for_the_index_of_the_day():
    pages = [entries(100, first=100 * n) for n in range(4)]
    exchange = live(*pages, entries(0), indices={"2025-05-01": INDEX, "2025-05-02": None})
    with pytest.raises(SourceUnavailable, match="has no index yet"):
        list(exchange.batches())
    assert (exchange.missing, exchange.unused) == ([], [])


def test_a_short_feed_shows_all_of_the_day():
    exchange = live(entries(3), entries(3), indices={"2025-05-01": INDEX, "2025-05-02": None})
    assert list(exchange.batches()) == []
    assert (exchange.missing, exchange.unused) == ([], [])


def test_no_index_is_asked_for_when_the_feed_reaches_back():
    exchange = live(entries(3), entries(1, last="2025-05-01T11:59:59-04:00", first=3), indices={})
    assert list(exchange.batches()) == []
    assert (exchange.missing, exchange.unused) == ([], [])


def test_a_second_fetch_gives_the_same_rows():
    for name in ("normal", "backfill", "dirt"):
        first, second = ([b.rows.to_pylist() for b in case("edgar_form4", name).batches()] for _ in range(2))
        assert first == second


def test_real_forms_are_imported_with_every_transaction(shared_data: Path):
    rows, rejects = loaded(shared_data / "data/samples/sec/374WaterForm4.xml", shared_data / "data/samples/sec/form4.snow.xml")
    assert rejects == []
    water, snow = [r for r in rows if r["symbol"] == "SCWO"], [r for r in rows if r["symbol"] == "SNOW"]
    assert [(r["code"], r["shares"], r["price_usd"], r["derivative"]) for r in water] == [
        ("A", 757756.0, 0.0, False),
        ("A", 757576.0, 0.0, True),
    ]
    assert {r["officer_title"] for r in water} == {"Chief Technology Officer"}
    assert {r["is_10b5_1"] for r in water} == {False}
    assert {r["is_10b5_1"] for r in snow} == {None}
    sales = [r for r in snow if r["code"] == "S"]
    assert [r["shares"] for r in sales][:4] == [73170.0, 74907.0, 41986.0, 5496.0]
    assert len({r["trade_id"] for r in rows}) == len(rows)


def test_bare_xml_is_known_after_its_signature_and_its_deadline(shared_data: Path):
    rows, _ = loaded(shared_data / "data/samples/sec/form4.snow.xml")
    assert {r["known_at"] for r in rows} == {datetime(2022, 12, 16, 5, tzinfo=UTC)}
    assert {r["accession"] for r in rows} == {""}


def test_submissions_are_imported_with_their_times_and_amendments_in_any_order(tmp_path: Path):
    rows, rejects = loaded(*(SUBMISSIONS / "backfill" / name for name in ("b2.txt", "b3.txt", "b1.txt")))
    assert rejects == []
    saved = [row for batch in case("edgar_form4", "backfill").batches() for row in batch.rows.to_pylist()]
    assert sorted(rows, key=str) == sorted(saved, key=str)


def test_a_folder_named_for_the_accession_number_names_bare_xml(tmp_path: Path):
    text = (SUBMISSIONS / "normal" / "submission.txt").read_text()
    path = tmp_path / "000999900025000001" / "doc4.xml"
    path.parent.mkdir()
    path.write_text(text.split("<XML>\n")[1].split("</XML>")[0])
    (row,), _ = loaded(path)
    assert (row["accession"], row["trade_id"]) == ("0009999000-25-000001", "0009999000-25-000001:1")


def test_quiver_arrays_are_imported_like_pages(tmp_path: Path):
    path = tmp_path / "insiders.json"
    path.write_bytes((PAYLOADS / "quiver_insiders" / "normal" / "page1.json").read_bytes())
    rows, rejects = loaded(path)
    assert ([row["symbol"] for row in rows], rejects) == (["MSFT", "AAPL"], [])
    assert rows[0]["known_at"] == datetime(2025, 5, 2, 20, 31, 7, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "[]", "{}", "[1]", "a,b\n1,2\n", "<ownershipDocument/>", "<html/>", json.dumps([{"Ticker": "A"}])])
def test_other_files_are_refused_naming_the_known_shapes(tmp_path: Path, text: str):
    path = tmp_path / "f"
    path.write_text(text)
    with pytest.raises(BadFile, match="known shapes are Form 4"):
        loaded(path)


@pytest.mark.parametrize("name", ["edgar_form4/dirt/joint.txt", "quiver_insiders/normal/page1.json"])
def test_no_damaged_file_raises_anything_but_our_own_errors(name: str, tmp_path: Path):
    rng, path, outcomes = random.Random(name), tmp_path / "f", set()
    for _ in range(200):
        path.write_bytes(damaged((PAYLOADS / name).read_bytes(), rng))
        try:
            rows, _ = loaded(path)
            outcomes.add("rows" if rows else "none")
        except ScrapeError as error:
            outcomes.add(type(error).__name__)
    assert {"rows", "BadFile"} <= outcomes
