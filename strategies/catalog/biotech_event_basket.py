"""Drug makers ahead of an event that decides much of their value: a decision of the FDA, its advisers' meeting, the end of a trial.

A basket of equal risk, held into the event. That shares move ahead of such news is found by Rothenstein, Tomlinson, Tannock and Detsky,
"Company stock prices before and after public announcements related to oncology drugs", Journal of the National Cancer Institute 103
(2011). Single outcomes are close to a toss, hence many names, none of them large.

An event is ahead until its day has passed; one that is known to the month, until the month has. The newest version of a trial counts, and
only while it goes on with an estimated end. A PDUFA date that a later document of the company moves by three months or less (the extension
of 21 CFR 314.60) is replaced; an approval or a complete response letter closes the next PDUFA date announced before it. A company with
many events ahead does not hang on one of them and is left out, as are names that are known to belong to another sector.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd

from strategies import signals
from strategies.base import DataView, Param, Strategy, Targets, monthly, no_targets

DATASET = "biotech_events"
SECTOR = "Health Care"
FULL_AT_NAMES = 10
"""With fewer names than this the sleeve is invested in proportion to their number."""
RISK_SESSIONS = 63
"""Sessions of daily returns behind the volatilities."""
TOLD_WITHIN = timedelta(days=400)
"""What nobody has told again for so long is out: a trial's record is to be verified yearly (42 CFR 11.64), a review takes no longer."""
MOVED_DAYS = 100
"""An announced date that comes so soon after an earlier one may be the same decision, put off by three months."""
EARLY_DAYS = 120
"""A decision may come so long before its PDUFA date."""
ONGOING = ("RECRUITING", "ENROLLING_BY_INVITATION", "ACTIVE_NOT_RECRUITING")
MONTHS_OF = {"month": 1, "quarter": 3}
DECISIONS = ("approval", "complete_response")
CALLED_OFF = "called off"
_OFF = re.compile(r"cancel|postpone|withdraw", re.IGNORECASE)
"""In the title of a notice: the meeting of which it speaks is not held."""
READ = ("symbol", "kind", "reference_id", "product", "phase", "status", "date_precision", "date_type", "event_date", "published")


@dataclass(frozen=True, slots=True, order=True)
class Catalyst:
    """One event of a company that is told by a row. day: its last possible one. exact: known to the day. about: the trial, or nothing."""

    symbol: str
    kind: str
    day: date
    about: str
    exact: bool
    published: date
    row_key: str


def run(
    view: DataView,
    *,
    horizon_days: int = 90,
    top: int = 30,
    max_events: int = 6,
    trials: str = "phase 3",
    max_weight: float = 0.10,
    min_price: float = 1.0,
    min_adv_usd: float = 1e6,
) -> Targets:
    """Targets by inverse volatility for names with an event from today to `horizon_days` on, at most `max_weight` each.

    The score counts the events, each less by how far ahead it is: 1 for one today, 1 / (horizon_days + 1) for one on the last day.
    """
    today = signals.new_york_day(view.asof)
    ahead = catalysts(view.events(DATASET, view.asof - TOLD_WITHIN), today, horizon_days, trials)
    by_symbol: dict[str, list[Catalyst]] = defaultdict(list)
    for catalyst in ahead:
        by_symbol[catalyst.symbol].append(catalyst)
    sectors = view.sectors().to_dict()
    symbols = sorted(symbol for symbol in by_symbol if sectors.get(symbol, SECTOR) == SECTOR)
    if not symbols:
        return no_targets()
    nearness = {c.row_key: 1.0 - (c.day - today).days / (horizon_days + 1) for c in ahead}
    scores = np.array([sum(nearness[c.row_key] for c in by_symbol[symbol]) for symbol in symbols])
    counts = {symbol: len(by_symbol[symbol]) for symbol in symbols}
    diversified = {symbol: f"{n} events ahead: it hangs on none of them" for symbol, n in counts.items() if n > max_events}
    volatility, unmeasured = _volatility(view, symbols)
    reasons = unmeasured | signals.untradable(view, symbols, min_price=min_price, min_adv_usd=min_adv_usd) | diversified
    chosen, skipped = signals.ranked(symbols, scores, reasons, top)
    names = [symbols[i] for i in chosen]
    inverse = 1.0 / np.array([volatility[name] for name in names])
    weights = signals.capped_proportional(inverse, total=min(1.0, len(names) / FULL_AT_NAMES), cap=max_weight)
    told = [catalyst for name in names for catalyst in by_symbol[name]]
    keys, contributions = [c.row_key for c in told], np.array([nearness[c.row_key] for c in told])
    evidence = signals.evidence_frame(DATASET, keys, [c.symbol for c in told], contributions)
    return signals.targets(names, weights, scores[chosen], evidence, skipped)


def catalysts(events: pd.DataFrame, today: date, horizon_days: int, trials: str) -> list[Catalyst]:
    """The events from today to the horizon, each once, told by the row that was published last; by symbol, kind and day."""
    told = _told(events, trials)
    off = {(c.symbol, c.day) for c in told if c.kind == CALLED_OFF}
    others = [c for c in told if c.kind == "trial_completion" or (c.kind == "adcom" and (c.symbol, c.day) not in off)]
    by_symbol: dict[str, list[Catalyst]] = defaultdict(list)
    for catalyst in told:
        by_symbol[catalyst.symbol].append(catalyst)
    found = _once(others) + [c for listed in by_symbol.values() for c in _pdufa(listed)]
    return sorted(c for c in found if today <= c.day <= today + timedelta(days=horizon_days))


