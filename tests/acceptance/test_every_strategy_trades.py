"""A sandbox, seen from outside: every strategy of the catalog trades within its first three virtual months."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path

import pytest

from strategies import CATALOG
from tests.acceptance.outside_audit import database
from tests.acceptance.sandbox_process import Daemon, tracebacks

pytestmark = pytest.mark.timeout(420)
SETTINGS = {
    "ALLOCD_SANDBOX_SYMBOLS": "80",
    "ALLOCD_SANDBOX_HISTORY_SESSIONS": "640",
    "ALLOCD_SANDBOX_SECONDS_PER_SESSION": "0.01",
    "ALLOCD_SHADOW_WARMUP_SESSIONS": "252",
}
"""Four companies in most sectors, the two years and more that pairs are fitted on, and as by default a year of track record: with one,
capital is divided unequally, and a strategy could get too little to trade."""
FIRST_DAY, ALL_BY = date(2024, 1, 2), date(2024, 4, 1)
ASKED_FROM, STEP = date(2024, 3, 1), timedelta(days=5)
"""The last to begin is a monthly one whose data has no past, on its third first session: before that it is no use to ask."""
LIMIT_S = 360.0


@pytest.fixture(scope="module")
def quarter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A sandbox in which all have traded, or whose first three virtual months are over."""
    with Daemon(tmp_path_factory.mktemp("quarter") / "state", settings=SETTINGS) as daemon:
        day = ASKED_FROM
        marked(daemon, day)
        while day < ALL_BY and not first_fills(daemon.sandbox).keys() >= CATALOG.keys():
            day = min(day + STEP, ALL_BY)
            marked(daemon, day)
        yield daemon


def marked(daemon: Daemon, day: date) -> None:
    """Wait for the close of the first session from a day on."""
    daemon.wait_for("nav.marked", timeout_s=LIMIT_S, where=lambda event: event["session"] >= day.isoformat())


def first_fills(sandbox: Path) -> Mapping[str, date]:
    """The session of each sleeve's first order that was filled at least in part."""
    with database(sandbox) as db, db.connection() as connection:
        rows = connection.execute(
            "SELECT s.sleeve, min(o.session) AS first FROM order_shares s JOIN orders o USING (client_order_id)"
            " WHERE o.filled_qty > 0 AND s.qty <> 0 GROUP BY s.sleeve"
        ).fetchall()
    return {row["sleeve"]: row["first"] for row in rows}


def test_every_strategy_of_the_catalog_trades_in_its_first_three_virtual_months(quarter: Daemon) -> None:
    first = first_fills(quarter.sandbox)
    assert sorted(CATALOG.keys() - first.keys()) == []
    assert min(first.values()) >= FIRST_DAY
    assert {name: day for name, day in first.items() if name in CATALOG and day >= ALL_BY} == {}


def test_no_strategy_fails_meanwhile(quarter: Daemon) -> None:
    assert not tracebacks(quarter.events), quarter.tail()
    assert not quarter.foreign
    evaluated = quarter.named("signal.computed")
    assert {e["strategy"] for e in evaluated} == set(CATALOG)
    assert [e for e in evaluated if e["outcome"] == "failed"] == []
