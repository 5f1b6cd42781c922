"""efdsearch.senate.gov: the terms of use, the search behind them, and the reports."""

import hashlib
import html
import uuid
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Body, Request
from fastapi.responses import RedirectResponse, Response

from scrapers import times
from scrapers.twin.base import MARK, Instead, Service, TwinClock, html_answer, json_answer
from scrapers.twin.filings import Filing, Filings, chance
from scrapers.twin.world import World

HOME = "/search/home/"
HOST = "https://efdsearch.senate.gov"
END_OF_TIME = datetime(2200, 1, 1, tzinfo=UTC)
PAGE = 100
"""Most lines that the search gives at once."""
HEADINGS = ("#", "Transaction Date", "Owner", "Ticker", "Asset Name", "Asset Type", "Type", "Amount", "Comment")
FORM = (
    "<!DOCTYPE html><html><head><title>eFD: Home</title></head><body><form id='agreement_form' action='' method='POST'>"
    '<input type="hidden" name="csrfmiddlewaretoken" value="{token}">'
    '<input type="checkbox" id="agree_statement" value="1" name="prohibition_agreement"></form></body></html>'
)
REFUSED = "<html><body><h1>Forbidden <span>(403)</span></h1><p>CSRF verification failed. Request aborted.</p></body></html>"


def routes(world: World, clock: TwinClock) -> APIRouter:
    """What a reader of periodic transaction reports asks for, in its order."""
    router, filings, token = APIRouter(prefix="/search"), Filings(world, "Senate"), _word(world, "token", 64)
    session, named = _word(world, "session", 32), dict[str, Filing]()

    @router.get("/home/")
    def home() -> Response:
        answer = html_answer(FORM.format(token=token))
        answer.set_cookie("csrftoken", token, path="/", secure=True)
        return answer

    @router.post("/home/")
    def agree(request: Request, body: Annotated[bytes, Body()]) -> Response:
        form = _form(request, body, token, f"{HOST}{HOME}")
        if form.get("prohibition_agreement") != "1":
            return html_answer(FORM.format(token=token))
        answer = RedirectResponse("/search/", 302, headers=MARK)
        answer.set_cookie("sessionid", session, path="/", secure=True)
        return answer

    @router.get("/")
    def search(request: Request) -> Response:
        _agreed(request, session)
        return html_answer(f"<html><head><title>eFD: Find Reports</title></head><body><i hidden>{token}</i></body></html>")

    @router.post("/report/data/")
    def data(request: Request, body: Annotated[bytes, Body()]) -> Response:
        _agreed(request, session)
        return _search(filings.published(clock.now()), _form(request, body, token, f"{HOST}/search/"))

    @router.get("/view/{kind}/{name}/")
    def view(request: Request, kind: str, name: str) -> Response:
        _agreed(request, session)
        if not named:
            named.update((uuid_of(world.seed, filing), filing) for filing in filings.published(END_OF_TIME))
        filing = named.get(name)
        if filing is not None and filing.filed_at <= clock.now() and kind == ("paper" if filing.paper else "ptr"):
            return html_answer(_scan(filing) if filing.paper else _report(world.seed, filing))
        return html_answer("<html><body><h1>Not Found</h1></body></html>", 404)

    def _search(known: list[Filing], form: dict[str, str]) -> Response:
        since, until = (times.parse_date(form.get(f"submitted_{end}_date", "").split(" ")[0]) for end in ("start", "end"))
        fitting = [filing for filing in known[::-1] if _fits(filing, form)]
        wanted = [f for f in fitting if (since is None or since <= f.day) and (until is None or f.day <= until)]
        start, length = int(form.get("start", "0")), min(int(form.get("length", "25")), PAGE)
        rows = [_row(world.seed, filing) for filing in wanted[start : start + length]]
        return json_answer({"draw": 1, "recordsTotal": len(wanted), "recordsFiltered": len(wanted), "data": rows, "result": "ok"})

    return router


