"""Planning: netting, crossing, the broker's limits, and who gets how much capital."""

from collections import Counter
from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from execution.errors import Refused
from execution.planning import (
    BELOW_MINIMUM,
    BLOCKED,
    CLOSE_FIRST,
    IN_BAND,
    NO_PRICE,
    NO_SHORT_SELLING,
    NOT_BORROWABLE,
    WHOLE_SHARES,
    Plan,
    PlanningOptions,
    SleeveState,
    client_order_id,
    plan,
)
from execution.rules import check

NAV = D(100_000)
PRICES = {"AAPL": D(100), "MSFT": D(200), "BRK.B": D(400)}


def state(cash: str = "0", **positions: str) -> SleeveState:
    return SleeveState(cash=D(cash), positions={symbol.replace("_", "."): D(qty) for symbol, qty in positions.items()})


def make(sleeves, weights, *, capital=None, prices=PRICES, blocked=frozenset(), **options) -> Plan:
    return plan(
        cycle_id="c1",
        sleeves=sleeves,
        sleeve_weights=weights,
        capital=capital or {},
        nav=NAV,
        prices=prices,
        options=PlanningOptions(**options),
        blocked=blocked,
    )


def sent(result: Plan) -> list[tuple[str, str, D]]:
    return [(order.request.symbol, order.request.side, order.request.qty) for order in result.orders]


def reasons(result: Plan) -> list[tuple[str, str, str]]:
    return [(skip.sleeve, skip.symbol, skip.reason) for skip in result.skipped]


def test_two_sleeves_that_buy_the_same_symbol_share_one_order():
    result = make({"a": state(), "b": state()}, {"a": {"AAPL": 0.10}, "b": {"AAPL": 0.05}})
    assert sent(result) == [("AAPL", "buy", D(150))]
    assert result.orders[0].shares == {"a": D(100), "b": D(50)}
    assert result.orders[0].decision_price == D(100)


def test_opposite_trades_are_netted_and_the_order_knows_both_sides():
    result = make({"a": state(AAPL="100"), "b": state()}, {"a": {}, "b": {"AAPL": 0.04}})
    assert sent(result) == [("AAPL", "sell", D(60))]
    assert result.orders[0].shares == {"a": D(-100), "b": D(40)}


def test_equal_and_opposite_trades_are_crossed_and_nothing_is_sent():
    result = make({"a": state(AAPL="40"), "b": state()}, {"a": {}, "b": {"AAPL": 0.04}})
    assert result.orders == ()
    assert [(cross.symbol, cross.shares) for cross in result.crosses] == [("AAPL", {"a": D(-40), "b": D(40)})]


def test_sells_come_before_buys_and_each_is_sorted_by_symbol():
    weights = {"a": {"AAPL": 0.1, "BRK.B": 0.1, "MSFT": 0.0}}
    result = make({"a": state(MSFT="10", NVDA="5")}, weights, prices=PRICES | {"NVDA": D(50)})
    assert [(symbol, side) for symbol, side, _ in sent(result)] == [("MSFT", "sell"), ("NVDA", "sell"), ("AAPL", "buy"), ("BRK.B", "buy")]


def test_a_sleeve_without_weights_of_its_own_is_left_alone_and_one_with_empty_weights_is_closed():
    result = make({"suspense": state(AAPL="7"), "a": state(MSFT="3")}, {"a": {}})
    assert sent(result) == [("MSFT", "sell", D(3))]


def test_quantities_are_cut_toward_zero_at_the_allowed_decimals():
    result = make({"a": state()}, {"a": {"AAPL": 0.0123456}}, qty_decimals=3, prices={"AAPL": D("99.7")})
    assert sent(result) == [("AAPL", "buy", D("12.382"))]  # 1234.56 / 99.7 = 12.38274...


