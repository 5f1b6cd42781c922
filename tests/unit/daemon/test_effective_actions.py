"""Corporate actions as prices feel them."""

from datetime import date

import pandas as pd

from daemon.store.actions import effective

DAY = date(2024, 5, 10)


def frame(*rows: tuple) -> pd.DataFrame:
    columns = ["symbol", "kind", "ex_date", "ratio", "amount_usd", "origin"]
    return pd.DataFrame([(symbol, kind, DAY, ratio, amount, origin) for symbol, kind, ratio, amount, origin in rows], columns=columns)


def found(*rows: tuple) -> list[tuple]:
    made = effective(frame(*rows))
    return [(r.symbol, r.ratio if r.kind == "split" else r.amount_usd) for r in made.itertuples()]


def test_dividends_of_one_ex_date_add_up_and_splits_multiply():
    rows = [
        ("A", "cash_dividend", None, 0.25, "alpaca"),
        ("A", "cash_dividend", None, 1.0, "alpaca"),
        ("B", "split", 2.0, None, ""),
        ("B", "split", 1.5, None, ""),
    ]
    assert found(*rows) == [("A", 1.25), ("B", 3.0)]


def test_an_action_that_two_sources_delivered_counts_once():
    rows = [
        ("A", "split", 4.0, None, "yahoo"),
        ("A", "split", 4.0, None, "alpaca"),
        ("C", "cash_dividend", None, 0.5, "yahoo"),
        ("C", "cash_dividend", None, 0.5, ""),
    ]
    assert found(*rows) == [("A", 4.0), ("C", 0.5)]


def test_mergers_and_spin_offs_are_neither_splits_nor_dividends():
    assert found(("A", "cash_merger", None, 12.5, "alpaca"), ("A", "spin_off", 0.25, None, "alpaca")) == []


def test_a_frame_without_actions_stays_empty():
    assert effective(frame()).empty