def _told(events: pd.DataFrame, trials: str) -> list[Catalyst]:
    """What the rows tell, whenever it is or was: all but trials that have ended, were stopped or are of another phase."""
    rows = signals.event_rows(events, *READ)
    days, published = signals.days(rows, "event_date"), signals.days(rows, "published")
    keep = rows["symbol"].notna().to_numpy() & ~np.isnat(days) & ~np.isnat(published)
    rows, dates = rows[keep], (days[keep].tolist(), published[keep].tolist())
    columns = (signals.texts(rows, name) for name in ("row_key", *READ[:-2]))
    found: list[Catalyst] = []
    for key, symbol, kind, reference, product, phase, status, precision, dated, day, at in zip(*columns, *dates, strict=True):
        is_trial = kind == "trial_completion"
        if not is_trial or _is_open(status, dated, phase, trials):
            kind = CALLED_OFF if kind == "adcom" and _OFF.search(product) else kind
            about = reference if is_trial else ""
            found.append(Catalyst(symbol, kind, _last_day(day, precision), about, precision == "day", at, key))
    return found


def _is_open(status: str, dated: str, phase: str, trials: str) -> bool:
    """Whether a trial goes on towards an estimated end and is of the phase asked for; terminated, withdrawn and suspended ones do not."""
    return status in ONGOING and dated != "actual" and (trials == "all" or (trials == "phase 3" and "PHASE3" in phase))


def _last_day(day: date, precision: str) -> date:
    """The last possible day of an event whose date is known to the day, or from the first of a month or quarter on."""
    months = day.year * 12 + day.month - 1 + MONTHS_OF.get(precision, 0)
    return day if precision not in MONTHS_OF else date(months // 12, months % 12 + 1, 1) - timedelta(days=1)


def _once(told: Iterable[Catalyst]) -> list[Catalyst]:
    """Each event by the row that was published last. One known to the month is the one of that month that is known to the day."""
    newest = {(c.symbol, c.kind, c.day, c.about): c for c in sorted(told, key=lambda c: (c.published, c.row_key))}
    exact = {(c.symbol, c.kind, c.about, c.day.year, c.day.month) for c in newest.values() if c.exact}
    return [c for c in newest.values() if c.exact or (c.symbol, c.kind, c.about, c.day.year, c.day.month) not in exact]


def _pdufa(told: Sequence[Catalyst]) -> list[Catalyst]:
    """The PDUFA dates of one company that stand: neither moved by a later document nor closed by a decision.

    A date is moved by a document that was published after the last one that names it, and names one at most MOVED_DAYS later. A decision
    closes the first date from its own day on that had been announced before it, when that is no more than EARLY_DAYS ahead.
    """
    announced = [c for c in told if c.kind == "pdufa"]
    dates = {c.day: c for c in _once(announced)}
    moved = {old for old in dates if any(_moves(dates[old], other) for other in dates.values())}
    standing, closed = sorted(dates.keys() - moved), set[date]()
    first_told = {day: min(c.published for c in announced if c.day == day) for day in standing}
    for decision in sorted(c.day for c in told if c.kind in DECISIONS):
        due = [day for day in standing if first_told[day] < decision <= day and day not in closed]
        closed |= {day for day in due[:1] if day - decision <= timedelta(days=EARLY_DAYS)}
    return [dates[day] for day in standing if day not in closed]


def _moves(old: Catalyst, new: Catalyst) -> bool:
    return new.published > old.published and timedelta(0) < new.day - old.day <= timedelta(days=MOVED_DAYS)


def _volatility(view: DataView, symbols: Sequence[str]) -> tuple[dict[str, float], dict[str, str]]:
    """Annual volatility of the names that have one, and why the others do not."""
    window = signals.price_window(view, symbols, RISK_SESSIONS + 1)
    if not window.symbols:
        return {}, window.skipped
    found = signals.annual_volatility(signals.daily_returns(window.prices))
    flat = {symbol: "its price never moves" for symbol, value in zip(window.symbols, found, strict=True) if np.isnan(value)}
    return dict(zip(window.symbols, found.tolist(), strict=True)), window.skipped | flat


STRATEGY = Strategy(
    name="biotech_event_basket",
    run=run,
    needs=(DATASET, "bars_daily"),
    uses=("constituents",),
    rebalance=monthly("first_session"),
    lookback_sessions=RISK_SESSIONS + signals.RECENT_SESSIONS,
    params={
        "horizon_days": Param(default=90, low=5, high=365, meaning="calendar days ahead in which an event counts"),
        "top": Param(default=30, low=1, high=50, meaning="names held at most"),
        "max_events": Param(default=6, low=1, high=50, meaning="events ahead above which a company hangs on none of them"),
        "trials": Param(default="phase 3", choices=("phase 3", "all", "none"), meaning="trials whose end counts; phase 2/3 is 3"),
        "max_weight": Param(default=0.10, low=0.02, high=1.0, meaning="largest fraction of the sleeve in one name"),
        "min_price": Param(default=1.0, low=0.0, high=1000.0, meaning="lowest last close held, USD"),
        "min_adv_usd": Param(default=1e6, low=0.0, high=1e9, meaning="lowest median dollar volume held, USD a day"),
    },
    description="Drug makers ahead of PDUFA dates, advisory committees and ends of trials, at equal risk.",
)
