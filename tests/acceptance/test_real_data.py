"""The command line on real archives: import, replay, look-ahead, repeatability. Skips where the archives are absent."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
ARCHIVES = {
    "bars_daily": [
        "prices/sp500_daily_2013_2021q1.parquet",
        "prices/sector_etf_daily_2010_2021q1.parquet",
        "prices/etf_adjclose_2010_2021q1.parquet",
    ],
    "congress_trades": ["congress/senate_daily_summaries.json.gz", "congress/house_all_transactions_2020_2021q1.csv.gz"],
    "index_membership": ["universe/sp500_ticker_start_end_to_2025.csv"],
    "constituents": ["universe/sp500_constituents_2026-08-08.csv"],
    "vix": ["prices/vix_daily_1990_2021q1.csv.gz"],
}
FROM, TO, MIDDLE = "2019-11-01", "2020-04-30", "2020-01-31"


def allocd(state: Path, *words: str) -> str:
    """Standard output of a successful command."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ALLOCD_", "ALPACA_", "PG_URI"))}
    done = subprocess.run(
        [sys.executable, CHECKOUT / "start.py", *words],
        env={**inherited, "ALLOCD_STATE_DIR": str(state)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def store(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A main store with every archive imported."""
    state = tmp_path_factory.mktemp("store")
    for dataset, files in ARCHIVES.items():
        allocd(state, "import", dataset, *(str(shared_data / "data" / f) for f in files))
    return state


def replayed(store: Path, out: Path, *more: str) -> dict[str, Any]:
    """The summary of a replay over the store."""
    return json.loads(allocd(store, "replay", "--from", FROM, "--to", TO, "--out", str(out), "--json", *more))


@pytest.fixture(scope="module")
def first(store: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    out = tmp_path_factory.mktemp("first")
    return replayed(store, out), out


def orders_up_to(out: Path, day: str) -> list[dict[str, str]]:
    with (out / "orders.csv").open() as file:
        return [row for row in csv.DictReader(file) if row["session"] <= day]


def test_importing_the_congress_archives_twice_changes_nothing(store: Path, shared_data: Path) -> None:
    files = [str(shared_data / "data" / f) for f in ARCHIVES["congress_trades"]]
    again = json.loads(allocd(store, "import", "congress_trades", *files, "--json"))
    assert (again["new"], again["revised"]) == (0, 0)
    assert again["seen"] + again["rejected"] == again["fetched"]
    assert again["rejected_by_reason"]["paper_filing"] == 463


def test_a_replay_through_the_crash_of_2020_breaks_no_invariant_and_trades(first: tuple[dict[str, Any], Path]) -> None:
    summary, _ = first
    assert summary["sessions"] == summary["cycles"] == 124
    assert summary["fills"] >= summary["orders"] > 500
    assert set(summary["invariants"].values()) == {0}
    assert len(summary["invariants"]) >= 12


def test_the_same_replay_gives_the_same_decision_hash_in_another_process(
    store: Path, first: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    assert replayed(store, tmp_path)["decision_hash"] == first[0]["decision_hash"]


def test_forgetting_what_became_known_later_leaves_every_earlier_order_as_it_was(
    store: Path, first: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    replayed(store, tmp_path, "--known-until", MIDDLE)
    earlier = orders_up_to(tmp_path, MIDDLE)
    assert earlier == orders_up_to(first[1], MIDDLE)
    assert len(earlier) > 100


def test_the_report_says_how_much_of_the_dated_universe_had_prices(first: tuple[dict[str, Any], Path]) -> None:
    page = (first[1] / "report.html").read_text()
    assert "survivorship" in page
    assert "TQQQ" in page, "the report names the symbols that trade at their close"
    assert "http://" not in page.replace("http://www.w3.org", ""), "the report loads nothing from elsewhere"