def test_float_noise_does_not_cost_a_whole_share():
    """0.29 of 100,000 at 1,000 is 29 shares, although 0.29 * 100000 / 1000 may come out as 28.999999999999996."""
    result = make({"a": state()}, {"a": {"AAPL": 0.29}}, prices={"AAPL": D(1000)}, whole_share_symbols=frozenset({"AAPL"}))
    assert sent(result) == [("AAPL", "buy", D(29))]


def test_whole_share_symbols_are_traded_in_whole_shares():
    result = make({"a": state()}, {"a": {"BRK.B": 0.01}}, whole_share_symbols=frozenset({"BRK.B"}))
    assert sent(result) == [("BRK.B", "buy", D(2))]


def test_half_shares_of_two_sleeves_leave_a_whole_share_symbol_as_one():
    result = make({"a": state(AAPL="0.5"), "b": state(AAPL="0.5")}, {"a": {}, "b": {}}, whole_share_symbols=frozenset({"AAPL"}))
    assert sent(result) == [("AAPL", "sell", D(1))]


def test_a_half_share_alone_of_a_whole_share_symbol_stays_and_is_named():
    result = make({"a": state(AAPL="1.5")}, {"a": {}}, whole_share_symbols=frozenset({"AAPL"}))
    assert sent(result) == [("AAPL", "sell", D(1))]
    assert reasons(result) == [("a", "AAPL", WHOLE_SHARES)]


@pytest.mark.parametrize(
    ("held", "weight", "expected", "reason"),
    [
        ("0", -0.10, [], [NOT_BORROWABLE]),
        ("60", -0.10, [("AAPL", "sell", D(60))], [NOT_BORROWABLE]),
        ("-60", -0.10, [], [NOT_BORROWABLE]),
        ("-60", -0.02, [("AAPL", "buy", D(40))], []),
        ("60", 0.02, [("AAPL", "sell", D(40))], []),
    ],
)
def test_what_is_not_lent_is_never_sold_beyond_what_is_held(held, weight, expected, reason):
    result = make({"a": state(AAPL=held)}, {"a": {"AAPL": weight}}, unborrowable=frozenset({"AAPL"}))
    assert sent(result) == expected
    assert [why for _, _, why in reasons(result)] == reason


def test_an_account_that_may_not_short_opens_none_and_a_sleeve_may_still_be_short_of_another_s_shares():
    result = make({"a": state(), "b": state()}, {"a": {"AAPL": -0.10, "MSFT": -0.1}, "b": {"AAPL": 0.10}}, short_selling=False)
    assert sent(result) == [] and reasons(result) == [("a", "MSFT", NO_SHORT_SELLING)]
    assert result.crosses[0].shares == {"a": D(-100), "b": D(100)}


def test_shorts_are_rounded_to_whole_shares_toward_zero():
    assert sent(make({"a": state()}, {"a": {"AAPL": -0.01055}})) == [("AAPL", "sell", D(10))]


def test_a_net_order_never_leaves_the_account_in_a_fractional_short():
    """The account is two short (`a` one long, `b` three short): `a` may not sell half a share, which would leave -2.5."""
    result = make({"a": state(AAPL="1"), "b": state(AAPL="-3")}, {"a": {"AAPL": 0.0005}, "b": {"AAPL": -0.003}}, min_notional_usd=D(1))
    assert sent(result) == []
    assert reasons(result) == [("a", "AAPL", WHOLE_SHARES)]


def test_an_order_that_would_turn_a_long_into_a_short_is_cut_to_close_the_long():
    result = make({"a": state(AAPL="10"), "b": state()}, {"a": {}, "b": {"AAPL": -0.005}})
    assert sent(result) == [("AAPL", "sell", D(10))]
    assert result.orders[0].shares == {"a": D(-10)}
    assert reasons(result) == [("b", "AAPL", CLOSE_FIRST)]
    after = make({"a": state(), "b": state()}, {"a": {}, "b": {"AAPL": -0.005}})
    assert sent(after) == [("AAPL", "sell", D(5))]


