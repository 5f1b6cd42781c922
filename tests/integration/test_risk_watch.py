"""The daily risk watch on a real record: what it stores, when it raises an alarm and clears it, and that days missed are made up for."""

import io
import json
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from psycopg.types.json import Jsonb

from config import load
from daemon import compose, risk_verbs
from daemon.joblist import RISK_WATCH, WATCH_ANCHOR, build_jobs
from daemon.jobs import JobRunner, Skipped
from daemon.logging import configure
from daemon.replay import replay
from daemon.schedule import occurrences
from daemon.watch.gauges import restore
from daemon.watch.scope import gather
from daemon.watch.sectors import _held_at
from daemon.watch.watching import watch
from execution.sleeves import split
from scrapers import DATASETS, tables, times
from scrapers.sources.congress_trades import CongressTrade
from scrapers.sources.constituents import Constituent
from scrapers.sources.index_membership import Membership
from strategies.base import Strategy, Targets, daily, no_evidence
from tests.integration.desk import CALENDAR, DAYS, wants
from tests.integration.small_world import disclosure, store
from tests.integration.small_world import settings as small_settings

D0, D1, D2, D3, D4 = DAYS[:5]
SECTORS = {"AAA": "Energy", "BBB": "Utilities", "CCC": "Utilities"}
ROSES = {
    ("AAA", D1): (100.0, 110.0), ("AAA", D2): (110.0, 99.0), ("AAA", D3): (99.0, 99.0), ("AAA", D4): (99.0, 108.9),
    ("BBB", D1): (50.0, 49.0), ("BBB", D2): (49.0, 50.96), ("BBB", D3): (50.96, 50.96), ("BBB", D4): (50.96, 50.96),
    ("CCC", D2): (20.0, 21.0), ("CCC", D3): (21.0, 21.0), ("CCC", D4): (21.0, 21.0),
    ("SPY", D1): (400.0, 404.0), ("SPY", D2): (404.0, 404.0), ("SPY", D3): (404.0, 404.0), ("SPY", D4): (404.0, 404.0),
}  # fmt: skip


def watch_on(desk, session: date) -> dict:
    """Run the watch at 17:00 of a session and give what is stored of it."""
    result = watch(desk.rt, desk.at(session, 17))
    assert result["session"] == session.isoformat()
    return stored(desk)


def stored(desk) -> dict:
    return desk.rt.db.row("risk_watch_last")["watch"]


def watches(desk) -> list[dict]:
    return [r["watch"] for r in desk.rt.db.rows("risk_watches_all")]


def give_an_index(desk) -> None:
    """AAA to CCC are members of the index since 2015, with their sectors."""
    always = datetime.fromisoformat("2015-01-01T00:00:00+00:00")
    rows = [Constituent(symbol=s, sector=sector, sub_industry="", name=s, cik="", date_added=None) for s, sector in SECTORS.items()]
    spells = [Membership(index_name="sp500", symbol=s, start_date=always.date(), end_date=None) for s in SECTORS]
    for name, kind, found in (("constituents", Constituent, rows), ("index_membership", Membership, spells)):
        store(desk.rt.db, desk.rt.lake, name, kind, [tables.Timed(row=r, event_at=always, known_at=always) for r in found])


def record_past(desk, last: date, n: int, exceptions: set[int]) -> list[date]:
    """Marks and cycles of the n sessions up to `last`: each forecasts a VaR of 1 %, and those in `exceptions` lost 2 %."""
    sessions = CALENDAR.sessions(CALENDAR.offset(last, -n), last)
    index = 1.0
    for i, session in enumerate(sessions):
        index *= 0.98 if i - 1 in exceptions else 1.0001
        at = CALENDAR.close_at(session) + timedelta(minutes=45)
        desk.sql("INSERT INTO nav_marks VALUES (%(s)s, %(at)s, 100000, 100000, 0, 0, 0, %(i)s, NULL)", s=session, at=at, i=index)
        forecast = {"forecast": {"var95": 0.01, "cvar95": 0.02, "var99": 0.02, "volatility": 0.006, "n_sessions": 252}}
        desk.sql(
            "INSERT INTO cycles VALUES (%(id)s, %(s)s, %(at)s, %(j)s, %(a)s, 'h')",
            id=f"past{i}", s=session, at=at, j=Jsonb({}), a=Jsonb({"reason": "past", "nav_usd": "100000", **forecast}),
        )  # fmt: skip
    return sessions[1:]


