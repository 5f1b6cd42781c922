"""Columns: what views hand out is the same however it is laid out."""

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from daemon.store.column import FEW_TURNS, NO_DAY, Column, column


@pytest.mark.parametrize("each", [1, 2 * FEW_TURNS])
def test_days_in_long_turns_and_in_short_ones_become_the_same_dates(each: int) -> None:
    days = [date(2024, 1, 1) + timedelta(days=n) if n % 3 else None for n in range(40) for _ in range(each)]
    assert column(pa.chunked_array([pa.array(days, pa.date32())])).pandas().tolist() == days


@pytest.mark.parametrize("count", [0, 1, 10 * FEW_TURNS])
def test_one_turn_without_a_day_is_nothing_but_none(count: int) -> None:
    assert Column(kind="date", values=np.full(count, NO_DAY, np.int32)).pandas().tolist() == [None] * count
