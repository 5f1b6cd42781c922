"""Generated attention: page views, mentions in a forum, ratings of apps, searches, news and the actions of analysts."""

from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from strategies.conformance import rows, telling
from strategies.conformance.listings import Listings
from strategies.conformance.rows import Instants
from strategies.conformance.telling import LAST, TODAY, Rng

MOST = 120
"""Of so many stocks at most there are apps and searches."""


def _excited(stocks: list[str], days: Instants, every: int, by: float) -> NDArray[np.float64]:
    """(n_days, n_stocks): `by` for every so-manieth stock in the ten days before ASOF and in every sixtieth day's week, 0 elsewhere."""
    ago = (TODAY - days).astype("timedelta64[D]").astype(int)
    hot = ((ago >= 0) & (ago <= 10)) | (ago % 60 < 7)
    return np.outer(hot, [by if place % every == 0 else 0.0 for place in range(len(stocks))])


def wiki_pageviews(rng: Rng, market: Listings) -> pd.DataFrame:
    """Daily views of an article of each stock, fewer at weekends, with spikes of every fourth; one in fifty days is missing."""
    days = telling.every(timedelta(days=1), timedelta(days=-150), timedelta(days=20))
    stocks = market.stocks
    weekend = np.where((days.astype("datetime64[D]").astype(int) + 3) % 7 >= 5, -0.4, 0.0)[:, None]
    logs = rng.uniform(5.0, 9.0, len(stocks)) + weekend + rng.normal(0.0, 0.15, (len(days), len(stocks))) + _excited(stocks, days, 4, 1.2)
    views = np.exp(logs).ravel().astype(np.int64)
    kept = rng.random(len(views)) >= 0.02
    day = np.repeat(days, len(stocks))[kept]
    symbol = np.tile(np.array(stocks), len(days))[kept]
    cells = {"symbol": symbol, "article": np.char.add(symbol, "_Inc."), "day": rows.days(day), "views": views[kept]}
    keys = [f"views/{count}" for count in np.flatnonzero(kept)]
    return rows.frame("wiki_pageviews", cells, event_at=day, known_at=day + np.timedelta64(2, "D"), keys=keys)


def reddit_mentions(rng: Rng, market: Listings) -> pd.DataFrame:
    """Posts and comments with a symbol, a ranking of every day, and counts of the days of an archive that ends half a year ago."""
    stocks = market.stocks[:MOST]
    days = telling.every(timedelta(days=1), timedelta(days=-75), timedelta(days=15))
    rate = np.exp(rng.uniform(-1.0, 1.0, len(stocks)) + _excited(stocks, days, 3, 1.5))
    return pd.concat(
        [_posts(rng, stocks, days, rng.poisson(rate)), _ranking(rng, stocks, days, rate), _archive(rng, stocks)], ignore_index=True
    )


def _posts(rng: Rng, stocks: list[str], days: Instants, counts: NDArray[np.int64]) -> pd.DataFrame:
    day, stock = (
        np.repeat(part.ravel(), counts.ravel()) for part in np.meshgrid(np.arange(len(days)), np.arange(len(stocks)), indexing="ij")
    )
    at = days[day] + rng.integers(0, 86400, len(day)).astype("timedelta64[s]")
    titled = rng.random(len(day)) < 0.4
    cells: dict[str, Any] = {
        "origin": "reddit",
        "forum": "wallstreetbets",
        "item_id": [f"t3_{number:06x}" for number in range(len(day))],
        "symbol": np.array(stocks)[stock],
        "kind": np.where(titled, "submission", "comment"),
        "mentions": 1,
        "upvotes": rng.integers(0, 5000, len(day)),
        "cashtag": list(rng.random(len(day)) < 0.6),
        "in_title": list(titled),
        "sentiment": rng.uniform(-1.0, 1.0, len(day)),
    }
    keys = [f"post/{number}" for number in range(len(day))]
    return rows.frame("reddit_mentions", cells, event_at=at, known_at=at, keys=keys)


