"""Open tax lots, folded from a sleeve's ledger entries."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd

from daemon.tax_lots import OpenLot, lots_frame, open_lots

BEGIN = datetime(2024, 1, 2, 14, 30, tzinfo=UTC)


def day(n: int) -> datetime:
    return BEGIN + timedelta(days=n)


def trade(n: int, symbol: str, qty: str, price: str, kind: str = "fill") -> list[dict[str, Any]]:
    shares, key = Decimal(qty), f"{kind}:{n}:{symbol}:{qty}"
    common = {"transaction_id": key, "kind": kind, "at": day(n)}
    return [{**common, "unit": symbol, "amount": shares}, {**common, "unit": "$", "amount": -shares * Decimal(price)}]


def told(lots: tuple[OpenLot, ...]) -> list[tuple[str, int, Decimal, Decimal | None]]:
    return [(lot.symbol, (lot.acquired_at - BEGIN).days, lot.qty, lot.basis_usd) for lot in lots]


def test_each_purchase_is_a_lot_and_a_sale_uses_up_the_oldest_first() -> None:
    entries = [*trade(0, "A", "10", "5"), *trade(1, "A", "10", "6"), *trade(2, "B", "1", "7"), *trade(3, "A", "-12.5", "8")]
    assert told(open_lots(entries)) == [("A", 1, Decimal("7.5"), Decimal(45)), ("B", 2, Decimal(1), Decimal(7))]


def test_a_split_multiplies_the_shares_and_leaves_the_cost() -> None:
    split = {"transaction_id": "activity:1", "kind": "split", "at": day(5), "unit": "A", "amount": Decimal(60)}
    entries = [*trade(0, "A", "10", "5"), *trade(1, "A", "10", "6"), split]
    assert told(open_lots(entries)) == [("A", 0, Decimal(40), Decimal(50)), ("A", 1, Decimal(40), Decimal(60))]


def test_a_cross_with_another_sleeve_is_a_purchase_or_sale_like_any_other() -> None:
    entries = [*trade(0, "A", "10", "5"), *trade(1, "A", "-4", "6", kind="cross"), *trade(2, "A", "3", "7", kind="cross")]
    assert told(open_lots(entries)) == [("A", 0, Decimal(6), Decimal(30)), ("A", 2, Decimal(3), Decimal(21))]


def test_shares_that_came_without_cash_have_no_known_cost() -> None:
    adopted = {"transaction_id": "t", "kind": "transfer", "at": day(0), "unit": "A", "amount": Decimal(5)}
    (lot,) = open_lots([adopted])
    assert lot.basis_usd is None
    assert lots_frame((lot,))["basis_usd"].isna().all()


def test_cash_alone_makes_no_lot_and_a_short_sale_leaves_none() -> None:
    cash = {"transaction_id": "t", "kind": "transfer", "at": day(0), "unit": "$", "amount": Decimal(5)}
    assert open_lots([cash, *trade(1, "A", "-3", "5")]) == ()
    covered = [*trade(1, "A", "-3", "5"), *trade(2, "A", "1", "4"), *trade(3, "A", "4", "4")]
    assert told(open_lots(covered)) == [("A", 3, Decimal(2), Decimal(8))], "three of the five bought cover the short"


def test_lots_survive_the_record_exactly() -> None:
    lots = open_lots([*trade(0, "A", "0.123456789", "5.0001"), *trade(1, "B", "2", "3")])
    assert tuple(OpenLot.from_json(lot.as_json()) for lot in lots) == lots


def test_a_strategy_sees_lots_as_a_frame_with_the_promised_columns_also_when_there_are_none() -> None:
    empty, full = lots_frame(()), lots_frame(open_lots(trade(0, "A", "2", "3")))
    assert list(empty.columns) == list(full.columns) == ["symbol", "acquired_at", "qty", "basis_usd"]
    assert (empty.dtypes == full.dtypes).all()
    assert full["acquired_at"].iloc[0] == pd.Timestamp(day(0))