def test_an_order_that_would_turn_a_short_into_a_long_is_cut_to_cover_the_short():
    result = make({"a": state(AAPL="-10")}, {"a": {"AAPL": 0.02}})
    assert sent(result) == [("AAPL", "buy", D(10))]


def test_a_small_trade_is_left_alone_inside_the_band_unless_it_closes_the_position():
    sleeves = {"a": state(AAPL="10", MSFT="0.2")}
    result = make(sleeves, {"a": {"AAPL": 0.01049}}, band_frac=0.0005)
    assert sent(result) == [("MSFT", "sell", D("0.2"))]
    assert reasons(result) == [("a", "AAPL", IN_BAND)]


def test_a_position_is_opened_however_small_it_is_beside_the_account_if_its_order_is_worth_sending():
    result = make({"a": state()}, {"a": {"AAPL": 0.0003, "MSFT": 0.0002}}, band_frac=0.0005)
    assert sent(result) == [("AAPL", "buy", D("0.3"))]
    assert reasons(result) == [("a", "MSFT", BELOW_MINIMUM)]


def test_a_net_below_the_minimum_is_not_sent_and_the_cross_inside_it_still_happens():
    result = make({"a": state(AAPL="10"), "b": state()}, {"a": {}, "b": {"AAPL": 0.0102}})
    assert result.orders == ()
    assert [cross.shares for cross in result.crosses] == [{"a": D(-10), "b": D(10)}]
    assert reasons(result) == [("b", "AAPL", BELOW_MINIMUM)]


def test_a_symbol_without_a_price_or_blocked_is_skipped_with_its_reason():
    result = make({"a": state(NVDA="5", AAPL="1")}, {"a": {"MSFT": 0.1}}, blocked=frozenset({"MSFT"}))
    assert sent(result) == [("AAPL", "sell", D(1))]
    assert reasons(result) == [("a", "MSFT", BLOCKED), ("a", "NVDA", NO_PRICE)]


def test_a_price_of_zero_is_no_price():
    assert reasons(make({"a": state()}, {"a": {"AAPL": 0.1}}, prices={"AAPL": D(0)})) == [("a", "AAPL", NO_PRICE)]


def test_transfers_bring_each_sleeve_to_its_share_of_nav():
    sleeves = {"treasury": state("70000"), "a": state("0", AAPL="200"), "b": state("10000")}
    result = make(sleeves, {}, capital={"a": 0.25, "b": 0.05, "treasury": 0.7})
    assert [(t.sleeve, t.amount) for t in result.transfers] == [("a", D(5000)), ("b", D(-5000))]


def test_a_transfer_below_a_cent_is_nothing_and_a_sleeve_that_cannot_be_valued_gets_none():
    sleeves = {"a": state("10000.004"), "b": state("0", NVDA="1")}
    result = make(sleeves, {}, capital={"a": 0.1, "b": 0.1})
    assert result.transfers == ()
    assert reasons(result) == [("b", "", "no transfer: no price for NVDA")]


def test_a_new_sleeve_is_funded_from_nothing():
    assert [(t.sleeve, t.amount) for t in make({}, {}, capital={"new": 0.1}).transfers] == [("new", D(10_000))]


def test_the_client_order_id_is_deterministic_and_keeps_the_brokers_form():
    readable = client_order_id("allocd", "20240102", "BRK.B", 1)
    assert readable == "allocd-20240102-BRK.B-1"
    long_ids = {client_order_id("allocd", "cycle " * 20, symbol, leg) for symbol in ("A", "B") for leg in (1, 2)}
    assert len(long_ids) == 4
    assert all(len(found) <= 48 and " " not in found for found in long_ids)


@pytest.mark.parametrize("options", [{"qty_decimals": 10}, {"id_prefix": "has space"}, {"id_prefix": ""}])
def test_options_that_no_order_could_satisfy_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        PlanningOptions(**options)


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_a_weight_that_is_not_finite_is_refused_by_name(weight):
    with pytest.raises(ValueError, match="sleeve a"):
        make({"a": state()}, {"a": {"AAPL": weight}})