def _ranking(rng: Rng, stocks: list[str], days: Instants, rate: NDArray[np.float64]) -> pd.DataFrame:
    counts = rng.poisson(20.0 * rate)
    parts = []
    for number in range(1, len(days)):
        at = np.full(len(stocks), days[number] + np.timedelta64(10, "h"))
        cells: dict[str, Any] = {
            "origin": "apewisdom",
            "forum": "wallstreetbets",
            "item_id": f"{days[number].astype('datetime64[h]')}Z",
            "symbol": stocks,
            "kind": "snapshot",
            "mentions": counts[number],
            "mentions_before": counts[number - 1],
            "upvotes": 5 * counts[number],
            "rank": (-counts[number]).argsort(kind="stable").argsort() + 1,
            "window_hours": 24,
        }
        keys = [f"ranking/{number}/{stock}" for stock in stocks]
        parts.append(rows.frame("reddit_mentions", cells, event_at=at, known_at=at, keys=keys))
    return pd.concat(parts, ignore_index=True)


def _archive(rng: Rng, stocks: list[str]) -> pd.DataFrame:
    days = telling.every(timedelta(days=1), timedelta(days=-240), timedelta(days=-180))
    day = np.repeat(days, len(stocks))
    cells: dict[str, Any] = {
        "origin": "day_counts",
        "forum": "wallstreetbets",
        "item_id": [str(each) for each in rows.days(day)],
        "symbol": stocks * len(days),
        "kind": "day",
        "mentions": rng.poisson(5.0, len(day)),
        "sentiment": rng.uniform(-0.5, 0.5, len(day)),
        "window_hours": 24,
    }
    known = day + np.timedelta64(29, "h")
    keys = [f"day/{number}" for number in range(len(day))]
    return rows.frame("reddit_mentions", cells, event_at=known - np.timedelta64(1, "us"), known_at=known, keys=keys)


