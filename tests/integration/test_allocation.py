"""An allocation on record: what was decided under which limits can be read back, explained and derived again."""

import io
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from daemon.allocation_record import newest
from daemon.cycle_input import CycleInput
from daemon.logging import configure
from daemon.marks import drawdown_frac
from daemon.verify import verify
from scrapers import DATASETS
from strategies.base import monthly
from tests.integration.desk import CALENDAR, DAYS, HISTORY, PRICES, wants

D0, D1, D2, D3, D4, D5 = DAYS[:6]


def lively():
    """Quotes under which AAA swings by 1 % a day and everything else is still."""
    quotes = {}
    for place, session in enumerate([*HISTORY, *DAYS]):
        price = 100.0 * (1.01 if place % 2 else 1.0)
        quotes["AAA", session] = (price, price)
    return quotes


def falling(symbol, sessions, fall):
    """Quotes of a symbol that loses a share of its price at each of the sessions' closes and stays there."""
    quotes, price = {}, PRICES[symbol]
    for session in DAYS:
        opened = price
        price = price * (1 - fall) if session in sessions else price
        quotes[symbol, session] = (opened, price)
    return quotes


def allocations(desk):
    return [r["allocation"] for r in desk.sql("SELECT allocation FROM cycles ORDER BY session")]


def all_come_out_again(desk):
    verdicts = verify(desk.rt.db, desk.rt.lake, DATASETS, desk.rt.strategies, CALENDAR)
    return verdicts and not [v.differences for v in verdicts if not v.ok]


def test_the_newest_allocation_is_explained_from_the_record_and_an_earlier_one_by_its_date(open_a_desk):
    desk = open_a_desk(
        {"a": wants("a", {"AAA": 0.5}), "b": wants("b", {"BBB": 1.0})}, ALLOCD_RAMP_SESSIONS="4", ALLOCD_MAX_SYMBOL_FRAC="0.1"
    )
    assert newest(desk.rt.db) is None, "before the first cycle"
    desk.day(D0)
    desk.day(D1)
    told = json.loads(json.dumps(newest(desk.rt.db), allow_nan=False))
    assert (told["session"], told["reason"], told["rung"]) == (D1.isoformat(), "due: a, b", "equal")
    assert told["sleeves"][0]["why"] == (
        "an equal share gives 50% of NAV, 25% while ramping in (session 2 of 4); 10% is invested, the rest is in cash"
    )
    assert [(b["limit"], b["subject"]) for b in told["bound"]] == [("ramp", "a"), ("ramp", "b"), ("symbol", "AAA"), ("symbol", "BBB")]
    assert told["cash_frac"] == pytest.approx(0.8)
    assert {p["step"]: round(p["frac"], 6) for p in told["cash_why"]} == {"ramp": 0.5, "strategies": 0.125, "symbol": 0.175}
    assert told["limits"]["max_symbol_frac"] == 0.1
    earlier = newest(desk.rt.db, D0)
    assert earlier["session"] == D0.isoformat() and earlier["sleeves"][0]["ramp_session"] == 1
    assert newest(desk.rt.db, D0 - timedelta(days=1)) is None


def test_every_session_has_a_forecast_of_the_portfolio_after_its_orders_also_without_an_allocation(open_a_desk):
    desk = open_a_desk({"s": wants("s", {"AAA": 0.5})}, quotes=lively())
    desk.day(D0)
    desk.rt.db.run("trading_state_add", at=desk.at(D1, 8), state="HALTED", actor="operator", reason="test")
    desk.day(D1)
    first, halted = allocations(desk)
    assert "rung" in first and "rung" not in halted
    held = float(desk.holdings()["s"]["AAA"]) * lively()["AAA", D0][1]
    weight = held / float(halted["nav_usd"])
    assert first["forecast"]["var95"] == pytest.approx(0.5 * (1 - 1 / 1.01), rel=1e-3)
    assert halted["forecast"]["var95"] == pytest.approx(weight * (1 - 1 / 1.01), rel=1e-6)
    assert halted["forecast"]["n_sessions"] == first["forecast"]["n_sessions"] + 1
    assert halted["regime"].keys() == {"delta", "probability", "source", "model"}
    assert all_come_out_again(desk)


def test_an_account_that_holds_nothing_has_a_forecast_of_zeros(open_a_desk):
    desk = open_a_desk({"s": wants("s", {})})
    desk.day(D0)
    assert allocations(desk)[0]["forecast"] == {"var95": 0.0, "cvar95": 0.0, "var99": 0.0, "volatility": 0.0, "n_sessions": 0}


