"""www.quiverquant.com/analysts/: the newest opinions as a table."""

from bisect import bisect_right
from datetime import datetime
from html import escape

from scrapers.twin.ratings import Opinion, ratings_of
from scrapers.twin.world import World

PATH = "/analysts/"
SHOWN = 150
WORDS = {"up": "Upgrade", "down": "Downgrade", "main": "Maintain", "init": "Initiate", "reit": "Reiterate"}
HEADINGS = ("Stock", "Analyst Firm", "Action", "From", "To", "Price Target", "Date")


def page(world: World, now: datetime) -> str:
    """The page as it stands at `now`, newest first, with an advertisement among the lines."""
    opinions = ratings_of(world).opinions
    newest = opinions[: bisect_right(opinions, now, key=lambda opinion: opinion.published_at)][-SHOWN:][::-1]
    lines = [_line(opinion) for opinion in newest]
    lines.insert(min(10, len(lines)), f'<tr><td colspan="{len(HEADINGS)}">Synthetic advertisement: try the plan with everything</td></tr>')
    head = "".join(f"<th>{heading}</th>" for heading in HEADINGS)
    return (
        "<!doctype html>\n<html lang='en'><head><title>Synthetic Analyst Ratings</title><script>var rows = '<table>';</script></head><body>"
        "<table><tr><th>Menu</th></tr><tr><td>Synthetic</td></tr></table>"
        f"<h1>Analyst Ratings</h1><table id='analysts'><thead><tr>{head}</tr></thead><tbody>\n" + "\n".join(lines) + "\n</tbody></table>"
        "</body></html>"
    )


def _line(opinion: Opinion) -> str:
    target = f"${opinion.price_target:,.2f}" if opinion.price_target else "-"
    if opinion.prior_price_target and opinion.price_target:
        target = f"${opinion.prior_price_target:,.2f} → {target}"
    cells = (opinion.firm, WORDS[opinion.action], opinion.from_grade, opinion.to_grade, target, opinion.day.isoformat())
    rest = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr><td><a href="/stock/{opinion.symbol}/">{opinion.symbol}</a></td>{rest}</tr>'