def uuid_of(seed: int, filing: Filing) -> str:
    """The report's id."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{seed} senate {filing.number}"))


def _word(world: World, name: str, length: int) -> str:
    return hashlib.sha256(f"{world.seed} {name}".encode()).hexdigest()[:length]


def _form(request: Request, body: bytes, token: str, referer: str) -> dict[str, str]:
    """The fields of a form; refused without cookie, token and referer of the site."""
    form = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True).items()}
    cookie = request.cookies.get("csrftoken") == token
    if not cookie or token not in (form.get("csrfmiddlewaretoken"), request.headers.get("X-CSRFToken")):
        raise Instead(html_answer(REFUSED, 403))
    if request.headers.get("Referer") != referer:
        raise Instead(html_answer(REFUSED, 403))
    return form


def _agreed(request: Request, session: str) -> None:
    if request.cookies.get("sessionid") != session:
        raise Instead(RedirectResponse(HOME, 302, headers=MARK))


def _fits(filing: Filing, form: dict[str, str]) -> bool:
    first, last = filing.member.lower().split(" ", 1)
    return first.startswith(form.get("first_name", "").lower()) and last.startswith(form.get("last_name", "").strip().lower())


def _title(filing: Filing) -> str:
    amendment = f" (Amendment {filing.amendment})" if filing.amendment else ""
    return f"Periodic Transaction Report for {filing.of:%m/%d/%Y}{amendment}"


def _row(seed: int, filing: Filing) -> list[str]:
    """First names now and then in capitals and with a blank behind."""
    first, last = filing.member.split(" ", 1)
    if chance(seed, filing.number, "capitals") < 0.1:
        first, last = f"{first.upper()} ", last.upper()
    kind = "paper" if filing.paper else "ptr"
    link = f'<a href="/search/view/{kind}/{uuid_of(seed, filing)}/" target="_blank">{_title(filing)}</a>'
    return [first, last, f"{last}, {first} (Senator)", link, f"{filing.day:%m/%d/%Y}"]


def _front(filing: Filing) -> str:
    first, last = filing.member.split(" ", 1)
    at = filing.filed_at.astimezone(times.NEW_YORK)
    return (
        f"<html><head><title>eFD: View Report</title></head><body><h1>{_title(filing)}</h1>"
        f'<h2 class="filedReport">The Honorable {filing.member} ({last}, {first})</h2>'
        f'<p class="muted"><strong>Filed {at:%m/%d/%Y} @ {at:%I:%M %p}</strong></p>'
    )


def _scan(filing: Filing) -> str:
    return f'{_front(filing)}<img class="filingImage" src="https://efd-media-public.senate.gov/media/1.gif"></body></html>'


def _report(seed: int, filing: Filing) -> str:
    heads = "".join(f"<th>{heading}</th>" for heading in HEADINGS)
    rows = "".join(
        f"<tr>{''.join(f'<td>{cell}</td>' for cell in _cells(seed, filing, place))}</tr>" for place in reversed(range(len(filing.lines)))
    )
    return (
        f"{_front(filing)}<h3>Transactions ({len(filing.lines)} transactions total)</h3>"
        f'<table class="table table-striped"><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></body></html>'
    )


def _cells(seed: int, filing: Filing, place: int) -> tuple[str, ...]:
    """A few tickers are missing, as those of assets without one are; the others are links."""
    line = filing.lines[place]
    trade = line.trade
    link = f'<a href="https://finance.yahoo.com/quote/{trade.symbol}" target="_blank">{trade.symbol}</a>'
    missing = chance(seed, filing.of, filing.member, place, "ticker") < 0.05
    return (
        str(place + 1),
        f"{trade.transaction_date:%m/%d/%Y}",
        line.owner,
        "--" if missing else link,
        html.escape(f"{trade.company} - Common Stock"),
        "Stock",
        trade.transaction,
        trade.amount_text,
        "--",
    )


SERVICES = (Service(host="efdsearch.senate.gov", routes=routes),)