def test_a_move_that_the_turnover_cap_ends_early_goes_on_in_the_next_sessions(open_a_desk):
    desk = open_a_desk({"s": wants("s", {"AAA": 1.0})}, ALLOCD_MAX_TURNOVER_FRAC="0.4")
    held, reasons = [], []
    for day in (D0, D1, D2, D3):
        reasons.append(desk.day(day)["why"])
        desk.restart()
        held.append(int(desk.holdings()["s"]["AAA"]))
    assert held == [400, 800, 1000, 1000]
    assert [newest(desk.rt.db, d)["turnover"] for d in (D0, D1, D2, D3)] == pytest.approx([0.4, 0.4, 0.2, 0.0])
    assert [CycleInput.from_json(r["input"]).unfinished for r in desk.sql("SELECT input FROM cycles ORDER BY session")] == [
        False,
        True,
        True,
        False,
    ]
    assert all_come_out_again(desk)


def test_an_unfinished_move_goes_on_although_no_strategy_is_due(open_a_desk):
    rare = replace(wants("s", {"AAA": 1.0}), rebalance=monthly("first_session"))
    desk = open_a_desk({"s": rare}, ALLOCD_MAX_TURNOVER_FRAC="0.6")
    assert desk.day(D0)["why"] == "due: s"
    assert desk.day(D1)["why"] == "going on where the cap on turnover ended the last allocation"
    assert desk.holdings() == {"s": {"AAA": 1000}}
    assert desk.day(D2)["why"] == "nothing due"


def test_a_drawdown_of_the_record_scales_the_next_allocation_down(open_a_desk):
    """100 000 USD in AAA, which falls by 12 %: four tenths of the way from 10 % to 15 %, so 80 % of the portfolio stays."""
    settings = {"ALLOCD_DRAWDOWN_HALT_FRAC": "0.9", "ALLOCD_MAX_VAR95_FRAC": "1"}
    desk = open_a_desk({"s": wants("s", {"AAA": 1.0})}, quotes=falling("AAA", [D1], 0.12), **settings)
    desk.day(D0)
    desk.day(D1)
    assert drawdown_frac(desk.rt.db) == pytest.approx(0.12)
    desk.day(D2)
    told = newest(desk.rt.db)
    assert told["drawdown_frac"] == pytest.approx(0.12)
    assert [(b["limit"], b["before"], b["after"]) for b in told["bound"]] == [("drawdown", pytest.approx(1.0), pytest.approx(0.8))]
    assert told["gross"] == pytest.approx(0.8)
    assert all_come_out_again(desk)


def test_a_drawdown_that_deepens_cuts_the_portfolio_although_no_strategy_is_due(open_a_desk):
    rare = replace(wants("s", {"AAA": 1.0}), rebalance=monthly("first_session"))
    settings = {"ALLOCD_DRAWDOWN_HALT_FRAC": "0.9"}
    desk = open_a_desk({"s": rare}, quotes=falling("AAA", [D1], 0.14), **settings)
    desk.day(D0)
    desk.day(D1)
    assert desk.day(D2)["why"] == "gross exposure of the held portfolio is over its cap in a drawdown of 14.0%"
    assert newest(desk.rt.db)["gross"] == pytest.approx(0.6)
    assert desk.day(D3)["why"] == "nothing due", "the cut was enough"


def test_an_old_record_without_the_newer_fields_still_loads(open_a_desk):
    desk = open_a_desk({"s": wants("s", {"AAA": 0.5})})
    desk.day(D0)
    (row,) = desk.sql("SELECT input FROM cycles")
    given = CycleInput.from_json(row["input"])
    assert CycleInput.from_json(json.loads(json.dumps(given.as_json()))) == given
    old = {k: v for k, v in row["input"].items() if k not in ("drawdown_frac", "unfinished", "artefacts")}
    limits = {k: v for k, v in old["options"]["limits"].items() if "drawdown" not in k and "turnover" not in k}
    loaded = CycleInput.from_json(old | {"options": old["options"] | {"limits": limits}})
    assert (loaded.drawdown_frac, loaded.unfinished, loaded.options.limits.max_turnover_frac) == (0.0, False, 1.0)


def test_a_rung_below_full_is_a_metric_and_a_warning_once_per_change(open_a_desk):
    desk = open_a_desk({"a": wants("a", {"AAA": 0.5})})
    stream = io.StringIO()
    configure(json=True, level="info", base={}, now=desk.rt.clock.now, stream=stream)
    desk.day(D0)
    desk.day(D1)
    desk.restart()
    desk.day(D2)
    logs = [json.loads(line) for line in stream.getvalue().splitlines()]
    decided = [e for e in logs if e["event"] == "allocation.decided"]
    degraded = [e for e in logs if e["event"] == "allocation.degraded"]
    assert [(e["rung"], e["gross"]) for e in decided] == [("equal", 0.5)] * 3
    assert [(e["rung"], e["level"]) for e in degraded] == [("equal", "warning")]
    assert "no sleeve has a usable track record" in degraded[0]["reason"]
    assert {r: desk.rt.metrics.value("allocd_allocation_rung", rung=r) for r in ("full", "equal")} == {"full": 0.0, "equal": 1.0}
