"""What officers and directors buy of their own companies in the open market: the strongest buying of the last month.

Lakonishok and Lee, "Are insider trades informative?", Review of Financial Studies 14 (2001), find that insiders' purchases tell of later
returns and their sales do not, and that the purchases of managers tell more than those of large shareholders: so only purchases count
(code P of Form 4), and only those of officers and directors. Cohen, Malloy and Pomorski, "Decoding inside information", Journal of
Finance 67 (2012), find that trades by routine tell nothing: so purchases under a plan of rule 10b5-1 are out, where the form says it.

An insider counts with the square root of the dollars bought, so that several who buy count more than one who spends as much alone.
"""

import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import pandas as pd

from strategies import signals
from strategies.base import DataView, Param, Strategy, Targets, weekly

DATASET = "insider_trades"
FULL_AT_NAMES = 10
"""With fewer names than this the sleeve is invested in proportion to their number."""
FAR_FROM_MARKET = 3.0
"""A purchase at so many times the last close, or so small a part of it, was no open-market purchase, or its price is a slip of the pen."""
FURTHER_TICKER = re.compile(r"(?<=\d)/\d+$")
"""What the trade_id of a line has at its end in the rows of its second and further tickers."""
TEXTS = ("symbol", "code", "acquired_disposed", "accession", "owner_name", "trade_id")
NUMBERS = ("shares", "price_usd", "shares_after")
FLAGS = ("is_director", "is_officer", "is_10b5_1", "derivative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """One line of a Form 4. line_id: the same in the rows of all tickers that the line may mean. insider: the words of the first owner's
    name in alphabetical order, for services write them in different ones. accession: empty in Quiver's records. day: since 1970.
    shares_after: -1 where the line does not say."""

    row_key: str
    line_id: str
    symbol: str
    insider: tuple[str, ...]
    accession: str
    day: int
    shares: float
    price_usd: float
    shares_after: float

    @property
    def usd(self) -> float:
        """What was paid."""
        return self.shares * self.price_usd


def run(
    view: DataView,
    *,
    top: int = 25,
    days: int = 30,
    max_age_days: int = 45,
    min_trade_usd: float = 10_000.0,
    min_insiders: int = 1,
    max_weight: float = 0.10,
    min_price: float = 1.0,
    min_adv_usd: float = 1_000_000.0,
    insiders: str = "officers_and_directors",
) -> Targets:
    """Targets from purchases that became known in the last `days` days and were made in the last `max_age_days`.

    The score of a symbol is the sum over its insiders of the square root of what each bought, USD. A line contributes its part of the
    insider's dollars. Weights are proportional to scores, at most `max_weight` each.
    """
    events = view.events(DATASET, view.asof - timedelta(days=days))
    since = signals.new_york_day(view.asof) - timedelta(days=max_age_days)
    found = purchases(events, np.datetime64(since, "D"), ("is_officer",) if insiders == "officers" else ("is_officer", "is_director"))
    closes = signals.last_closes(view, [p.symbol for p in found]) if found else {}
    counted = large(once(at_market(found, closes), closes), min_trade_usd)
    bought: dict[str, dict[tuple[str, ...], list[Purchase]]] = defaultdict(lambda: defaultdict(list))
    for purchase in counted:
        bought[purchase.symbol][purchase.insider].append(purchase)
    rows = {symbol: _contributions(each) for symbol, each in sorted(bought.items()) if len(each) >= min_insiders}
    symbols = list(rows)
    scores = np.array([math.fsum(part for _, part in rows[symbol]) for symbol in symbols])
    reasons = signals.untradable(view, symbols, min_price=min_price, min_adv_usd=min_adv_usd) if symbols else {}
    chosen, passed = signals.ranked(symbols, scores, reasons, top)
    names = [symbols[i] for i in chosen]
    weights = signals.capped_proportional(scores[chosen], total=min(1.0, len(names) / FULL_AT_NAMES), cap=max_weight)
    told = [(key, symbol, part) for symbol in names for key, part in rows[symbol]]
    evidence = signals.evidence_frame(DATASET, [t[0] for t in told], [t[1] for t in told], np.array([t[2] for t in told]))
    return signals.targets(names, weights, scores[chosen], evidence, passed)


def purchases(events: pd.DataFrame, since: np.datetime64, roles: Sequence[str]) -> list[Purchase]:
    """Open-market purchases of shares since a day by insiders of one of these roles, by row_key.

    Left out: other codes, derivatives, purchases under a plan, and lines without ticker, owner, number of shares or price.
    """
    rows = signals.event_rows(events, "transaction_date", *TEXTS, *NUMBERS, *FLAGS)
    rows = rows[rows["code"] == "P"]
    texts = {name: np.array(signals.texts(rows, name), dtype=object) for name in ("row_key", *TEXTS)}
    true = {name: np.array([value == 1 for value in rows[name].tolist()], dtype=bool) for name in FLAGS}
    days = signals.days(rows, "transaction_date")
    shares, prices, after = (signals.numbers(rows, name) for name in NUMBERS)
    after = np.where(np.isnan(after), -1.0, after)
    kept = (texts["acquired_disposed"] == "A") & (texts["symbol"] != "") & (shares > 0) & (prices > 0) & (days >= since)
    kept &= np.logical_or.reduce([true[role] for role in roles]) & ~true["derivative"] & ~true["is_10b5_1"]
    found = []
    for i in np.flatnonzero(kept).tolist():
        key, trade_id, symbol, accession, owners = (texts[name][i] for name in ("row_key", "trade_id", "symbol", "accession", "owner_name"))
        insider = tuple(sorted(re.findall(r"\w+", owners.partition(";")[0].lower())))
        if insider:
            line = Purchase(
                row_key=key, line_id=FURTHER_TICKER.sub("", trade_id) or key, symbol=symbol, insider=insider, accession=accession,
                day=days[i].astype(int).item(), shares=shares[i].item(), price_usd=prices[i].item(), shares_after=after[i].item(),
            )  # fmt: skip
            found.append(line)
    return found


def at_market(lines: Iterable[Purchase], closes: Mapping[str, float]) -> list[Purchase]:
    """Lines whose price is within FAR_FROM_MARKET of the last close, and those of symbols without one."""
    near = 1.0 / FAR_FROM_MARKET
    return [p for p in lines if p.symbol not in closes or near <= p.price_usd / closes[p.symbol] <= FAR_FROM_MARKET]


def once(lines: Sequence[Purchase], priced: Collection[str]) -> list[Purchase]:
    """Each economic trade once, by row_key.

    A line that is a row for each ticker of its company counts for the first that is priced. Quiver's record gives way to the report that
    it was made from, which may have been amended since. Equal lines (symbol, day, shares, price and shares held afterwards) of several
    reports, such as those of joint owners who each file, are taken from the report that has most of them; equal lines inside a report are
    several trades.
    """
    first: dict[str, Purchase] = {}
    for line in sorted(lines, key=lambda p: (p.symbol not in priced, p.symbol, p.row_key)):
        first.setdefault(line.line_id, line)
    reported = {(p.symbol, p.insider, p.day) for p in first.values() if p.accession}
    equal: dict[tuple[str, int, float, float, float], dict[tuple[bool, str, tuple[str, ...]], list[Purchase]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for p in first.values():
        if p.accession or (p.symbol, p.insider, p.day) not in reported:
            equal[p.symbol, p.day, p.shares, p.price_usd, p.shares_after][not p.accession, p.accession, p.insider].append(p)
    taken = (min(told.items(), key=lambda each: (-len(each[1]), each[0]))[1] for told in equal.values())
    return sorted((line for each in taken for line in each), key=lambda p: p.row_key)


def large(lines: Sequence[Purchase], min_trade_usd: float) -> list[Purchase]:
    """Lines of insiders who paid at least so much for a symbol on that day, over all their lines."""
    paid: dict[tuple[str, tuple[str, ...], int], list[float]] = defaultdict(list)
    for p in lines:
        paid[p.symbol, p.insider, p.day].append(p.usd)
    return [p for p in lines if math.fsum(paid[p.symbol, p.insider, p.day]) >= min_trade_usd]


def _contributions(bought: Mapping[tuple[str, ...], Sequence[Purchase]]) -> list[tuple[str, float]]:
    """Row keys with their parts of the sum over insiders of sqrt(USD)."""
    roots = {insider: math.sqrt(math.fsum(p.usd for p in lines)) for insider, lines in bought.items()}
    return sorted((p.row_key, p.usd / roots[insider]) for insider, lines in bought.items() for p in lines)


STRATEGY = Strategy(
    name="insider_buying_pulse",
    run=run,
    needs=(DATASET, "bars_daily"),
    rebalance=weekly("mon"),
    lookback_sessions=signals.VOLUME_SESSIONS,
    params={
        "top": Param(default=25, low=1, high=100, meaning="names held at most"),
        "days": Param(default=30, low=5, high=180, meaning="calendar days in which a purchase must have become known"),
        "max_age_days": Param(default=45, low=5, high=365, meaning="calendar days since the purchase itself, beyond which it is old news"),
        "min_trade_usd": Param(default=10_000.0, low=0.0, high=1e8, meaning="least that an insider paid on a day, USD"),
        "min_insiders": Param(default=1, low=1, high=10, meaning="insiders who must have bought"),
        "max_weight": Param(default=0.10, low=0.02, high=1.0, meaning="largest fraction of the sleeve in one name"),
        "min_price": Param(default=1.0, low=0.0, high=1000.0, meaning="lowest last close held, USD; 1 is the exchanges' listing minimum"),
        "min_adv_usd": Param(default=1_000_000.0, low=0.0, high=1e9, meaning="least median dollar volume a day, USD; 0 asks for none"),
        "insiders": Param(
            default="officers_and_directors", choices=("officers_and_directors", "officers"), meaning="whose purchases count"
        ),
    },
    description="The 25 stocks with the strongest open-market buying by officers and directors in the last 30 days.",
)
