"""Figures that companies have reported, as strategies need them: the newest of a day, the sum of the last four quarters, capitalisation.

Only what was known at the view's instant, each figure in its newest version, in USD or shares: other currencies have no rate here.
A figure whose day or period ended more than MAX_AGE_DAYS before the view is too old to say anything and is left out.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd

from strategies.base import DataView

DATASET = "fundamentals"
ACTIONS = "corporate_actions"
HISTORY_DAYS = 900
"""Figures that became known earlier are not read: the year before the newest one has then been reported for long."""
MAX_AGE_DAYS = 400
YEAR_DAYS = (350, 380)
"""Shortest and longest fiscal year; some have 52 weeks, some 53."""
SAME_DAYS = 10
"""Periods that begin or end so many days apart, a year later, are the same part of the year."""
PART_DAYS = (75, 290)
"""Shortest quarter and longest three quarters."""
FOREIGN_FORMS = ("20-F", "20-F/A")
"""Their shares are not those that trade here: a depositary receipt may stand for several."""
SHARES = "shares_outstanding"
CONCEPTS = (SHARES, "revenue", "net_income", "equity", "operating_cash_flow", "assets")
COLUMNS = ("row_key", "symbol", "cik", "concept", "unit", "period_start", "period_end", "value", "form", "filed")
Row = tuple[str, str]
"""Dataset and row key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A number (USD or shares) and the rows that it was made from. end: last day of its period, filed: day of its newest report, both
    in days since 1970-01-01."""

    value: float
    rows: tuple[Row, ...]
    end: int
    filed: int
    cik: str = ""


@dataclass(frozen=True, slots=True)
class _Span:
    """One reported figure of a period, in days since 1970-01-01, both inclusive."""

    start: int
    end: int
    value: float
    row: Row

    def is_as_long_as(self, days: tuple[int, int]) -> bool:
        """Whether it has at least and at most so many days."""
        return days[0] <= self.end - self.start + 1 <= days[1]

    def is_year_before(self, other: "_Span") -> bool:
        """Whether this is the same part of the fiscal year before another's."""
        return abs(other.start - self.start - 365) <= SAME_DAYS and abs(other.end - self.end - 365) <= SAME_DAYS


class Reported:
    """The figures of some symbols, and of some concepts, known at a view's instant."""

    def __init__(self, view: DataView, symbols: Iterable[str], concepts: Collection[str] = CONCEPTS) -> None:
        self._oldest = pd.Timestamp(view.asof.date()) - timedelta(days=MAX_AGE_DAYS)
        rows = view.events(DATASET, view.asof - timedelta(days=HISTORY_DAYS)).reindex(columns=list(COLUMNS))
        rows = rows[rows["concept"].isin(list(concepts)) & rows["unit"].isin(("USD", "shares")) & rows["symbol"].isin(set(symbols))]
        values = pd.to_numeric(rows["value"], errors="coerce").to_numpy(dtype=np.float64)
        rows = rows.assign(value=values)[np.isfinite(values)]
        for name in ("period_start", "period_end", "filed"):
            rows[name] = pd.to_datetime(rows[name], errors="coerce").to_numpy().astype("datetime64[D]").astype("datetime64[s]")
        rows = rows[rows["period_end"].notna() & rows["filed"].notna()].drop_duplicates("row_key")
        rows = rows.sort_values(["symbol", "period_end", "filed", "row_key"], kind="stable")
        self._by_concept = {str(concept): part for concept, part in rows.groupby("concept", sort=True)}

    def newest(self, concept: str) -> dict[str, Figure]:
        """By symbol the newest figure of a day, such as equity, assets or shares outstanding."""
        rows = self._rows(concept)
        rows = rows[rows["period_end"] >= self._oldest]
        if concept == SHARES:
            rows = rows[~rows["form"].isin(FOREIGN_FORMS) & (rows["value"] > 0)]
        rows = rows.drop_duplicates("symbol", keep="last")
        columns = (rows["symbol"], rows["value"], rows["row_key"], rows["cik"])
        dates = (_days(rows["period_end"]), _days(rows["filed"]))
        found = zip(*(column.tolist() for column in columns), *dates, strict=True)
        return {
            str(symbol): Figure(value=value, rows=((DATASET, str(key)),), end=end, filed=filed, cik=cik if isinstance(cik, str) else "")
            for symbol, value, key, cik, end, filed in found
        }

    def trailing_year(self, concept: str) -> dict[str, Figure]:
        """By symbol the sum over the newest twelve months of a figure of periods, such as revenue, net income or cash flow.

        A fiscal year as reported, or, once quarters have followed it, that year and what the new one has brought so far, less the same
        part of the year before. A company of which no fiscal year is known is left out.
        """
        rows = self._rows(concept)
        rows = rows[rows["period_start"].notna()]
        spans: dict[str, list[_Span]] = {}
        dates = (_days(rows["period_start"]), _days(rows["period_end"]))
        for symbol, start, end, value, key in zip(
            rows["symbol"].tolist(), *dates, rows["value"].tolist(), rows["row_key"].tolist(), strict=True
        ):
            spans.setdefault(str(symbol), []).append(_Span(start, end, value, (DATASET, str(key))))
        found = {symbol: _twelve_months(listed) for symbol, listed in spans.items()}
        oldest = (self._oldest - pd.Timestamp(0)).days
        return {symbol: figure for symbol, figure in found.items() if figure is not None and figure.end >= oldest}

    def _rows(self, concept: str) -> pd.DataFrame:
        found = self._by_concept.get(concept)
        return pd.DataFrame(columns=list(COLUMNS)).astype({"value": "float64"}) if found is None else found