def amounts(day: date, n: int, scale: float, first: int) -> list[tables.Timed]:
    """Disclosures of one day, with skewed amounts."""
    lows = np.random.default_rng(first).lognormal(9.0, 1.0, n).round(2) * scale
    return [disclosure(first + i, "AAA", day - timedelta(days=30), day, low=float(low)) for i, low in enumerate(lows)]


def reads_congress(name: str) -> Strategy:
    """A strategy that wants nothing and says that it reads disclosures."""

    def run(view) -> Targets:
        nothing = wants(name, {}).run(view)
        return Targets(weights=nothing.weights, evidence=no_evidence(), scores=nothing.scores)

    return Strategy(
        name=name, run=run, needs=("congress_trades",), rebalance=daily(), lookback_sessions=1, params={}, description="reads disclosures"
    )


class Told:
    """What the log says, read piece by piece."""

    def __init__(self) -> None:
        self._stream, self._read = io.StringIO(), 0
        configure(json=True, level="info", base={}, now=lambda: CALENDAR.open_at(D0), stream=self._stream)

    def since(self, name: str) -> list[dict]:
        """Events of a name since the last call of `done`."""
        lines = [json.loads(line) for line in self._stream.getvalue()[self._read :].splitlines()]
        return [line for line in lines if line["event"] == name]

    def done(self) -> None:
        self._read = len(self._stream.getvalue())


@pytest.fixture
def log() -> Told:
    """The log of this test alone."""
    return Told()


# The VaR.


def test_a_var_exceeded_too_often_raises_one_alarm_while_it_lasts_and_says_when_it_clears(desk, log):
    """23 losses beyond the VaR in 250 sessions are rejected at 1 %, the 22 that are left on the next day are not."""
    record_past(desk, D0, 250, {0, *range(9, 189, 10), 109 + 1, 149 + 1, 200, 230})
    first = watch_on(desk, D0)
    assert first["backtest"]["failing"] and first["backtest"]["exceptions"] == 23
    assert first["alarms"] == [f"VaR back-test: {first['backtest']['reason']}"]
    assert desk.rt.metrics.value("allocd_risk_var_backtest_failing") == 1.0
    assert watch(desk.rt, desk.at(D0, 18))["kept"], "the same session again"
    assert [e["alarm"] for e in log.since("risk.alarmed")] == ["var_backtest"]
    log.done()
    desk.mark(D1)
    second = watch_on(desk, D1)
    assert not second["backtest"]["failing"] and second["backtest"]["exceptions"] == 22 and second["alarms"] == []
    assert desk.rt.metrics.value("allocd_risk_var_backtest_failing") == 0.0
    assert log.since("risk.alarmed") == []
    assert [(e["alarm"], e["since"]) for e in log.since("risk.cleared")] == [("var_backtest", "2022-01-03")]


def test_an_alarm_that_stands_is_told_once_and_keeps_the_session_on_which_it_began(desk, log):
    record_past(desk, D0, 100, set(range(0, 100, 5)))
    for session in (D0, D1, D2):
        watch_on(desk, session)
    assert len(log.since("risk.alarmed")) == 1
    standing = desk.rt.db.row("risk_watch_last")["standing"]
    assert standing["var_backtest"]["since"] == "2022-01-03"


