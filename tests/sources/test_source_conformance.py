"""What every dataset owes, whichever it is: a catalog entry that holds together, and parsers that no input breaks."""

import dataclasses
import json
import random
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from scrapers import DATASETS, source_hosts, sources, tables
from scrapers.base import Dataset
from scrapers.errors import ScrapeError
from scrapers.sources import bars_daily, congress_trades, corporate_actions

EACH = pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS.keys())
SAMPLES = {
    "congress_trades": json.dumps(
        [
            {
                "first_name": "A",
                "last_name": "B",
                "ptr_link": "https://x/1/",
                "date_recieved": "03/10/2021",
                "transactions": [
                    {
                        "transaction_date": "02/11/2021",
                        "owner": "Self",
                        "ticker": '<a href="q?s=PENN">PENN</a>',
                        "asset_description": "Penn",
                        "type": "Exchange",
                        "amount": "$1,001 - $15,000",
                    }
                ],
            }
        ]
    ),
    "bars_daily": "ticker,date,open,high,low,close,adj_close,volume\nA,2021-03-10,10,11,9,10.5,10.1,1000\nA,2021-03-11,9,9,9,9,9,9\n",
    "vix": "DATE,OPEN,HIGH,LOW,CLOSE\n01/04/2021,22,23,21,22.5\n2021-01-05,22,23,21,22.5\n",
    "index_membership": "ticker,start_date,end_date\nA,2000-06-05,\nAABA,1999-12-08,2017-06-19\n",
    "constituents": 'Symbol,Security,GICS Sector,Date added\nMMM,"3M, Co",Industrials,1957-03-04\nA,B,Energy,\n',
}


@EACH
def test_a_dataset_names_itself_its_key_and_its_source(dataset: Dataset):
    names = {field.name for field in dataclasses.fields(dataset.row)}
    assert set(dataset.key) <= names
    assert not names & {"event_at", "known_at", "fetched_at"}
    assert dataset.description
    assert dataset.source_url.startswith("https://")
    assert dataset.fetch is not None or dataset.load is not None


@EACH
def test_every_column_has_an_arrow_type_and_both_times_are_utc(dataset: Dataset):
    shape = tables.schema(dataset.row)
    assert shape.names[-2:] == ["event_at", "known_at"]
    assert str(shape.field("known_at").type) == "timestamp[us, tz=UTC]"
    assert tables.table(dataset.row, []).num_rows == 0


def test_every_file_of_the_folder_is_one_dataset():
    files = {path.stem for path in Path(sources.__path__[0]).glob("*.py")} - {"__init__"}
    assert files == set(DATASETS)


def test_the_hosts_that_may_be_asked_are_those_of_the_datasets():
    assert source_hosts() == {"api.quiverquant.com", "data.alpaca.markets", "cdn.cboe.com", "datahub.io"}


def test_the_catalog_loads_no_heavy_library():
    code = "import scrapers, sys; print([m for m in ('pyarrow', 'pandas', 'numpy', 'httpx', 'fastapi') if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(sources.__path__[0]).parents[1]
    )
    assert found.stdout.strip() == "[]"


def mutated(text: bytes, rng: random.Random) -> bytes:
    data = bytearray(text)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(5):
            case 0:
                data[at:at] = rng.choice([b",", b'"', b"\n", b"\x00", b"{", b"]", b"null", b"-", b"9" * 30, b"\xff\xfe", b"<br>", b"1e999"])
            case 1:
                del data[at : at + rng.randint(1, 12)]
            case 2:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 3:
                data = data[: max(at, 1)]
            case _:
                data[at:at] = data[rng.randrange(len(data) + 1) :][: rng.randint(1, 40)]
    return bytes(data)


@pytest.mark.parametrize("name", SAMPLES)
def test_no_mutated_file_raises_anything_but_our_own_errors(name: str, tmp_path: Path):
    rng = random.Random(f"files of {name}")
    path, outcomes = tmp_path / "f", set()
    for _ in range(300):
        path.write_bytes(mutated(SAMPLES[name].encode(), rng))
        try:
            for batch in DATASETS[name].load([path]):
                outcomes.add("rows" if batch.rows.num_rows else "rejects")
        except ScrapeError as error:
            outcomes.add(type(error).__name__)
    assert outcomes == {"rows", "rejects", "BadFile"}


ODD = [
    None,
    True,
    -1,
    0,
    1e308,
    float("nan"),
    float("inf"),
    10**400,
    "",
    "x" * 5000,
    "\x00",
    "--",
    [],
    {},
    [[]],
    {"t": 1},
    "2021-01-01",
    "<a>",
]


def warped(value: object, rng: random.Random) -> object:
    """The document with about one node in six replaced by something odd."""
    if rng.random() < 0.06:
        return rng.choice(ODD)
    if isinstance(value, dict):
        return {key: warped(item, rng) for key, item in value.items() if rng.random() > 0.02}
    if isinstance(value, list):
        return [warped(item, rng) for item in value]
    return value


PAGES = {
    "bars": (
        {"A": [{"t": "2022-01-03T05:00:00Z", "o": 1.0, "h": 2.0, "l": 1.0, "c": 1.5, "v": 9}] * 3, "BRK.B": []},
        lambda page: bars_daily.parse_page(page, closed=lambda day: day < date(2030, 1, 1), backfill=True),
    ),
    "corporate_actions": (
        {
            "cash_dividends": [{"symbol": "A", "rate": 0.2, "ex_date": "2022-01-03", "process_date": "2022-01-20"}] * 2,
            "forward_splits": [{"symbol": "A", "new_rate": 2, "old_rate": 1, "ex_date": "2022-01-03"}],
        },
        corporate_actions.parse_page,
    ),
    "congress": (
        [
            {
                "Representative": "A B",
                "ReportDate": "2025-01-17",
                "TransactionDate": "2024-12-20",
                "Ticker": "NVDA",
                "Transaction": "Purchase",
                "Range": "$500,001 - $1,000,000",
                "House": "Senate",
                "Amount": "500001.0",
                "TickerType": "ST",
            }
        ]
        * 2,
        lambda page: congress_trades.parse_quiver(page, position="page"),
    ),
}


@pytest.mark.parametrize("name", PAGES)
def test_no_warped_page_raises_anything_but_our_own_errors(name: str):
    rng, outcomes = random.Random(f"pages of {name}"), set()
    page, parse = PAGES[name]
    for _ in range(600):
        try:
            outcomes |= {type(item).__name__ for item in parse(warped(page, rng))}
        except ScrapeError as error:
            outcomes.add(type(error).__name__)
    assert "Reject" in outcomes
    assert len(outcomes) > 1


def test_quiver_pages_with_warped_records_are_changed_sources_or_rows():
    class Canned:
        def __init__(self, page: object) -> None:
            self.page = page

        def get(self, *args: object, **options: object) -> "Canned":
            return self

        def json(self) -> object:
            return self.page

    rng, outcomes = random.Random(11), set()
    instant = datetime(2025, 2, 1, tzinfo=UTC)
    for _ in range(300):
        try:
            batches = list(congress_trades.fetch(Canned(warped(PAGES["congress"][0], rng)), instant, instant, {}))
            outcomes.add("rows" if any(batch.rows.num_rows for batch in batches) else "none")
        except ScrapeError as error:
            outcomes.add(type(error).__name__)
    assert {"rows", "SourceChanged"} <= outcomes
