"""What an operator sees of the strategies and decides about them: by hand over a desk, and through the command line over a traded store."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from config import CHECKOUT
from daemon import strategy_state, strategy_verbs
from daemon.errors import RefusedByState, WrongUsage
from daemon.freshness import Freshness
from daemon.strategy_status import gathered
from strategies import CATALOG
from strategies.base import Targets, monthly, weekly
from tests.integration.desk import CALENDAR, DAYS, Desk, wants
from tests.integration.small_world import STRATEGIES, SmallWorld, execute

D0, D1, D2, D3, D4, D5, D6 = DAYS[:7]
AT = datetime(2022, 1, 4, 12, tzinfo=UTC)
QUOTES = {
    ("AAA", D1): (100.0, 110.0),
    ("AAA", D2): (110.0, 99.0),
    ("AAA", D3): (99.0, 99.0),
    ("AAA", D4): (99.0, 99.0),
    ("AAA", D5): (99.0, 108.9),
    ("AAA", D6): (108.9, 108.9),
}
"""AAA gains 10 % on the second session, loses 10 % on the third and gains 10 % on the second Monday."""


def on_mondays(name: str, weights: dict[str, float]) -> Any:
    return replace(wants(name, weights), rebalance=weekly("mon"))


def rows_of(desk: Desk, at: datetime, fresh: dict[str, Freshness] | None = None, enabled: tuple[str, ...] | None = None) -> dict[str, Any]:
    on = enabled or tuple(desk.rt.strategies)
    found = gathered(desk.rt.db, CALENDAR, desk.rt.strategies, on, ("a",), fresh or {}, at)
    assert json.loads(json.dumps(found)) == found, "plain values"
    return {row["name"]: row for row in found}


@pytest.fixture
def traded(open_a_desk: Callable[..., Desk]) -> Desk:
    """Two strategies with half of the account each, evaluated on two Mondays; between them only prices move."""
    chosen = {"a": on_mondays("a", {"AAA": 0.5}), "b": on_mondays("b", {"AAA": 0.2, "BBB": 0.4})}
    desk = open_a_desk(chosen, quotes=QUOTES, ALLOCD_COST_BPS="0")
    for day in (D0, D1, D2, D3, D4, D5, D6):
        desk.day(day)
    return desk


def test_before_the_first_cycle_every_strategy_is_shown_with_what_is_not_known_yet(open_a_desk):
    desk = open_a_desk({"a": on_mondays("a", {"AAA": 0.5})})
    row = rows_of(desk, desk.rt.clock.now())["a"]
    assert (row["last_session"], row["last_outcome"], row["return_total"], row["shadow_return"]) == (None, None, None, None)
    assert (row["state"], row["capital_frac"], row["nav_usd"], row["weights"]) == ("active", 0.0, 0.0, 0)
    assert (row["schedule"], row["next_due"]) == ("every Monday", D0.isoformat())


def test_the_money_of_a_sleeve_earns_what_its_holdings_earned_whatever_was_moved_between_the_sleeves(traded):
    rows = rows_of(traded, traded.at(D6, 18))
    # a: 50,000, half of it in AAA: 52,500, then 49,750; at the second Monday half of what it has gains 10 %.
    a, b = 49_750 / 50_000 * 1.05, 49_900 / 50_000 * 1.02
    assert rows["a"]["return_total"] == pytest.approx(a - 1, abs=1e-6)
    assert rows["b"]["return_total"] == pytest.approx(b - 1, abs=1e-6)
    assert rows["a"]["return_month"] == rows["a"]["return_total"], "less than a month of marks"
    assert rows["a"]["drawdown"] == pytest.approx(a / 1.05 - 1, abs=1e-6)
    moved = traded.sql("SELECT count(*) AS n FROM ledger_transactions WHERE kind = 'transfer'")[0]["n"]
    assert moved > 2, "the second Monday moved capital between the sleeves"
    nav = traded.sql("SELECT nav_usd FROM nav_marks ORDER BY session DESC LIMIT 1")[0]["nav_usd"]
    assert rows["a"]["nav_usd"] + rows["b"]["nav_usd"] == pytest.approx(nav, abs=0.01)


def test_the_shadow_book_earns_the_same_where_no_cap_binds_and_nothing_costs(traded):
    rows = rows_of(traded, traded.at(D6, 18))
    for name in ("a", "b"):
        assert rows[name]["shadow_return"] == pytest.approx(rows[name]["return_total"], abs=1e-6)


def test_last_and_next_evaluation_and_the_number_of_names_are_told(traded):
    rows = rows_of(traded, traded.at(D6, 18))
    assert (rows["a"]["last_session"], rows["a"]["last_outcome"], rows["a"]["next_due"]) == (D5.isoformat(), "evaluated", "2022-01-18")
    assert (rows["a"]["weights"], rows["b"]["weights"]) == (1, 2)
    assert (rows["a"]["origin"], rows["b"]["origin"]) == ("catalog", "own")


def test_a_stale_input_is_named_with_its_reason_and_since_when_it_is_missing(traded):
    due = CALENDAR.close_at(D5)
    stale = {"bars_daily": Freshness(due_at=due, reason="the success is missing")}
    row = rows_of(traded, traded.at(D6, 18), stale)["a"]
    assert row["inputs"] == [{"dataset": "bars_daily", "fresh": False, "reason": "the success is missing", "since": due.isoformat()}]
    fresh = {"bars_daily": Freshness(due_at=CALENDAR.close_at(DAYS[8]), reason="")}
    row = rows_of(traded, traded.at(D6, 18), fresh)["a"]
    assert row["inputs"] == [{"dataset": "bars_daily", "fresh": True, "reason": "", "since": None}]


def test_a_failed_evaluation_stays_due_and_its_reason_is_shown(open_a_desk, capsys):
    def run(view: Any) -> Targets:
        raise ValueError("no such luck")

    broken = replace(wants("a", {}), run=run, rebalance=monthly("first_session"))
    desk = open_a_desk({"a": broken})
    desk.day(D0)
    row = rows_of(desk, desk.at(D0, 18))["a"]
    assert (row["last_outcome"], row["next_due"], row["weights"]) == ("failed", D1.isoformat(), 0)
    assert "no such luck" in row["last_reason"]
    strategy_verbs.printed([row], running=True, is_sandbox=False)
    assert "failed on 2022-01-03" in capsys.readouterr().out


def test_a_strategy_that_is_switched_off_keeps_its_row_while_it_has_an_account(traded):
    row = rows_of(traded, traded.at(D6, 18), enabled=("a",))["b"]
    assert (row["state"], row["next_due"]) == ("not enabled", None)
    assert row["nav_usd"] > 0
    without = gathered(traded.rt.db, CALENDAR, {"a": traded.rt.strategies["a"]}, ("a",), ("a",), {}, traded.rt.clock.now())
    assert [(r["name"], r["origin"], r["schedule"]) for r in without] == [("a", "catalog", "every Monday"), ("b", "gone", None)]


def decided(desk: Desk, state: strategy_state.State, reason: str = "because", **options: Any) -> strategy_state.Change:
    return strategy_state.change(desk.rt.db, "a", state, at=AT, actor="tester", reason=reason, **options)


def test_the_newest_decision_about_a_strategy_holds_and_one_without_a_decision_is_absent(desk):
    assert strategy_state.current(desk.rt.db) == {}
    decided(desk, "paused", "  earnings \n season ")
    decided(desk, "retired", "closed for good")
    decided(desk, "active", "not for good")
    held = strategy_state.current(desk.rt.db)
    assert held == {"a": strategy_state.StrategyState(strategy="a", state="active", at=AT, actor="tester", reason="not for good")}
    reasons = [r["reason"] for r in desk.sql("SELECT reason FROM strategy_states ORDER BY id")]
    assert reasons == ["earnings season", "closed for good", "not for good"]


def test_a_state_that_is_in_force_already_is_not_recorded_again(desk):
    assert not decided(desk, "active").changes
    assert decided(desk, "paused").changes
    again = decided(desk, "paused", "again")
    assert not again.changes and again.before is not None and again.before.reason == "because"
    assert len(desk.sql("SELECT 1 FROM strategy_states")) == 1


def test_a_dry_run_says_what_would_change_and_records_nothing(desk):
    assert decided(desk, "retired", dry_run=True).changes
    assert strategy_state.current(desk.rt.db) == {}


def test_what_is_retired_cannot_be_paused(desk):
    decided(desk, "retired")
    with pytest.raises(RefusedByState, match="holds nothing that a pause could keep"):
        decided(desk, "paused")


def test_only_after_a_retirement_a_strategy_that_is_resumed_ramps_in(desk):
    decided(desk, "paused")
    assert "ramps in" not in strategy_verbs.effect(decided(desk, "active"))
    assert strategy_verbs.effect(decided(desk, "active")) == "none"
    decided(desk, "retired")
    assert "ramps in" in strategy_verbs.effect(decided(desk, "active"))


def test_a_retired_strategy_wants_nothing_any_more(traded):
    decided(traded, "retired")
    row = rows_of(traded, traded.at(D6, 18))["a"]
    assert (row["state"], row["weights"], row["next_due"]) == ("retired", 0, None)


@pytest.mark.parametrize("reason", ["", " \n\t", "a\x1b[31mb", "x" * 501])
def test_a_reason_that_nobody_can_read_is_refused(desk, reason):
    with pytest.raises(WrongUsage, match="--reason"):
        decided(desk, "paused", reason)
    assert strategy_state.current(desk.rt.db) == {}


def test_a_paused_strategy_is_shown_with_who_why_and_since_when_and_is_not_due(traded, capsys):
    strategy_state.change(traded.rt.db, "b", "paused", at=AT, actor="tester", reason="[red]earnings[/red]")
    row = rows_of(traded, traded.at(D6, 18))["b"]
    assert (row["state"], row["decided"], row["by"], row["reason"]) == ("paused", "paused", "tester", "[red]earnings[/red]")
    assert (row["since"], row["next_due"]) == (AT.isoformat(), None)
    strategy_verbs.printed([row], running=False, is_sandbox=False)
    told = capsys.readouterr().out
    assert "paused since 2022-01-04 12:00 UTC by tester: [red]earnings[/red]" in told, "a reason is no markup"
    assert "b (own)" in told


def test_the_actor_is_the_user_of_the_process():
    assert strategy_verbs.actor() == subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def verb(small_world: SmallWorld) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Runs start.py over the small world's store, as an operator would; what it decided is undone at the end."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"], "PG_URI": small_world.conninfo(), "ALLOCD_STATE_DIR": str(small_world.lake.directory.parent),
            "ALLOCD_STRATEGIES": ",".join(STRATEGIES),
        }  # fmt: skip
        command = [sys.executable, str(CHECKOUT / "start.py"), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    yield run
    execute(small_world.db, "DELETE FROM strategy_states")


def test_the_table_of_strategies_names_all_of_the_catalog_and_agrees_with_the_last_marks(verb, small_world):
    done = verb("strategies", "--json", "--main")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    rows = {row["name"]: row for row in told["strategies"]}
    assert (told["running"], told["sandbox"]) == (False, False)
    assert set(CATALOG) <= set(rows)
    for mark in small_world.db.rows("sleeve_marks_last"):
        if mark["sleeve"] in STRATEGIES:
            assert rows[mark["sleeve"]]["nav_usd"] == mark["nav_usd"]
            assert rows[mark["sleeve"]]["capital_frac"] == mark["capital_frac"]
    assert {name for name, row in rows.items() if row["state"] == "active"} == set(STRATEGIES)
    assert all(rows[name]["return_total"] is not None and rows[name]["last_outcome"] == "evaluated" for name in STRATEGIES)
    assert rows["congress_aggregate"]["inputs"][0]["reason"], "rows of 2022 are stale by now"


def test_pausing_and_resuming_on_the_command_line_is_recorded_with_the_user_and_shown(verb, small_world):
    dry = verb("strategy", "pause", "congress_aggregate", "--reason", "a test", "--dry-run", "--main")
    assert (dry.returncode, dry.stderr) == (0, "")
    assert "congress_aggregate would be paused (was active)" in dry.stdout
    assert strategy_state.current(small_world.db) == {}
    done = verb("strategy", "pause", "congress_aggregate", "--reason", "a test", "--json", "--main")
    told = json.loads(done.stdout)
    assert (told["changed"], told["before"], told["state"], told["by"]) == (True, "active", "paused", strategy_verbs.actor())
    assert strategy_state.current(small_world.db)["congress_aggregate"].reason == "a test"
    again = verb("strategy", "pause", "congress_aggregate", "--reason", "more", "--main")
    assert again.returncode == 0
    assert "congress_aggregate is paused already since" in again.stdout
    assert "a test; nothing was changed" in again.stdout
    shown = verb("strategies", "--main")
    assert "congress_aggregate: paused since" in shown.stdout
    resumed = verb("strategy", "resume", "congress_aggregate", "--reason", "over", "--main")
    assert resumed.returncode == 0
    assert strategy_state.current(small_world.db)["congress_aggregate"].state == "active"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("pause", "congres_aggregate", "--reason", "x"), "no strategy 'congres_aggregate'; the nearest is 'congress_aggregate'"),
        (("retire", "congress_aggregate"), "--reason is empty"),
        (("simulate", "sector_parity", "--from", "2022-01-03", "--to", "2022-01-31"), "the nearest is 'sector_risk_parity_momentum'"),
    ],
)
def test_a_wrong_name_or_a_missing_reason_is_one_line_and_exit_code_2(verb, arguments, says):
    done = verb("strategy", *arguments, *([] if arguments[0] == "simulate" else ["--main"]))
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert says in done.stderr


def test_a_weight_of_zero_is_not_counted_among_the_names(open_a_desk):
    desk = open_a_desk({"a": on_mondays("a", {"AAA": 0.5, "BBB": 0.0})})
    desk.day(D0)
    assert rows_of(desk, desk.at(D0, 18))["a"]["weights"] == 1
