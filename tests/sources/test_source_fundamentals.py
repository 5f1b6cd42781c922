"""Reported figures: versions and restatements, tags, times of acceptance, the list of companies, and imports."""

import gzip
import json
import random
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from scrapers import edgar, edgar_facts, edgar_filings
from scrapers.base import Reject
from scrapers.edgar_facts import Fact
from scrapers.errors import BadFile, ScrapeError, SourceChanged
from scrapers.sources import fundamentals
from tests.sources.canned import PAYLOADS, case
from tests.sources.fuzz import damaged

SAVED = PAYLOADS / "edgar_companyfacts" / "normal"


def fact(value: float, filing: int, *, rank: int = 0, concept: str = "revenue", unit: str = "USD") -> Fact:
    """A figure of the first quarter of 2024 as the n-th filing, of the n-th day of May, reported it."""
    return Fact(
        concept=concept, tag=f"us-gaap:{edgar_facts.TAGS[concept][rank]}", rank=rank, unit=unit, period_start=date(2024, 1, 1),
        period_end=date(2024, 3, 31), value=value, accession=f"0009999010-24-{filing:06d}", fiscal_year=2024, fiscal_period="Q1",
        form="10-Q", filed=date(2024, 5, filing), known_at=datetime(2024, 5, filing, 21, tzinfo=UTC),
    )  # fmt: skip


def values(*facts: Fact) -> list[float]:
    return [version.value for version in edgar_facts.versions(facts)]


def loaded(*paths: Path) -> tuple[list[dict], list[Reject]]:
    batches = list(fundamentals.load(paths))
    return [row for batch in batches for row in batch.rows.to_pylist()], [reject for batch in batches for reject in batch.rejects]


def test_a_figure_that_is_repeated_is_told_once():
    assert values(fact(100, 1), fact(100, 2), fact(100, 3)) == [100]


def test_a_restatement_is_a_further_version_and_so_is_its_reversal():
    assert values(fact(100, 1), fact(90, 2), fact(90, 3), fact(100, 4)) == [100, 90, 100]


def test_versions_stand_in_the_order_in_which_they_became_known():
    assert values(fact(90, 2), fact(100, 1)) == [100, 90]


def test_of_several_tags_of_one_filing_the_first_choice_counts():
    assert values(fact(95, 1, rank=1), fact(100, 1), fact(80, 1, rank=3)) == [100]


def test_a_lesser_tag_never_replaces_a_better_one():
    assert values(fact(100, 1), fact(95, 2, rank=1), fact(95, 3, rank=1)) == [100]


def test_a_better_tag_replaces_a_lesser_one_from_its_time_on():
    assert values(fact(95, 1, rank=1), fact(100, 2), fact(96, 3, rank=1)) == [95, 100]
    assert values(fact(95, 1, rank=1), fact(95, 2), fact(96, 3, rank=1)) == [95]


def test_of_one_tag_of_one_filing_the_first_value_counts():
    assert values(fact(100, 1), fact(101, 1)) == [100]


def test_figures_of_two_units_are_two_figures():
    assert sorted(values(fact(100, 1), fact(700, 1, unit="CNY"))) == [100, 700]


def test_what_is_known_at_a_time_does_not_depend_on_later_filings():
    rng = random.Random(5)
    facts = [fact(rng.choice([90, 95, 100]), rng.randint(1, 9), rank=rng.randint(0, 3)) for _ in range(60)]
    every = list(edgar_facts.versions(facts))
    for day in range(1, 10):
        until = [f for f in facts if f.filed <= date(2024, 5, day)]
        assert list(edgar_facts.versions(until)) == [f for f in every if f.filed <= date(2024, 5, day)]


def test_a_filing_without_a_time_of_acceptance_is_known_the_day_after():
    document = json.loads((SAVED / "companyfacts.json").read_text())
    at = datetime(2025, 2, 14, 21, 10, tzinfo=UTC)
    facts, rejects = edgar_facts.parse(document, "facts", {"0009999010-25-000001": at})
    assert rejects == []
    assert {f.known_at for f in facts if f.accession.endswith("000001")} == {at}
    assert {f.known_at for f in facts if f.accession.endswith("000002")} == {datetime(2025, 5, 2, 4, tzinfo=UTC)}


