"""Pairs of one sector whose prices are tied to each other: buy the leg that fell behind, sell the one that ran ahead, wait.

On the last session of each month, Engle and Granger's test picks the most clearly cointegrated pairs among the most traded index members
of each sector. A Kalman filter then follows each pair's hedge ratio as a random walk; its innovation, in standard deviations, opens a
pair when it is large, and closes it when it has come back, when the pair has broken, or when it takes too long. After Engle and Granger,
"Co-integration and error correction", Econometrica 55 (1987); Gatev, Goetzmann and Rouwenhorst, "Pairs trading: performance of a
relative-value arbitrage rule", Review of Financial Studies 19 (2006); Elliott, van der Hoek and Malcolm, "Pairs trading", Quantitative
Finance 5 (2005); Chan, "Algorithmic Trading" (2013), chapter 3.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from strategies import signals
from strategies.base import BarField, DataView, Param, Strategy, Targets, daily, no_targets
from strategies.pairs import LONGEST_MONTH, Formation, Rule, Spell, follow, formations, most_traded, select

INDEX = "sp500"
LIQUIDITY_SESSIONS = 63
"""The last sessions of a formation, over which the traded dollars of a name are added up."""
NOTHING = 1e-9
"""A net weight below this is none."""
SHARE_DECIMALS = 6
"""Of the split between the legs, so that what is adjusted for a new dividend moves no target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Market:
    """The candidates' prices. logs (n_names, n_sessions), the last known price standing in for a missing one; seen (n_names, n_sessions):
    the row that this price is of, -1 before the first; candidates: positions of names, by formation."""

    symbols: Sequence[str]
    groups: Sequence[str]
    sessions: pd.DatetimeIndex
    logs: signals.Floats
    seen: signals.Indices
    candidates: Mapping[int, Sequence[int]]

    def key(self, name: int, row: int) -> str:
        """Row key of the bar whose price stands at a row."""
        return signals.session_keys([self.symbols[name]], self.sessions[self.seen[name, row]])[0]


def run(
    view: DataView,
    *,
    legs: str = "long_short",
    max_pairs: int = 8,
    per_sector: int = 8,
    formation: int = 252,
    significance: str = "5%",
    delta: float = 1e-4,
    observation_variance: float = 1.0,
    entry: float = 2.0,
    exit_: float = 0.5,
    stop: float = 4.0,
    max_sessions: int = 42,
    min_price: float = 5.0,
) -> Targets:
    """Targets of the pairs that are open after the last close, each 1 / max_pairs of the sleeve, unchanged from its opening to its close.

    A leg's score is the sum, over its open pairs, of the innovation's z against the position; the bars of both legs of the last two
    sessions contribute what they add to it. With legs "tilt" nothing is sold short: a selected pair holds both legs equally, scored by the
    margin of its cointegration test, and an open one holds the cheap leg alone.
    """
    sectors = _sectors(view)
    if not sectors:
        return no_targets({INDEX: "no member of the index with a sector is known"})
    rule = Rule(delta=delta, observation_variance=observation_variance, entry=entry, exit_=exit_, stop=stop, max_sessions=max_sessions)
    sessions = _window(view, sectors, formation + LONGEST_MONTH + max_sessions)
    spans = formations(sessions, formation, max_sessions)
    if not spans:
        missing = f"fewer than {formation} sessions are known up to the end of a month"
        return no_targets({INDEX: missing if len(sessions) else f"no member has a bar in the last {signals.RECENT_SESSIONS} sessions"})
    market, skipped = _market(view, sectors, sessions, spans, per_sector)
    chosen = [
        pair for span in spans for pair in select(market.logs, market.candidates[span.last], market.groups, span, significance, max_pairs)
    ]
    spells = [follow(market.logs, pair, rule) for pair in chosen]
    newest = spans[-1] if legs == "tilt" else None
    wanted = [spell for spell in spells if spell.side or spell.pair.formation == newest]
    held, refused = _held(view, market, wanted, max_pairs, min_price, may_short=legs != "tilt")
    return _targets(market, held, 1.0 / max_pairs, skipped | refused, short=legs != "tilt")


def _sectors(view: DataView) -> dict[str, str]:
    """Sector of each member of the index that has one, in alphabetical order of symbol."""
    known = signals.known_sectors(view)
    return {symbol: known[symbol] for symbol in signals.members(view, INDEX) if symbol in known}


def _window(view: DataView, symbols: Iterable[str], length: int) -> pd.DatetimeIndex:
    """The last `length` sessions up to the newest on which any of the symbols has a price; empty when that is not one of the last few."""
    recent = view.bars("close", signals.RECENT_SESSIONS, list(symbols))
    priced = np.flatnonzero(np.isfinite(recent.to_numpy(dtype=np.float64)).any(axis=1))
    last = len(view.sessions) - len(recent) + int(priced.max(initial=-1)) + 1 if len(priced) else 0
    return view.sessions[max(last - length, 0) : last]


