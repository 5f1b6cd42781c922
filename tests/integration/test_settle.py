"""Settling against a broker whose wire fails: nothing is sent twice, nothing is booked twice, nothing is half recorded."""

from datetime import timedelta
from decimal import Decimal

import pytest

from daemon.settle import settle
from execution.base import OrderRequest, Position
from execution.errors import Unreachable
from execution.exchange.liquidity import LiquidityOptions
from tests.integration.desk import CALENDAR, DAYS, wants

D0, D1, D2, D3 = DAYS[:4]
ID0 = "desk-20220103-AAA-1"


def stranger(desk, symbol, qty, side="buy"):
    """A trade that a person makes on the same account."""
    desk.venue.submit(OrderRequest(client_order_id=f"person-{symbol}-{side}", symbol=symbol, side=side, qty=Decimal(qty)))


def test_an_accepted_order_fills_at_the_open_and_is_shared_out_to_its_sleeves(desk):
    assert desk.intend(D0, {"AAA": {"a": "6", "b": "4"}}) == 1
    assert desk.settle(D0) == {"fills": 1, "settled": 1, "open": 0, "breaks": 0}
    assert desk.holdings() == {"a": {"AAA": Decimal(6)}, "b": {"AAA": Decimal(4)}}
    assert (desk.cash("a"), desk.cash("b"), desk.cash("treasury")) == (Decimal(-600), Decimal(-400), Decimal(100_000))
    assert desk.agrees_with_broker()


def test_an_order_whose_reply_was_lost_after_acceptance_is_looked_up_and_never_sent_twice(desk):
    desk.wire.lose_reply = {"AAA"}
    assert desk.intend(D0, {"AAA": {"a": "10"}}) == 0
    assert desk.order("AAA")["status"] == "unknown"
    desk.settle(D0)
    assert desk.order("AAA")["status"] == "filled"
    assert desk.wire.submitted == [ID0]
    assert desk.holdings() == {"a": {"AAA": Decimal(10)}}
    assert desk.agrees_with_broker()


def test_an_order_that_never_arrived_is_sent_again_only_after_two_lookups_five_seconds_apart(desk):
    desk.wire.lose_request = {"AAA"}
    desk.intend(D0, {"AAA": {"a": "10"}})
    desk.settle(D0, 9, 0, 1)
    desk.settle(D0, 9, 0, 4)
    assert (len(desk.wire.lookups), len(desk.wire.submitted)) == (2, 1), "two lookups, but too soon"
    desk.settle(D0, 9, 0, 6)
    assert desk.wire.submitted == [ID0, ID0]
    desk.settle(D0)
    assert desk.holdings() == {"a": {"AAA": Decimal(10)}}
    assert len(desk.venue.blotter.orders) == 1
    assert desk.agrees_with_broker()


def test_one_lookup_is_not_enough_to_send_again_however_late_it_is(desk):
    desk.wire.lose_request = {"AAA"}
    desk.intend(D0, {"AAA": {"a": "10"}})
    desk.settle(D0, 9, 10)
    assert len(desk.wire.submitted) == 1
    desk.settle(D0, 9, 11)
    assert len(desk.wire.submitted) == 2


def test_the_lookups_of_an_unknown_order_survive_a_restart(desk):
    desk.wire.lose_request = {"AAA"}
    desk.intend(D0, {"AAA": {"a": "10"}})
    desk.settle(D0, 9, 10)
    desk.restart()
    desk.settle(D0, 9, 11)
    assert len(desk.wire.submitted) == 2
    desk.settle(D0)
    assert desk.agrees_with_broker()


def test_a_rejected_order_settles_and_what_it_crossed_inside_waits_for_the_official_open(open_a_desk):
    desk = open_a_desk(quotes={("AAA", D1): (104.0, 108.0)})
    desk.intend(D0, {"AAA": {"b": "10"}})
    desk.settle(D0)
    desk.wire.refuse = {"AAA": "asset AAA is not tradable"}
    desk.intend(D1, {"AAA": {"a": "10", "b": "-4"}})
    desk.settle(D1)
    assert (desk.order("AAA")["status"], desk.order("AAA")["settled"]) == ("rejected", True)
    assert desk.holdings() == {"b": {"AAA": Decimal(10)}}, "nothing is booked before the official open is known"
    desk.mark(D1)
    assert desk.holdings() == {"a": {"AAA": Decimal(4)}, "b": {"AAA": Decimal(6)}}
    assert (desk.cash("a"), desk.cash("b")) == (Decimal(-416), Decimal(-1000 + 416)), "4 shares at the open of 104"
    assert desk.agrees_with_broker()


