"""What Congress as a whole has been buying: the stocks with the largest net disclosed purchases.

Disclosures count from the moment they were public, never from the trade. Under the STOCK Act (2012) amounts are given
as ranges, so a disclosure is worth the midpoint of its range, or the lower bound where the range is open-ended.

A trade counts once. Later versions of its row correct it, and do not make it news again. Where several tell of it (Quiver, the House, the
Senate, an archive of theirs), the trades that are alike in all that they have in common are taken from the one that tells of most.
"""

import re
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from strategies import disclosures, signals
from strategies.base import DataView, Param, Strategy, Targets, no_targets, weekly

DATASET = "congress_trades"
FULL_AT_NAMES = 10
"""With fewer names than this the sleeve is invested in proportion to their number."""

SIGN = {"purchase": 1.0, "sale": -1.0, "sale_full": -1.0, "sale_partial": -1.0}
READ = ("row_key", "symbol", "transaction", "amount_low_usd", "amount_high_usd", "asset_type", "asset_description")
STOCK_TYPES = ("", "stock", "st", "cs", "common stock")
NOT_A_STOCK = re.compile(
    r"(?:call|put|stock) options?\b|- options?\b|option type|\bstrike\b"  # options
    r"|\bcpn\b|\bmtn\b|\bbonds?\b|\bnotes?\b|\bdebentures?\b|\bpfd\b|\d ?%"  # bonds and preferreds
    r"|\betfs?\b|\betns?\b|\bfunds?\b|\bishares\b|\bspdr\b|\bproshares\b|\bpowershares\b"
    r"|\bvanguard\b|\bqqq\b|\bfirst trust\b|\bgrayscale\b",
    re.IGNORECASE,
)
"""House filings carry no asset type, so that options, bonds and funds are told from stocks by their description."""
NOT_A_STOCK_TICKER = re.compile(r"[A-Z]{4}X|.+\.PR[A-Z]?")
"""Mutual funds (five letters ending in X) and preferred series."""


def run(
    view: DataView, *, days: int = 30, top: int = 20, max_weight: float = 0.10, min_price: float = 1.0, weighting: str = "net_dollars"
) -> Targets:
    """Targets from net signed dollars by name over disclosures known in the last `days` days; only a positive net counts.

    Weights are proportional to net dollars (or equal), at most `max_weight` each. Names of the ranking without a bar in
    the last five sessions, or cheaper than `min_price` USD, are passed over with the reason.
    """
    since = view.asof - timedelta(days=days)
    disclosed = disclosures.first_told(view.events(DATASET, since), since)
    if disclosed.empty:
        return no_targets()
    trades = signed_trades(disclosed)
    net = trades.groupby("symbol", sort=True)["signed_usd"].sum()
    net = net[net > 0]
    symbols = [str(symbol) for symbol in net.index]
    if not symbols:
        return no_targets()
    scores = net.to_numpy(dtype=np.float64)
    reasons = _not_tradable(view, symbols, min_price)
    ranking = [symbols[i] for i in signals.descending(symbols, scores)]
    names = [symbol for symbol in ranking if symbol not in reasons][:top]
    if not names:
        return no_targets(reasons)
    ahead = ranking[: ranking.index(names[-1])] if len(names) == top else ranking
    chosen = net.loc[names].to_numpy(dtype=np.float64)
    sized = chosen if weighting == "net_dollars" else np.ones(len(names))
    weights = signals.capped_proportional(sized, total=min(1.0, len(names) / FULL_AT_NAMES), cap=max_weight)
    return signals.targets(names, weights, chosen, _evidence(trades, names), {s: reasons[s] for s in ahead if s in reasons})


def signed_trades(events: pd.DataFrame) -> pd.DataFrame:
    """Stock purchases (+) and sales (-) with their dollars: columns row_key, symbol, signed_usd, by symbol and row_key.

    Left out by rule: exchanges, options, bonds, funds, rows without a ticker or an amount, exact repetitions inside a filing, and
    what another origin tells of as well. A range counts at its midpoint, an open-ended one at its lower bound.
    """
    found: dict[int, tuple[str, str, float]] = {}
    keys: set[str] = set()
    rows = zip(disclosures.unrepeated(events), *(events[c].tolist() for c in READ), strict=True)
    for place, (first, key, symbol, transaction, low, high, kind, description) in enumerate(rows):
        if not first or transaction not in SIGN or _is_missing(symbol) or _is_missing(low) or key in keys:
            continue
        if _is_stock(symbol, "" if _is_missing(kind) else kind, "" if _is_missing(description) else description):
            top = low if _is_missing(high) else high
            found[place] = (symbol, key, SIGN[transaction] * (float(low) + float(top)) / 2.0)
            keys.add(key)
    counted = sorted(found[place] for place in disclosures.told_once(events, found))
    return pd.DataFrame(
        {
            "row_key": pd.Series([key for _, key, _ in counted], dtype="object"),
            "symbol": pd.Series([symbol for symbol, _, _ in counted], dtype="object"),
            "signed_usd": pd.Series([usd for _, _, usd in counted], dtype="float64"),
        }
    )


def _is_stock(symbol: str, kind: str, description: str) -> bool:
    """Whether a disclosure is about common stock, by asset type, description and the form of the ticker."""
    typed = kind.strip().lower() in STOCK_TYPES
    return typed and not NOT_A_STOCK.search(description) and not NOT_A_STOCK_TICKER.fullmatch(symbol)


def _is_missing(value: Any) -> bool:
    return value is None or value != value


def _not_tradable(view: DataView, symbols: list[str], min_price: float) -> dict[str, str]:
    """Symbol -> reason, for names without a recent bar or below the price floor."""
    closes = view.bars("close", signals.RECENT_SESSIONS, symbols).ffill()
    last = closes.iloc[-1].reindex(symbols) if len(closes) else pd.Series(np.nan, index=symbols)
    prices = last.to_numpy(dtype=np.float64)
    reasons = {symbols[i]: f"no bar in the last {signals.RECENT_SESSIONS} sessions" for i in np.flatnonzero(np.isnan(prices))}
    cheap = np.flatnonzero(prices < min_price)
    return reasons | {symbols[i]: f"last close {prices[i]:.2f} USD is below {min_price:.2f} USD" for i in cheap}


def _evidence(trades: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """One row per disclosure of the chosen names, with its signed dollars."""
    used = trades[trades["symbol"].isin(names)]
    keys, symbols = used["row_key"].tolist(), used["symbol"].tolist()
    return signals.evidence_frame(DATASET, keys, symbols, used["signed_usd"].to_numpy(dtype=np.float64))


STRATEGY = Strategy(
    name="congress_aggregate",
    run=run,
    needs=(DATASET, "bars_daily"),
    rebalance=weekly("mon"),
    lookback_sessions=signals.RECENT_SESSIONS,
    params={
        "days": Param(default=30, low=7, high=180, meaning="calendar days of disclosures that count"),
        "top": Param(default=20, low=1, high=50, meaning="names held at most"),
        "max_weight": Param(default=0.10, low=0.02, high=1.0, meaning="largest fraction of the sleeve in one name"),
        "min_price": Param(default=1.0, low=0.0, high=1000.0, meaning="lowest last close held, USD; 1 is the exchanges' listing minimum"),
        "weighting": Param(default="net_dollars", choices=("net_dollars", "equal"), meaning="how names are sized"),
    },
    description="The 20 stocks with the largest net purchases disclosed by members of Congress in the last 30 days.",
)
