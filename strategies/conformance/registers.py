"""Generated registers: events of drug makers, figures of companies, the VIX, the broker's listings, corporate actions and regimes."""

from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np
import pandas as pd

from strategies.conformance import rows, telling
from strategies.conformance.listings import ASOF, SECTORS, Listings
from strategies.conformance.telling import LAST, Rng

CONCEPTS = {"shares_outstanding": 2e8, "revenue": 2e9, "net_income": 2e8, "equity": 6e9, "operating_cash_flow": 3e8, "assets": 1.5e10}
FLOWS = ("revenue", "net_income", "operating_cash_flow")


def biotech_events(rng: Rng, market: Listings) -> pd.DataFrame:
    """Twelve events of each company of health care: expected ones up to half a year ahead, past ones, some moved or ended since."""
    firms = market.of_sector(SECTORS[0]) * 12
    count = len(firms)
    known = telling.midnights(rng, count, timedelta(days=-300), LAST)
    ahead = known.astype("datetime64[D]") + rng.integers(5, 180, count).astype("timedelta64[D]")
    kind = rng.choice(["trial_completion", "pdufa", "adcom", "approval", "complete_response"], count, p=[0.45, 0.3, 0.1, 0.1, 0.05])
    past = np.isin(kind, ["approval", "complete_response"])
    published = known.astype("datetime64[D]") - np.timedelta64(1, "D")
    monthly = ~past & (rng.random(count) < 0.3)
    on = np.where(past, published, np.where(monthly, ahead.astype("datetime64[M]").astype("datetime64[D]"), ahead)).astype("datetime64[D]")
    trial = kind == "trial_completion"
    status = rng.choice(["ACTIVE_NOT_RECRUITING", "RECRUITING", "TERMINATED", "COMPLETED"], count, p=[0.6, 0.3, 0.05, 0.05])
    cells: dict[str, Any] = {
        "origin": np.where(
            trial, "clinicaltrials", np.where(kind == "adcom", "federal_register", np.where(kind == "approval", "openfda", "edgar_fts"))
        ),
        "reference_id": [f"NCT{number:08d}" for number in range(count)],
        "kind": kind,
        "symbol": [None if rng.random() < 0.02 else firm for firm in firms],
        "company": [f"{firm} Pharma" for firm in firms],
        "product": [f"drug {number % 40}" for number in range(count)],
        "phase": np.where(trial, rng.choice(["PHASE2", "PHASE3", "PHASE2/PHASE3"], count), ""),
        "status": np.where(trial, status, np.where(past, "AP", "announced")),
        "event_date": [None if rng.random() < 0.02 else day for day in on.astype(object)],
        "date_precision": np.where(monthly, "month", "day"),
        "date_type": np.where(past, "actual", np.where(trial, "estimated", "announced")),
        "published": published.astype(object),
    }
    frame = rows.frame("biotech_events", cells, event_at=rows.new_york(published), known_at=known)
    return _moved(rng, frame)


def _moved(rng: Rng, frame: pd.DataFrame) -> pd.DataFrame:
    """The frame, and a later version of one in twelve rows that expects its event fifty days later."""
    later = frame[(rng.random(len(frame)) < 0.08) & ~frame["kind"].isin(["approval", "complete_response"])].copy()
    shifted = [day + timedelta(days=50) if isinstance(day, date) else None for day in later["event_date"]]
    later["event_date"] = pd.Series(shifted, index=later.index, dtype=object)
    later["known_at"] = rows.postponed(later["known_at"], 20)
    return pd.concat([frame, later], ignore_index=True)


def fundamentals(rng: Rng, market: Listings) -> pd.DataFrame:
    """Ten quarters of six figures of nearly every stock, flows of the year too, filed five weeks after; some restated later."""
    firms = [stock for place, stock in enumerate(market.stocks) if place % 25 != 24]
    size = {concept: level * rng.lognormal(0.0, 0.8, len(firms)) for concept, level in CONCEPTS.items()}
    parts = []
    for start, year, quarter in telling.QUARTERS:
        for concept in CONCEPTS:
            spans = [(start, f"Q{quarter}", 1.0)]
            if concept in FLOWS and quarter == 4:
                spans.append((np.datetime64(f"{year}-01-01", "us"), "FY", 4.0))
            for begin, period, factor in spans:
                values = factor * size[concept] * rng.lognormal(0.02 * quarter, 0.1, len(firms))
                parts.append(_figures(firms, concept, begin if concept in FLOWS else None, start, year, period, values))
    return telling.amended(rng, pd.concat(parts, ignore_index=True), 0.02, "value", 1.01)


