"""disclosures-clerk.house.gov: the yearly index of filings, and the reports of transactions."""

import io
import textwrap
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date
from functools import lru_cache
from xml.sax.saxutils import escape

from fastapi import APIRouter, Request
from fastapi.responses import Response

from scrapers.twin.base import MARK, Service, TwinClock, bytes_answer, html_answer
from scrapers.twin.filings import Filing, Filings, chance
from scrapers.twin.pdf import pdf_of
from scrapers.twin.world import World

CODES = {"Self": "", "Spouse": "SP", "Joint": "JT", "Child": "DC"}
TYPES = {"Purchase": "P", "Sale (Full)": "S", "Sale (Partial)": "S (partial)", "Sale": "S", "Exchange": "E"}
HEADINGS = ("ID Owner Asset Transaction", "Type", "Date Notification", "Date", "Amount Cap.", "Gains >", "$200?")
ASSET_WIDTH, TEXT_WIDTH, PAGE_LINES = 36, 112, 56
NUL = "\x00"


def routes(world: World, clock: TwinClock) -> APIRouter:
    """The index as an archive that answers conditional requests, and the reports by year and number."""
    router, filings = APIRouter(prefix="/public_disc"), Filings(world, "House")
    newest: dict[int, tuple[str, bytes]] = {}

    @router.get("/financial-pdfs/{year}FD.zip")
    def index(year: int, request: Request) -> Response:
        known = [filing for filing in filings.published(clock.now()) if filing.day.year == year]
        if not known:
            return html_answer("<html><body><h1>404 - File or directory not found.</h1></body></html>", 404)
        tag = f'"{world.seed}-{year}-{len(known)}"'
        headers = {**MARK, "ETag": tag}
        if request.headers.get("If-None-Match") == tag:
            return Response(status_code=304, headers=headers)
        if newest.get(year, ("",))[0] != tag:
            newest[year] = (tag, _archive(year, known))
        return Response(newest[year][1], media_type="application/x-zip-compressed", headers=headers)

    @router.get("/ptr-pdfs/{year}/{name}")
    def report(year: int, name: str) -> Response:
        wanted = name.removesuffix(".pdf")
        filing = filings.numbered(int(wanted) % 1_000_000, clock.now()) if wanted.isdecimal() and len(wanted) < 12 else None
        if filing is not None and doc_id(filing) == wanted and filing.day.year == year:
            return bytes_answer(_report(world.seed, filing), "application/pdf")
        return html_answer("<html><body><h1>404 - File or directory not found.</h1></body></html>", 404)

    return router


def doc_id(filing: Filing) -> str:
    """Eight digits from 2 for what was filed electronically, seven from 9 for paper."""
    return str((9_000_000 if filing.paper else 20_000_000) + filing.number)


def _archive(year: int, filings: Sequence[Filing]) -> bytes:
    """The zip with the index as XML and as tab-separated text, beside reports of other kinds."""
    members = [record for filing in filings for record in _members(year, filing)]
    fields = ("Prefix", "Last", "First", "Suffix", "FilingType", "StateDst", "Year", "FilingDate", "DocID")
    xml = "".join(f"<Member>{''.join(f'<{n}>{escape(v)}</{n}>' if v else f'<{n} />' for n, v in m.items())}</Member>\n" for m in members)
    text = "\r\n".join("\t".join(row) for row in [fields, *(tuple(m.values()) for m in members)])
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        document = f'<?xml version="1.0" encoding="utf-8"?>\n<FinancialDisclosure>\n{xml}</FinancialDisclosure>'
        archive.writestr(zipfile.ZipInfo(f"{year}FD.txt", (year, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
        archive.writestr(zipfile.ZipInfo(f"{year}FD.xml", (year, 1, 1, 0, 0, 0)), document, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _members(year: int, filing: Filing) -> Iterator[dict[str, str]]:
    first, _, last = filing.member.partition(" ")
    record = {
        "Prefix": "Hon.",
        "Last": last,
        "First": first,
        "Suffix": "",
        "FilingType": "P",
        "StateDst": f"XX{filing.member_number:02d}",
        "Year": str(year),
        "FilingDate": f"{filing.day.month}/{filing.day.day}/{filing.day.year}",
        "DocID": doc_id(filing),
    }
    yield record
    if filing.number % 9 == 0:
        yield {**record, "FilingType": "C", "DocID": str(10_000_000 + filing.number)}


@lru_cache(maxsize=64)
def _report(seed: int, filing: Filing) -> bytes:
    if filing.paper:
        return pdf_of([[""]])
    lines = [line for place in range(len(filing.lines)) for line in _line(seed, filing, place)]
    pages = [lines[at : at + PAGE_LINES] for at in range(0, len(lines), PAGE_LINES)] or [[]]
    front = [
        f"P{NUL * 7} T{NUL * 10} R{NUL * 5}",
        "Clerk of the House of Representatives",
        f"F{NUL * 4} I{NUL * 10}",
        f"Name: Hon. {filing.member}",
        "Status: Member",
        f"State/District: XX{filing.member_number:02d}",
        f"T{NUL * 11}",
    ]
    foot = f"Filing ID #{doc_id(filing)}"
    written = [[*(front if number == 0 else ()), *HEADINGS, *page, foot] for number, page in enumerate(pages)]
    written[-1] += [
        "* For the complete list of asset type abbreviations, please visit https://fd.house.gov/reference/asset-type-codes.aspx.",
        f"I{NUL * 6} P{NUL * 5} O{NUL * 8}",
        f"Digitally Signed: Hon. {filing.member} , {_us(filing.day)}",
    ]
    return pdf_of(written)


def _line(seed: int, filing: Filing, place: int) -> Iterator[str]:
    """A transaction as the real text has it: the rest of a wrapped asset before, or between, the dates and the upper amount."""
    line = filing.lines[place]
    trade, owner = line.trade, CODES[line.owner]
    head = " ".join(word for word in (str(line.number or ""), owner) if word)
    asset = textwrap.wrap(f"{head} {trade.company} - Common Stock ({trade.symbol}) [ST]".strip(), ASSET_WIDTH)
    traded, notified = _us(trade.transaction_date), _us(trade.transaction_date)
    low, high = f"${trade.amount_low_usd:,}", f"${trade.amount_high_usd:,}"
    cells, case = f"{TYPES[trade.transaction]} {traded} {notified}", chance(seed, filing.number, place, "layout")
    if len(asset) == 1:
        yield f"{asset[0]} {cells} {low} - {high}"
    elif case < 0.5:
        yield from (*asset, f"{cells} {low} -", high)
    else:
        yield from (f"{asset[0]} {cells} {low} -", " ".join(asset[1:]) + f" {high}")
    yield f"F{NUL * 5} S{NUL * 5}: {line.status}"
    if case < 0.2:
        yield f"S{NUL * 9} O{NUL}: Synthetic Brokerage Account"
    if case > 0.7:
        note = "part of a plan made before the year began, told at the member's own wish and without advice."
        yield from textwrap.wrap(f"D{NUL * 10}: Synthetic note on {trade.company}, {note}", TEXT_WIDTH)


def _us(day: date) -> str:
    return f"{day:%m/%d/%Y}"


SERVICES = (Service(host="disclosures-clerk.house.gov", routes=routes),)