def test_a_capital_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="capital"):
        make({}, {}, capital={"a": float("nan")})


def test_a_nav_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match="NAV"):
        plan(cycle_id="c", sleeves={}, sleeve_weights={}, capital={}, nav=D(0), prices={}, options=PlanningOptions())


NAMES = st.sampled_from(["a", "b", "c", "d"])
SYMBOLS = st.sampled_from(sorted(PRICES))
# Long books in fractions and short books in whole shares: what an account can really hold.
POSITIONS = st.dictionaries(SYMBOLS, st.one_of(st.decimals("0.000001", 80, places=6), st.integers(-60, -1).map(D)), max_size=3)
WEIGHTS = st.dictionaries(SYMBOLS, st.floats(-0.1, 0.1), max_size=3)


@settings(max_examples=250, deadline=None)
@given(held=st.dictionaries(NAMES, POSITIONS, min_size=1), weights=st.dictionaries(NAMES, WEIGHTS), whole=st.sets(SYMBOLS))
def test_every_plan_balances_and_every_order_passes_the_brokers_rules(held, weights, whole):
    """For any books: shares sum to the order, no sleeve overshoots its wish by more than a step, and local rules accept each order."""
    sleeves = {name: SleeveState(cash=D(0), positions=positions) for name, positions in held.items()}
    account: Counter[str] = Counter()
    for positions in held.values():
        for symbol, qty in positions.items():
            account[symbol] += qty
    result = make(sleeves, weights, whole_share_symbols=frozenset(whole))
    assert len({order.request.symbol for order in result.orders} | {c.symbol for c in result.crosses}) == len(result.orders) + len(
        result.crosses
    )
    for order in result.orders:
        request = order.request
        signed = request.qty if request.side == "buy" else -request.qty
        assert sum(order.shares.values()) == signed
        before = account[request.symbol]
        if before >= 0 or before == before.to_integral_value():
            try:
                check(request, price=order.decision_price, held=before)
            except Refused as error:
                pytest.fail(f"{error}: {request} on {before}")
        if request.symbol in whole:
            assert request.qty == request.qty.to_integral_value()
    for cross in result.crosses:
        assert sum(cross.shares.values()) == 0
        assert all(cross.shares.values())
    for shares, symbol in [(o.shares, o.request.symbol) for o in result.orders] + [(c.shares, c.symbol) for c in result.crosses]:
        for name, trade in shares.items():
            wanted = weights[name].get(symbol, 0.0) * float(NAV) / float(PRICES[symbol])
            before = float(held.get(name, {}).get(symbol, 0))
            step = 1.0 if symbol in whole or wanted < 0 else 1e-5
            assert min(before, wanted) - step <= before + float(trade) <= max(before, wanted) + step


@settings(max_examples=60, deadline=None)
@given(weights=st.dictionaries(NAMES, st.dictionaries(SYMBOLS, st.floats(0, 0.2), max_size=3), min_size=1))
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(weights):
    first = make({name: state() for name in weights}, weights)
    held: dict[str, dict[str, D]] = {name: {} for name in weights}
    for order in first.orders:
        for name, trade in order.shares.items():
            held[name][order.request.symbol] = trade
    again = make({name: SleeveState(cash=D(0), positions=positions) for name, positions in held.items()}, weights)
    assert again.orders == ()
    assert again.crosses == ()


def test_the_same_inputs_in_another_order_give_the_same_plan():
    weights = {"a": {"AAPL": 0.1, "MSFT": 0.05}, "b": {"MSFT": 0.02, "BRK.B": 0.04}}
    turned = {name: dict(reversed(list(weights[name].items()))) for name in reversed(list(weights))}
    assert make({"a": state(), "b": state()}, weights) == make({"b": state(), "a": state()}, turned)
