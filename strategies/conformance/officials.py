"""Generated disclosures of officials and insiders: trades of Congress, closeness to Washington, contracts, lobbying, Form 4."""

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from strategies.conformance import rows, telling
from strategies.conformance.listings import Listings
from strategies.conformance.telling import FIRST, LAST, Rng

MEMBERS = 24
AGENCIES = ("Department of Defense", "Department of Energy", "Department of Health and Human Services")


def congress_trades(rng: Rng, market: Listings) -> pd.DataFrame:
    """Some trades a day over two years: stocks, some options, funds and assets without ticker; late ones, some told by Quiver too."""
    count = min(25 * len(market.stocks), 6000)
    known = telling.midnights(rng, count, FIRST, LAST)
    disclosed = known - np.timedelta64(1, "D")
    traded = disclosed - rng.integers(3, 60, count).astype("timedelta64[D]")
    member = rng.integers(0, MEMBERS, count)
    low = rng.choice([1001.0, 15001.0, 50001.0, 100001.0], count)
    kind = rng.choice(["", "Stock", "Stock Option", "Corporate Bond", "ETF"], count, p=[0.6, 0.33, 0.03, 0.02, 0.02])
    symbol = rng.choice(market.stocks, count)
    cells: dict[str, Any] = {
        "chamber": np.where(member % 3 == 0, "senate", "house"),
        "member": [f"Alex Member{number:02d}" for number in member],
        "member_id": [f"M{number:06d}" for number in member],
        "party": np.where(member % 2 == 0, "D", "R"),
        "owner": rng.choice(["self", "spouse", "joint", "child", ""], count, p=[0.5, 0.25, 0.15, 0.05, 0.05]),
        "symbol": [None if rng.random() < 0.02 else str(name) for name in symbol],
        "ticker_text": symbol,
        "asset_description": [f"{name} Inc. - Common Stock" for name in symbol],
        "asset_type": kind,
        "transaction": rng.choice(["purchase", "sale_full", "sale_partial", "exchange"], count, p=[0.6, 0.2, 0.15, 0.05]),
        "amount_low_usd": low,
        "amount_high_usd": np.where(rng.random(count) < 0.03, np.nan, 3 * low),
        "transaction_date": rows.days(traded),
        "disclosure_date": rows.days(disclosed),
        "filing_id": [f"F{number // 2:05d}" for number in range(count)],
        "origin": np.where(member % 3 == 0, "senate", "house"),
    }
    frame = rows.frame("congress_trades", cells, event_at=traded, known_at=known)
    frame = telling.retold(rng, frame, 0.1, {"origin": "quiver", "filing_id": "", "member_id": ""})
    return telling.amended(rng, frame, 0.03, "amount_low_usd", 1.5)


def dc_insider_scores(rng: Rng, market: Listings) -> pd.DataFrame:
    """A score of every stock on every working day of two weeks and the Mondays before, by Quiver, and our own of the Mondays."""
    level = rng.uniform(0.0, 100.0, len(market.stocks))
    mondays = telling.every(timedelta(days=7), timedelta(days=-98), timedelta(days=28))
    recent = [day for day in telling.every(timedelta(days=1), timedelta(days=-14), timedelta(days=7)) if day not in set(mondays)]
    parts = []
    for origin, days in (("quiver", sorted([*mondays, *recent])), ("own", list(mondays))):
        for day in days:
            score = np.clip(level + rng.normal(0.0, 5.0, len(level)), 0.0, 100.0)
            known = np.full(len(level), day + np.timedelta64(11 if origin == "own" else 29, "h"))
            cells = {"symbol": market.stocks, "score": score, "rank": (-score).argsort().argsort() + 1, "origin": origin}
            keys = [f"dc/{origin}/{day}/{symbol}" for symbol in market.stocks]
            at = np.full(len(level), day + np.timedelta64(5, "h"))
            parts.append(rows.frame("dc_insider_scores", cells, event_at=at, known_at=known, keys=keys))
    return pd.concat(parts, ignore_index=True)


def gov_contracts(rng: Rng, market: Listings) -> pd.DataFrame:
    """Actions of twenty firms, a tenth of them modifications that take money back; some told by Quiver too, with sums of quarters."""
    count = 1500
    acted = telling.midnights(rng, count, timedelta(days=-500), LAST)
    agency = rng.integers(0, len(AGENCIES), count)
    lag = np.where(agency == 0, 91, rng.integers(2, 10, count)).astype("timedelta64[D]")
    amount = rng.lognormal(16.6, 1.0, count)
    later = rng.random(count) < 0.25
    symbol = rng.choice(market.stocks[: 2 * 20 : 2], count)
    number = [f"CONT_AWD_{i:05d}" for i in range(count)]
    cells: dict[str, Any] = {
        "symbol": [None if rng.random() < 0.03 else str(name) for name in symbol],
        "recipient": [f"{name} INC" for name in symbol],
        "agency": [AGENCIES[place] for place in agency],
        "amount_usd": np.where(later & (rng.random(count) < 0.4), -0.2 * amount, amount),
        "action_date": rows.days(acted),
        "award_id": number,
        "record_id": number,
        "modification": np.where(later, "P00001", "0"),
        "period": "award",
        "origin": "usaspending",
    }
    frame = rows.frame("gov_contracts", cells, event_at=acted, known_at=acted + lag)
    quiver = {"origin": "quiver", "recipient": "", "award_id": "", "modification": ""}
    frame = telling.retold(rng, frame, 0.3, quiver, {"announced_date": "action_date"})
    return telling.amended(rng, pd.concat([frame, _quarters(rng, market)], ignore_index=True), 0.02, "amount_usd", 1.1)


