"""The page with the DC Insider Scores: close are companies that members buy, that lobby more and that sell more to the government."""

import html
from datetime import datetime, timedelta

import numpy as np

from scrapers import times
from scrapers.twin.world import World

PATH = "/scores/dcinsider"
SHOWN = 50
DAYS = 90


def page(world: World, now: datetime) -> str:
    """A table of the highest scores at `now`; empty before the first session."""
    scored = sorted(scores(world, now).items(), key=lambda each: (-each[1], each[0]))[:SHOWN]
    names = {asset.symbol: asset.name for asset in world.stocks()}
    rows = "".join(
        f'<tr><td>{rank}</td><td><a href="/stock/{symbol}/">{symbol}</a></td><td>{html.escape(names[symbol])}</td><td>{score:.1f}</td></tr>'
        for rank, (symbol, score) in enumerate(scored, start=1)
    )
    heads = "".join(f"<th>{heading}</th>" for heading in ("Rank", "Ticker", "Company", "DC Insider Score"))
    return (
        "<!DOCTYPE html><html><head><title>DC Insider Score</title></head><body><table><tr><td>Menu</td></tr></table>"
        f'<table id="scores"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></body></html>'
    )


def scores(world: World, now: datetime) -> dict[str, float]:
    """0 to 100 by symbol, from purchases less sales disclosed in the last 90 days and the heat of lobbying and contracts by `now`."""
    stocks = [asset.symbol for asset in world.stocks()]
    session = world.index(times.new_york_date(now) - timedelta(days=1))
    if session < 0:
        return {}
    net = dict.fromkeys(stocks, 0.0)
    for trade in world.disclosures(now - timedelta(days=DAYS), now):
        net[trade.symbol] += 1.0 if trade.transaction == "Purchase" else -1.0
    value = np.array([net[symbol] for symbol in stocks]) / 3.0
    value += 1.5 * (world.heat("lobbying")[session] + world.heat("contracts")[session])
    return dict(zip(stocks, (100.0 / (1.0 + np.exp(-value + 0.5))).tolist(), strict=True))
