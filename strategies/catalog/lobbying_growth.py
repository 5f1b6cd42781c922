"""Companies that have begun to spend much more on lobbying than a quarter ago.

Spending of the newest quarter over that of the quarter before, from reports under the Lobbying Disclosure Act (2 U.S.C. 1604: due 20
days after a quarter's end). That lobbying goes with later returns is found by Chen, Parsley and Yang, "Corporate lobbying and firm
performance", Journal of Business Finance and Accounting 42 (2015), for its level; for its growth no paper is known.

A company's own report already includes what it paid to firms (the Senate and House guidance on LD-2, "expenses"), so that firms' reports
count for those companies alone that do not report themselves, in both of the quarters that are compared. An amendment replaces its
report. A registration has no money. Where two origins tell of a company, the one that tells more of both quarters counts alone.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import numpy as np
import pandas as pd

from strategies import signals
from strategies.base import DataView, Param, Strategy, Targets, monthly, no_targets

DATASET = "lobbying"
FULL_AT_NAMES = 10
"""With fewer names than this the sleeve is invested in proportion to their number."""
DUE_DAYS = 20
"""Days after the end of a quarter in which it is to be reported; a due date at a weekend moves to Monday."""
ALL_THERE_FRAC = 0.5
"""Two quarters are compared when neither tells of less than this share of the other's companies: else one of them is not all there."""
READ = ("symbol", "client", "registrant", "in_house", "amount_usd", "period_year", "period", "filed_date", "report_id", "origin")


@dataclass(frozen=True, slots=True)
class Report:
    """What one registrant told of one client and quarter. usd: 0 where it was below 5,000. own: of the client itself."""

    row_key: str
    usd: float
    own: bool


Told = Mapping[int, Sequence[Report]]
"""The reports of one company by quarter, counted from the year 0."""


def run(
    view: DataView,
    *,
    top: int = 20,
    min_base_usd: float = 50_000.0,
    min_price: float = 1.0,
    min_adv_usd: float = 1e6,
) -> Targets:
    """Targets of equal weights for the `top` names by spending over that of the quarter before, less one, where it grew.

    Names that spent less than `min_base_usd` in the quarter before are not in question; those that are cheap or thin are passed over.
    """
    due = newest_due(signals.new_york_day(view.asof))
    since = datetime.combine(_first_day(due - 2), time(), signals.NEW_YORK)
    by_company = reports(view.events(DATASET, since), due)
    if not by_company:
        return no_targets()
    quarter = _compared(by_company, due)
    if quarter is None:
        return no_targets({DATASET: "no two neighbouring quarters have been reported by as many companies"})
    pairs = {symbol: _like_with_like(_most_told(told, quarter), quarter) for symbol, told in by_company.items()}
    bases = {symbol: _spent(before) for symbol, (_, before) in pairs.items()}
    symbols = sorted(symbol for symbol, usd in bases.items() if usd > 0 and usd >= min_base_usd)
    scores = np.array([_spent(pairs[symbol][0]) / bases[symbol] - 1.0 for symbol in symbols])
    grown = [symbol for symbol, score in zip(symbols, scores, strict=True) if score > 0]
    reasons = signals.untradable(view, grown, min_price=min_price, min_adv_usd=min_adv_usd)
    chosen, skipped = signals.ranked(symbols, scores, reasons, top)
    names = [symbols[i] for i in chosen]
    weights = signals.equal_weights(len(names), full_at=FULL_AT_NAMES)
    return signals.targets(names, weights, scores[chosen], _evidence(pairs, names), skipped)


def newest_due(today: date) -> int:
    """The newest quarter whose reports were due before today, counted from the year 0 (4 * year + 0 to 3)."""
    quarter = 4 * today.year + (today.month - 1) // 3 - 1
    last = _first_day(quarter + 1) - timedelta(days=1)
    due = np.busday_offset(np.datetime64(last + timedelta(days=DUE_DAYS)), 0, roll="forward")
    return quarter if np.datetime64(today) > due else quarter - 1


