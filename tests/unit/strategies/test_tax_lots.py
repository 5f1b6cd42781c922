"""Tax lots: which gains are young, how deep a loss is, and what may have been sold within the wash-sale period."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pandas as pd
import pytest

from strategies import tax_lots
from strategies.conformance.memory import MemoryView, MemoryWorld, prices

ASOF = datetime(2021, 3, 1, 13, 0, tzinfo=UTC)
Lot = tuple[str, str, float, float]


def view(held: Mapping[str, tuple[float, float]], lots: Sequence[Lot], previous: Mapping[str, float] | None = None) -> MemoryView:
    """held: quantity and market value by symbol; lots: symbol, day of acquisition, quantity, basis."""
    closes = prices({"A": [10.0]}, "2021-02-26")
    frame = pd.DataFrame(
        {
            "symbol": [lot[0] for lot in lots],
            "acquired_at": [datetime.fromisoformat(f"{lot[1]}T14:30:00+00:00") for lot in lots],
            "qty": [lot[2] for lot in lots],
            "basis_usd": [lot[3] for lot in lots],
        }
    )
    holdings = pd.DataFrame(list(held.values()), index=pd.Index(list(held), dtype=object), columns=["qty", "market_value_usd"])
    return MemoryWorld(closes=closes, adj_closes=closes, holdings=holdings, lots=frame, previous=dict(previous or {})).at(ASOF)


def test_gains_of_lots_held_for_a_year_or_less_are_young() -> None:
    """A holds 40 of 100 USD at 10 a share: one share bought a year ago to the day, one a day earlier, two with a loss."""
    lots = [("A", "2020-03-01", 1.0, 6.0), ("A", "2020-02-29", 1.0, 6.0), ("A", "2021-01-04", 2.0, 25.0)]
    found = tax_lots.positions(view({"A": (4.0, 40.0), "B": (3.0, 60.0)}, lots))
    assert list(found) == ["A"]
    assert found["A"].young_gain == pytest.approx(10.0 / 100.0)
    assert found["A"].weight == pytest.approx(40.0 / 100.0)


def test_the_loss_is_that_of_all_lots_together() -> None:
    lots = [("A", "2020-06-01", 2.0, 30.0), ("A", "2020-07-01", 2.0, 20.0), ("B", "2020-07-01", 1.0, 5.0)]
    found = tax_lots.positions(view({"A": (4.0, 40.0), "B": (1.0, 10.0)}, lots))
    assert found["A"].loss_frac == pytest.approx(1.0 - 40.0 / 50.0)
    assert found["B"].loss_frac == 0.0


@pytest.mark.parametrize(("day", "lately"), [("2021-01-30", True), ("2021-01-29", False)])
def test_thirty_days_ago_is_lately_and_thirty_one_are_not(day: str, lately: bool) -> None:
    assert tax_lots.positions(view({"A": (1.0, 10.0)}, [("A", day, 1.0, 9.0)]))["A"].bought_lately is lately


def test_lots_and_holdings_without_numbers_are_passed_over() -> None:
    nan = float("nan")
    lots = [("A", "2020-06-01", nan, 30.0), ("A", "2020-06-01", 1.0, nan), ("B", "2020-06-01", 1.0, 5.0)]
    assert tax_lots.positions(view({"A": (1.0, 10.0), "B": (nan, 10.0)}, lots)) == {}


def test_nothing_held_has_no_positions() -> None:
    closes = prices({"A": [10.0]}, "2021-02-26")
    assert tax_lots.positions(MemoryWorld(closes=closes, adj_closes=closes).at(ASOF)) == {}


@pytest.mark.parametrize(("last_due", "sold"), [("2021-01-30", {"C"}), ("2021-01-29", set())])
def test_what_was_neither_held_nor_wanted_may_have_been_sold_within_thirty_days(last_due: str, sold: set[str]) -> None:
    at = view({"A": (1.0, 10.0)}, [], previous={"B": 0.5, "C": 0.0})
    assert tax_lots.maybe_sold_lately(at, ["A", "B", "C"], last_due=pd.Timestamp(last_due)) == sold
