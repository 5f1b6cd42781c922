"""Daily bars: archives in their known shapes, Alpaca's pages, and the real price files."""

import gzip
import io
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from scrapers.base import Reject
from scrapers.errors import BadFile, SourceChanged
from scrapers.sources import bars_daily as bars

HEAD = "ticker,date,open,high,low,close,adj_close,volume"
LINE = "BRK-B,2021-03-10,10,11,9,10.5,10.1,1000"


def loaded(tmp_path: Path, text: str, *, name: str = "f") -> tuple[list[dict], list[Reject]]:
    path = tmp_path / name
    path.write_text(text)
    batches = list(bars.load([path]))
    return [row for batch in batches for row in batch.rows.to_pylist()], [reject for batch in batches for reject in batch.rejects]


def test_a_split_adjusted_bar_is_known_twenty_minutes_after_the_close(tmp_path: Path):
    (row,), rejects = loaded(tmp_path, f"{HEAD}\n{LINE}\n")
    assert rejects == []
    assert row == {
        "symbol": "BRK.B",
        "session": date(2021, 3, 10),
        "open": 10.0,
        "high": 11.0,
        "low": 9.0,
        "close": 10.5,
        "adj_close": 10.1,
        "volume": 1000,
        "adjustment": "split",
        "event_at": datetime(2021, 3, 10, 21, 0, tzinfo=UTC),
        "known_at": datetime(2021, 3, 10, 21, 20, tzinfo=UTC),
    }


def test_an_archive_of_adjusted_closes_is_a_total_return_series(tmp_path: Path):
    (row,), _ = loaded(tmp_path, "ticker,date,adj_close\nSPY,07/01/2020,300.5\n")
    assert (row["close"], row["adj_close"], row["adjustment"]) == (300.5, 300.5, "total_return")
    assert row["open"] is row["high"] is row["low"] is row["volume"] is None
    assert row["known_at"] == datetime(2020, 7, 1, 20, 20, tzinfo=UTC)


def test_a_file_may_name_the_adjustment_of_its_bars(tmp_path: Path):
    head = "symbol,session,open,high,low,close,volume,adjustment"
    rows, rejects = loaded(tmp_path, f"{head}\nA,2021-03-10,1,2,1,2,5,raw\nA,2021-03-10,1,2,1,2,5,wild\n")
    assert [row["adjustment"] for row in rows] == ["raw"]
    assert [reject.reason for reject in rejects] == ["bad_adjustment"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("A,2021-03-10,0,11,9,10.5,10.1,1000", "bad_price"),
        ("A,2021-03-10,10,11,9,-10.5,10.1,1000", "bad_price"),
        ("A,2021-03-10,10,11,9,inf,10.1,1000", "bad_price"),
        ("A,2021-03-10,ten,11,9,10.5,10.1,1000", "bad_price"),
        ("A,2021-03-10,10,11,9,,10.1,1000", "missing_price"),
        ("A,2021-03-10,10,9,11,10.5,10.1,1000", "high_below_low"),
        ("A,2021-03-10,10,11,9,10.5,10.1,-1", "bad_volume"),
        ("A,2021-02-30,10,11,9,10.5,10.1,1000", "bad_date"),
        ("A,,10,11,9,10.5,10.1,1000", "bad_date"),
        ("VFC.VI,2021-03-10,10,11,9,10.5,10.1,1000", "bad_symbol"),
        (",2021-03-10,10,11,9,10.5,10.1,1000", "bad_symbol"),
    ],
)
def test_a_bar_that_cannot_be_one_is_a_reject_with_its_record(tmp_path: Path, line: str, reason: str):
    rows, rejects = loaded(tmp_path, f"{HEAD}\n{LINE}\n{line}\n", name="prices.csv")
    assert len(rows) == 1
    assert [(reject.reason, reject.position) for reject in rejects] == [(reason, "prices.csv:2")]
    assert '"date"' in rejects[0].raw


def test_the_noise_of_32_bit_prices_is_no_inversion(tmp_path: Path):
    rows, rejects = loaded(tmp_path, f"{HEAD}\nA,2021-03-10,10,10.00000,10.00001,10,10,1\n")
    assert (len(rows), rejects) == (1, [])