def _quarters(rng: Rng, market: Listings) -> pd.DataFrame:
    """Quiver's sums of quarters, known 90 days after their end."""
    firms = market.stocks[: 2 * 20 : 2]
    parts = []
    for start, year, quarter in telling.QUARTERS:
        at = np.full(len(firms), start)
        cells = {
            "symbol": firms,
            "amount_usd": rng.lognormal(18.0, 1.0, len(firms)),
            "action_date": None,
            "period": "quarter",
            "quarter": [quarter] * len(firms),
            "year": [year] * len(firms),
            "origin": "quiver",
        }
        keys = [f"quarter/{year}/{quarter}/{firm}" for firm in firms]
        parts.append(rows.frame("gov_contracts", cells, event_at=at, known_at=at + np.timedelta64(181, "D"), keys=keys))
    return pd.concat(parts, ignore_index=True)


def lobbying(rng: Rng, market: Listings) -> pd.DataFrame:
    """Quarterly reports for every second stock, by itself or by two firms, filed around the due date; some told by Quiver too."""
    clients = market.stocks[::2]
    base = rng.lognormal(12.0, 0.8, len(clients))
    own = rng.random(len(clients)) < 0.5
    parts = []
    for start, year, quarter in telling.QUARTERS:
        for firm in range(2):
            told = own if firm == 0 else ~own
            filed = start + (np.timedelta64(91, "D") + rng.integers(5, 24, len(clients)).astype("timedelta64[D]"))
            amount = np.round(base * rng.lognormal(0.05, 0.35, len(clients)), -3)
            cells: dict[str, Any] = {
                "symbol": clients,
                "client": [f"{name} INC" for name in clients],
                "registrant": [f"{name} INC" if mine else f"FIRM {firm}" for name, mine in zip(clients, told, strict=True)],
                "in_house": list(told),
                "amount_usd": np.where(amount < 5000, np.nan, amount),
                "period_year": [year] * len(clients),
                "period": [quarter] * len(clients),
                "filed_date": rows.days(filed),
                "filed_at": filed,
                "kind": "report",
                "report_id": [f"{firm}/{name}/{year}/{quarter}" for name in clients],
                "origin": "lda",
            }
            keys = [f"lda/{report}" for report in cells["report_id"]]
            parts.append(rows.frame("lobbying", cells, event_at=filed, known_at=filed, keys=keys))
    frame = telling.amended(rng, pd.concat(parts, ignore_index=True), 0.04, "amount_usd", 1.2, {"kind": "amendment"})
    missing = {"period_year": None, "period": None, "filed_at": None}
    return telling.retold(rng, frame, 0.2, {"origin": "quiver", "kind": "report", **missing})


def insider_trades(rng: Rng, market: Listings) -> pd.DataFrame:
    """Lines of Form 4: purchases that cluster in every third stock, sales, awards; joint reports and corrections."""
    count = 35 * len(market.stocks)
    known = telling.within_the_day(rng, telling.midnights(rng, count, timedelta(days=-200), LAST))
    traded = known.astype("datetime64[D]") - rng.integers(1, 5, count).astype("timedelta64[D]")
    code = rng.choice(["P", "S", "A", "M", "F"], count, p=[0.45, 0.3, 0.1, 0.1, 0.05])
    symbol = np.where(code == "P", rng.choice(market.stocks[::3] * 2 + market.stocks, count), rng.choice(market.stocks, count))
    owner = rng.integers(0, 6, count)
    cells: dict[str, Any] = {
        "trade_id": [f"0001-{number // 2:06d}/{1 + number % 2}" for number in range(count)],
        "symbol": [None if rng.random() < 0.02 else str(name) for name in symbol],
        "symbol_text": symbol,
        "issuer_cik": [f"{telling.number(name):010d}" for name in symbol],
        "issuer_name": [f"{name} Inc" for name in symbol],
        "owner_cik": [f"{telling.number(name) * 10 + each:010d}" for name, each in zip(symbol, owner, strict=True)],
        "owner_name": [f"Owner {each} of {name}" for name, each in zip(symbol, owner, strict=True)],
        "is_director": owner % 2 == 0,
        "is_officer": (owner % 3 == 0) | (owner == 1),
        "is_ten_percent_owner": owner == 5,
        "officer_title": np.where(owner % 3 == 0, "Chief Financial Officer", ""),
        "transaction_date": rows.days(traded),
        "code": code,
        "acquired_disposed": np.where(np.isin(code, ["P", "A", "M"]), "A", "D"),
        "shares": np.round(rng.lognormal(7.0, 1.0, count)),
        "price_usd": np.where(rng.random(count) < 0.03, np.nan, rng.uniform(20.0, 200.0, count)),
        "shares_after": rng.uniform(1e4, 1e6, count),
        "ownership": rng.choice(["D", "I"], count, p=[0.8, 0.2]),
        "is_10b5_1": [(None, False, False, True)[place] for place in rng.integers(0, 4, count)],
        "security_title": "Common Stock",
        "derivative": rng.random(count) < 0.05,
        "filed": rows.days(known),
        "accepted_at": known,
        "accession": [f"0001-{number // 2:06d}" for number in range(count)],
        "line": 1 + np.arange(count) % 2,
    }
    frame = rows.frame("insider_trades", cells, event_at=traded.astype("datetime64[us]"), known_at=known)
    frame = telling.retold(rng, frame, 0.05, {"owner_cik": "0000000001", "owner_name": "Fund of the same"})
    return telling.amended(rng, frame, 0.03, "shares", 0.5, {"amendment": True})
