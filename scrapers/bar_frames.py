"""Bars by the column: from the frame of an archive to checked rows, hundreds of thousands at a time.

A frame has text `symbol`, and `session`, `open`, `high`, `low`, `close`, `adj_close`, `volume`, `adjustment`.
"""

from typing import TYPE_CHECKING, Any

from scrapers import symbols, times
from scrapers.base import Reject
from scrapers.tables import reject

if TYPE_CHECKING:
    import pandas as pd

PRICES = ("open", "high", "low", "close", "adj_close")
FLOAT32_NOISE = 1e-5
ADJUSTMENTS = ("raw", "split", "total_return")


def numbers(frame: "pd.DataFrame", columns: tuple[str, ...]) -> "pd.DataFrame":
    """The columns as float64; blank and null are NaN, text that is no number is infinite, so that the checks refuse it."""
    import numpy as np
    import pandas as pd

    out = {}
    for column in columns:
        given = frame[column]
        values = pd.to_numeric(given, errors="coerce").astype("float64")
        blank = given.isna() | (given.astype("string").str.strip() == "").fillna(True) if given.dtype.kind not in "fiu" else given.isna()
        out[column] = values.where(values.notna() | blank, np.inf)
    return pd.DataFrame(out, index=frame.index)


def sessions(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Dates (datetime64[us] at midnight) of ISO, US or timestamp cells; NaT for what is none. Each distinct cell is read once."""
    import pandas as pd

    read = {cell: _day(cell) for cell in values.unique()}
    return pd.to_datetime(values.map(read)).astype("datetime64[us]")


def _day(cell: Any) -> Any:
    import pandas as pd

    if isinstance(cell, str):
        day = times.parse_date(cell)
    elif pd.isna(cell):
        day = None
    else:
        day = times.parse_date(str(cell)[:10])
    return pd.NaT if day is None else pd.Timestamp(day)


def canonical(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Canonical symbols, null where a cell names none."""
    read = {cell: symbols.canonical(cell) if isinstance(cell, str) else None for cell in values.unique()}
    return values.map(read).astype("object")


def check(frame: "pd.DataFrame") -> "tuple[pd.DataFrame, pd.Series[Any]]":
    """Rows worth keeping, and the reasons (by index) of those refused.

    Reasons: bad_symbol, bad_date, missing_price (no close), bad_price (not positive and finite), high_below_low (beyond the noise
    of 32-bit prices), bad_volume, bad_adjustment, conflicting_duplicate (a second, different row of the same key). An identical
    duplicate is kept.
    """
    import pandas as pd

    reasons = pd.Series("", index=frame.index, dtype="object")
    for reason, wrong in _faults(frame).items():
        reasons = reasons.mask(wrong & (reasons == ""), reason)
    reasons.loc[_conflicts(frame[reasons == ""])] = "conflicting_duplicate"
    return frame[reasons == ""], reasons[reasons != ""]


def _faults(frame: "pd.DataFrame") -> "dict[str, pd.Series[bool]]":
    import numpy as np

    prices = frame[list(PRICES)]
    given = prices.notna()
    volume = frame["volume"]
    return {
        "bad_symbol": frame["symbol"].isna(),
        "bad_date": frame["session"].isna(),
        "missing_price": frame["close"].isna(),
        "bad_price": (given & ~(np.isfinite(prices) & (prices > 0))).any(axis=1),
        "high_below_low": frame["high"] < frame["low"] * (1 - FLOAT32_NOISE),
        "bad_volume": volume.notna() & ~(np.isfinite(volume) & (volume >= 0)),
        "bad_adjustment": ~frame["adjustment"].isin(ADJUSTMENTS),
    }


def _conflicts(frame: "pd.DataFrame") -> Any:
    """Index labels of rows that differ from the first row of their key."""
    key = ["symbol", "session", "adjustment"]
    repeated = frame[frame.duplicated(key, keep=False)]
    values = repeated[[*PRICES, "volume"]].fillna(-1.0)
    first = values.groupby([repeated[name] for name in key]).transform("first")
    return repeated.index[(values != first).any(axis=1)]


def refused(source: "pd.DataFrame", reasons: "pd.Series[Any]", name: str) -> tuple[Reject, ...]:
    """A Reject per refused row, with the record as it stood in the file; positions count records from 1."""
    records = source.loc[reasons.index].astype("object").to_dict(orient="records")
    positions = (reasons.index.to_numpy() + 1).tolist()
    return tuple(
        reject(str(reason), str(reason).replace("_", " "), record, f"{name}:{position}")
        for reason, record, position in zip(reasons, records, positions, strict=True)
    )
