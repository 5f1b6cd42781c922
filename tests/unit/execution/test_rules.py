"""Local refusals in the broker's words."""

from dataclasses import replace
from decimal import Decimal as D

import pytest

from execution.base import Asset, OrderRequest
from execution.errors import Refused
from execution.rules import check

MARKET = OrderRequest(client_order_id="c-1", symbol="BRK.B", side="buy", qty=D("1.5"))
LIMIT = replace(MARKET, type="limit", limit_price=D("100.25"), qty=D(2))
ASSET = Asset(symbol="BRK.B", tradable=True, fractionable=True, shortable=True)


@pytest.mark.parametrize(
    "request_",
    [
        MARKET,
        LIMIT,
        replace(LIMIT, time_in_force="gtc"),
        replace(LIMIT, time_in_force="day", extended_hours=True),
        replace(MARKET, qty=D(3), time_in_force="opg"),
        replace(MARKET, qty=D(3), time_in_force="cls"),
        replace(LIMIT, limit_price=D("0.1234"), qty=D(20)),
        replace(MARKET, qty=D("0.123456789")),
        replace(LIMIT, limit_price=D("100.250")),
    ],
    ids=str,
)
def test_an_order_that_the_broker_takes_passes(request_):
    check(request_, asset=ASSET, price=D(100), held=D(0))


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (replace(MARKET, qty=D(0)), "qty must be > 0"),
        (replace(MARKET, qty=D(-1)), "qty must be > 0"),
        (replace(MARKET, qty=D("NaN")), "qty must be > 0"),
        (replace(MARKET, qty=D("0.1234567891")), "9 decimal places"),
        (replace(MARKET, client_order_id=""), "client_order_id must be 1 to 48 characters"),
        (replace(MARKET, client_order_id="x" * 49), "client_order_id must be 1 to 48 characters"),
        (replace(MARKET, client_order_id="a b"), "client_order_id may hold"),
        (replace(MARKET, symbol="BRK-B"), "invalid symbol"),
        (replace(MARKET, symbol="aapl"), "invalid symbol"),
        (replace(MARKET, side="short"), "invalid side"),
        (replace(MARKET, limit_price=D(1)), "market orders must not have a limit_price"),
        (replace(MARKET, stop_price=D(1)), "market orders must not have a stop_price"),
        (replace(LIMIT, limit_price=None), "limit orders require a limit_price"),
        (replace(LIMIT, limit_price=D("290.123")), "invalid limit_price 290.123. sub-penny increment does not fulfill"),
        (replace(LIMIT, limit_price=D("0.12345")), "sub-penny increment"),
        (replace(LIMIT, limit_price=D(0)), "limit_price must be > 0"),
        (replace(MARKET, type="stop"), "'stop' is not sent"),
        (replace(MARKET, time_in_force="ioc"), "'ioc' is not sent"),
        (replace(MARKET, time_in_force="opg"), "fractional orders must be DAY orders"),
        (replace(MARKET, extended_hours=True), "extended hours order must be DAY limit orders"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_order_that_the_broker_refuses_is_refused_here_in_its_words(request_, words):
    with pytest.raises(Refused) as refusal:
        check(request_)
    assert words in str(refusal.value)


def test_an_order_below_one_dollar_is_refused_unless_it_closes_what_is_held():
    dust = replace(MARKET, side="sell", qty=D("0.005"))
    with pytest.raises(Refused, match="cost basis must be >= minimal amount of order 1"):
        check(dust, price=D(100), held=D(1))
    check(dust, price=D(100), held=D("0.005"))


@pytest.mark.parametrize(
    ("qty", "held", "words"),
    [
        ("1.5", "0", "fractional orders cannot be sold short"),
        ("5", "3", "insufficient qty available for order (requested: 5, available: 3)"),
        ("0.5", "-2", "fractional orders cannot be sold short"),
    ],
)
def test_a_sale_that_is_not_a_plain_close_or_a_whole_short_is_refused(qty, held, words):
    with pytest.raises(Refused) as refusal:
        check(replace(MARKET, side="sell", qty=D(qty)), asset=ASSET, price=D(100), held=D(held))
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tradable": False}, "asset BRK.B is not tradable"),
        ({"fractionable": False}, "asset BRK.B is not fractionable"),
        ({"shortable": False}, 'asset "BRK.B" cannot be sold short'),
    ],
)
def test_what_the_asset_does_not_allow_is_refused(change, words):
    qty = D(2) if "shortable" in change else D("1.5")
    with pytest.raises(Refused) as refusal:
        check(replace(MARKET, side="sell", qty=qty), asset=replace(ASSET, **change), price=D(100), held=D(0))
    assert words in str(refusal.value)