def test_the_back_test_compares_each_sessions_forecast_with_its_own_return(desk):
    sessions = record_past(desk, D0, 70, {3, 40})
    days = watch_on(desk, D0)["backtest"]["days"]
    assert [d["session"] for d in days] == [s.isoformat() for s in sessions]
    assert [i for i, d in enumerate(days) if d["exception"]] == [3, 40]
    assert days[3]["return_frac"] == pytest.approx(-0.02) and days[4]["return_frac"] == pytest.approx(0.0001)


# Drift.


def test_a_planted_shift_of_a_dataset_is_an_alarm_for_the_strategies_that_read_it_alone(open_a_desk):
    desk = open_a_desk(strategies={"reader": reads_congress("reader"), "other": wants("other", {})})
    now = CALENDAR.sessions(CALENDAR.offset(D0, -50), CALENDAR.offset(D0, -5))
    before = CALENDAR.sessions(CALENDAR.offset(D0, -300), CALENDAR.offset(D0, -70))
    rows = [r for i, day in enumerate(before) for r in amounts(day, 4, 1.0, 1000 + 10 * i)]
    rows += [r for i, day in enumerate(now) for r in amounts(day, 4, 6.0, 9000 + 10 * i)]
    store(desk.rt.db, desk.rt.lake, "congress_trades", CongressTrade, rows)
    found = watch_on(desk, D0)
    drifted = {(d["strategy"], d["name"]) for d in found["drifts"] if d["alarm"]}
    assert drifted == {("reader", "congress_trades.amount_low_usd"), ("reader", "congress_trades.amount_high_usd")}
    assert all("read by reader" in text and "congress_trades" in text for text in found["alarms"]) and len(found["alarms"]) == 2
    metric = desk.rt.metrics.value
    assert metric("allocd_strategy_drift_alarm", strategy="reader") == 1.0
    assert metric("allocd_strategy_drift_alarm", strategy="other") == 0.0
    assert metric("allocd_strategy_drift_psi", strategy="reader", subject="input") > 0.25


def test_an_unchanged_dataset_raises_no_alarm(open_a_desk):
    desk = open_a_desk(strategies={"reader": reads_congress("reader")})
    days = CALENDAR.sessions(CALENDAR.offset(D0, -300), CALENDAR.offset(D0, -5))
    rows = [r for i, day in enumerate(days) for r in amounts(day, 4, 1.0, 1000 + 10 * i)]
    store(desk.rt.db, desk.rt.lake, "congress_trades", CongressTrade, rows)
    drifts = [d for d in watch_on(desk, D0)["drifts"] if d["subject"] == "input"]
    assert len(drifts) == 2 and all(d["psi"] < 0.25 and d["n_current"] > 200 and not d["alarm"] for d in drifts)


def test_what_is_not_yet_known_is_no_value(open_a_desk):
    desk = open_a_desk(strategies={"reader": reads_congress("reader")})
    rows = [*amounts(CALENDAR.offset(D0, -10), 150, 1.0, 1), *amounts(D2, 150, 100.0, 5000)]
    store(desk.rt.db, desk.rt.lake, "congress_trades", CongressTrade, rows)
    assert {d["n_current"] for d in watch_on(desk, D0)["drifts"] if d["subject"] == "input"} == {150}


def test_returns_of_a_shadow_book_are_compared_without_its_sessions_in_cash(open_a_desk):
    desk = open_a_desk(strategies={"s": wants("s", {})})
    sessions = CALENDAR.sessions(CALENDAR.offset(D0, -311), D0)
    rng = np.random.default_rng(4)
    returns = np.r_[rng.normal(0, 0.01, 252), np.zeros(15), rng.normal(-0.04, 0.01, 45)]
    desk.rt.db.copy("copy_shadow_marks", [("s", day, float(r), 0.0) for day, r in zip(sessions, returns, strict=True)])
    found = next(d for d in watch_on(desk, D0)["drifts"] if d["subject"] == "returns")
    assert (found["n_reference"], found["n_current"], found["alarm"]) == (252, 45, True)
    assert stored(desk)["alarms"][0].startswith("s: shadow returns has drifted: PSI")


