"""Views of renamed securities: one symbol with all of its history, whatever name each row was delivered under."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from daemon.prices import ArchivePrices
from daemon.store.splice import CLOSE, Alias, aliases, splices
from daemon.store.view import CHANGES, Archive
from scrapers import DATASETS
from scrapers.base import Dataset
from scrapers.renames import listed
from tests.unit.daemon.archive_rows import CALENDAR, SESSIONS, Market, before_open, known_on


@dataclass(frozen=True)
class Changed:
    """The columns of a symbol change."""

    old_symbol: str
    new_symbol: str
    effective_date: date


ALWAYS = datetime(2020, 1, 1, tzinfo=UTC)
"""Peak became Doc on 4 March 2024, Fleetcor became Corpay on 25 March 2024: both within SESSIONS."""
DOC, CPAY = SESSIONS.index(date(2024, 3, 4)), SESSIONS.index(date(2024, 3, 25))


@pytest.fixture
def market(tmp_path: Path) -> Market:
    return Market(tmp_path)


def closes(frame: pd.DataFrame, symbol: str) -> list[float | None]:
    return [None if np.isnan(v) else v for v in frame[symbol].tolist()]


def test_bars_under_the_old_name_are_the_history_of_the_new_one(market: Market) -> None:
    market.closes("FLT", [10.0, 11.0], first=CPAY - 2)
    market.closes("CPAY", [12.0, 13.0], first=CPAY)
    archive = market.archive()
    before, after = archive.view(known_on(CPAY - 1)), None
    assert before.symbols == ["CPAY"]
    assert closes(before.bars("close", 2), "CPAY") == [10.0, 11.0]
    after = archive.view(known_on(CPAY + 1))
    assert after.symbols == ["CPAY"]
    assert closes(after.bars("close", 4), "CPAY") == [10.0, 11.0, 12.0, 13.0]
    assert closes(after.bars("close", 4, ["CPAY", "FLT"]), "CPAY") == [10.0, 11.0, 12.0, 13.0]
    assert list(after.bars("close", 4, ["FLT"]).columns) == []


def test_where_both_names_have_a_bar_the_newer_one_wins(market: Market) -> None:
    market.closes("FLT", [10.0, 11.0], first=CPAY - 2)
    market.closes("CPAY", [20.0], first=CPAY - 1)
    assert closes(market.view(known_on(CPAY - 1)).bars("close", 2), "CPAY") == [10.0, 20.0]


def test_a_bar_under_the_old_name_on_or_after_the_date_is_anothers(market: Market) -> None:
    market.closes("FLT", [10.0, 77.0], first=CPAY - 1)
    market.closes("CPAY", [12.0], first=CPAY)
    view = market.view(known_on(CPAY))
    assert view.symbols == ["CPAY", "FLT"]
    assert closes(view.bars("close", 2), "CPAY") == [10.0, 12.0]
    assert closes(view.bars("close", 2), "FLT") == [None, 77.0]


def test_raw_prices_of_both_names_are_adjusted_by_the_actions_of_both(market: Market) -> None:
    market.closes("FLT", [100.0, 50.0], first=CPAY - 2, adjustment="raw")
    market.split("FLT", CPAY - 1, 2.0, known_on(0))
    market.closes("CPAY", [25.0], first=CPAY, adjustment="raw")
    market.split("CPAY", CPAY, 2.0, known_on(0))
    view = market.view(known_on(CPAY))
    assert closes(view.bars("close", 3), "CPAY") == [25.0, 25.0, 25.0]
    assert closes(view.bars("adj_close", 3), "CPAY") == [25.0, 25.0, 25.0]


def test_the_adjusted_close_of_the_older_series_runs_on_into_the_newer(market: Market) -> None:
    market.bar("FLT", CPAY - 2, 10.0, adj=4.0)
    market.bar("FLT", CPAY - 1, 10.0, adj=5.0)
    market.bar("CPAY", CPAY, 10.0, adj=8.0)
    market.bar("CPAY", CPAY + 1, 10.0, adj=10.0)
    seen = closes(market.view(known_on(CPAY + 1)).bars("adj_close", 4), "CPAY")
    assert seen == pytest.approx([6.4, 8.0, 8.0, 10.0])


def test_the_exchange_trades_the_joined_series(market: Market) -> None:
    market.closes("FLT", [10.0, 11.0], first=CPAY - 2)
    market.closes("CPAY", [12.0], first=CPAY)
    prices = ArchivePrices(market.archive())
    found = [prices.bar("CPAY", SESSIONS[CPAY + n]) for n in (-2, -1, 0)]
    assert [bar.close for bar in found if bar] == [10.0, 11.0, 12.0]
    assert [asset.symbol for asset in prices.assets()] == ["CPAY"]


def test_members_and_sectors_have_the_present_name(market: Market) -> None:
    market.member("FLT", SESSIONS[0], SESSIONS[CPAY], ALWAYS)
    market.sector("FLT", "Industrials", ALWAYS)
    market.sector("ABC", "Health Care", ALWAYS)
    view = market.view(before_open(5))
    assert view.universe() == ["CPAY"]
    assert view.sectors().to_dict() == {"ABC": "Health Care", "CPAY": "Industrials"}, "ABC had been renamed by January 2024"


def test_a_view_without_renamed_symbols_hands_out_what_was_delivered(market: Market) -> None:
    market.split("A", 2, 4.0, known_on(0))
    assert market.view(known_on(1)).events("corporate_actions")["symbol"].tolist() == ["A"]


def change(market: Market, old: str, new: str, effective: date, known: datetime) -> Archive:
    """An archive that also has a dataset of symbol changes, with one row."""
    moment = pa.timestamp("us", tz="UTC")
    shape = [("id", pa.int64()), ("row_key", pa.string()), ("event_at", moment), ("known_at", moment), ("gone", pa.bool_())]
    texts = [("old_symbol", pa.string()), ("new_symbol", pa.string()), ("effective_date", pa.date32())]
    record = {
        "id": 1, "row_key": "k", "event_at": known, "known_at": known, "gone": False, "old_symbol": old, "new_symbol": new,
        "effective_date": effective,
    }  # fmt: skip
    market.seal()
    folder = market.lake.directory / CHANGES
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist([record], schema=pa.schema([*shape, *texts])), folder / "000000000001-000000000001.parquet")
    declared = Dataset(name=CHANGES, row=Changed, key=("old_symbol",), schedule="", description="")
    return Archive(market.lake, [*(d for n, d in DATASETS.items() if n != CHANGES), declared], CALENDAR)


def test_a_change_that_a_dataset_reports_joins_the_names_once_it_is_known(market: Market) -> None:
    market.closes("OLDX", [10.0, 11.0], first=3)
    market.closes("NEWX", [12.0], first=5)
    market.split("OLDX", 4, 2.0, known_on(0))
    archive = change(market, "OLDX", "NEWX", SESSIONS[5], known_on(5) + timedelta(hours=1))
    early = archive.view(known_on(5))
    assert early.symbols == ["NEWX", "OLDX"]
    assert early.events("corporate_actions")["symbol"].tolist() == ["OLDX"]
    late = archive.view(known_on(5) + timedelta(hours=1))
    assert late.symbols == ["NEWX"]
    assert closes(late.bars("close", 3), "NEWX") == [10.0, 11.0, 12.0]
    again = archive.view(known_on(5))
    assert again.symbols == ["NEWX", "OLDX"], "also on the way back"


def test_a_reused_name_keeps_its_bars_where_the_other_security_has_its_own() -> None:
    close = np.array([[1.0, np.nan], [2.0, 20.0], [3.0, 30.0]])
    fields = [close.copy() for _ in range(6)]
    alias = Alias(column=0, symbol="IR", adjustment="split", owner="TT", start=0, stop=2, reused=True)
    found = splices({"IR": 0, "TT": 1}, [("IR", "split"), ("TT", "split")], [alias])
    np.testing.assert_array_equal(found["TT"].values(fields, CLOSE), [1.0, 20.0, 30.0])
    np.testing.assert_array_equal(found["IR"].values(fields, CLOSE), [np.nan, 2.0, 3.0])


def test_a_reused_name_is_an_old_one_only_where_the_renamed_security_has_bars_of_its_own() -> None:
    """Ingersoll-Rand became Trane (TT) on 2 March 2020, and IR another company: an archive without TT has the other one."""
    days = np.array(["2020-02-27", "2020-02-28", "2020-03-02"], dtype="datetime64[D]")
    assert aliases([("IR", "split")], days, listed()) == []
    (alias,) = aliases([("IR", "split"), ("TT", "split")], days, listed())
    assert (alias.symbol, alias.owner, alias.stop, alias.reused) == ("IR", "TT", 2, True)