def _days(dates: pd.Series) -> list[int]:
    """Days since 1970-01-01; of what is no date a day long before."""
    days: list[int] = pd.to_datetime(dates, errors="coerce").to_numpy().astype("datetime64[D]").astype(np.int64).tolist()
    return days


def _twelve_months(spans: Sequence[_Span]) -> Figure | None:
    """The newest year of one company: a fiscal year, or year + part so far - same part a year before, whichever ends later."""
    years = [span for span in spans if span.is_as_long_as(YEAR_DAYS)]
    if not years:
        return None
    year = max(years, key=lambda span: span.end)
    parts = [span for span in spans if span.end > year.end and abs(span.start - year.end) <= SAME_DAYS and span.is_as_long_as(PART_DAYS)]
    for part in reversed(parts):
        before = [span for span in spans if span.is_year_before(part)]
        if before:
            value = year.value + part.value - before[-1].value
            return Figure(value=value, rows=(year.row, part.row, before[-1].row), end=part.end, filed=part.end)
    return Figure(value=year.value, rows=(year.row,), end=year.end, filed=year.end)


def capitalisation(view: DataView, closes: Mapping[str, float], shares: Mapping[str, Figure]) -> dict[str, float]:
    """By symbol the shares outstanding at their last report, with the splits since, times the close, USD.

    What a company reports counts the shares of all its classes: each of its symbols gets the whole company.
    """
    known = sorted(symbol for symbol in closes if symbol in shares)
    grown = _splits_since(view, {symbol: shares[symbol].filed for symbol in known})
    return {symbol: shares[symbol].value * grown.get(symbol, 1.0) * closes[symbol] for symbol in known}


def by_class(capital: Mapping[str, float], shares: Mapping[str, Figure]) -> dict[str, float]:
    """Capitalisation, USD, where the symbols of one company divide it equally, so that the company counts once."""
    classes = Counter(shares[symbol].cik for symbol in capital)
    return {symbol: usd / (classes[shares[symbol].cik] if shares[symbol].cik else 1) for symbol, usd in capital.items()}


def _splits_since(view: DataView, filed: Mapping[str, int]) -> dict[str, float]:
    """By symbol the product of the splits from the day after a report up to the view's day; one that two origins tell of counts once."""
    rows = view.events(ACTIONS).reindex(columns=["row_key", "symbol", "kind", "ex_date", "ratio"])
    rows = rows[(rows["kind"] == "split") & rows["symbol"].isin(set(filed))].sort_values("row_key", kind="stable")
    ratios = pd.to_numeric(rows["ratio"], errors="coerce").to_numpy(dtype=np.float64)
    today, found = (pd.Timestamp(view.asof.date()) - pd.Timestamp(0)).days, dict[tuple[str, int], float]()
    for symbol, day, ratio in zip(rows["symbol"].tolist(), _days(rows["ex_date"]), ratios.tolist(), strict=True):
        if ratio > 0 and filed[symbol] < day <= today:
            found.setdefault((symbol, day), ratio)
    grown: dict[str, float] = {}
    for (symbol, _), ratio in sorted(found.items()):
        grown[symbol] = grown.get(symbol, 1.0) * ratio
    return grown