# Attribution.


def bought(desk) -> None:
    """D0: 500 AAA and 400 BBB, so that half the account is energy and a fifth utilities."""
    give_an_index(desk)
    desk.intend(D0, {"AAA": {"a": "500"}, "BBB": {"b": "400"}})
    desk.settle(D0)
    desk.mark(D0)


def test_a_sessions_attribution_by_hand(open_a_desk):
    """Held: 50 % AAA +10 %, 20 % BBB -2 %, 30 % cash. Index, equal weights: a third each of AAA +10 %, BBB -2 %, CCC 0."""
    desk = open_a_desk(quotes=ROSES)
    bought(desk)
    desk.mark(D1)
    found = watch_on(desk, D1)["attribution"]
    account, rebuilt = 0.5 * 0.10 - 0.2 * 0.02, (0.10 - 0.02) / 3
    assert found["portfolio_return"] == pytest.approx(account) and found["benchmark_return"] == pytest.approx(0.01)
    assert found["residual"] == pytest.approx(0.0, abs=1e-12) and found["benchmark_residual"] == pytest.approx(0.01 - rebuilt)
    effects = {e["sector"]: e for e in found["effects"]}
    assert list(effects) == ["Energy", "Utilities", "Cash"]
    assert effects["Energy"]["allocation"] == pytest.approx((0.5 - 1 / 3) * (0.10 - rebuilt))
    assert effects["Utilities"]["selection"] == pytest.approx(2 / 3 * (-0.02 - -0.01))
    assert effects["Cash"]["allocation"] == pytest.approx(0.3 * (0.0 - rebuilt))
    assert total(found) == pytest.approx(found["active_return"], abs=1e-12)
    assert found["note"].endswith("counted equally, the market value of 0% being known")


def total(found: dict) -> float:
    effects = sum(e[k] for e in found["effects"] for k in ("allocation", "selection", "interaction"))
    return effects + found["residual"] - found["benchmark_residual"]


def trade_four_days(desk, watched: bool) -> None:
    """Positions change on D2 (a sector appears: SPY, a fund) and on D3 everything is sold."""
    bought(desk)
    for session, trades in ((D1, {}), (D2, {"AAA": {"a": "-200"}, "SPY": {"a": "20"}}), (D3, {"AAA": {"a": "-300"}, "BBB": {"b": "-400"}})):
        if trades:
            desk.intend(session, trades)
            desk.settle(session)
        desk.mark(session)
        if watched:
            watch_on(desk, session)
    desk.mark(D4)


def test_days_that_nobody_watched_are_made_up_for_exactly(open_a_desk):
    daily_desk, late_desk = open_a_desk(quotes=ROSES), open_a_desk(quotes=ROSES)
    trade_four_days(daily_desk, watched=True)
    trade_four_days(late_desk, watched=False)
    first, second = watch_on(daily_desk, D4)["attribution"], watch_on(late_desk, D4)["attribution"]
    assert (len(watches(daily_desk)), len(watches(late_desk))) == (4, 1)
    assert second["sessions"] == 4 and second["start"] == D1.isoformat()
    for name in ("portfolio_return", "benchmark_return", "residual", "benchmark_residual"):
        assert second[name] == pytest.approx(first[name], abs=1e-12)
    for one, other in zip(first["effects"], second["effects"], strict=True):
        assert one == pytest.approx(other, abs=1e-12)
    assert total(second) == pytest.approx(second["active_return"], abs=1e-12)
    assert [e["sector"] for e in second["effects"]] == ["Energy", "Funds", "Utilities", "Cash"]