def _bars(view: DataView, field: BarField, sessions: pd.DatetimeIndex, symbols: Sequence[str]) -> signals.Floats:
    """A bar field over those sessions, (n_names, n_sessions), NaN where there was no bar."""
    depth = len(view.sessions) - int(view.sessions.searchsorted(sessions[0]))
    frame = view.bars(field, depth, list(symbols))
    if len(frame) != depth or frame.columns.tolist() != list(symbols):
        frame = frame.reindex(index=sessions, columns=list(symbols))
    return np.ascontiguousarray(frame.to_numpy(dtype=np.float64)[: len(sessions)].T)


def _liquid(
    view: DataView, sectors: Mapping[str, str], sessions: pd.DatetimeIndex, spans: Sequence[Formation], per_sector: int
) -> dict[int, list[str]]:
    """The most traded names of every sector, by the last row of each formation."""
    members, groups = list(sectors), list(sectors.values())
    start = max(spans[0].last + 1 - LIQUIDITY_SESSIONS, 0)
    dollars = np.nan_to_num(_bars(view, "close", sessions[start:], members) * _bars(view, "volume", sessions[start:], members))
    found = {}
    for span in spans:
        stop = span.last + 1 - start
        traded = dollars[:, max(stop - LIQUIDITY_SESSIONS, 0) : stop].sum(axis=1)
        found[span.last] = [members[i] for i in most_traded(traded, groups, per_sector)]
    return found


def _market(
    view: DataView, sectors: Mapping[str, str], sessions: pd.DatetimeIndex, spans: Sequence[Formation], per_sector: int
) -> tuple[_Market, dict[str, str]]:
    """The candidates of every formation with their prices, and why some of them cannot be judged."""
    liquid = _liquid(view, sectors, sessions, spans, per_sector)
    symbols = sorted({symbol for names in liquid.values() for symbol in names})
    prices = _bars(view, "adj_close", sessions, symbols)
    seen = signals.standing(prices.T).T
    logs = np.log(np.where(seen < 0, 1.0, np.take_along_axis(prices, np.maximum(seen, 0), axis=1)))
    candidates: dict[int, list[int]] = {}
    skipped: dict[str, str] = {}
    for span in spans:
        length = span.last + 1 - span.first
        out = signals.unfit(prices.T, seen.T, span.first, span.last + 1, length, called="sessions of the formation")
        names = np.flatnonzero(np.isin(symbols, liquid[span.last])).tolist()
        candidates[span.last] = [i for i in names if i not in out]
        skipped |= {symbols[i]: out[i] for i in names if i in out}
    groups = [sectors[symbol] for symbol in symbols]
    return _Market(symbols=symbols, groups=groups, sessions=sessions, logs=logs, seen=seen, candidates=candidates), skipped


def _held(
    view: DataView, market: _Market, spells: Sequence[Spell], slots: int, min_price: float, *, may_short: bool
) -> tuple[list[Spell], dict[str, str]]:
    """The pairs that are held, at most `slots`, those that opened first before the others; and why legs of other pairs are not.

    A pair that two formations found counts once, as the first of them opened it.
    """
    legs = sorted({market.symbols[leg] for spell in spells for leg in (spell.pair.y, spell.pair.x)})
    untradable = signals.untradable(view, legs, min_price=min_price) if legs else {}
    unborrowable = _not_shortable(view, legs) if may_short and legs else set()
    held: dict[frozenset[int], Spell] = {}
    refused: dict[str, str] = {}
    for spell in sorted(spells, key=_seniority):
        y, x = market.symbols[spell.pair.y], market.symbols[spell.pair.x]
        short = x if spell.side > 0 else y
        both = frozenset((spell.pair.y, spell.pair.x))
        why = next((f"of {leg}: {untradable[leg]}" for leg in (y, x) if leg in untradable), "")
        why = why or (f"{short} cannot be borrowed" if short in unborrowable else "")
        why = why or (f"pairs that opened before it take all places, {slots}" if len(held) == slots and both not in held else "")
        if why:
            refused |= {leg: f"pair {y}/{x} is not held: {why}" for leg in (y, x) if leg not in refused}
        else:
            held.setdefault(both, spell)
    return list(held.values()), refused


def _seniority(spell: Spell) -> tuple[bool, int, float, int]:
    """Open pairs before those at rest, the one that opened first before the others, then the clearest cointegration."""
    return spell.side == 0, spell.opened, spell.pair.statistic, spell.pair.y


def _not_shortable(view: DataView, symbols: Iterable[str]) -> set[str]:
    """Those of the symbols of which the broker says that they cannot be sold short, or not borrowed easily."""
    listed = view.events("assets")
    if not {"symbol", "shortable", "easy_to_borrow"} <= set(listed.columns):
        return set()
    refused = listed["shortable"].eq(False) | listed["easy_to_borrow"].eq(False)
    return set(listed["symbol"][refused]) & set(symbols)


