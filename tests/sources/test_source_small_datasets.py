"""VIX, index membership and constituents."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from scrapers import DATASETS
from scrapers.errors import BadFile, SourceChanged
from scrapers.sources import constituents, index_membership, vix

VIX_HEAD = "DATE,OPEN,HIGH,LOW,CLOSE"


def loaded(dataset: str, tmp_path: Path, text: str) -> tuple[list[dict], list[str]]:
    path = tmp_path / "f"
    path.write_text(text)
    batches = list(DATASETS[dataset].load([path]))
    return [row for batch in batches for row in batch.rows.to_pylist()], [r.reason for batch in batches for r in batch.rejects]


def test_vix_dates_come_in_both_forms_and_are_known_at_twenty_past_four(tmp_path: Path):
    rows, rejects = loaded("vix", tmp_path, f"{VIX_HEAD}\n2021-03-10,22,23,21,22.5\n07/01/2020,30,31,29,30.5\n")
    assert rejects == []
    assert [(row["session"], row["close"]) for row in rows] == [(date(2021, 3, 10), 22.5), (date(2020, 7, 1), 30.5)]
    assert rows[1]["known_at"] == datetime(2020, 7, 1, 20, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2021-13-10,22,23,21,22", "bad_date"),
        ("2021-03-10,22,23,21,.", "bad_price"),
        ("2021-03-10,22,23,21,nan", "bad_price"),
        ("2021-03-10,22,23,0,22", "bad_price"),
        ("2021-03-10,22,20,21,22", "high_below_low"),
        ("2021-03-10,22", "ragged_record"),
    ],
)
def test_a_vix_line_that_cannot_be_one_is_a_reject(tmp_path: Path, line: str, reason: str):
    assert loaded("vix", tmp_path, f"{VIX_HEAD}\n{line}\n") == ([], [reason])


@pytest.mark.parametrize("dataset", ["vix", "index_membership", "constituents"])
@pytest.mark.parametrize("text", ["a,b\n1,2\n", "", "<html>not found</html>"])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, dataset: str, text: str):
    with pytest.raises(BadFile, match="known shapes"):
        loaded(dataset, tmp_path, text)


def test_a_spell_that_ended_is_first_known_open_and_only_after_its_end_as_closed(tmp_path: Path):
    rows, _ = loaded("index_membership", tmp_path, "ticker,start_date,end_date\nAABA,1999-12-08,2017-06-19\n")
    assert [(row["end_date"], row["known_at"]) for row in rows] == [
        (None, datetime(1999, 12, 8, 5, tzinfo=UTC)),
        (date(2017, 6, 19), datetime(2017, 6, 20, 4, tzinfo=UTC)),
    ]
    assert {row["index_name"] for row in rows} == {"sp500"}


def test_several_spells_of_one_symbol_are_separate_rows(tmp_path: Path):
    text = "ticker,start_date,end_date,index_name\nAAL,1996-01-02,1997-01-15,sp400\nAAL,2015-03-23,,sp400\n"
    rows, _ = loaded("index_membership", tmp_path, text)
    assert {(row["index_name"], row["symbol"], row["start_date"]) for row in rows} == {
        ("sp400", "AAL", date(1996, 1, 2)),
        ("sp400", "AAL", date(2015, 3, 23)),
    }


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("A,2020-01-01,2019-01-01", "ends_before_start"),
        ("A,soon,", "bad_date"),
        ("A,2020-01-01,never", "bad_date"),
        ("VFC.VI,2020-01-01,", "bad_symbol"),
        ("A,2020-01-01", "ragged_record"),
    ],
)
def test_a_spell_that_cannot_be_one_is_a_reject(tmp_path: Path, line: str, reason: str):
    assert loaded("index_membership", tmp_path, f"ticker,start_date,end_date\n{line}\n") == ([], [reason])


def test_a_snapshot_closes_the_spells_of_those_who_left():
    content = b"Symbol,GICS Sector,Date added\nMMM,Industrials,1957-03-04\nNEW,Utilities,2026-01-05\n"
    members = {"MMM": date(1957, 3, 4), "OLD": date(2001, 2, 3)}
    items = list(index_membership.parse_snapshot(content, name="f", on=date(2026, 1, 6), members=members))
    assert [(item.row.symbol, item.row.start_date, item.row.end_date) for item in items] == [
        ("MMM", date(1957, 3, 4), None),
        ("NEW", date(2026, 1, 5), None),
        ("OLD", date(2001, 2, 3), date(2026, 1, 6)),
    ]


def test_constituents_are_known_after_they_were_added_or_always(tmp_path: Path):
    text = "Symbol,Security,GICS Sector,GICS Sub-Industry,Headquarters Location,Date added,CIK,Founded\n"
    text += 'BRK.B,Berkshire &amp; Co,Financials,Multi-Sector Holdings,"Omaha, Nebraska",2010-02-16,1067983,1839\n'
    (row,), _ = loaded("constituents", tmp_path, text)
    assert (row["symbol"], row["name"], row["sector"], row["cik"]) == ("BRK.B", "Berkshire & Co", "Financials", "1067983")
    assert row["known_at"] == datetime(2010, 2, 17, 5, tzinfo=UTC)
    (row,), _ = loaded("constituents", tmp_path, "ticker,security,sector,cik\nAAN,Aaron's Inc.,Consumer Discretionary,0000706688\n")
    assert (row["symbol"], row["cik"], row["date_added"], row["known_at"]) == ("AAN", "706688", None, datetime(1970, 1, 1, tzinfo=UTC))


def test_a_company_without_a_sector_is_a_reject(tmp_path: Path):
    assert loaded("constituents", tmp_path, "ticker,sector\nVGR,\nA,Energy,x\n??,Energy\n") == (
        [],
        ["no_sector", "ragged_record", "bad_symbol"],
    )


@pytest.mark.parametrize("module", [vix, constituents, index_membership])
def test_a_downloaded_file_of_another_shape_is_a_changed_source(module):
    class Html:
        content = b"<html>moved</html>"

        def get(self, *args: object, **options: object) -> "Html":
            return self

    with pytest.raises(SourceChanged):
        list(module.fetch(Html(), datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC), {}))


def test_the_real_small_files_reconcile(shared_data: Path):
    def counts(dataset: str, path: str) -> tuple[int, int]:
        batches = list(DATASETS[dataset].load([shared_data / "data" / path]))
        return sum(b.rows.num_rows for b in batches), sum(len(b.rejects) for b in batches)

    spells = (shared_data / "data/universe/sp500_ticker_start_end_to_2025.csv").read_text().splitlines()[1:]
    ended = sum(not line.endswith(",") for line in spells)
    assert counts("vix", "prices/vix_daily_1990_2021q1.csv.gz") == (7870, 0)
    assert counts("constituents", "universe/sp500_constituents_2026-08-08.csv") == (503, 0)
    assert counts("constituents", "universe/sp1000_tickers_2020.csv") == (999, 1)
    assert counts("index_membership", "universe/sp500_ticker_start_end_to_2025.csv") == (len(spells) + ended, 0)