def test_trading_at_the_open_is_in_the_residual_and_the_sum_stays_exact(open_a_desk):
    """Half of the shares are sold at an open 10 % above the close before: the close-to-close return of the sector has none of it."""
    desk = open_a_desk(quotes={("AAA", D1): (110.0, 100.0)})
    bought(desk)
    desk.intend(D1, {"AAA": {"a": "-250"}})
    desk.settle(D1)
    desk.mark(D1)
    found = watch_on(desk, D1)["attribution"]
    assert found["residual"] == pytest.approx(250 * 10 / 100_000) and found["portfolio_return"] == pytest.approx(0.025)
    assert total(found) == pytest.approx(found["active_return"], abs=1e-12)


def test_shares_held_before_a_split_are_counted_in_units_of_now(desk):
    desk.intend(D0, {"AAA": {"a": "10"}})
    desk.settle(D0)
    desk.mark(D0)
    at = desk.at(D1, 9)
    ledger = desk.rt.book.ledger
    booked = split("split-1", "AAA", Decimal(10), ledger.holders("AAA"), at)
    ledger.apply(booked)
    desk.rt.book.write_transactions([booked])
    desk.mark(D1)
    desk.rt.archive.refresh()
    asof = desk.at(D1, 17)
    scope = gather(desk.rt, asof, desk.rt.archive.view(asof))
    assert scope.positions == {"AAA": 20.0}
    assert list(_held_at(scope, scope.navs)) == [{"AAA": 20.0}, {"AAA": 20.0}]


# What cannot be made.


def test_the_first_day_has_a_watch_that_says_what_is_not_known_yet(desk):
    desk.mark(D0)
    found = watch_on(desk, D0)
    assert found["attribution"]["active_return"] is None and found["attribution"]["note"] == "no two marks of consecutive sessions yet"
    assert found["backtest"]["reason"] == "0 sessions with a forecast and a return, 60 needed"
    assert {s["portfolio_return"] for s in found["stresses"]} == {0.0} and {b["beta"] for b in found["betas"]} == {0.0}
    assert found["alarms"] == [] and set(found["missing"]) == {"correlation"}


def test_a_part_that_cannot_be_made_is_missing_with_its_reason_and_the_others_stand(open_a_desk):
    desk = open_a_desk(quotes=ROSES)
    desk.intend(D0, {"AAA": {"a": "500"}})
    desk.settle(D0)
    desk.mark(D0)
    desk.mark(D1)
    found = watch_on(desk, D1)
    assert found["missing"]["attribution"] == "no dated membership of the sp500 index is known, which the benchmark's sectors are made of"
    assert found["attribution"] is None and len(found["stresses"]) > 10
    assert desk.rt.metrics.value("allocd_risk_active_return_ratio") is None
    give_an_index(desk)
    desk.mark(D2)
    assert watch_on(desk, D2)["attribution"]["sessions"] == 2, "the day without an index is made up for"


def test_before_any_bar_is_known_there_is_nothing_to_watch(small_world):
    before = times.new_york(date(2015, 1, 5))
    with small_world.rt.trading, pytest.raises(Skipped, match="no daily bars are known yet"):
        watch(small_world.rt, before)


# The job and the surface.


def test_the_watch_is_a_job_after_the_mark_where_the_runtime_has_an_anchor_for_it(desk):
    runner = JobRunner(desk.rt.db, desk.rt.clock, desk.rt.metrics, strict=True)
    assert RISK_WATCH not in [job.name for job in build_jobs(desk.rt, runner)]
    desk.rt.watch_anchor = WATCH_ANCHOR
    names = [job.name for job in build_jobs(desk.rt, runner)]
    assert names.index(RISK_WATCH) > names.index("mark")
    (at,) = occurrences(WATCH_ANCHOR, CALENDAR, CALENDAR.open_at(D0), CALENDAR.open_at(D1))
    assert at == times.new_york(D0, datetime.min.time().replace(hour=17))
    desk.mark(D0)
    desk.at(D0, 17)
    assert runner.run_now(RISK_WATCH, at) == "success"
    assert desk.rt.db.row("risk_watch_last")["session"] == D0


