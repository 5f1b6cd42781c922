"""Shadow books, followed by hand over a few bars."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.shadow import FILL_SESSIONS, ShadowBook, ShadowMark, roll
from daemon.store.view import View
from tests.unit.daemon.archive_rows import SESSIONS, Market, known_on


@pytest.fixture
def market(tmp_path: Path) -> Market:
    return Market(tmp_path)


def book(after: int, weights: dict[str, float], pending: dict[str, float] | None = None, name: str = "s") -> ShadowBook:
    """A book after the close of SESSIONS[after] whose pending targets trade in the session after that."""
    traded = None if pending is None else SESSIONS[after + 1]
    return ShadowBook(sleeve=name, session=SESSIONS[after], weights=weights, pending=pending, pending_session=traded)


def one(given: ShadowBook, view: View, cost_frac: float = 0.0) -> tuple[ShadowBook, ShadowMark]:
    (rolled,), (mark,) = roll([given], view, cost_frac)
    return rolled, mark


def gap_up_and_on(market: Market) -> View:
    """A closes at 100, opens at 110 (+10 %) and closes at 121 (+10 %)."""
    market.bar("A", 0, 100.0, open=100.0)
    market.bar("A", 1, 121.0, open=110.0)
    return market.view(known_on(1))


def test_a_book_that_buys_at_the_open_earns_only_from_the_open_to_the_close(market: Market) -> None:
    rolled, mark = one(book(0, {}, {"A": 1.0}), gap_up_and_on(market))
    assert mark.return_frac == pytest.approx(0.10)
    assert mark.turnover_frac == 1.0
    assert rolled.weights == pytest.approx({"A": 1.0})
    assert (rolled.pending, rolled.pending_session, rolled.session) == (None, None, SESSIONS[1])


def test_a_book_that_sells_at_the_open_earns_only_what_happened_overnight(market: Market) -> None:
    rolled, mark = one(book(0, {"A": 1.0}, {}), gap_up_and_on(market))
    assert mark.return_frac == pytest.approx(0.10)
    assert mark.turnover_frac == pytest.approx(1.0)
    assert rolled.weights == {}


def test_a_book_that_holds_earns_from_close_to_close_and_pays_nothing(market: Market) -> None:
    _, mark = one(book(0, {"A": 1.0}), gap_up_and_on(market), cost_frac=0.01)
    assert mark.return_frac == pytest.approx(0.21)
    assert mark.turnover_frac == 0.0


def test_an_instrument_with_closes_only_is_bought_at_the_close(market: Market) -> None:
    for place, close in enumerate((100.0, 120.0, 150.0)):
        market.bar("INDEX", place, close, volume=None, adjustment="total_return")
    bought, day_of_purchase = one(book(0, {}, {"INDEX": 1.0}), market.view(known_on(1)))
    assert day_of_purchase.return_frac == 0.0
    _, day_after = one(bought, market.view(known_on(2)))
    assert day_after.return_frac == pytest.approx(0.25)


def test_trading_costs_are_paid_on_what_is_sold_and_on_what_is_bought(market: Market) -> None:
    for symbol in ("A", "B"):
        market.closes(symbol, [50.0, 50.0])
    _, mark = one(book(0, {"A": 1.0}, {"B": 1.0}), market.view(known_on(1)), cost_frac=0.001)
    assert mark.turnover_frac == 2.0
    assert mark.return_frac == pytest.approx(-0.002)


def test_weights_drift_with_returns_and_cash_keeps_its_value(market: Market) -> None:
    market.closes("A", [10.0, 20.0])
    market.closes("B", [10.0, 10.0])
    rolled, mark = one(book(0, {"A": 0.5, "B": 0.3}), market.view(known_on(1)))
    assert mark.return_frac == pytest.approx(0.5)
    assert rolled.weights == pytest.approx({"A": 2 / 3, "B": 0.2}), "0.2 of cash is 0.2 / 1.5 of the grown book"


def test_a_short_position_earns_when_the_price_falls(market: Market) -> None:
    market.closes("A", [100.0, 80.0])
    rolled, mark = one(book(0, {"A": -0.5}), market.view(known_on(1)))
    assert mark.return_frac == pytest.approx(0.10)
    assert rolled.weights == pytest.approx({"A": -0.4 / 1.1})


def test_a_dividend_is_part_of_the_return(market: Market) -> None:
    market.bar("A", 0, 100.0, open=100.0, adj=98.0)
    market.bar("A", 1, 98.0, open=98.0, adj=98.0)
    _, mark = one(book(0, {"A": 1.0}), market.view(known_on(1)))
    assert mark.return_frac == pytest.approx(0.0), "the price fell by the dividend of 2 and nothing else happened"


def test_a_missing_bar_earns_nothing_and_the_next_one_makes_up_for_it(market: Market) -> None:
    market.closes("A", [100.0, None, 121.0])
    market.closes("SPY", [1.0] * 3)
    _, marks = roll([book(0, {"A": 1.0})], market.view(known_on(2)), 0.0)
    assert [m.return_frac for m in marks] == pytest.approx([0.0, 0.21])


def test_a_price_that_was_missing_for_too_long_earns_nothing_when_it_comes_back(market: Market) -> None:
    for symbol, missing in (("SHORT", FILL_SESSIONS), ("LONG", FILL_SESSIONS + 1)):
        market.closes(symbol, [100.0, *[None] * missing, 150.0])
        end = missing + 1
        _, mark = one(book(end - 1, {symbol: 1.0}), market.view(known_on(end)))
        assert mark.return_frac == pytest.approx(0.5 if symbol == "SHORT" else 0.0)


def test_several_sessions_caught_up_at_once_equal_one_by_one(market: Market) -> None:
    market.closes("A", [100.0, 104.0, 101.0, None, 99.0, 120.0, 119.0, *[111.0 + i for i in range(11)]])
    market.closes("GONE", [50.0, *[None] * 12, 80.0, 82.0, 79.0, 81.0, 83.0])
    market.closes("SPY", [400.0 + i for i in range(18)])
    given = [book(0, {"A": 0.4, "GONE": 0.3}, {"A": 0.2, "GONE": 0.5, "SPY": 0.3}, "early"), book(5, {"SPY": 1.0}, {"A": 1.0}, "late")]
    archive = market.archive()
    at_once, all_marks = roll(given, archive.view(known_on(17)), 0.001)
    step, marks = given, []
    for place in range(1, 18):
        step, more = roll(step, archive.view(known_on(place)), 0.001)
        marks += more
    key = {(m.sleeve, m.session): m for m in marks}
    assert key.keys() == {(m.sleeve, m.session) for m in all_marks}
    for mark in all_marks:
        assert mark.return_frac == pytest.approx(key[mark.sleeve, mark.session].return_frac, abs=1e-12), mark
    for a, b in zip(at_once, step, strict=True):
        assert replace(a, weights={}) == replace(b, weights={})
        assert a.weights == pytest.approx(b.weights, abs=1e-12)


def test_a_book_that_is_up_to_date_is_left_alone(market: Market) -> None:
    given = book(1, {"A": 1.0})
    assert roll([given], gap_up_and_on(market), 0.001) == ([given], [])


def test_a_new_book_begins_with_the_newest_closed_session(market: Market) -> None:
    rolled, mark = one(ShadowBook(sleeve="new"), gap_up_and_on(market))
    assert (rolled.session, mark.session, mark.return_frac) == (SESSIONS[1], SESSIONS[1], 0.0)


def test_targets_wait_for_their_session(market: Market) -> None:
    given = replace(book(0, {}, {"A": 1.0}), pending_session=SESSIONS[2])
    rolled, mark = one(given, gap_up_and_on(market))
    assert mark.return_frac == 0.0
    assert rolled.pending == {"A": 1.0}


def test_a_book_that_lost_everything_holds_nothing_more(market: Market) -> None:
    market.closes("A", [10.0, 25.0])
    rolled, mark = one(book(0, {"A": -1.0}), market.view(known_on(1)))
    assert mark.return_frac == -1.0
    assert rolled.weights == {}


@pytest.mark.parametrize("pending", [None, {}, {"B": -0.1, "A": 0.1 + 0.2}])
def test_a_book_survives_json_exactly(pending: dict[str, float] | None) -> None:
    given = book(3, {"A": 1 / 3, "B": 1e-17}, pending)
    assert ShadowBook.from_json("s", json.loads(json.dumps(given.as_json()))) == given
    assert ShadowBook.from_json("n", json.loads(json.dumps(ShadowBook(sleeve="n").as_json()))) == ShadowBook(sleeve="n")
