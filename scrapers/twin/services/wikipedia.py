"""en.wikipedia.org: the lists of the members of the S&P indices."""

import re
from collections.abc import Callable, Iterable
from datetime import date
from html import escape
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import Response

from scrapers import times
from scrapers.twin.assets import Asset
from scrapers.twin.base import Service, TwinClock, html_answer, text_answer
from scrapers.twin.world import World

Lines = list[tuple[Asset, date]]
_AGENT = re.compile(r"\S+/\S+ \([^)]*\S[^)]*\)")
_NOTICE = '<table class="box-More_citations_needed"><tr><td>This synthetic page needs more citations.</td></tr></table>'
_CHANGES = (
    '<table class="wikitable" id="changes"><tr><th rowspan="2">Effective Date</th><th colspan="2">Added</th>'
    '<th colspan="2">Removed</th></tr>'
    "<tr><th>Ticker</th><th>Security</th><th>Ticker</th><th>Security</th></tr>"
    "<tr><td>January 4, 2010</td><td>ZZNEW</td><td>Synthetic Newcomer</td><td>ZZOLD</td><td>Synthetic Veteran</td></tr></table>"
)
STAND_INS = {
    "sp400": Asset(symbol="ZZMC", name="Synthetic Midcap Inc.", kind="stock", sector="Industrials", sub_industry="", exchange="NYSE"),
    "sp600": Asset(symbol="ZZSC", name="Synthetic Smallcap Inc.", kind="stock", sector="Materials", sub_industry="", exchange="NYSE"),
}
"""Members of the smaller indices that are not traded in the world, so that no list is ever empty."""


def refusal(request: Request) -> Response | None:
    """403 in plain text for a client that does not say whom to write to."""
    if _AGENT.search(request.headers.get("User-Agent", "")):
        return None
    return text_answer("Please set a user-agent and respect our robot policy. Synthetic.", 403)


def article_of(world: World, symbol: str) -> str:
    """Title of a company's article, with underscores; empty for one without an article, or an unknown symbol."""
    for number, asset in enumerate(world.stocks()):
        if asset.symbol == symbol:
            return _title(number, asset)
    return ""


def _title(number: int, asset: Asset) -> str:
    if number % 29 == 17:
        return ""
    title = asset.name.replace(" ", "_")
    return title.replace("_Inc.", "_R&D/Holdings_(company)") if number % 9 == 3 else title


def routes(world: World, clock: TwinClock) -> APIRouter:
    """The three lists."""
    router, numbers = APIRouter(prefix="/wiki"), {asset.symbol: place for place, asset in enumerate(world.stocks())}

    def link(asset: Asset) -> str:
        title = _title(numbers[asset.symbol], asset) if asset.symbol in numbers else ""
        if title:
            return f'<a href="/wiki/{quote(title, safe="/_().")}" title="{escape(title)}">{escape(asset.name)}</a>'
        missing = f"/w/index.php?title={quote(asset.name)}&amp;action=edit&amp;redlink=1"
        return f'<a href="{missing}" class="new">{escape(asset.name)}</a>'

    def others(on: date) -> dict[str, Lines]:
        members = {asset.symbol for asset, _ in world.constituents(on)}
        outside = [asset for asset in world.stocks() if asset.symbol not in members]
        halves = {"sp400": outside[::2], "sp600": outside[1::2]}
        return {index: [(asset, on) for asset in (*halves[index], STAND_INS[index])] for index in halves}

    @router.get("/{title}")
    def page(request: Request, title: str) -> Response:
        today = times.new_york_date(clock.now())
        if refused := refusal(request):
            return refused
        if title == "List_of_S&P_500_companies":
            return html_answer(large(world.constituents(today), link))
        if title == "List_of_S&P_400_companies":
            return html_answer(middle(others(today)["sp400"], link))
        if title == "List_of_S&P_600_companies":
            return html_answer(small(others(today)["sp600"], link))
        return html_answer("<html><body><p>Wikipedia does not have an article with this exact name.</p></body></html>", 404)

    return router


Link = Callable[[Asset], str]


def large(lines: Lines, link: Link) -> str:
    """The S&P 500: tickers link to the exchange, and a second table tells what changed."""
    header = (
        "Symbol",
        "Security",
        "GICS Sector<sup>[1]</sup>",
        "GICS Sub-Industry",
        "Headquarters Location",
        "Date added",
        "CIK",
        "Founded",
    )
    rows = [
        (
            f'<a rel="nofollow" class="external text" href="https://www.nyse.com/quote/XNYS:{asset.symbol}">{asset.symbol}</a>',
            link(asset),
            asset.sector,
            asset.sub_industry,
            "Synthetic City, Nowhere",
            added.isoformat(),
            f"{9_000_000 + number:010d}",
            "1999",
        )
        for number, (asset, added) in enumerate(lines, start=1)
    ]
    return _page(_NOTICE + _table("constituents", header, rows) + _CHANGES)


def middle(lines: Lines, link: Link) -> str:
    """The S&P 400: a sector column without `GICS`."""
    header = ("Symbol", "Security", "Sector", "GICS Sub-Industry", "Headquarters Location", "SEC filings")
    rows = [(a.symbol, link(a), a.sector, a.sub_industry, "Nowhere", '<a href="https://www.sec.gov/x">view</a>') for a, _ in lines]
    return _page(_table("constituents", header, rows))


def small(lines: Lines, link: Link) -> str:
    """The S&P 600: the company first, and the exchange before its ticker."""
    header = ("Company", "Ticker symbol", "GICS Sector", "GICS Sub-Industry")
    return _page(_table("constituents", header, [(link(a), f"{a.exchange}: {a.symbol}", a.sector, a.sub_industry) for a, _ in lines]))


def _table(name: str, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [_line("th", header), *(_line("td", row) for row in rows)]
    return f'<table class="wikitable sortable" id="{name}"><tbody>{"".join(lines)}</tbody></table>'


def _line(tag: str, cells: tuple[str, ...]) -> str:
    return "<tr>" + "".join(f"<{tag}>{cell} </{tag}>" for cell in cells) + "</tr>"


def _page(content: str) -> str:
    return f'<!DOCTYPE html><html><head><title>Synthetic list</title></head><body><div id="mw-content-text">{content}</div></body></html>'


SERVICES = (Service(host="en.wikipedia.org", routes=routes),)