def _first_day(quarter: int) -> date:
    return date(quarter // 4, quarter % 4 * 3 + 1, 1)


def reports(events: pd.DataFrame, newest: int) -> dict[str, dict[str, Told]]:
    """By symbol and origin the reports about `newest` and the two quarters before.

    A registrant has one report about a client and quarter: the last one filed. A row that does not name its quarter (Quiver's) is about
    the one before the quarter in which it was filed.
    """
    rows = signals.event_rows(events, *READ)
    filed = signals.days(rows, "filed_date")
    quarters = _quarters(rows, filed)
    rows = rows.assign(quarter=quarters, filed=filed, usd=signals.numbers(rows, "amount_usd"))
    rows = rows[(quarters >= newest - 2) & (quarters <= newest) & (rows["symbol"].notna()).to_numpy()]
    rows = rows.sort_values(["filed", "usd", "row_key"], na_position="first", kind="stable")
    columns = [signals.texts(rows, name) for name in ("symbol", "origin", "client", "registrant", "report_id", "row_key")]
    last: dict[tuple[str, str, int, str, str], Report] = {}
    for symbol, origin, client, registrant, report_id, row_key, quarter, usd, own in zip(
        *columns, rows["quarter"].tolist(), rows["usd"].fillna(0.0).tolist(), rows["in_house"].tolist(), strict=True
    ):
        parties = (report_id, "") if origin == "lda" else (_plain(client), _plain(registrant))
        last[symbol, origin, int(quarter), *parties] = Report(row_key, max(usd, 0.0), isinstance(own, bool | np.bool_) and bool(own))
    found: dict[str, dict[str, dict[int, list[Report]]]] = {}
    for key in sorted(last):
        symbol, origin, quarter = key[:3]
        found.setdefault(symbol, {}).setdefault(origin, {}).setdefault(quarter, []).append(last[key])
    return {symbol: dict(by_origin) for symbol, by_origin in found.items()}


def _quarters(rows: pd.DataFrame, filed: signals.Days) -> signals.Floats:
    """Which quarter each row is about, counted from the year 0; NaN where it does not say and has no date."""
    stated = 4 * signals.numbers(rows, "period_year") + signals.numbers(rows, "period") - 1
    months = filed.astype("datetime64[M]").astype(np.int64) + 12 * 1970
    return np.where(np.isnan(stated), np.where(np.isnat(filed), np.nan, months // 3 - 1), stated)


def _plain(name: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", name.lower()))


def _compared(by_company: Mapping[str, Mapping[str, Told]], due: int) -> int | None:
    """The newest quarter that can be compared with the one before it: `due`, or while that is not all there the one before."""
    for quarter in (due, due - 1):
        now, before = (sum(any(q in told for told in origins.values()) for origins in by_company.values()) for q in (quarter, quarter - 1))
        if min(now, before) > 0 and min(now, before) >= ALL_THERE_FRAC * max(now, before):
            return quarter
    return None


def _most_told(origins: Mapping[str, Told], quarter: int) -> Told:
    """What the origin says that has most reports in the one of the two quarters of which it has fewer; of equals the first by alphabet."""

    def poorness(origin: str) -> tuple[int, int, str]:
        now, before = (len(origins[origin].get(q, ())) for q in (quarter, quarter - 1))
        return -min(now, before), -max(now, before), origin

    return origins[min(origins, key=poorness)]


def _like_with_like(told: Told, quarter: int) -> tuple[list[Report], list[Report]]:
    """The reports of a quarter and of the one before that are compared: the company's own where it has some in both, else its firms'."""
    now, before = ([report for report in told.get(q, ()) if report.usd > 0] for q in (quarter, quarter - 1))
    own = any(report.own for report in now) and any(report.own for report in before)
    return [report for report in now if report.own == own], [report for report in before if report.own == own]


def _spent(listed: Iterable[Report]) -> float:
    return math.fsum(report.usd for report in listed)


def _evidence(pairs: Mapping[str, tuple[list[Report], list[Report]]], names: Sequence[str]) -> pd.DataFrame:
    """One row per report: what it adds to the ratio of the quarters, or takes from the one that is its base."""
    parts = [
        (report.row_key, symbol, sign * report.usd / _spent(pairs[symbol][1]))
        for symbol in names
        for sign, listed in zip((1.0, -1.0), pairs[symbol], strict=True)
        for report in listed
    ]
    keys, symbols, contributions = zip(*parts, strict=True) if parts else ((), (), ())
    return signals.evidence_frame(DATASET, keys, symbols, np.array(contributions, dtype=np.float64))


STRATEGY = Strategy(
    name="lobbying_growth",
    run=run,
    needs=(DATASET, "bars_daily"),
    rebalance=monthly("first_session"),
    lookback_sessions=signals.VOLUME_SESSIONS,
    params={
        "top": Param(default=20, low=1, high=50, meaning="names held at most"),
        "min_base_usd": Param(default=50_000.0, low=5_000.0, high=1e7, meaning="least spending of the quarter before, USD"),
        "min_price": Param(default=1.0, low=0.0, high=1000.0, meaning="lowest last close held, USD"),
        "min_adv_usd": Param(default=1e6, low=0.0, high=1e9, meaning="lowest median dollar volume held, USD a day"),
    },
    description="The 20 companies whose lobbying spending grew most from one quarter to the next.",
)
