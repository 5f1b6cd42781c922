"""Stocks that look good on four factors at once: momentum, value, quality and low volatility.

Names of the S&P 1500 of the day that pass hard filters (sector, price, liquidity for the capital that is to be placed) are ranked on each
factor; the score is the weighted mean of the centred ranks, so that a factor about which nothing is known of a name neither helps nor harms
it. Momentum is the return of twelve months without the last (Jegadeesh and Titman 1993), value the mean rank of earnings to price (Basu
1977) and book to price (Fama and French 1992), quality that of return on equity and of operating cash flow to assets (Ball, Gerakos,
Linnainmaa and Nikolaev 2016), low volatility the negative annual volatility of a year (Ang, Hodrick, Xing and Zhang 2006). Several factors
beside each other: Asness, Moskowitz and Pedersen, "Value and momentum everywhere", Journal of Finance 68 (2013).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from strategies import fundamentals, signals
from strategies.base import NAMES, DataView, Param, Strategy, Targets, listed, monthly, no_targets
from strategies.fundamentals import Figure, Row
from strategies.signals import Floats

INDICES = {"sp1500": ("sp500", "sp400", "sp600"), "sp500": ("sp500",)}
YEAR, MONTH = 252, 21
"""Sessions."""
FULL_AT_NAMES = 10
"""With fewer names than this the sleeve is invested in proportion to their number."""
LEAST_KNOWN = 0.5
"""A factor that is known of a smaller part of the names is left out for all of them."""
RISK_LEVELS = {"low": (2.0, 0.7), "medium": (1.0, 1.0), "high": (0.0, 1.0)}
"""By level: what the weight of low volatility is multiplied by, and the largest part of the sleeve that is invested."""
FLOWS, STOCKS = ("net_income", "operating_cash_flow"), ("equity", "assets", fundamentals.SHARES)
"""Concepts of a period and of a day."""
LEAST_SCORE = 1e-9
"""Lower scores are neutral: what is left of ranks that cancel is rounding."""
BARS = "bars_daily"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A quantity by which names are ranked, the higher the better: values (n_names,), NaN where unknown, and the rows of each value."""

    values: Floats
    rows: Sequence[Sequence[Row]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """Centred ranks (n_names,) in (-0.5, 0.5), 0 where nothing is known; weight: its part of the score; known: of how many names."""

    name: str
    ranks: Floats
    measures: Sequence[Measure]
    weight: float
    known: int


def run(
    view: DataView,
    *,
    universe: str = "sp1500",
    top: int = 30,
    momentum: float = 1.0,
    value: float = 1.0,
    quality: float = 1.0,
    low_volatility: float = 1.0,
    risk_level: str = "medium",
    capital_usd: float = 100_000.0,
    max_adv_frac: float = 0.01,
    min_adv_usd: float = 1_000_000.0,
    min_price: float = 5.0,
    include_sectors: str = "",
    exclude_sectors: str = "",
    max_sector_frac: float = 0.30,
) -> Targets:
    """Targets at equal weights of the `top` highest positive scores, no more than `max_sector_frac` of them from one sector.

    A name must trade so much that a position of capital_usd / top is at most `max_adv_frac` of its median daily dollar volume. A factor
    that is known of fewer than half of the names is left out, which `skipped` says under the factor's name.
    """
    members = signals.members(view, *INDICES[universe])
    skipped = {index: "no members of the index are known" for index in INDICES[universe] if not view.universe(index)}
    sectors = signals.known_sectors(view)
    out = signals.filtered_by_sector(members, sectors, include=listed(include_sectors), exclude=listed(exclude_sectors))
    window = signals.price_window(view, [symbol for symbol in members if symbol not in out], YEAR + 1)
    skipped |= out | window.skipped
    least_usd = max(min_adv_usd, capital_usd / top / max_adv_frac)
    skipped |= signals.untradable(view, window.symbols, min_price=min_price, min_adv_usd=least_usd) if window.symbols else {}
    window, still = _eligible(window, skipped)
    skipped |= still
    if not window.symbols:
        return no_targets(skipped)
    caution, gross = RISK_LEVELS[risk_level]
    weights = {"momentum": momentum, "value": value, "quality": quality, "low_volatility": low_volatility * caution}
    factors, missing = _weighted(_measures(view, window), weights, len(window.symbols))
    scores = np.sum([factor.weight * factor.ranks for factor in factors], axis=0) if factors else np.zeros(len(window.symbols))
    chosen, full = _best(window.symbols, scores, sectors, top, max_sector_frac)
    return signals.targets(
        [window.symbols[i] for i in chosen],
        gross * signals.equal_weights(len(chosen), full_at=min(top, FULL_AT_NAMES)),
        scores[chosen],
        _evidence(factors, window.symbols, chosen),
        skipped | missing | full,
    )


def _eligible(window: signals.PriceWindow, out: Mapping[str, str]) -> tuple[signals.PriceWindow, dict[str, str]]:
    """The window without the names that are out or whose price never moves, and the latter."""
    volatility = signals.annual_volatility(signals.daily_returns(window.prices)) if window.symbols else np.empty(0)
    still = {window.symbols[i]: "its price never moves" for i in np.flatnonzero(np.isnan(volatility))}
    keep = [i for i, symbol in enumerate(window.symbols) if symbol not in out and symbol not in still]
    return replace(window, symbols=[window.symbols[i] for i in keep], prices=window.prices[:, keep], days=window.days[:, keep]), still


def _measures(view: DataView, window: signals.PriceWindow) -> dict[str, list[Measure]]:
    """What each factor measures, over the names of the window."""
    reported = fundamentals.Reported(view, window.symbols, (*FLOWS, *STOCKS))
    income, cash = (reported.trailing_year(concept) for concept in FLOWS)
    equity, assets, shares = (reported.newest(concept) for concept in STOCKS)
    priced = _priced(view, window, shares)
    first, month, last = (window.keys(window.symbols, at) for at in (0, YEAR - MONTH, YEAR))
    returns = window.prices[YEAR - MONTH] / window.prices[0] - 1.0
    calm = -signals.annual_volatility(signals.daily_returns(window.prices))
    return {
        "momentum": [_of_bars(returns, first, month)],
        "value": [_ratio(income, priced, window.symbols), _ratio(equity, priced, window.symbols)],
        "quality": [_ratio(income, equity, window.symbols), _ratio(cash, assets, window.symbols)],
        "low_volatility": [_of_bars(calm, first, last)],
    }


def _priced(view: DataView, window: signals.PriceWindow, shares: Mapping[str, Figure]) -> dict[str, Figure]:
    """Capitalisation, USD, at the newest closes, by name."""
    capital = fundamentals.capitalisation(view, signals.last_closes(view, window.symbols), shares)
    bars = dict(zip(capital, window.keys(list(capital), -1), strict=True))
    return {s: replace(shares[s], value=usd, rows=(*shares[s].rows, (BARS, bars[s]))) for s, usd in capital.items()}


def _of_bars(values: Floats, start: Sequence[str], end: Sequence[str]) -> Measure:
    """A measure of the bars between two: it stands with the first and the last of them."""
    return Measure(values=values, rows=[((BARS, a), (BARS, b)) for a, b in zip(start, end, strict=True)])


def _ratio(over: Mapping[str, Figure], under: Mapping[str, Figure], symbols: Sequence[str]) -> Measure:
    """One figure over another that is positive; NaN where either is unknown."""
    values, rows = np.full(len(symbols), np.nan), list[Sequence[Row]]()
    for i, symbol in enumerate(symbols):
        rows.append(())
        if symbol in over and symbol in under and under[symbol].value > 0:
            values[i] = over[symbol].value / under[symbol].value
            rows[i] = over[symbol].rows + under[symbol].rows
    return Measure(values=values, rows=rows)


def _weighted(measures: Mapping[str, list[Measure]], weights: Mapping[str, float], names: int) -> tuple[list[Factor], dict[str, str]]:
    """The factors that are known of enough names, their weights summing to 1, and why others are left out."""
    wanted = [_factor(name, measures[name], weights[name]) for name in measures if weights[name] > 0]
    kept = [factor for factor in wanted if factor.known >= LEAST_KNOWN * names]
    missing = {
        factor.name: f"known of {factor.known} of {names} names, fewer than half: the factor is left out"
        for factor in wanted
        if factor not in kept
    }
    total = sum(factor.weight for factor in kept)
    return [replace(factor, weight=factor.weight / total) for factor in kept], missing


def _factor(name: str, measures: Sequence[Measure], weight: float) -> Factor:
    """The mean of the centred ranks of its measures, over those that a name has."""
    ranks = np.stack([_centred_ranks(measure.values) for measure in measures])
    known = np.stack([np.isfinite(measure.values) for measure in measures]).sum(axis=0)
    mean = ranks.sum(axis=0) / np.maximum(known, 1)
    return Factor(name=name, ranks=mean, measures=measures, weight=weight, known=int((known > 0).sum()))


def _centred_ranks(values: Floats) -> Floats:
    """Percentile ranks among the finite values less their mean, 0 for the others."""
    ranks, known = np.zeros(len(values)), np.isfinite(values)
    if known.any():
        count = int(known.sum())
        ranks[known] = signals.percentile_ranks(values[known]) - (count + 1) / (2.0 * count)
    return ranks


def _best(
    symbols: Sequence[str], scores: Floats, sectors: Mapping[str, str], top: int, max_sector_frac: float
) -> tuple[list[int], dict[str, str]]:
    """Positions of the best names with no more of one sector than its cap, and those passed over. An unknown sector has no cap."""
    most = max(int(max_sector_frac * top + 1e-9), 1)
    chosen: list[int] = []
    taken: dict[str, int] = {}
    full: dict[str, str] = {}
    for i in signals.descending(symbols, scores).tolist():
        if len(chosen) == top or scores[i] < LEAST_SCORE:
            break
        sector = sectors.get(symbols[i], "")
        if sector and taken.get(sector, 0) >= most:
            full[symbols[i]] = f"{most} names of the sector {sector} are held already"
            continue
        taken[sector] = taken.get(sector, 0) + 1
        chosen.append(i)
    return chosen, full


def _evidence(factors: Sequence[Factor], symbols: Sequence[str], chosen: Sequence[int]) -> pd.DataFrame:
    """A factor's part of the score is shared equally by its measures, and a measure's part by the rows that it was made from."""
    shares: dict[tuple[str, Row], float] = {}
    for i in chosen:
        for factor in factors:
            known = [measure for measure in factor.measures if np.isfinite(measure.values[i])]
            for measure in known:
                part = factor.weight * float(factor.ranks[i]) / len(known) / len(measure.rows[i])
                for row in measure.rows[i]:
                    shares[symbols[i], row] = shares.get((symbols[i], row), 0.0) + part
    frames = []
    for dataset in (BARS, fundamentals.DATASET):
        found = [(key, symbol, part) for (symbol, (source, key)), part in shares.items() if source == dataset]
        parts = np.array([part for _, _, part in found], dtype=np.float64)
        frames.append(signals.evidence_frame(dataset, [key for key, _, _ in found], [symbol for _, symbol, _ in found], parts))
    return pd.concat(frames, ignore_index=True)


STRATEGY = Strategy(
    name="factor_composite",
    run=run,
    needs=(BARS, "index_membership"),
    uses=(fundamentals.DATASET, fundamentals.ACTIONS, "constituents"),
    rebalance=monthly("first_session"),
    lookback_sessions=YEAR + signals.RECENT_SESSIONS,
    params={
        "universe": Param(default="sp1500", choices=tuple(INDICES), meaning="index whose members of the day are ranked"),
        "top": Param(default=30, low=5, high=100, meaning="names held at most"),
        "momentum": Param(default=1.0, low=0.0, high=10.0, meaning="weight of the 12-month return without the last month"),
        "value": Param(default=1.0, low=0.0, high=10.0, meaning="weight of earnings and book to price"),
        "quality": Param(default=1.0, low=0.0, high=10.0, meaning="weight of return on equity and cash flow to assets"),
        "low_volatility": Param(default=1.0, low=0.0, high=10.0, meaning="weight of low volatility, before the risk level"),
        "risk_level": Param(
            default="medium",
            choices=tuple(RISK_LEVELS),
            meaning="low: low volatility counts twice and 30 % stay in cash; high: it does not count",
        ),
        "capital_usd": Param(default=100_000.0, low=0.0, high=1e10, meaning="capital to be placed, USD, for which names must be liquid"),
        "max_adv_frac": Param(default=0.01, low=0.0001, high=1.0, meaning="largest position as a fraction of median daily dollar volume"),
        "min_adv_usd": Param(default=1_000_000.0, low=0.0, high=1e10, meaning="lowest median dollar volume a day, USD"),
        "min_price": Param(default=5.0, low=0.0, high=1000.0, meaning="lowest last close held, USD"),
        "include_sectors": Param(
            default="", pattern=NAMES, examples=("Energy; Utilities",), meaning="GICS sectors that alone are held; empty: all"
        ),
        "exclude_sectors": Param(default="", pattern=NAMES, examples=("Energy",), meaning="GICS sectors that are not held"),
        "max_sector_frac": Param(default=0.30, low=0.05, high=1.0, meaning="largest fraction of the names from one sector"),
    },
    description="S&P 1500 names with the best mix of momentum, value, quality and low volatility, within sector and liquidity limits.",
)