def test_a_replay_watches_at_the_end_of_each_month_and_at_its_own(small_world):
    world = small_world
    chosen = small_settings()
    strategies, params = compose.enabled(chosen)
    result = replay(
        chosen, world.conninfo, world.lake, DATASETS, strategies, params, start=date(2022, 1, 3), end=date(2022, 2, 10), known_until=None,
        code_version="t", progress=lambda day, nav: None,
    )  # fmt: skip
    assert [w.session for w in result.watches] == [date(2022, 1, 31), date(2022, 2, 10)]
    last = result.watches[-1]
    assert last.attribution.sessions == 27, "every session since the first mark, though watched twice"
    assert total(last.as_json()["attribution"]) == pytest.approx(last.attribution.active_return, abs=1e-12)
    assert last.backtest.observations >= 25 and not last.backtest.failing


def test_the_first_watch_of_a_session_stands_and_a_later_run_says_what_would_differ(open_a_desk, log):
    desk = open_a_desk(quotes=ROSES)
    bought(desk)
    before = watch_on(desk, D0)
    desk.sql("UPDATE nav_marks SET nav_usd = 50000")
    again = watch(desk.rt, desk.at(D0, 18))
    assert again == {"session": D0.isoformat(), "kept": True, "differing": ["stresses"]}
    assert stored(desk) == before
    assert log.since("risk.watched")[-1]["differing"] == ["stresses"]


def test_a_restart_shows_the_newest_watch_again(open_a_desk):
    desk = open_a_desk(quotes=ROSES)
    bought(desk)
    desk.mark(D1)
    watch_on(desk, D1)
    shown = desk.rt.metrics.exposition().decode()
    desk.restart()
    assert desk.rt.metrics.value("allocd_risk_factor_beta", factor="benchmark") is None
    restore(desk.rt)
    ours = ("allocd_risk_var", "allocd_risk_stress", "allocd_risk_factor", "allocd_risk_active", "allocd_risk_corr", "allocd_risk_watch")
    assert [x for x in shown.splitlines() if x.startswith(ours)] == [
        x for x in desk.rt.metrics.exposition().decode().splitlines() if x.startswith(ours)
    ]


def test_the_verb_says_that_there_is_nothing_yet_and_then_shows_every_part(open_a_desk, capsys):
    desk = open_a_desk(quotes=ROSES)
    settings = load({}, env_file=None)
    nothing = risk_verbs.gathered(desk.rt.db, settings)
    assert nothing["watch"] is None and [row["name"] for row in nothing["limits"]] in ([], ["drawdown"])
    risk_verbs.printed(nothing)
    assert "no risk watch yet" in capsys.readouterr().out
    record_past(desk, CALENDAR.previous_session(D0), 90, set(range(0, 90, 5)))
    bought(desk)
    desk.sql("UPDATE cycles SET allocation = allocation || %(f)s WHERE session = %(s)s", s=D0, f=Jsonb({"forecast": {"var95": 0.0123}}))
    desk.mark(D1)
    watch_on(desk, D1)
    found = risk_verbs.gathered(desk.rt.db, settings)
    assert json.loads(json.dumps(found)) == found, "plain values"
    assert found["cycle_session"] == "2022-01-03" and found["alarms_since"] == {"var_backtest": "2022-01-04"}
    risk_verbs.printed(found)
    told = capsys.readouterr().out
    assert told.count("bars_daily.daily_return") <= 1, "an input is told once, whoever reads it"
    for text in (
        "forecast for 2022-01-03: VaR 95% 1.23%", "ALARM", "VaR back-test  FAILING", "worst_5_sessions", "factor betas",
        "Utilities",
        "against the benchmark over", "correlation is missing", "drawdown",
    ):  # fmt: skip
        assert text in told, text
