"""Short and long-short sleeves: through planning, the ledger and the exchange, and what happens where nothing is lent."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pandas as pd

from daemon.invariants import check_now
from scrapers import tables
from scrapers.sources.assets import TradableAsset
from strategies.base import Param, Strategy, Targets, no_evidence
from tests.integration.desk import DAYS, HISTORY, Desk, wants
from tests.integration.small_world import store

D0, D1, D2, D3 = DAYS[:4]
ALWAYS = datetime(2021, 1, 1, tzinfo=UTC)


def lists(desk: Desk, **lent: bool) -> None:
    """The broker's list of assets: which of them it lends."""
    rows = [
        TradableAsset(
            symbol=symbol, asset_id=symbol, name=symbol, exchange="NYSE", asset_class="us_equity", status="active", tradable=True,
            fractionable=True, shortable=True, easy_to_borrow=easy, marginable=True,
        )
        for symbol, easy in lent.items()
    ]  # fmt: skip
    store(desk.rt.db, desk.rt.lake, "assets", TradableAsset, [tables.Timed(row=r, event_at=ALWAYS, known_at=ALWAYS) for r in rows])
    desk.rt.archive.refresh()


def sound(desk: Desk) -> bool:
    """Ledger, sleeves and exchange agree, and no invariant is broken."""
    return desk.agrees_with_broker() and not any(check_now(desk.rt).values())


def test_a_long_short_sleeve_is_opened_kept_and_closed_to_the_last_share(open_a_desk):
    wanted = {"AAA": 0.5, "BBB": -0.4}
    desk = open_a_desk({"s": wants("s", wanted, shorts=True)})
    desk.day(D0)
    assert desk.holdings() == {"s": {"AAA": Decimal(500), "BBB": Decimal(-800)}}, "50,000 USD at 100 and 40,000 USD at 50"
    assert desk.cash("s") == Decimal(100_000) - 50_000 + 40_000
    assert sound(desk)
    wanted.update(AAA=0.2, BBB=-0.6)
    desk.day(D1)
    assert desk.holdings() == {"s": {"AAA": Decimal(200), "BBB": Decimal(-1200)}}
    wanted.clear()
    desk.day(D2)
    assert desk.holdings() == {} and sound(desk)
    assert sum(desk.cash(name) for name in ("s", "treasury")) == Decimal(100_000), "flat prices and no costs: nothing was won or lost"


def test_a_change_of_side_closes_first_and_opens_the_other_side_in_the_next_session(open_a_desk):
    wanted = {"BBB": 0.5}
    desk = open_a_desk({"s": wants("s", wanted, shorts=True)})
    desk.day(D0)
    wanted.update(BBB=-0.5)
    desk.day(D1)
    assert desk.holdings() == {}
    desk.day(D2)
    assert desk.holdings() == {"s": {"BBB": Decimal(-1000)}} and sound(desk)


def test_the_short_of_one_sleeve_and_the_long_of_another_need_no_loan(open_a_desk):
    desk = open_a_desk({"a": wants("a", {"BBB": 0.5}), "b": wants("b", {"BBB": -0.5}, shorts=True)})
    lists(desk, BBB=True)
    desk.day(D0)
    held = desk.holdings()
    assert held["a"]["BBB"] == -held["b"]["BBB"] == Decimal(500), "half of half the account at 50"
    assert desk.counts()["orders"] == 0 and sound(desk)


def test_a_dividend_is_charged_to_the_sleeve_that_is_short_and_a_split_multiplies_what_it_owes(open_a_desk):
    desk = open_a_desk(
        {"s": wants("s", {"BBB": -0.4}, shorts=True)}, dividends={("BBB", D1): 0.5}, splits={("BBB", D2): 2.0},
        quotes={("BBB", d): (25.0, 25.0) for d in DAYS[2:]},
    )  # fmt: skip
    desk.day(D0)
    desk.settle(D1)
    assert desk.cash("s") == Decimal(100_000) + 40_000 - 400, "0.50 USD on each of 800 shares"
    desk.settle(D2)
    assert desk.holdings() == {"s": {"BBB": Decimal(-1600)}} and sound(desk)