def _figures(
    firms: list[str], concept: str, begin: np.datetime64 | None, quarter: np.datetime64, year: int, period: str, values: Any
) -> pd.DataFrame:
    """One figure of every firm, of the quarter that starts at `quarter` or of the year that ends with it."""
    end = (quarter.astype("datetime64[M]") + 3).astype("datetime64[D]") - 1
    known = rows.new_york([end + np.timedelta64(37, "D")] * len(firms))
    cells: dict[str, Any] = {
        "symbol": firms,
        "cik": [f"{telling.number(firm):010d}" for firm in firms],
        "concept": concept,
        "unit": "shares" if concept == "shares_outstanding" else "USD",
        "period_start": None if begin is None else begin.astype("datetime64[D]").astype(object),
        "period_end": [end.astype(object)] * len(firms),
        "fiscal_year": [year] * len(firms),
        "fiscal_period": period,
        "value": values,
        "form": "10-K" if period in ("Q4", "FY") else "10-Q",
        "accession": [f"{firm}-{end}" for firm in firms],
        "filed": [(end + np.timedelta64(36, "D")).astype(object)] * len(firms),
        "tag": concept,
    }
    keys = [f"figure/{firm}/{concept}/{period}/{end}" for firm in firms]
    return rows.frame("fundamentals", cells, event_at=rows.new_york([end] * len(firms)), known_at=known, keys=keys)


def vix(rng: Rng, market: Listings) -> pd.DataFrame:
    """A session of the index for every session of prices, calm and turbulent by turns of three months."""
    sessions = market.closes.index.to_numpy().astype("datetime64[D]")
    count = len(sessions)
    level = 14.0 + 12.0 * (np.arange(count) // 63 % 3 == 2)
    close = level * np.exp(rng.normal(0.0, 0.08, count))
    known = rows.new_york(sessions, time(16, 20))
    cells = {"session": sessions.astype(object), "open": close * 1.01, "high": close * 1.05, "low": close * 0.96, "close": close}
    return rows.frame("vix", cells, event_at=known, known_at=known)


def assets(rng: Rng, market: Listings) -> pd.DataFrame:
    """What the broker says of every symbol: one in ten cannot be borrowed, and one in ten after ASOF is no longer tradable."""
    symbols = list(market.closes.columns)
    count = len(symbols)
    known = np.full(count, rows.instant(ASOF - timedelta(days=300)))
    lent = rng.random(count) >= 0.1
    lent[:8] = True
    cells: dict[str, Any] = {
        "symbol": symbols,
        "asset_id": [f"asset-{symbol}" for symbol in symbols],
        "name": [f"{symbol} Inc" for symbol in symbols],
        "exchange": "NYSE",
        "asset_class": "us_equity",
        "status": "active",
        "tradable": True,
        "fractionable": rng.random(count) < 0.9,
        "shortable": lent,
        "easy_to_borrow": lent,
        "marginable": True,
    }
    frame = rows.frame("assets", cells, event_at=known, known_at=known)
    later = frame[rng.random(count) < 0.1].assign(tradable=False, shortable=False, easy_to_borrow=False)
    after = rows.postponed(later["known_at"], 303)
    return pd.concat([frame, later.assign(known_at=after, event_at=after)], ignore_index=True)


def corporate_actions(rng: Rng, market: Listings) -> pd.DataFrame:
    """Dividends of the stocks over two years, and some splits."""
    count = 3 * len(market.stocks)
    known = telling.midnights(rng, count, timedelta(days=-500), LAST)
    split = rng.random(count) < 0.1
    cells: dict[str, Any] = {
        "symbol": rng.choice(market.stocks, count),
        "kind": np.where(split, "split", "cash_dividend"),
        "ex_date": rows.days(known),
        "action_id": [f"action-{number}" for number in range(count)],
        "ratio": np.where(split, 2.0, np.nan),
        "amount_usd": np.where(split, np.nan, 0.4),
        "origin": "alpaca",
    }
    return rows.frame("corporate_actions", cells, event_at=known, known_at=known)


def market_regime(known_at: datetime, turbulent_ln_vix: float) -> tuple[datetime, dict[str, Any]]:
    """A trained model of calm and turbulence over the benchmark's return in percent and ln VIX, as a view hands it out."""
    params = {
        "startprob": [0.5, 0.5],
        "transmat": [[0.97, 0.03], [0.05, 0.95]],
        "means": [[0.08, 2.64], [-0.05, turbulent_ln_vix]],
        "covars": [[[0.7, -0.03], [-0.03, 0.02]], [[2.5, -0.05], [-0.05, 0.03]]],
    }
    identity = {"name": "market_regime", "version": 1, "training_end": known_at.date().isoformat(), "data_hash": "0" * 64, "hash": "1" * 64}
    return known_at, {**identity, "known_at": known_at.isoformat(), "params": params}