def test_a_refused_fact_is_told_only_when_it_was_filed_in_the_time_asked_for():
    entry = {"end": "2023-12-31", "val": "x", "accn": "0009999010-24-000001", "fy": 2023, "fp": "FY", "form": "10-K", "filed": "2024-02-14"}
    good = [entry | {"val": 1}, entry | {"val": 1, "end": "2022-12-31"}]
    document = {"facts": {"us-gaap": {"Assets": {"units": {"USD": [entry, *good]}}}}}
    assert [r.reason for r in edgar_facts.parse(document, "facts", {}, date(2024, 2, 14))[1]] == ["bad_value"]
    assert edgar_facts.parse(document, "facts", {}, date(2024, 2, 15))[1] == []


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"cik": 1},
        {"facts": []},
        {"facts": {"us-gaap": []}},
        {"facts": {"us-gaap": {"Assets": []}}},
        {"facts": {"us-gaap": {"Assets": {"units": []}}}},
        {"facts": {"us-gaap": {"Assets": {"units": {"USD": {}}}}}},
        {"facts": {"us-gaap": {"Assets": {"units": {"USD": [{"value": 1}]}}}}},
    ],
)
def test_another_document_is_a_changed_source(document: object):
    with pytest.raises(SourceChanged):
        edgar_facts.parse(document, "facts", {})


@pytest.mark.parametrize("document", [{"facts": {}}, {"facts": {"dei": {}}}, {"facts": {"us-gaap": {"Assets": {"units": {}}}}}])
def test_a_company_without_figures_has_none(document: object):
    assert edgar_facts.parse(document, "facts", {}) == ([], [])


def test_share_classes_stand_under_one_company_in_the_canonical_spelling():
    document = {"0": {"cik_str": 7, "ticker": "BRK-B", "title": "x"}, "1": {"cik_str": "0000000007", "ticker": "BRK-A", "title": "x"}}
    assert edgar.parse_companies(document, "list").of(["BRK.A", "BRK.B", "NONE"]) == {7: ("BRK.A", "BRK.B")}


def test_a_list_that_knows_none_of_our_symbols_is_a_changed_source():
    listed = edgar.parse_companies({"0": {"cik_str": 7, "ticker": "BRK-B", "title": "x"}}, "list")
    assert listed.of([]) == {}
    with pytest.raises(SourceChanged, match="none of 1 symbols"):
        listed.of(["ZAAA"])


@pytest.mark.parametrize("document", [[], {}, None, "x", {"0": {"cik": 7, "symbol": "A"}}, {"fields": ["cik"], "data": [[1]]}])
def test_another_list_of_companies_is_a_changed_source(document: object):
    with pytest.raises(SourceChanged):
        edgar.parse_companies(document, "list")


def test_the_real_list_of_companies_is_read(shared_data: Path):
    with gzip.open(shared_data / "data/samples/sec/company_tickers.json.gz") as file:
        listed = edgar.parse_companies(json.load(file), "list")
    assert (listed.ciks["MSFT"], listed.ciks["BRK.B"], listed.ciks["AAPL"]) == (789019, 1067983, 320193)
    assert listed.rejects == ()
    assert len(listed.ciks) > 5000


@pytest.mark.parametrize(
    "columns",
    [
        {
            "accessionNumber": ["0009999010-25-000001"],
            "filingDate": ["2025-05-01"],
            "reportDate": [""],
            "acceptanceDateTime": [],
            "form": ["4"],
        },
        {"accessionNumber": [1], "filingDate": ["2025-05-01"], "reportDate": [""], "acceptanceDateTime": [""], "form": ["4"]},
    ],
)
def test_columns_of_unequal_length_or_without_numbers_are_a_changed_source(columns: dict):
    with pytest.raises(SourceChanged):
        rows = edgar_filings._columns(columns, "list")
        edgar_filings.parse_submissions(rows, "list", 1, lambda day: True)