def test_what_is_not_lent_is_not_sold_short_and_the_reason_is_on_record(open_a_desk):
    desk = open_a_desk({"s": wants("s", {"AAA": 0.5, "BBB": -0.4}, shorts=True)})
    lists(desk, AAA=False, BBB=False)
    desk.day(D0)
    assert desk.holdings() == {"s": {"AAA": Decimal(500)}}, "a long needs no loan"
    (row,) = desk.sql("SELECT skipped FROM evaluations")
    assert row["skipped"] == {"BBB": "short, and the broker does not lend it"}


def test_a_short_that_is_no_longer_lent_is_bought_back(open_a_desk):
    desk = open_a_desk({"s": wants("s", {"BBB": -0.4}, shorts=True)})
    desk.day(D0)
    lists(desk, BBB=False)
    desk.day(D1)
    assert desk.holdings() == {} and sound(desk)


def tilting() -> Strategy:
    """Half long, half short; or, where that cannot be, all long."""

    def run(view: Any, *, legs: str = "long_short") -> Targets:
        weights = pd.Series({"AAA": 0.5, "BBB": -0.4} if legs == "long_short" else {"AAA": 0.6, "BBB": 0.4}, dtype="float64")
        return Targets(weights=weights, evidence=no_evidence(), scores=weights.abs())

    legs = Param(default="long_short", choices=("long_short", "tilt"), meaning="legs")
    return replace(wants("s", {}), run=run, shorts=True, long_only={"legs": "tilt"}, params={"legs": legs})


def started(open_a_desk: Any, strategy: Strategy, **changes: str) -> Desk:
    desk: Desk = open_a_desk({"s": strategy}, **changes)
    desk.rt.params = {"s": {name: param.default for name, param in strategy.params.items()}}  # type: ignore[misc]
    return desk


def test_where_the_account_cannot_sell_short_the_strategy_runs_with_its_long_only_parameters(open_a_desk):
    desk = started(open_a_desk, tilting())
    desk.wire.account = lambda: replace(desk.wire.broker.account(), shorting_enabled=False)  # type: ignore[attr-defined]
    desk.day(D0)
    assert desk.holdings() == {"s": {"AAA": Decimal(600), "BBB": Decimal(800)}}
    (row,) = desk.sql("SELECT input FROM cycles")
    assert row["input"]["short_selling"] is False and row["input"]["sleeves"][0]["params"] == {"legs": "tilt"}


def test_the_operator_can_forbid_short_selling(open_a_desk):
    desk = started(open_a_desk, tilting(), ALLOCD_SHORT_SELLING="false")
    desk.day(D0)
    assert desk.holdings() == {"s": {"AAA": Decimal(600), "BBB": Decimal(800)}}
    other = started(open_a_desk, wants("s", {"AAA": 0.5, "BBB": -0.4}, shorts=True), ALLOCD_SHORT_SELLING="false")
    other.day(D0)
    assert other.holdings() == {"s": {"AAA": Decimal(500)}}, "without such parameters what is short is left out"


def limits(desk: Desk) -> Mapping[str, Any]:
    (row,) = desk.sql("SELECT allocation FROM cycles ORDER BY session DESC LIMIT 1")
    return {(b["limit"], b["subject"]): b["after"] for b in row["allocation"]["bound"]}


def test_a_strategy_has_no_more_capital_than_its_own_cap(open_a_desk):
    desk = open_a_desk({"s": wants("s", {"AAA": 1.0})}, ALLOCD_STRATEGY_LIMITS='{"s": {"max_capital_frac": 0.3}}')
    desk.day(D0)
    assert desk.holdings() == {"s": {"AAA": Decimal(300)}}
    assert limits(desk)["sleeve", "s"] == 0.3


def test_a_strategy_is_scaled_to_its_own_risk_target_and_the_record_says_so(open_a_desk):
    swings = {("AAA", d): (p, p) for i, d in enumerate(HISTORY) for p in [100.0 * (1.02 if i % 2 else 1.0)]}
    desk = open_a_desk({"s": wants("s", {"AAA": 1.0})}, quotes=swings, ALLOCD_STRATEGY_LIMITS='{"s": {"target_volatility_frac": 0.1}}')
    desk.day(D0)
    (row,) = desk.sql("SELECT reason FROM evaluations")
    assert row["reason"].startswith("scaled from 32") and row["reason"].endswith("to its risk target of 10.0% a year")
    assert Decimal(300) < desk.holdings()["s"]["AAA"] < Decimal(320)
