"""Daily bars: archives in their known shapes, Alpaca's pages, and the real price files."""

import gzip
import io
import json
import math
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from scrapers import yahoo
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
        "gone": False,
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
        '{"bar": {}}',
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

    status = 200

    def __init__(self, *documents: object) -> None:
        self.documents, self.asked = list(documents), []

    def get(self, url: str, params: dict, *, source: str, rate: object, accept: object = ()) -> "Canned":
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


FIRST = datetime(2020, 8, 28, 13, 30, tzinfo=UTC)


def chart(closes: list[float | None], splits: dict[int, float] | None = None, **meta: object) -> dict:
    """A chart of consecutive days from 28 August 2020, every price the close; splits: day -> new shares per old."""
    stamps = [int((FIRST + timedelta(days=day)).timestamp()) for day in range(len(closes))]
    events = {str(stamps[day]): {"date": stamps[day], "numerator": ratio, "denominator": 1} for day, ratio in (splits or {}).items()}
    quote = dict.fromkeys(("open", "high", "low", "close"), closes) | {"volume": [None if c is None else 1000 for c in closes]}
    result = {"meta": {"symbol": "A", "currency": "USD", "dataGranularity": "1d", **meta}, "indicators": {"quote": [quote]}}
    return {"chart": {"result": [{**result, "timestamp": stamps, "events": {"splits": events}}], "error": None}}


def test_a_yahoo_price_is_multiplied_by_the_splits_after_it_and_its_volume_divided():
    made = yahoo.parse_chart(chart([25.0, 25.5, 26.0], {1: 4.0, 2: 0.5}), 200, "A", "f")
    assert [(bar.close, bar.volume) for bar in made.bars] == [(50.0, 500), (12.75, 2000), (26.0, 1000)]
    assert [(action.ex_date.day, action.value) for action in made.actions] == [(29, 4.0), (30, 0.5)]


def test_a_bar_is_the_same_before_and_after_the_company_split():
    price = float(np.float32(178.26))
    before = yahoo.parse_chart(chart([price]), 200, "A", "f").bars[0]
    after = yahoo.parse_chart(chart([float(np.float32(178.26 / 7)), 25.0], {1: 7.0}), 200, "A", "f").bars[0]
    assert (before.close, after.close) == (178.26, 178.26)


@pytest.mark.parametrize(("symbol", "spelt"), [("BRK.B", "BRK-B"), ("BAC.PRK", "BAC-PK"), ("SPY", "SPY"), ("AB.PR", "AB-PR")])
def test_symbols_are_spelt_as_yahoo_does(symbol: str, spelt: str):
    assert yahoo.spelling(symbol) == spelt


@pytest.mark.parametrize(
    "change",
    [
        {"chart": None},
        {"chart": {"result": [], "error": None}},
        {"chart": {"result": None, "error": None}},
        {"chart": {"result": None, "error": {"code": "Internal", "description": "trouble"}}},
        {"finance": {}},
        [],
    ],
)
def test_a_chart_of_another_shape_is_a_changed_source(change: object):
    with pytest.raises(SourceChanged):
        yahoo.parse_chart(change, 200, "A", "f")


@pytest.mark.parametrize("name", ["meta", "timestamp", "indicators"])
def test_a_chart_without_what_it_always_has_is_a_changed_source(name: str):
    document = chart([1.0])
    del document["chart"]["result"][0][name]
    with pytest.raises(SourceChanged):
        yahoo.parse_chart(document, 200, "A", "f")


def test_a_service_that_knows_hardly_any_symbol_has_changed():
    yahoo.check_known(unknown=5, asked=10)
    yahoo.check_known(unknown=9, asked=9)
    with pytest.raises(SourceChanged, match="6 of 10"):
        yahoo.check_known(unknown=6, asked=10)


def test_saved_answers_of_both_services_are_imported(tmp_path: Path):
    rows, _ = loaded(tmp_path, json.dumps({"bars": page(), "next_page_token": None}))
    assert [(row["symbol"], row["adjustment"], row["known_at"]) for row in rows] == [
        ("AAPL", "raw", datetime(2022, 1, 3, 21, 20, tzinfo=UTC))
    ]
    rows, _ = loaded(tmp_path, json.dumps(chart([1.5, None])))
    assert [(row["symbol"], row["session"], row["close"]) for row in rows] == [("A", date(2020, 8, 28), 1.5)]


@pytest.mark.parametrize("document", [{"bars": []}, {"chart": {}}, {"bars": {"A": [1]}}])
def test_a_saved_answer_of_another_shape_is_a_bad_file(tmp_path: Path, document: dict):
    with pytest.raises(BadFile):
        loaded(tmp_path, json.dumps(document))


def test_the_real_unadjusted_closes_of_apple_come_back_from_closes_divided_by_its_splits(shared_data: Path):
    """LEAN's raw file has what was traded; dividing it by the splits as Yahoo does and undoing that must change nothing."""
    lines = gzip.decompress((shared_data / "data/prices/aapl_raw_daily_lean.csv.gz").read_bytes()).decode().splitlines()[1:]
    traded = {date.fromisoformat(line.split(",")[0]): float(line.split(",")[4]) for line in lines}
    splits = {date(2000, 6, 21): 2.0, date(2005, 2, 28): 2.0, date(2014, 6, 9): 7.0, date(2020, 8, 31): 4.0}
    later = {day: math.prod(ratio for at, ratio in splits.items() if at > day) for day in traded}
    stamps = {day: int(datetime(day.year, day.month, day.day, 14, 30, tzinfo=UTC).timestamp()) for day in traded}
    divided = [float(np.float32(traded[day] / later[day])) for day in traded]
    document = chart([1.0])
    result = document["chart"]["result"][0]
    result["timestamp"] = list(stamps.values())
    result["indicators"]["quote"][0] |= dict.fromkeys(("open", "high", "low", "close"), divided)
    result["indicators"]["quote"][0]["volume"] = [1000] * len(divided)
    result["events"]["splits"] = {str(stamps[d]): {"date": stamps[d], "numerator": r, "denominator": 1.0} for d, r in splits.items()}
    made = yahoo.parse_chart(document, 200, "A", "f")
    assert {bar.session: bar.close for bar in made.bars} == pytest.approx(traded, abs=0.005)
    assert len(made.bars) == len(traded) == 5849


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
