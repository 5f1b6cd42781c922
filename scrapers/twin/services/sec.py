"""www.sec.gov and data.sec.gov: EDGAR's lists, documents and figures, for clients that say who they are."""

import re
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from scrapers import times
from scrapers.twin import edgar_lists, form4_text, press_releases
from scrapers.twin.base import Instead, Service, TwinClock, html_answer, json_answer, text_answer
from scrapers.twin.world import World

UNDECLARED = "<!DOCTYPE html>\n<html><body><h1>Your Request Originates from an Undeclared Automated Tool</h1></body></html>"
NOT_FOUND = "<!DOCTYPE html>\n<html><body><h1>404 - File not found</h1></body></html>"
DENIED = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'
NO_KEY = '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>'


def declared(request: Request) -> None:
    """Let a request pass whose User-Agent has a contact."""
    if "@" not in request.headers.get("User-Agent", ""):
        raise Instead(html_answer(UNDECLARED, 403))


def www(world: World, clock: TwinClock) -> APIRouter:
    """Tickers, the feed of current filings, daily indices and documents."""
    router = APIRouter(dependencies=[Depends(declared)])

    @router.get("/files/company_tickers.json")
    def tickers() -> Response:
        return json_answer(edgar_lists.company_tickers(world))

    @router.get("/files/company_tickers_exchange.json")
    def tickers_exchange() -> Response:
        return json_answer(edgar_lists.company_tickers_exchange(world))

    @router.get("/cgi-bin/browse-edgar")
    def current(
        action: str = "", kind: Annotated[str, Query(alias="type")] = "", output: str = "", start: int = 0, count: int = 40
    ) -> Response:
        if action != "getcurrent" or output != "atom":
            return html_answer(NOT_FOUND, 404)
        page = edgar_lists.feed(world, clock.now(), kind, max(start, 0), min(max(count, 1), 100))
        return text_answer(page, media_type="application/atom+xml")

    @router.get("/Archives/edgar/daily-index/{year}/{quarter}/{name}")
    def daily_index(year: str, quarter: str, name: str) -> Response:
        found = re.fullmatch(r"form\.(\d{8})\.idx", name)
        day = times.parse_date(found[1]) if found else None
        right = day is not None and (year, quarter) == (str(day.year), f"QTR{(day.month + 2) // 3}")
        text = edgar_lists.index(world, clock.now(), day) if day is not None and right else None
        return text_answer(text) if text is not None else text_answer(DENIED, 403, media_type="application/xml")

    @router.get("/Archives/edgar/data/{cik}/{path:path}")
    def document(cik: str, path: str) -> Response:
        return _document(world, clock.now(), path)

    return router


def _document(world: World, now: datetime, path: str) -> Response:
    """A file of a submission, in its folder; the full text also beside the folders."""
    folder, _, name = path.rpartition("/")
    number = re.sub(r"\D", "", (name.removesuffix(".txt") if name.endswith(".txt") else folder)[:25])
    accession = f"{number[:10]}-{number[10:12]}-{number[12:]}"
    report = edgar_lists.filings(world).form4.get(accession)
    if report is not None and report.submission.accepted_at <= now:
        if name == f"{accession}.txt":
            return text_answer(form4_text.submission_text(report))
        if path == f"{number}/doc4.xml":
            return text_answer(form4_text.document(report), media_type="text/xml")
        if path in (f"{number}/xslF345X05/doc4.xml", f"{number}/{accession}-index.htm"):
            return html_answer("<!DOCTYPE html>\n<html><body><h1>SEC Form 4 (synthetic)</h1></body></html>")
    release = press_releases.document(world, number, name, times.new_york_date(now))
    return html_answer(release) if release is not None else html_answer(NOT_FOUND, 404)


def data(world: World, clock: TwinClock) -> APIRouter:
    """Submissions and companyfacts."""
    router = APIRouter(dependencies=[Depends(declared)])

    @router.get("/submissions/{name}")
    def submissions(name: str) -> Response:
        found = re.fullmatch(r"CIK(\d{10})(?:-submissions-(\d{3}))?\.json", name)
        answer = None
        if found and found[2]:
            answer = edgar_lists.submissions_page(world, clock.now(), int(found[1]), int(found[2]))
        elif found:
            answer = edgar_lists.submissions(world, clock.now(), int(found[1]))
        return json_answer(answer) if answer is not None else text_answer(NO_KEY, 404, media_type="application/xml")

    @router.get("/api/xbrl/companyfacts/{name}")
    def facts(name: str) -> Response:
        found = re.fullmatch(r"CIK(\d{10})\.json", name)
        answer = edgar_lists.company_facts(world, clock.now(), int(found[1])) if found else None
        return json_answer(answer) if answer is not None else text_answer(NO_KEY, 404, media_type="application/xml")

    return router


SERVICES = (Service(host="www.sec.gov", routes=www), Service(host="data.sec.gov", routes=data))