def test_an_equal_duplicate_is_kept_and_a_conflicting_one_refused(tmp_path: Path):
    rows, rejects = loaded(tmp_path, f"{HEAD}\n{LINE}\n{LINE}\n{LINE.replace('10.5', '10.6')}\n{LINE.replace('BRK-B', 'BRK.B')}\n")
    assert len(rows) == 3
    assert [(reject.reason, reject.position) for reject in rejects] == [("conflicting_duplicate", "f:3")]


@pytest.mark.parametrize(
    "text",
    [
        "ticker,date,price\nA,2021-03-10,1\n",
        f"{HEAD},dividend\n{LINE},0\n",
        "date,open,high,low,close,volume\n2021-03-10,1,1,1,1,1\n",
        "",
        "[]",
        "ticker,date,date\nA,1,2\n",
    ],
)
def test_other_columns_are_refused_naming_the_known_shapes(tmp_path: Path, text: str):
    with pytest.raises(BadFile, match="known shapes are split-adjusted bars"):
        loaded(tmp_path, text)


@pytest.mark.parametrize("column", [[[1]], [b"x"], [datetime(2021, 1, 1)], [True]])
def test_a_parquet_column_of_another_kind_is_refused(tmp_path: Path, column: list):
    path = tmp_path / "f"
    pq.write_table(pa.table({"ticker": ["A"], "date": ["2021-03-10"], "adj_close": column}), path)
    with pytest.raises(BadFile, match="adj_close"):
        list(bars.load([path]))


def test_a_ragged_csv_and_a_cut_parquet_file_are_refused(tmp_path: Path):
    with pytest.raises(BadFile, match="does not parse"):
        loaded(tmp_path, f"{HEAD}\n{LINE},1,2,3\n")
    sink = io.BytesIO()
    pq.write_table(pa.table({"ticker": ["A"]}), sink)
    path = tmp_path / "cut.parquet"
    path.write_bytes(sink.getvalue()[:60])
    with pytest.raises(BadFile, match="does not parse"):
        list(bars.load([path]))


def test_a_gzipped_file_without_an_ending_is_recognised(tmp_path: Path):
    path = tmp_path / "blob"
    path.write_bytes(gzip.compress(f"{HEAD}\n{LINE}\n".encode()))
    assert next(iter(bars.load([path]))).rows.num_rows == 1


def page(bar: dict | None = None, **changes: object) -> dict:
    good = {"t": "2022-01-03T05:00:00Z", "o": 178.26, "h": 178.34, "l": 177.76, "c": 178.08, "v": 60937, "n": 1727, "vw": 177.95}
    return {"AAPL": [{**good, **changes} if bar is None else bar]}


def parsed(document: object, *, backfill: bool = False) -> list:
    return list(bars.parse_page(document, closed=lambda day: day <= date(2022, 1, 3), backfill=backfill))


def test_an_alpaca_bar_is_raw_and_dated_by_its_new_york_midnight():
    (item,) = parsed(page(), backfill=True)
    assert (item.row.symbol, item.row.session, item.row.close, item.row.volume) == ("AAPL", date(2022, 1, 3), 178.08, 60937)
    assert (item.row.adjustment, item.row.adj_close) == ("raw", None)
    assert (item.event_at, item.known_at) == (datetime(2022, 1, 3, 21, tzinfo=UTC), datetime(2022, 1, 3, 21, 20, tzinfo=UTC))


def test_a_live_bar_leaves_known_at_to_the_ingest():
    assert parsed(page())[0].known_at is None


def test_a_bar_of_a_session_still_open_is_left_out():
    assert parsed(page(t="2022-01-04T05:00:00Z")) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"c": 0}, "bad_price"),
        ({"o": float("nan")}, "bad_price"),
        ({"h": "178"}, "bad_price"),
        ({"v": -1}, "bad_price"),
        ({"l": 200}, "high_below_low"),
        ({"t": "yesterday"}, "bad_date"),
        ({"t": None}, "bad_date"),
        ({"t": "2022-01-03T05:00:00"}, "bad_date"),
    ],
)
def test_an_alpaca_bar_that_cannot_be_one_is_a_reject(change: dict, reason: str):
    assert [item.reason for item in parsed(page(**change))] == [reason]


