"""www.quiverquant.com/googletrends/: a table of searches by company."""

from datetime import datetime, timedelta
from functools import lru_cache
from html import escape

from scrapers import times
from scrapers.twin.curves import span
from scrapers.twin.searches import Searches
from scrapers.twin.world import World

PATH = "/googletrends/"
WINDOW_DAYS = 90


_searches = lru_cache(maxsize=4)(Searches)


def page(world: World, now: datetime) -> str:
    """The page as HTML: for each company its searches of the day before, relative to the largest of the last 90 days."""
    yesterday = times.new_york_date(now) - timedelta(days=1)
    days, searches = span(yesterday - timedelta(days=WINDOW_DAYS), yesterday), _searches(world)
    rows = "".join(
        f'<tr><td><a href="/stock/{asset.symbol}">{asset.symbol}</a></td><td>{escape(asset.name)}</td>'
        f"<td>{yesterday:%Y-%m-%d}</td><td>{searches.scaled(asset.symbol, days)[-1]}</td></tr>\n"
        for asset in world.stocks()
    )
    head = "<tr><th>Ticker</th><th>Company</th><th>Date</th><th>Google Search Interest</th></tr>"
    legend = "<table><tr><td>Synthetic data</td></tr></table>"
    return f"<!DOCTYPE html><html><body><h1>Google Trends</h1>{legend}<table id='trends'>{head}\n{rows}</table></body></html>"
