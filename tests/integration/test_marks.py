"""The daily mark: what the account is worth, what it returned, and the brake on its drawdown, all by hand."""

from datetime import timedelta
from decimal import Decimal

import pytest

from execution.base import OrderRequest
from tests.integration.desk import CALENDAR, DAYS, wants

D0, D1, D2, D3, D4 = DAYS[:5]


def marks(desk, column):
    return [r[column] for r in desk.sql(f"SELECT {column} FROM nav_marks ORDER BY session")]


def states(desk):
    return [(r["state"], r["actor"]) for r in desk.sql("SELECT state, actor FROM trading_states ORDER BY id")]


def test_the_net_asset_value_is_cash_and_shares_at_the_close_and_the_sum_of_the_sleeves(open_a_desk):
    desk = open_a_desk(quotes={("AAA", D0): (100.0, 110.0), ("BBB", D0): (50.0, 45.0)})
    desk.intend(D0, {"AAA": {"a": "10"}, "BBB": {"b": "20"}})
    desk.settle(D0)
    assert desk.mark(D0) == {"session": "2022-01-03", "nav_usd": 100_000 + 10 * 10 - 20 * 5}
    sleeves = {r["sleeve"]: (r["nav_usd"], r["cash_usd"]) for r in desk.sql("SELECT * FROM sleeve_marks")}
    assert sleeves == {"a": (100.0, -1000.0), "b": (-100.0, -1000.0), "treasury": (100_000.0, 100_000.0)}
    assert marks(desk, "nav_usd") == [sum(nav for nav, _ in sleeves.values())]
    assert marks(desk, "cash_usd") == [98_000]
    assert marks(desk, "gross_frac") == [pytest.approx((1100 + 900) / 100_000)]
    assert marks(desk, "return_index") == [1.0]


def test_the_time_weighted_index_earns_what_the_shares_earn_and_nothing_of_a_deposit(open_a_desk):
    desk = open_a_desk(quotes={("AAA", D0): (100.0, 100.0), ("AAA", D1): (100.0, 110.0), ("AAA", D2): (110.0, 121.0)})
    desk.intend(D0, {"AAA": {"a": "500"}})
    desk.settle(D0)
    desk.mark(D0)
    desk.venue.deposit(Decimal(45_000))
    desk.mark(D1)
    desk.mark(D2)
    assert marks(desk, "nav_usd") == [100_000, 150_000, 155_500]
    first, second = 150_000 / 145_000, 155_500 / 150_000
    assert marks(desk, "return_index") == pytest.approx([1.0, first, first * second], rel=1e-12)


def test_a_withdrawal_lowers_the_value_and_not_the_index(desk):
    desk.mark(D0)
    desk.venue.deposit(Decimal(-40_000))
    desk.mark(D1)
    assert (marks(desk, "nav_usd"), marks(desk, "flow_usd"), marks(desk, "return_index")) == (
        [100_000, 60_000], [100_000, -40_000], [1.0, 1.0],
    )  # fmt: skip


def test_a_trade_by_hand_is_no_return(desk):
    desk.mark(D0)
    desk.at(D1, 10)
    desk.venue.submit(OrderRequest(client_order_id="person-1", symbol="AAA", side="buy", qty=Decimal(100)))
    desk.mark(D1)
    assert (marks(desk, "nav_usd"), marks(desk, "return_index")) == ([100_000, 100_000], [1.0, 1.0])


def test_positions_found_at_the_first_start_are_capital_and_no_return(open_a_desk):
    def a_person_trades(venue):
        venue.submit(OrderRequest(client_order_id="person-1", symbol="AAA", side="buy", qty=Decimal(500)))
        venue.advance(CALENDAR.open_at(D0) + timedelta(minutes=30))

    desk = open_a_desk(quotes={("AAA", D1): (100.0, 110.0)}, before_opening=a_person_trades)
    desk.mark(D0)
    desk.mark(D1)
    assert marks(desk, "nav_usd") == [100_000, 105_000]
    assert marks(desk, "return_index") == pytest.approx([1.0, 1.05], rel=1e-12)


def test_a_dividend_is_return(open_a_desk):
    desk = open_a_desk(dividends={("AAA", D1): 1.0})
    desk.intend(D0, {"AAA": {"a": "500"}})
    desk.settle(D0)
    desk.mark(D0)
    desk.mark(D1)
    assert marks(desk, "nav_usd") == [100_000, 100_500]
    assert marks(desk, "return_index") == pytest.approx([1.0, 1.005], rel=1e-12)


