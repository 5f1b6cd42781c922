"""A strategy simulated alone: the account follows its targets, variants are followed as the replay follows its shadow book, and every
variant that was tried stays on record."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from config import CHECKOUT, Settings
from daemon import experiments
from daemon.errors import StartRefused
from daemon.simulate import LIFTED, Simulation, lone, simulate
from scrapers import DATASETS
from strategies import CATALOG, resolve_params
from tests.integration.small_world import FUNDS, SmallWorld, execute, settings

FIRST, LAST = date(2022, 1, 10), date(2022, 3, 18)
AT = datetime(2022, 6, 1, tzinfo=UTC)
SECTORS = CATALOG["sector_risk_parity_momentum"]
VARIANTS = [resolve_params(SECTORS, {"top": top}) for top in (5, 2, 11)]


def simulated(world: SmallWorld, chosen: Settings, variants: list[dict[str, Any]], start: date = FIRST, end: date = LAST) -> Simulation:
    return simulate(
        chosen, world.db, world.conninfo, world.lake, DATASETS, SECTORS, variants,
        start=start, end=end, code_version="test", at=AT, progress=lambda session, nav: None,
    )  # fmt: skip


@pytest.fixture
def forgotten(small_world: SmallWorld) -> Iterator[None]:
    """Nothing was tried before, and nothing is known of it after."""
    execute(small_world.db, "DELETE FROM experiments")
    yield
    execute(small_world.db, "DELETE FROM experiments")


@pytest.fixture(scope="module")
def found(small_world: SmallWorld) -> Iterator[Simulation]:
    """The sector rotation with three numbers of funds, simulated once."""
    execute(small_world.db, "DELETE FROM experiments")
    yield simulated(small_world, settings(), VARIANTS)
    execute(small_world.db, "DELETE FROM experiments")


def test_the_chosen_variant_is_followed_exactly_as_the_replay_follows_its_shadow_book(found):
    replayed = found.result.sleeve_returns[SECTORS.name].dropna()
    followed = found.trials[0].returns
    days = [stamp.date() for stamp in followed.index]
    assert days == [d for d in days if FIRST <= d <= LAST] and days[-1] == LAST
    shared = [d for d in replayed.index if d in set(days)]
    assert len(shared) == len(days) - 1, "the replay rolls its last session only in the next cycle"
    assert replayed.loc[shared].tolist() == followed.iloc[: len(shared)].tolist()


def test_the_account_is_the_strategys_own_from_the_second_session_on(found):
    assert found.result.capital[SECTORS.name].iloc[1:].min() > 0.99
    assert set(found.result.sleeve_nav.columns) <= {SECTORS.name, "treasury", "suspense"}
    assert set(found.result.allocations["bound"]) <= {"", "ramp"}, "no other limit has anything to say"
    assert set(found.result.invariants.values()) == {0}


def test_the_account_earns_what_its_shadow_book_earns_but_for_fills_and_fractions(found):
    own = found.result.nav["nav_usd"].to_numpy()
    account = (own[1:] / own[:-1] - 1.0)[1:]
    shadow = found.trials[0].returns.to_numpy()[2:]
    assert np.abs(account - shadow).max() < 5e-4
    assert np.corrcoef(account, shadow)[0, 1] > 0.999


def test_every_limit_that_is_lifted_is_a_setting_and_costs_are_not_among_them():
    alone = lone(settings(ALLOCD_COST_BPS="7"), SECTORS.name)
    assert {name: getattr(alone, name) for name in LIFTED} == dict(LIFTED)
    kept = ("cost_bps", "min_notional_usd", "band_frac", "qty_decimals", "max_adv_frac", "initial_cash_usd", "benchmark")
    assert [getattr(alone, name) for name in kept] == [getattr(settings(ALLOCD_COST_BPS="7"), name) for name in kept]


def test_a_cap_of_the_capital_is_lifted_and_a_risk_target_is_kept():
    limits = json.dumps({SECTORS.name: {"max_capital_frac": 0.1, "target_volatility_frac": 0.08}})
    alone = lone(settings(ALLOCD_STRATEGY_LIMITS=limits), SECTORS.name)
    assert alone.strategy_limits == {SECTORS.name: {"max_capital_frac": 1.0, "target_volatility_frac": 0.08}}


def test_variants_side_by_side_do_not_touch_each_other(found, small_world, forgotten):
    alone = simulated(small_world, settings(), [VARIANTS[1]])
    assert alone.trials[0].returns.equals(found.trials[1].returns)
    assert not found.trials[1].returns.equals(found.trials[0].returns)


def test_a_variant_holds_no_more_funds_than_it_may_and_only_funds(found):
    held = [set(names) for names in found.trials[0].weights.values()]
    assert held and max(map(len, held)) <= 5
    assert set().union(*held) <= set(FUNDS)


def test_dearer_trading_lowers_every_return_by_the_turnover_it_pays_for(small_world, found, forgotten):
    dear = simulated(small_world, settings(ALLOCD_COST_BPS="102"), [VARIANTS[0]]).trials[0]
    cheap = found.trials[0]
    ratio = (1 + dear.returns.to_numpy()) / (1 + cheap.returns.to_numpy())
    turnover = cheap.turnover.to_numpy()
    assert turnover.max() > 0.05
    assert ratio == pytest.approx((1 - 0.0102 * turnover) / (1 - 0.0002 * turnover), rel=1e-9)


def test_each_variant_tried_is_on_record_once_and_trying_again_makes_no_more(small_world, forgotten):
    first = simulated(small_world, settings(), VARIANTS[:2])
    assert [row["params"]["top"] for row in sorted(first.tried, key=lambda r: r["params"]["top"])] == [2, 5]
    again = simulated(small_world, settings(), VARIANTS[:2])
    assert len(again.tried) == 2
    assert len(execute(small_world.db, "SELECT 1 FROM experiments")) == 2
    third = simulated(small_world, settings(), VARIANTS[2:])
    assert len(third.tried) == 3, "the two of before count"
    assert third.deflated(third.trials[0]).trials == 3
    recorded = {row["params"]["top"]: row["result"]["sharpe"] for row in third.tried}
    assert recorded[11] == pytest.approx(third.trials[0].outcome.sharpe)


def test_one_variant_alone_is_not_deflated_and_the_next_ones_lower_its_chance(small_world, found, forgotten):
    one = simulated(small_world, settings(), VARIANTS[:1])
    alone = one.deflated(one.trials[0])
    many = experiments.deflated(one.trials[0].outcome, [t.outcome.sharpe for t in found.trials])
    assert (alone.trials, many.trials) == (1, 3)
    assert many.probability < alone.probability


def test_what_was_tried_on_other_sessions_does_not_count_and_a_session_more_makes_no_fewer(small_world, forgotten):
    simulated(small_world, settings(), VARIANTS[:2], date(2022, 1, 10), date(2022, 1, 28))
    elsewhere = simulated(small_world, settings(), VARIANTS[2:], date(2022, 2, 14), date(2022, 2, 25))
    assert len(elsewhere.tried) == 1
    overlapping = simulated(small_world, settings(), VARIANTS[2:], date(2022, 1, 24), date(2022, 2, 11))
    assert len(overlapping.tried) == 3


def test_the_best_is_the_variant_with_the_highest_sharpe_ratio(found):
    sharpes = [t.returns.mean() / t.returns.std(ddof=1) for t in found.trials]
    assert found.best is found.trials[int(np.argmax(sharpes))]


def test_a_range_without_bars_is_refused(small_world):
    with pytest.raises(StartRefused, match="before --from 2023-01-03"):
        simulated(small_world, settings(), VARIANTS[:1], date(2023, 1, 3), date(2023, 2, 1))


@pytest.fixture
def verb(small_world: SmallWorld) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `start.py strategy simulate` over the small world's store."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"], "PG_URI": small_world.conninfo(), "ALLOCD_STATE_DIR": str(small_world.lake.directory.parent),
            "ALLOCD_STRATEGY_PARAMS": '{"sector_risk_parity_momentum": {"covariance_sessions": 63}}',
        }  # fmt: skip
        command = [sys.executable, str(CHECKOUT / "start.py"), "strategy", "simulate", SECTORS.name, *arguments]
        span = ("--from", FIRST.isoformat(), "--to", LAST.isoformat())
        return subprocess.run([*command, *span], env=environment, capture_output=True, text=True, timeout=120, check=False)

    return run


def test_the_verb_prints_the_tear_sheet_and_leaves_the_files_of_a_replay(verb, tmp_path: Path, forgotten):
    done = verb("--grid", "top=2,3", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for text in (
        "sector_risk_parity_momentum alone, 2022-01-10 to 2022-03-18", "covariance_sessions=63", "max_sleeve_frac=1", "max drawdown",
        "alpha, annual", "2022  ", "3 variants in their shadow books", "chosen: Sharpe", "deflated Sharpe ratio",
    ):  # fmt: skip
        assert text in done.stdout, text
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {"nav.csv", "orders.csv", "report.html", "summary.json", "tear_sheet.json"}
    sheet = json.loads((tmp_path / "out" / "tear_sheet.json").read_text())
    assert [v["params"]["top"] for v in sheet["variants"]] == [5, 2, 3]
    assert sheet["best"]["sharpe"] == max(v["sharpe"] for v in sheet["variants"])
    assert (sheet["tried"], sheet["chosen"]["deflated"]["trials"]) == (3, 3)


def test_the_verb_gives_json_and_of_a_single_trial_the_probabilistic_ratio(verb, tmp_path: Path, forgotten):
    done = verb("--set", "top=4", "--json", "--out", str(tmp_path))
    told = json.loads(done.stdout)
    assert told == json.loads((tmp_path / "tear_sheet.json").read_text())
    assert told["params"] == {"top": 4, "covariance_sessions": 63}
    assert (told["tried"], told["chosen"], told["violations"]) == (1, told["best"], 0)
    plain = verb("--set", "top=4", "--out", str(tmp_path))
    assert f"probabilistic Sharpe ratio {told['chosen']['deflated']['probability']:.3f}" in plain.stdout