def test_one_filing_that_cannot_be_read_is_refused_and_the_others_stand():
    good = {"accessionNumber": "0009999010-25-000001", "filingDate": "2025-05-01", "reportDate": "", "acceptanceDateTime": "", "form": "4"}
    newer = good | {"accessionNumber": "0009999010-25-000002", "filingDate": "2025-05-02"}
    found = edgar_filings.parse_submissions([newer, good | {"form": None}, good], "list", 1, lambda day: True)
    assert [(filing.accession, filing.filed) for filing in found.filings.values()] == [
        ("0009999010-25-000001", date(2025, 5, 1)),
        ("0009999010-25-000002", date(2025, 5, 2)),
    ]
    assert [(reject.reason, reject.position) for reject in found.rejects] == [("bad_entry", "list[1]")]


def test_documents_and_zips_are_imported_with_the_list_of_companies_beside_them(tmp_path: Path):
    documents, tickers = tmp_path / "companyfacts.zip", SAVED / "company_tickers.json"
    with zipfile.ZipFile(documents, "w") as packed:
        packed.write(SAVED / "companyfacts.json", "CIK0009000001.json")
        packed.writestr("CIK0000000005.json", json.dumps({"cik": 5, "facts": {}}))
    single, _ = loaded(SAVED / "companyfacts.json", tickers)
    packed_rows, rejects = loaded(tickers, documents)
    assert (packed_rows, rejects) == (single, [])
    assert {(r["concept"], r["period_end"], r["value"]) for r in single} == {
        ("shares_outstanding", date(2025, 2, 10), 1_000_000.0),
        ("shares_outstanding", date(2025, 4, 25), 1_010_000.0),
        ("revenue", date(2024, 3, 31), 240.0),
        ("revenue", date(2024, 12, 31), 1000.0),
        ("revenue", date(2025, 3, 31), 270.0),
        ("equity", date(2024, 12, 31), 5000.0),
    }
    assert {r["known_at"] for r in single if r["filed"] == date(2025, 5, 1)} == {datetime(2025, 5, 2, 4, tzinfo=UTC)}


def test_documents_alone_are_refused_because_they_name_no_symbol():
    with pytest.raises(BadFile, match=r"company_tickers\.json"):
        loaded(SAVED / "companyfacts.json")


@pytest.mark.parametrize("text", ["", "[]", "{}", "a,b\n1,2\n", '{"a": 1}'])
def test_other_files_are_refused_naming_the_known_shapes(tmp_path: Path, text: str):
    path = tmp_path / "f"
    path.write_text(text)
    with pytest.raises(BadFile, match="known shapes are companyfacts"):
        loaded(path, SAVED / "company_tickers.json")


@pytest.mark.parametrize("name", ["companyfacts.json", "company_tickers.json"])
def test_no_damaged_file_raises_anything_but_our_own_errors(name: str, tmp_path: Path):
    rng, outcomes = random.Random(name), set()
    paths = [tmp_path / "companyfacts.json", tmp_path / "company_tickers.json"]
    for path in paths:
        path.write_bytes((SAVED / path.name).read_bytes())
    for _ in range(200):
        (tmp_path / name).write_bytes(damaged((SAVED / name).read_bytes(), rng))
        try:
            rows, _ = loaded(*paths)
            outcomes.add("rows" if rows else "none")
        except ScrapeError as error:
            outcomes.add(type(error).__name__)
    assert {"rows", "BadFile"} <= outcomes


def test_a_damaged_zip_is_a_bad_file(tmp_path: Path):
    path, rng = tmp_path / "companyfacts.zip", random.Random(3)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.write(SAVED / "companyfacts.json", "CIK0009000001.json")
    whole, outcomes = path.read_bytes(), set()
    for _ in range(100):
        content = bytearray(whole)
        for _ in range(rng.randint(1, 8)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(content)
        try:
            rows, _ = loaded(path, SAVED / "company_tickers.json")
            outcomes.add("rows" if rows else "none")
        except ScrapeError as error:
            outcomes.add(type(error).__name__)
    assert "BadFile" in outcomes


def test_a_second_fetch_gives_the_same_rows():
    for name in ("normal", "backfill", "dirt"):
        first, second = ([b.rows.to_pylist() for b in case("edgar_companyfacts", name).batches()] for _ in range(2))
        assert first == second