def app_ratings(rng: Rng, market: Listings) -> pd.DataFrame:
    """Daily totals and reviews of an app of every other stock, whose rating and number jump in the last weeks; some by Quiver too."""
    stocks = market.stocks[: 2 * MOST : 2]
    days = telling.every(timedelta(days=1), timedelta(days=-130), timedelta(days=20))
    hot = _excited(stocks, days, 2, 1.0)
    daily = rng.poisson(30.0 * np.exp(rng.normal(0.0, 0.5, len(stocks)) + hot))
    totals = 5000 + np.cumsum(daily, axis=0)
    rating = np.clip(rng.uniform(2.5, 4.5, len(stocks)) + np.cumsum(0.01 * hot, axis=0) + rng.normal(0, 0.01, daily.shape), 1.0, 5.0)
    day, symbol = np.repeat(days, len(stocks)), np.array(stocks * len(days))
    cells: dict[str, Any] = {"symbol": symbol, "app_id": np.char.add("1", [str(telling.number(s)) for s in symbol]), "day": rows.days(day)}
    named = {"app_name": np.char.add(symbol, " Mobile"), "publisher": np.char.add(symbol, " Inc")}
    keys = [f"app/{number}" for number in range(len(day))]
    at = day + np.timedelta64(5, "h")
    stars = np.clip(rating + 0.3 * hot + rng.normal(0.0, 0.2, daily.shape), 1.0, 5.0)
    total = {"kind": "total", "rating": rating.ravel(), "rating_count": totals.ravel(), "origin": "itunes"}
    review = {"kind": "reviews", "rating": stars.ravel(), "rating_count": np.maximum(daily // 3, 1).ravel(), "origin": "itunes"}
    frames = [
        rows.frame("app_ratings", cells | named | total, event_at=at, known_at=at + np.timedelta64(6, "h"), keys=keys),
        rows.frame(
            "app_ratings", cells | review, event_at=at, known_at=at + np.timedelta64(24, "h"), keys=[f"{key}/reviews" for key in keys]
        ),
    ]
    quiver = telling.retold(rng, frames[0], 0.3, {"origin": "quiver", "app_id": ""})
    return pd.concat([telling.amended(rng, quiver, 0.01, "rating", 0.99), frames[1]], ignore_index=True)


def search_trends(rng: Rng, market: Listings) -> pd.DataFrame:
    """Four answers of Google for each stock, of ninety days each and on a scale of its own; its newest day is not over."""
    stocks = market.stocks[:MOST]
    parts = []
    for asked in (-64, -33, -12, -4, 10):
        days = telling.every(timedelta(days=1), timedelta(days=asked - 89), timedelta(days=asked))
        logs = rng.normal(0.0, 0.2, (len(days), len(stocks))) + _excited(stocks, days, 2, 0.8) + np.linspace(0, 0.4, len(days))[:, None]
        values = np.round(100.0 * np.exp(logs - logs.max(axis=0)))
        symbol = np.tile(np.array(stocks), len(days))
        day = np.repeat(days, len(stocks))
        cells: dict[str, Any] = {
            "origin": "google",
            "batch": np.char.add(symbol, f"-{asked}"),
            "keyword": np.char.add(symbol, " stock"),
            "symbol": symbol,
            "day": rows.days(day),
            "value": values.ravel(),
            "partial": day == days[-1],
        }
        known = np.full(len(day), days[-1] + np.timedelta64(10, "h"))
        keys = [f"searches/{asked}/{number}" for number in range(len(day))]
        parts.append(rows.frame("search_trends", cells, event_at=day + np.timedelta64(1, "D"), known_at=known, keys=keys))
    return pd.concat(parts, ignore_index=True)


def news(rng: Rng, market: Listings) -> pd.DataFrame:
    """Fifty headlines a day over the stocks, kinder to every second one; some name thirty companies, some come twice."""
    count = 20 * min(len(market.stocks), 3 * MOST)
    at = telling.within_the_day(rng, telling.midnights(rng, count, timedelta(days=-75), timedelta(days=20)))
    place = rng.integers(0, len(market.stocks), count)
    cells: dict[str, Any] = {
        "symbol": np.array(market.stocks)[place],
        "news_id": [str(number) for number in range(count)],
        "headline": [f"Company {which} reports, part {number}" for number, which in enumerate(place)],
        "source": "benzinga",
        "url": "https://news.example/1",
        "n_symbols": rng.choice([1, 2, 3, 30], count, p=[0.6, 0.2, 0.1, 0.1]),
        "sentiment": np.clip(rng.normal(np.where(place % 2 == 0, 0.45, -0.05), 0.3), -1.0, 1.0),
        "created_at": at,
        "updated_at": at,
    }
    frame = rows.frame("news", cells, event_at=at, known_at=at)
    return telling.amended(rng, telling.retold(rng, frame, 0.03, {"news_id": "again"}), 0.03, "sentiment", 0.9)


def analyst_ratings(rng: Rng, market: Listings) -> pd.DataFrame:
    """Actions of thirty firms over a year and a half, with a surge of upgrades of every third stock in the last month."""
    count = 22 * len(market.stocks)
    at = telling.within_the_day(rng, telling.midnights(rng, count, timedelta(days=-520), LAST))
    ago = (TODAY - at).astype("timedelta64[D]").astype(int)
    symbol = rng.integers(0, len(market.stocks), count)
    surge = (symbol % 3 == 0) & (ago >= -20) & (ago < 30) & (rng.random(count) < 0.8)
    action = np.where(surge, "up", rng.choice(["main", "reit", "init", "up", "down"], count, p=[0.5, 0.2, 0.1, 0.1, 0.1]))
    target = rng.uniform(50.0, 200.0, count)
    cells: dict[str, Any] = {
        "symbol": np.array(market.stocks)[symbol],
        "firm": [f"Firm {number}" for number in rng.integers(0, 30, count)],
        "action": action,
        "from_grade": np.where(action == "up", "Hold", np.where(action == "down", "Buy", "")),
        "to_grade": np.where(action == "down", "Hold", "Buy"),
        "graded_at": at,
        "price_target": np.where(rng.random(count) < 0.3, np.nan, target),
        "prior_price_target": np.where(rng.random(count) < 0.5, np.nan, 0.9 * target),
        "origin": "yahoo",
    }
    frame = rows.frame("analyst_ratings", cells, event_at=at, known_at=at)
    return telling.retold(rng, frame, 0.3, {"origin": "quiver"})