def test_a_partly_crossed_order_books_its_crossing_at_the_price_of_its_fill(open_a_desk):
    desk = open_a_desk(quotes={("AAA", D1): (104.0, 108.0)})
    desk.intend(D0, {"AAA": {"b": "10"}})
    desk.settle(D0)
    desk.intend(D1, {"AAA": {"a": "10", "b": "-4"}})
    desk.settle(D1)
    assert desk.holdings() == {"a": {"AAA": Decimal(10)}, "b": {"AAA": Decimal(6)}}
    assert (desk.cash("a"), desk.cash("b")) == (Decimal(-1040), Decimal(-1000 + 416))
    assert [r["qty"] for r in desk.sql("SELECT qty FROM fills ORDER BY at")] == [Decimal(10), Decimal(6)]


def test_an_order_that_the_broker_calls_a_duplicate_is_adopted(desk):
    desk.record_intents(D0, {"AAA": {"a": "10"}})
    desk.venue.submit(OrderRequest(client_order_id=ID0, symbol="AAA", side="buy", qty=Decimal(10)))
    from_book = desk.rt.book.orders[ID0]
    desk.wire.order_by_client_id, seen = (lambda client_id: None), desk.wire.order_by_client_id

    def arrives_late(request):
        desk.wire.order_by_client_id = seen

    desk.wire.on_submit = arrives_late
    desk.settle(D0, 9, 1)
    assert desk.wire.submitted == [ID0], "the lookup had not found it"
    assert from_book.broker_order_id == desk.venue.blotter.by_client_id[ID0].id
    desk.settle(D0)
    assert desk.holdings() == {"a": {"AAA": Decimal(10)}}
    assert desk.agrees_with_broker()


@pytest.mark.parametrize("question", ["orders", "fills", "cash_activities"])
def test_a_broker_that_stops_answering_in_a_sweep_leaves_nothing_half_recorded(desk, question):
    desk.intend(D0, {"AAA": {"a": "10"}, "BBB": {"a": "10"}})
    desk.at(D0, 9, 31)
    before = (desk.counts(), desk.sql("SELECT * FROM orders ORDER BY symbol"))
    desk.wire.down = {question}
    with pytest.raises(Unreachable):
        desk.settle(D0)
    assert (desk.counts(), desk.sql("SELECT * FROM orders ORDER BY symbol")) == before
    desk.wire.down = set()
    assert desk.settle(D0, 9, 32) == {"fills": 2, "settled": 2, "open": 0, "breaks": 0}
    assert desk.agrees_with_broker()


def test_a_broker_that_stops_answering_at_the_reconciliation_loses_no_fill(desk):
    desk.intend(D0, {"AAA": {"a": "10"}})
    desk.wire.down = {"positions"}
    with pytest.raises(Unreachable):
        desk.settle(D0)
    desk.wire.down = set()
    desk.settle(D0, 9, 32)
    assert desk.counts()["fills"] == 1
    assert desk.agrees_with_broker()


def test_an_order_filled_in_parts_is_booked_as_its_parts_arrive(open_a_desk):
    # 100,000 shares a session: the best quote ends at 10 shares, the next at 100, the third at 1,000 (see liquidity.LEVEL_FRACS);
    # 100 bps of impact times the square root of 0, 1e-4 and 1e-3 are 0, 1 and 3.1623 bps of 100 USD, up to the next 1e-4.
    desk = open_a_desk(liquidity=LiquidityOptions(half_spread_bps=0.0, impact_bps=100.0), volume=100_000.0)
    desk.intend(D0, {"AAA": {"a": "300", "b": "200"}})
    seen = []
    for visible, minute in ((1, 31), (2, 32), (2, 33), (3, 34)):
        desk.wire.visible_fills = visible
        swept = desk.settle(D0, 9, minute)
        seen.append((swept["fills"], swept["settled"], desk.holdings()["a"]["AAA"], desk.holdings()["b"]["AAA"]))
    assert seen == [(1, 0, 6, 4), (1, 0, 60, 40), (0, 0, 60, 40), (1, 1, 300, 200)]
    cost = 10 * Decimal(100) + 90 * Decimal("100.01") + 400 * Decimal("100.0317")
    assert desk.cash("a") + desk.cash("b") == -cost
    assert desk.cash("a") == -cost * 3 / 5
    assert desk.agrees_with_broker()


