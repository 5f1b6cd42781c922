"""The S&P 500 held as single stocks, without the sectors and companies that a client does not want, and with an eye on taxes.

Of the members of the day as many as the sleeve may hold are weighted for the least variance of the difference to the benchmark, over a
Ledoit-Wolf covariance (Roll, "A mean/variance analysis of tracking error", Journal of Portfolio Management 18, 1992). The benchmark is the
index by capitalisation where reports tell the shares outstanding of nearly all members, else the fund SPY, else all members alike.

Taxes are managed actively beside a passive choice of stocks, after Stein and Narasimhan, "Of passive and active equity portfolios in the
presence of taxes", Journal of Wealth Management 2 (1999): losses are realised, short-term gains are deferred within a band, and what may
have been sold within 30 days is not bought back (wash sales).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from risk.covariance import ledoit_wolf
from risk.tracking import track
from strategies import fundamentals, signals, tax_lots
from strategies.base import NAMES, DataView, Param, Strategy, Targets, listed, monthly, no_targets
from strategies.fundamentals import Row
from strategies.signals import PriceWindow

INDEX = "sp500"
FUND = "SPY"
BARS = "bars_daily"
LEAST_CAPITALISED = 0.90
"""Where the capitalisation of a smaller part of the members is known, the benchmark is not by capitalisation."""
CAPITALISATION = "capitalisation"
"""Under this name `skipped` says why it does not make the benchmark."""
STAYING_RANK = 1.5
"""A name wanted last time stays while so many times as many names as are held do not outweigh it."""
LEAST_WEIGHT = 1e-6
"""Smaller weights are rounding, not positions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """What is tracked: weights (n_assets,) by label, sum 1, the assets that may be held, and the rows of each benchmark weight.

    rows: by symbol the report of its shares, where the benchmark is by capitalisation; empty otherwise.
    """

    weights: pd.Series
    holdable: Sequence[str]
    rows: Mapping[str, tuple[Row, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taxes:
    """What taxes forbid and ask: reasons not to hold by symbol, of harvested losses and of possible wash sales; least weights by symbol."""

    harvested: dict[str, str]
    waiting: dict[str, str]
    deferred: dict[str, float]


def run(
    view: DataView,
    *,
    max_names: int = 150,
    max_weight: float = 0.10,
    exclude_sectors: str = "",
    exclude_tickers: str = "",
    covariance_sessions: int = 252,
    harvest_loss_frac: float = 0.10,
    defer_band: float = 0.005,
) -> Targets:
    """Targets of the least tracking variance over `max_names` names, none above `max_weight`, fully invested; the score is the weight.

    The names are those with the largest weights when all may be held; those wanted last time have precedence. A name whose lots are more
    than `harvest_loss_frac` below their basis is left out, one with short-term gains is not reduced below the lots that have them, up to
    `defer_band` above what tracking alone wants. Without holdings and lots, tracking alone. Members that lack prices of the window (see
    `signals.unfit`) are skipped.
    """
    members = sorted(set(view.universe(INDEX)))
    if not members:
        return no_targets({INDEX: "no members of the index are known"})
    window = signals.price_window(view, [*members, FUND], covariance_sessions + 1)
    returns = signals.daily_returns(window.prices)
    moves = ~np.isnan(signals.annual_volatility(returns)) if window.symbols else np.empty(0, dtype=np.bool_)
    skipped = window.skipped | {window.symbols[i]: "its price never moves" for i in np.flatnonzero(~moves)}
    assets = [window.symbols[i] for i in np.flatnonzero(moves)]
    benchmark, unknown = _benchmark(view, [symbol for symbol in assets if symbol in set(members)], FUND in assets)
    if benchmark.rows:
        skipped.pop(FUND, None)
    out = _unwanted(view, members, listed(exclude_sectors), listed(exclude_tickers))
    taxes = _taxes(view, benchmark.holdable, harvest_loss_frac)
    skipped |= unknown | out | taxes.harvested
    free = [symbol for symbol in benchmark.holdable if symbol not in out and symbol not in taxes.harvested]
    if not free:
        return no_targets(skipped)
    places = {symbol: i for i, symbol in enumerate(window.symbols)}
    labels = benchmark.weights.index
    cov = ledoit_wolf(pd.DataFrame(returns[:, [places[symbol] for symbol in labels]], columns=labels, copy=False))
    previous = {str(symbol) for symbol, weight in view.previous_targets().items() if weight > 0}
    kept, passed = _kept(_tracked(cov, benchmark, free, max_weight), taxes, previous, max_names)
    weights = _deferring(cov, benchmark, kept, max_weight, taxes.deferred, defer_band)
    weights = weights[weights > LEAST_WEIGHT]
    order = signals.descending(weights.index.tolist(), weights.to_numpy())
    return _targets(weights.iloc[order], benchmark, window, skipped | passed)


def _benchmark(view: DataView, members: list[str], has_fund: bool) -> tuple[Benchmark, dict[str, str]]:
    """The benchmark over members that have their prices, and why some of those are not part of it, or capitalisation does not make it."""
    shares = fundamentals.Reported(view, members, [fundamentals.SHARES]).newest(fundamentals.SHARES)
    capital = fundamentals.by_class(fundamentals.capitalisation(view, signals.last_closes(view, members), shares), shares)
    if members and len(capital) >= LEAST_CAPITALISED * len(members):
        names = sorted(capital)
        usd = np.array([capital[symbol] for symbol in names])
        weights = pd.Series(usd / usd.sum(), index=pd.Index(names, dtype=object))
        unknown = {symbol: "its shares outstanding are not known" for symbol in members if symbol not in capital}
        return Benchmark(weights=weights, holdable=names, rows={symbol: shares[symbol].rows for symbol in names}), unknown
    why = f"known of {len(capital)} of {len(members)} members, fewer than {LEAST_CAPITALISED:.0%}"
    if has_fund:
        index = pd.Index([*members, *({FUND} - set(members))], dtype=object)
        weights = pd.Series((index == FUND).astype(np.float64), index=index)
        return Benchmark(weights=weights, holdable=members, rows={}), {CAPITALISATION: f"{why}: the fund {FUND} is the benchmark"}
    equal = pd.Series(1.0 / max(len(members), 1), index=pd.Index(members, dtype=object), dtype="float64")
    return Benchmark(weights=equal, holdable=members, rows={}), {CAPITALISATION: f"{why}, and {FUND} has no prices: members count alike"}


def _unwanted(view: DataView, members: Sequence[str], sectors: Sequence[str], tickers: Sequence[str]) -> dict[str, str]:
    """Why members may not be held, by the client's wish."""
    named = {ticker.upper() for ticker in tickers}
    out = signals.filtered_by_sector(members, signals.known_sectors(view), exclude=sectors)
    return out | {symbol: "excluded by name" for symbol in members if symbol.upper() in named}


def _taxes(view: DataView, names: Sequence[str], harvest_loss_frac: float) -> Taxes:
    """What the sleeve's lots say of the names. A loss is not realised while a lot is so young that the sale would be a wash sale."""
    held = {symbol: position for symbol, position in tax_lots.positions(view).items() if symbol in set(names)}
    harvested = {
        symbol: f"sold to realise a loss of {position.loss_frac:.1%}"
        for symbol, position in held.items()
        if position.loss_frac > harvest_loss_frac and not position.bought_lately
    }
    deferred = {s: position.young_gain for s, position in held.items() if position.young_gain > 0 and s not in harvested}
    last_due = _last_due(view) if held else None
    sold = tax_lots.maybe_sold_lately(view, names, last_due=last_due) if last_due is not None else set[str]()
    why = f"may have been sold at a loss within {tax_lots.WASH_DAYS} days: it was neither held nor wanted"
    return Taxes(harvested=harvested, waiting=dict.fromkeys(sorted(sold), why), deferred=deferred)


def _last_due(view: DataView) -> pd.Timestamp | None:
    """The newest first session of a month before the day of the view."""
    sessions = view.sessions[view.sessions < pd.Timestamp(view.asof.date())]
    firsts = sessions[1:][sessions[1:].month != sessions[:-1].month]
    return firsts[-1] if len(firsts) else None


def _tracked(
    cov: pd.DataFrame, benchmark: Benchmark, free: Sequence[str], max_weight: float, least: Mapping[str, float] | None = None
) -> pd.Series:
    """Weights by symbol of least tracking variance over the names that are free; all at the cap, the rest cash, when they are too few."""
    if len(free) * max_weight < 1.0:
        return pd.Series(max_weight, index=pd.Index(list(free), dtype=object))
    barred = cov.index.difference(pd.Index(list(free), dtype=object), sort=False)
    lower = pd.Series(0.0, index=cov.index)
    for symbol, weight in (least or {}).items():
        lower[symbol] = weight
    weights = track(cov, benchmark.weights, excluded=barred, max_weight=max_weight, min_weight=lower)
    return weights[list(free)]


def _kept(wanted: pd.Series, taxes: Taxes, previous: Collection[str], max_names: int) -> tuple[list[str], dict[str, str]]:
    """The names to hold, and those passed over because they wait: first those whose gains are deferred, then those wanted last time that
    are still among the STAYING_RANK * max_names heaviest, so that few names change places, then the heaviest."""
    order = [i for i in signals.descending(wanted.index.tolist(), wanted.to_numpy()).tolist() if wanted.iloc[i] > LEAST_WEIGHT]
    ranking = [str(wanted.index[i]) for i in order]
    deferred = sorted((s for s in wanted.index if s in taxes.deferred), key=lambda s: (-taxes.deferred[s], s))
    staying = [symbol for symbol in ranking[: int(STAYING_RANK * max_names)] if symbol in previous]
    entitled = list(dict.fromkeys([*deferred, *staying, *ranking]))
    kept = [symbol for symbol in entitled if symbol not in taxes.waiting][:max_names]
    reached = entitled[: entitled.index(kept[-1])] if len(kept) == max_names else entitled
    return sorted(kept), {symbol: taxes.waiting[symbol] for symbol in reached if symbol in taxes.waiting}


def _deferring(
    cov: pd.DataFrame, benchmark: Benchmark, kept: list[str], max_weight: float, deferred: Mapping[str, float], band: float
) -> pd.Series:
    """Weights of least tracking variance over the kept names that sell no short-term gain within `band` of what tracking alone wants."""
    if not kept:
        return pd.Series(dtype="float64")
    plain = _tracked(cov, benchmark, kept, max_weight)
    least = {s: min(young, float(plain[s]) + band, max_weight) for s, young in deferred.items() if s in plain.index and young > plain[s]}
    room = 1.0 - sum(float(plain[symbol]) for symbol in least)
    extra = sum(weight - float(plain[symbol]) for symbol, weight in least.items())
    if not least or extra > room or len(kept) * max_weight < 1.0:
        return plain
    return _tracked(cov, benchmark, kept, max_weight, least)


def _targets(weights: pd.Series, benchmark: Benchmark, window: PriceWindow, skipped: Mapping[str, str]) -> Targets:
    """A weight's evidence: the report of its shares for the benchmark's part and the newest bar for the rest; or the window's two ends."""
    names = [str(symbol) for symbol in weights.index]
    values = weights.to_numpy(dtype=np.float64)
    last = window.keys(names, -1)
    if benchmark.rows:
        parts = benchmark.weights[names].to_numpy(dtype=np.float64)
        keys = [benchmark.rows[symbol][0][1] for symbol in names]
        reports = signals.evidence_frame(fundamentals.DATASET, keys, names, parts)
        evidence = pd.concat([reports, signals.evidence_frame(BARS, last, names, values - parts)], ignore_index=True)
    else:
        first = window.keys(names, 0)
        evidence = signals.evidence_frame(BARS, first + last, names * 2, np.concatenate([values, values]) / 2.0)
    return signals.targets(names, values, values, evidence, {s: why for s, why in skipped.items() if s not in set(names)})


STRATEGY = Strategy(
    name="direct_index",
    run=run,
    needs=(BARS, "index_membership"),
    uses=(fundamentals.DATASET, fundamentals.ACTIONS, "constituents"),
    rebalance=monthly("first_session"),
    lookback_sessions=504 + signals.RECENT_SESSIONS,
    reads_lots=True,
    params={
        "max_names": Param(default=150, low=20, high=500, meaning="names held at most"),
        "max_weight": Param(default=0.10, low=0.01, high=1.0, meaning="largest fraction of the sleeve in one name"),
        "exclude_sectors": Param(default="", pattern=NAMES, examples=("Energy", "Energy; Utilities"), meaning="GICS sectors not held"),
        "exclude_tickers": Param(default="", pattern=NAMES, examples=("XOM; CVX",), meaning="companies not held"),
        "covariance_sessions": Param(default=252, low=126, high=504, meaning="sessions of daily returns behind the covariance"),
        "harvest_loss_frac": Param(default=0.10, low=0.02, high=1.0, meaning="loss of a name's lots that is realised; 1 is never"),
        "defer_band": Param(
            default=0.005, low=0.0, high=0.05, meaning="most that a name stays above its tracking weight to defer short-term gains"
        ),
    },
    description="The S&P 500 in single stocks at minimum tracking error, with exclusions, losses harvested and young gains deferred.",
)