def _weights(spell: Spell, gross: float, *, short: bool) -> tuple[float, float]:
    """Fractions of the sleeve in y and in x, whose sizes sum to `gross`."""
    if not short:
        in_y = 0.5 + 0.5 * spell.side
        return gross * in_y, gross * (1.0 - in_y)
    share = round(spell.share, SHARE_DECIMALS)
    return spell.side * gross * share, -spell.side * gross * (1.0 - share)


def _reasons(market: _Market, spell: Spell) -> list[tuple[str, float]]:
    """Row keys of daily bars and what each says for the pair: see `Spell.parts`; at rest, a quarter of the margin of its test each."""
    pair, newest = spell.pair, len(market.sessions) - 1
    if spell.side:
        ends, parts = (newest, newest - 1), spell.parts
    else:
        ends, parts = (pair.formation.last, pair.formation.first), (pair.margin / 4.0,) * 4
    keys = [market.key(leg, row) for row in ends for leg in (pair.y, pair.x)]
    return list(zip(keys, parts, strict=True))


def _targets(market: _Market, held: Sequence[Spell], gross: float, skipped: Mapping[str, str], *, short: bool) -> Targets:
    """Legs netted by symbol; a bar that speaks for several pairs of a symbol is named once."""
    weights: dict[str, float] = {}
    said: dict[str, dict[str, float]] = {}
    for spell in held:
        for leg, weight in zip((spell.pair.y, spell.pair.x), _weights(spell, gross, short=short), strict=True):
            symbol = market.symbols[leg]
            weights[symbol] = weights.get(symbol, 0.0) + weight
            rows = said.setdefault(symbol, {})
            for key, part in _reasons(market, spell) if weight else ():
                rows[key] = rows.get(key, 0.0) + part
    symbols = [symbol for symbol in sorted(weights) if abs(weights[symbol]) > NOTHING]
    scores = {symbol: sum(said[symbol].values()) for symbol in symbols}
    ordered = [symbols[i] for i in signals.descending(symbols, np.array(list(scores.values())))] if symbols else []
    evidence = [(key, symbol, part) for symbol in ordered for key, part in said[symbol].items()]
    cancelled = {symbol: "its legs of two pairs cancel" for symbol in weights if said[symbol] and symbol not in scores}
    return signals.targets(
        ordered,
        np.array([weights[symbol] for symbol in ordered]),
        np.array([scores[symbol] for symbol in ordered]),
        signals.evidence_frame("bars_daily", [e[0] for e in evidence], [e[1] for e in evidence], np.array([e[2] for e in evidence])),
        {symbol: why for symbol, why in sorted((dict(skipped) | cancelled).items()) if symbol not in scores},
    )


STRATEGY = Strategy(
    name="kalman_pairs",
    run=run,
    needs=("bars_daily", "index_membership", "constituents"),
    uses=("assets",),
    rebalance=daily(),
    lookback_sessions=504 + LONGEST_MONTH + 63 + signals.RECENT_SESSIONS,
    params={
        "legs": Param(
            default="long_short",
            choices=("long_short", "tilt"),
            meaning="long and short, or without short sales: both legs, tilted to the cheap one",
        ),
        "max_pairs": Param(default=8, low=1, high=20, meaning="pairs held at most, each 1 / max_pairs of the sleeve"),
        "per_sector": Param(default=8, low=2, high=15, meaning="most traded names of each sector that are paired"),
        "formation": Param(default=252, low=126, high=504, meaning="sessions up to the month's end on which pairs are chosen"),
        "significance": Param(default="5%", choices=("1%", "5%", "10%"), meaning="level of the cointegration test"),
        "delta": Param(
            default=1e-4, low=0.0, high=0.01, meaning="how fast the hedge ratio moves: variance a session, over standardised prices"
        ),
        "observation_variance": Param(default=1.0, low=0.1, high=10.0, meaning="noise of a price, in the formation's residual variance"),
        "entry": Param(default=2.0, low=1.0, high=3.0, meaning="z beyond which a pair opens"),
        "exit_": Param(default=0.5, low=0.0, high=0.9, meaning="z at which a pair has come back"),
        "stop": Param(default=4.0, low=3.5, high=10.0, meaning="z beyond which a pair is broken"),
        "max_sessions": Param(default=42, low=5, high=63, meaning="sessions after which an open pair is closed"),
        "min_price": Param(default=5.0, low=0.0, high=1000.0, meaning="lowest last close of a leg, USD"),
    },
    description="Cointegrated pairs of the S&P 500 within a sector, hedged by a Kalman filter, traded on the innovation's z-score.",
    shorts=True,
    long_only={"legs": "tilt"},
)