def test_parts_that_arrive_on_both_sides_of_a_restart_are_each_booked_once(open_a_desk):
    desk = open_a_desk(liquidity=LiquidityOptions(half_spread_bps=0.0, impact_bps=100.0), volume=100_000.0)
    desk.intend(D0, {"AAA": {"a": "300", "b": "200"}})
    desk.wire.visible_fills = 2
    desk.settle(D0)
    desk.restart()
    desk.wire.visible_fills = None
    assert desk.settle(D0, 9, 32)["fills"] == 1
    assert desk.holdings() == {"a": {"AAA": Decimal(300)}, "b": {"AAA": Decimal(200)}}
    assert desk.agrees_with_broker()


def test_a_fill_delivered_twice_is_booked_once(desk):
    desk.wire.double_fills = True
    desk.intend(D0, {"AAA": {"a": "10"}})
    assert desk.settle(D0)["fills"] == 1
    desk.settle(D0, 9, 32)
    desk.restart()
    desk.settle(D0, 9, 33)
    assert desk.counts()["fills"] == 1
    assert desk.holdings() == {"a": {"AAA": Decimal(10)}}
    assert desk.agrees_with_broker()


def test_a_trade_made_by_hand_goes_to_suspense_with_its_cash_and_blocks_nothing_else(desk):
    stranger(desk, "BBB", 5)
    desk.intend(D0, {"AAA": {"a": "10"}})
    assert desk.settle(D0) == {"fills": 1, "settled": 1, "open": 0, "breaks": 0}
    assert desk.holdings() == {"a": {"AAA": Decimal(10)}, "suspense": {"BBB": Decimal(5)}}
    assert desk.cash("suspense") == Decimal(-250)
    desk.settle(D0, 9, 32)
    desk.restart()
    desk.settle(D0, 9, 33)
    assert desk.cash("suspense") == Decimal(-250), "seen again, booked once"
    assert desk.agrees_with_broker()


def test_a_trade_by_hand_and_an_order_of_ours_in_the_same_symbol_are_kept_apart(desk):
    stranger(desk, "AAA", 5)
    desk.intend(D0, {"AAA": {"a": "10"}})
    desk.settle(D0)
    assert desk.holdings() == {"a": {"AAA": Decimal(10)}, "suspense": {"AAA": Decimal(5)}}
    assert desk.agrees_with_broker()


def test_a_position_bought_minutes_before_the_very_first_start_is_counted_once(open_a_desk):
    def a_person_trades(venue):
        venue.advance(CALENDAR.open_at(D0) + timedelta(minutes=1))
        venue.submit(OrderRequest(client_order_id="person-1", symbol="AAA", side="buy", qty=Decimal(7)))
        venue.advance(CALENDAR.open_at(D0) + timedelta(minutes=2))

    desk = open_a_desk(before_opening=a_person_trades)
    assert desk.settle(D0, 9, 33)["breaks"] == 0
    assert desk.holdings() == {"suspense": {"AAA": Decimal(7)}}
    assert desk.cash("treasury") == Decimal(99_300)
    desk.restart()
    desk.settle(D0, 9, 34)
    assert desk.agrees_with_broker()


def test_a_dividend_reaches_the_sleeves_that_held_the_share_in_proportion(open_a_desk):
    desk = open_a_desk(dividends={("AAA", D1): 0.5})
    desk.intend(D0, {"AAA": {"a": "6", "b": "4"}, "BBB": {"c": "10"}})
    desk.settle(D0)
    desk.settle(D1)
    assert (desk.cash("a"), desk.cash("b"), desk.cash("c")) == (Decimal(-600) + 3, Decimal(-400) + 2, Decimal(-500))
    assert desk.agrees_with_broker()


