"""Corporate actions as prices feel them: one split and one dividend a day, whoever delivered how many records of them."""

import pandas as pd

KINDS = ("split", "cash_dividend")
KEY = ["symbol", "kind", "ex_date"]
RANK = {"alpaca": 0, "yahoo": 1}
"""Of several origins of one action the lowest counts, one without an origin last: whoever has changed sources has both."""


def effective(frame: pd.DataFrame) -> pd.DataFrame:
    """Splits and cash dividends of a frame of corporate actions, one line per symbol, kind and ex-date.

    Several dividends of one ex-date (a regular and a special one) add up, several splits multiply. Other kinds are left out.
    """
    frame = frame[frame["kind"].isin(KINDS)]
    if not frame.duplicated(KEY).any():
        return frame
    if "origin" in frame:
        rank = frame["origin"].map(RANK).fillna(len(RANK))
        frame = frame[rank == rank.groupby([frame[name] for name in KEY]).transform("min")]
    numbers = frame.astype({"ratio": "float64", "amount_usd": "float64"})
    return numbers.groupby(KEY, as_index=False, sort=False).agg({"ratio": "prod", "amount_usd": "sum"})