def test_the_benchmark_level_follows_the_closes_of_the_benchmark(open_a_desk):
    desk = open_a_desk(quotes={("SPY", D0): (400.0, 404.0), ("SPY", D1): (404.0, 404.0), ("SPY", D2): (404.0, 353.5)})
    for day in (D0, D1, D2):
        desk.mark(day)
    assert marks(desk, "benchmark") == pytest.approx([1.01, 1.01, 1.01 * 0.875], rel=1e-12)


def test_a_session_is_marked_once(desk):
    desk.mark(D0)
    desk.venue.deposit(Decimal(1000))
    desk.mark(D0)
    assert marks(desk, "nav_usd") == [100_000]
    desk.mark(D1)
    assert (marks(desk, "flow_usd"), marks(desk, "return_index")) == ([100_000, 1000], [1.0, 1.0])


def test_the_drawdown_brake_acts_at_its_limit_and_lifts_after_its_sessions_with_a_new_high_water_mark(open_a_desk):
    # 500 shares of 100 USD: at 80 the account has lost exactly 10 % of 100,000 USD, at 80.02 a cent in ten dollars less.
    closes = {D0: 100.0, D1: 80.02, D2: 80.0, D3: 80.0, D4: 80.0, DAYS[5]: 80.0}
    desk = open_a_desk(
        quotes={("AAA", d): (c, c) for d, c in closes.items()},
        ALLOCD_DRAWDOWN_HALT_FRAC="0.1", ALLOCD_DRAWDOWN_HALT_SESSIONS="2",
    )  # fmt: skip
    desk.intend(D0, {"AAA": {"a": "500"}})
    desk.settle(D0)
    desk.mark(D0)
    desk.mark(D1)
    assert states(desk) == []
    desk.mark(D2)
    assert states(desk) == [("REDUCING", "risk")]
    desk.mark(D3)
    assert states(desk) == [("REDUCING", "risk")], "one of its two sessions has passed"
    desk.mark(D4)
    assert states(desk) == [("REDUCING", "risk"), ("ACTIVE", "risk")]
    assert desk.sql("SELECT value FROM meta WHERE key = 'high_water_since'")[0]["value"] == D4.isoformat()
    desk.mark(DAYS[5])
    assert states(desk)[-1] == ("ACTIVE", "risk"), "10 % below the old mark, at the new one"


def test_a_brake_without_sessions_is_lifted_by_nobody_but_an_operator(open_a_desk):
    desk = open_a_desk(
        quotes={("AAA", d): (80.0, 80.0) for d in DAYS[1:]}, ALLOCD_DRAWDOWN_HALT_FRAC="0.1", ALLOCD_DRAWDOWN_HALT_SESSIONS="0"
    )
    desk.intend(D0, {"AAA": {"a": "500"}})
    desk.settle(D0)
    for day in DAYS[:8]:
        desk.mark(day)
    assert states(desk) == [("REDUCING", "risk")]


def test_a_halt_of_an_operator_is_never_lifted_by_the_mark(open_a_desk):
    desk = open_a_desk(ALLOCD_DRAWDOWN_HALT_SESSIONS="1")
    desk.rt.db.run("trading_state_add", at=desk.at(D0, 8), state="REDUCING", actor="operator", reason="holidays")
    for day in DAYS[:5]:
        desk.mark(day)
    assert states(desk) == [("REDUCING", "operator")]


def test_a_pure_cross_is_sent_to_nobody_and_booked_at_the_official_open(open_a_desk):
    desk = open_a_desk(quotes={("AAA", D1): (104.0, 108.0)})
    desk.intend(D0, {"AAA": {"a": "10"}})
    desk.settle(D0)
    desk.intend(D1, {"AAA": {"a": "-4", "b": "4"}})
    desk.settle(D1)
    assert len(desk.wire.submitted) == 1
    desk.restart()
    desk.mark(D1)
    (cross,) = desk.sql("SELECT price, booked_at FROM crosses")
    assert (cross["price"], cross["booked_at"]) == (Decimal(104), desk.rt.clock.now())
    assert desk.holdings() == {"a": {"AAA": Decimal(6)}, "b": {"AAA": Decimal(4)}}
    assert (desk.cash("a"), desk.cash("b")) == (Decimal(-1000 + 416), Decimal(-416))
    desk.mark(D2)
    assert desk.cash("b") == Decimal(-416), "booked once"


def test_an_account_that_is_reducing_buys_nothing_in_its_next_cycle(open_a_desk):
    weights = {"AAA": 0.5}
    desk = open_a_desk({"s": wants("s", weights)})
    desk.day(D0)
    desk.rt.db.run("trading_state_add", at=desk.at(D1, 8), state="REDUCING", actor="risk", reason="drawdown")
    weights.update({"AAA": 0.2, "BBB": 0.5})
    desk.day(D1)
    assert desk.holdings() == {"s": {"AAA": Decimal(200)}}