def test_a_split_reaches_the_sleeves_that_held_the_share_in_proportion(open_a_desk):
    desk = open_a_desk(splits={("AAA", D1): 2.0}, quotes={("AAA", d): (50.0, 50.0) for d in DAYS[1:]})
    desk.intend(D0, {"AAA": {"a": "6", "b": "4"}, "BBB": {"c": "10"}})
    desk.settle(D0)
    desk.settle(D1)
    assert desk.holdings() == {"a": {"AAA": Decimal(12)}, "b": {"AAA": Decimal(8)}, "c": {"BBB": Decimal(10)}}
    assert (desk.cash("a"), desk.cash("b")) == (Decimal(-600), Decimal(-400))
    assert desk.agrees_with_broker()


def test_an_intent_whose_window_has_passed_is_abandoned_and_never_sent(desk):
    desk.record_intents(D0, {"AAA": {"a": "10"}})
    desk.settle(D0, 10, 31)
    order = desk.order("AAA")
    assert (order["status"], order["settled"], order["sent_at"]) == ("abandoned", True, None)
    desk.settle(D0, 10, 32)
    desk.settle(D1)
    assert desk.wire.submitted == []
    assert desk.holdings() == {}


def test_an_intent_found_inside_its_window_is_sent_once(desk):
    desk.record_intents(D0, {"AAA": {"a": "10"}})
    desk.restart()
    desk.settle(D0, 10, 29)
    desk.settle(D0, 10, 30)
    assert desk.wire.submitted == [ID0]
    assert desk.holdings() == {"a": {"AAA": Decimal(10)}}


def test_an_unknown_order_whose_window_has_passed_is_still_looked_up_first(desk):
    desk.wire.lose_reply = {"AAA"}
    desk.intend(D0, {"AAA": {"a": "10"}})
    desk.settle(D0, 16, 30)
    assert desk.order("AAA")["status"] == "filled"
    assert desk.agrees_with_broker()


def test_a_deposit_raises_the_net_asset_value_but_not_the_return_index(desk):
    desk.mark(D0)
    desk.venue.deposit(Decimal(25_000))
    desk.mark(D1)
    rows = desk.sql("SELECT nav_usd, flow_usd, return_index FROM nav_marks ORDER BY session")
    assert [(r["nav_usd"], r["flow_usd"], r["return_index"]) for r in rows] == [(100_000, 100_000, 1.0), (125_000, 25_000, 1.0)]
    assert desk.cash("treasury") == Decimal(125_000)


def test_a_break_is_recorded_blocks_only_its_symbol_in_the_next_cycle_and_clears(open_a_desk):
    desk = open_a_desk({"s": wants("s", {"AAA": 0.4, "BBB": 0.4})})
    odd = Position(symbol="AAA", qty=Decimal(3), avg_entry_price=Decimal(100), current_price=Decimal(100), market_value=Decimal(300))
    desk.wire.strangers = [odd]
    assert desk.settle(D0, 8, 30)["breaks"] == 1
    (found,) = desk.sql("SELECT kind, symbol, ledger, broker, cleared_at FROM breaks")
    assert (found["kind"], found["symbol"], found["ledger"], found["broker"], found["cleared_at"]) == ("position", "AAA", 0, 3, None)
    desk.day(D0)
    assert desk.holdings() == {"s": {"BBB": Decimal(800)}}, "40 % of 100,000 USD at 50; AAA is blocked"
    desk.wire.strangers = []
    desk.day(D1)
    assert desk.sql("SELECT count(*) AS n FROM breaks WHERE cleared_at IS NULL")[0]["n"] == 0
    assert desk.counts()["breaks"] == 1, "a standing break is recorded once"
    assert desk.holdings() == {"s": {"AAA": Decimal(400), "BBB": Decimal(800)}}


def test_a_sweep_after_one_that_failed_reads_the_record_again(desk):
    desk.intend(D0, {"AAA": {"a": "10"}})
    desk.wire.down = {"fills"}
    with pytest.raises(Unreachable):
        desk.settle(D0)
    assert desk.rt.book.suspect
    desk.wire.down = set()
    settle(desk.rt, desk.rt.clock.now())
    assert not desk.rt.book.suspect
    assert desk.agrees_with_broker()