@pytest.mark.parametrize("document", [None, [], {"AAPL": None}, {"AAPL": [1]}, {"AAPL": [{"t": 1}]}])
def test_a_page_of_another_shape_is_a_changed_source(document: object):
    with pytest.raises(SourceChanged):
        parsed(document)


class Canned:
    """Stands for the HTTP client: answers with the given documents in turn and keeps what was asked."""

    def __init__(self, *documents: object) -> None:
        self.documents, self.asked = list(documents), []

    def get(self, url: str, params: dict, *, source: str, rate: object) -> "Canned":
        self.asked.append(params)
        return self

    def json(self) -> object:
        return self.documents.pop(0)


def test_a_fetch_asks_for_a_hundred_symbols_at_a_time_and_follows_the_tokens():
    symbols = [f"A{chr(65 + n // 26)}{chr(65 + n % 26)}" for n in range(150)]
    http = Canned({"bars": page(), "next_page_token": "t1"}, {"bars": {}, "next_page_token": None}, {"bars": {}})
    until = datetime(2022, 1, 3, 21, 20, tzinfo=UTC)
    batches = list(bars.fetch(http, datetime(2022, 1, 3, 12, tzinfo=UTC), until, {"symbols": symbols}))
    assert sum(batch.rows.num_rows for batch in batches) == 1
    assert [len(params["symbols"].split(",")) for params in http.asked] == [100, 100, 50]
    assert [params.get("page_token") for params in http.asked] == [None, "t1", None]
    assert http.asked[0]["adjustment"] == "raw"
    assert (http.asked[0]["start"], http.asked[0]["end"]) == ("2022-01-03T05:00:00Z", "2022-01-03T21:04:00Z")


def test_a_half_days_bar_is_taken_at_its_early_close_when_the_calendar_says_so():
    http = Canned({"bars": page(t="2022-11-25T05:00:00Z")}, {"bars": page(t="2022-11-25T05:00:00Z")})
    until = datetime(2022, 11, 25, 18, 20, tzinfo=UTC)
    early = datetime(2022, 11, 25, 18, 0, tzinfo=UTC)
    assert list(bars.fetch(http, until, until, {"symbols": ["AAPL"]})) == []
    batches = list(bars.fetch(http, until, until, {"symbols": ["AAPL"], "close_at": lambda day: early}))
    assert [batch.rows.num_rows for batch in batches] == [1]


def test_tokens_that_go_in_a_circle_are_a_changed_source():
    http = Canned(*[{"bars": {}, "next_page_token": "same"}] * 3)
    with pytest.raises(SourceChanged, match="next_page_token"):
        list(bars.fetch(http, datetime(2022, 1, 1, tzinfo=UTC), datetime(2022, 1, 4, tzinfo=UTC), {"symbols": ["AAPL"]}))


@pytest.mark.parametrize(
    ("name", "n_rows", "n_symbols", "adjustment"),
    [
        ("sp500_daily_2013_2021q1.parquet", 765_400, 380, "split"),
        ("sector_etf_daily_2010_2021q1.parquet", 27_550, 11, "split"),
        ("etf_adjclose_2010_2021q1.parquet", 133_021, 51, "total_return"),
    ],
)
def test_the_real_price_files_come_in_whole_batch_by_batch(shared_data: Path, name: str, n_rows: int, n_symbols: int, adjustment: str):
    batches = list(bars.load([shared_data / "data/prices" / name]))
    table = pa.concat_tables([batch.rows for batch in batches])
    assert table.num_rows + sum(len(batch.rejects) for batch in batches) == n_rows
    assert max(batch.rows.num_rows for batch in batches) <= 200_000
    assert pc.count_distinct(table["symbol"]).as_py() == n_symbols
    assert pc.unique(table["adjustment"]).to_pylist() == [adjustment]
    assert table.select(["symbol", "session", "close", "event_at", "known_at"]).column("known_at").null_count == 0
