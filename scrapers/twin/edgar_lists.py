"""The lists of EDGAR over the generated filings: current feed, daily index, submissions, tickers, and companyfacts."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from html import escape
from typing import Any

from scrapers import times
from scrapers.twin import company_reports, insider_filings
from scrapers.twin.edgar_submissions import Submission
from scrapers.twin.insider_filings import Report
from scrapers.twin.world import World

FEED_REACHES = timedelta(days=3)
INDEX_AT = time(22, 15)
RECENT, PAGE = 40, 100
"""Filings in the first answer of a list of submissions (the original's are about a thousand), and in each further page."""


@dataclass(frozen=True, slots=True)
class Filings:
    """Every filing of a world by time of acceptance, by day of filing, and by filer; the Form 4s by accession number."""

    listed: tuple[Submission, ...]
    by_day: dict[date, list[Submission]]
    by_filer: dict[int, list[Submission]]
    form4: dict[str, Report]

    def until(self, now: datetime) -> tuple[Submission, ...]:
        """Those that the feed still shows at an instant, oldest first."""
        key = _accepted
        first, last = bisect_left(self.listed, now - FEED_REACHES, key=key), bisect_right(self.listed, now, key=key)
        return self.listed[first:last]


def _accepted(submission: Submission) -> datetime:
    return submission.accepted_at


@lru_cache(maxsize=4)
def filings(world: World) -> Filings:
    """Everything that is ever filed."""
    insiders = insider_filings.reports(world)
    every = [*(r.submission for r in insiders.reports), *insiders.noise, *company_reports.submissions(world)]
    listed = tuple(sorted(every, key=lambda submission: (submission.accepted_at, submission.accession)))
    by_day, by_filer = defaultdict[date, list[Submission]](list), defaultdict[int, list[Submission]](list)
    for submission in listed:
        by_day[submission.filed].append(submission)
        for filer in submission.filers:
            by_filer[filer.cik].append(submission)
    return Filings(listed, dict(by_day), dict(by_filer), insiders.by_accession())


def feed(world: World, now: datetime, kind: str, start: int, count: int) -> str:
    """The Atom page of current filings, newest first, one entry for each filer. kind: the beginning of the form's name."""
    shown = [s for s in reversed(filings(world).until(now)) if s.form.startswith(kind)]
    entries = [_entry(submission, place) for submission in shown for place in range(len(submission.filers))][start : start + count]
    stamp = now.astimezone(times.NEW_YORK).isoformat(timespec="seconds")
    return (
        '<?xml version="1.0" encoding="ISO-8859-1" ?>\n<feed xmlns="http://www.w3.org/2005/Atom">\n'
        "<title>Latest Filings (synthetic)</title>\n"
        f"<id>https://www.sec.gov/cgi-bin/browse-edgar?action=getcurrent</id>\n<updated>{stamp}</updated>\n{''.join(entries)}</feed>\n"
    )


def _entry(it: Submission, place: int) -> str:
    filer = it.filers[place]
    folder = f"https://www.sec.gov/Archives/edgar/data/{filer.cik}/{it.folder}/{it.accession}-index.htm"
    summary = f"<b>Filed:</b> {it.filed} <b>AccNo:</b> {it.accession} <b>Size:</b> 8 KB"
    return (
        f"<entry>\n<title>{it.form} - {escape(filer.name)} ({filer.cik:010d}) ({filer.role})</title>\n"
        f'<link rel="alternate" type="text/html" href="{folder}"/>\n<summary type="html">\n {escape(summary)}\n</summary>\n'
        f"<updated>{it.accepted_at.astimezone(times.NEW_YORK).isoformat(timespec='seconds')}</updated>\n"
        f'<category scheme="https://www.sec.gov/" label="form type" term="{it.form}"/>\n'
        f"<id>urn:tag:sec.gov,2008:accession-number={it.accession}</id>\n</entry>\n"
    )


def index(world: World, now: datetime, day: date) -> str | None:
    """form.YYYYMMDD.idx; None until the night of the day, and for days on which nothing was filed."""
    listed = filings(world).by_day.get(day)
    if listed is None or now < times.new_york(day, INDEX_AT):
        return None
    lines = [
        f"{it.form:<17}{filer.name:<62}{filer.cik:<12}{day:%Y%m%d}    edgar/data/{filer.cik}/{it.accession}.txt"
        for it in sorted(listed, key=lambda it: (it.form, it.accession))
        for filer in it.filers
    ]
    return (
        f"Description:           Daily Index of EDGAR Dissemination Feed by Form Type (synthetic)\nLast Data Received:    {day:%b %d, %Y}\n"
        "Comments:              webmaster@sec.gov\nAnonymous FTP:         ftp://ftp.sec.gov/edgar/\n \n \n"
        f"{'Form Type':<12}{'Company Name':<62}{'CIK':<12}Date Filed  File Name\n{'-' * 141}\n" + "\n".join(lines) + "\n"
    )


def submissions(world: World, now: datetime, cik: int) -> dict[str, Any] | None:
    """CIK##########.json; None for a number that nobody has."""
    listed = _filed_by(world, now, cik)
    if listed is None:
        return None
    older = listed[RECENT:]
    pages = [older[at : at + PAGE] for at in range(0, len(older), PAGE)]
    return {
        "cik": f"{cik:010d}",
        "entityType": "other",
        "sic": "",
        "name": f"Synthetic filer {cik}",
        "tickers": [asset.symbol for asset in world.stocks() if world.cik_of(asset.symbol) == cik],
        "exchanges": [],
        "filings": {
            "recent": _columns(listed[:RECENT], cik),
            "files": [
                {
                    "name": f"CIK{cik:010d}-submissions-{number:03d}.json",
                    "filingCount": len(page),
                    "filingFrom": min(it.filed for it in page).isoformat(),
                    "filingTo": max(it.filed for it in page).isoformat(),
                }
                for number, page in enumerate(pages, start=1)
            ],
        },
    }


def submissions_page(world: World, now: datetime, cik: int, number: int) -> dict[str, Any] | None:
    """CIK##########-submissions-###.json; None beyond the last page."""
    older = (_filed_by(world, now, cik) or [])[RECENT:]
    page = older[(number - 1) * PAGE : number * PAGE] if number > 0 else []
    return _columns(page, cik) if page else None


def _filed_by(world: World, now: datetime, cik: int) -> list[Submission] | None:
    """Newest first."""
    listed = filings(world).by_filer.get(cik)
    public = None if listed is None else [it for it in reversed(listed) if it.accepted_at <= now]
    return public or None


def _columns(listed: list[Submission], cik: int) -> dict[str, list[Any]]:
    """Parallel arrays. The stamps of every fourth filer are New York's clock with a Z, those of the others are UTC."""
    clock = times.NEW_YORK if cik % 4 == 0 else UTC
    insiders = [it.form in ("4", "4/A") for it in listed]
    return {
        "accessionNumber": [it.accession for it in listed],
        "filingDate": [it.filed.isoformat() for it in listed],
        "reportDate": [it.period.isoformat() for it in listed],
        "acceptanceDateTime": [f"{it.accepted_at.astimezone(clock):%Y-%m-%dT%H:%M:%S}.000Z" for it in listed],
        "act": ["" if insider else "34" for insider in insiders],
        "form": [it.form for it in listed],
        "fileNumber": ["" for _ in listed],
        "filmNumber": ["" for _ in listed],
        "items": ["" for _ in listed],
        "size": [8000 for _ in listed],
        "isXBRL": [int(not insider) for insider in insiders],
        "primaryDocument": ["xslF345X05/doc4.xml" if insider else "report.htm" for insider in insiders],
        "primaryDocDescription": ["" if insider else it.form for it, insider in zip(listed, insiders, strict=True)],
    }


def company_tickers(world: World) -> dict[str, Any]:
    """company_tickers.json: the stocks, a second share class of the first, and the funds."""
    listed = [(world.cik_of(asset.symbol), asset.symbol, asset.name.upper()) for asset in world.assets()]
    cik, symbol, title = listed[0]
    listed.insert(1, (cik, f"{symbol}-B", title))
    return {str(n): {"cik_str": cik, "ticker": symbol, "title": title} for n, (cik, symbol, title) in enumerate(listed)}


def company_tickers_exchange(world: World) -> dict[str, Any]:
    """company_tickers_exchange.json: the same by columns."""
    rows = [[world.cik_of(asset.symbol), asset.name, asset.symbol, asset.exchange] for asset in world.assets()]
    return {"fields": ["cik", "name", "ticker", "exchange"], "data": rows}


def company_facts(world: World, now: datetime, cik: int) -> dict[str, Any] | None:
    """The companyfacts document of a company; None where there are none."""
    place = next((n for n, asset in enumerate(world.stocks()) if world.cik_of(asset.symbol) == cik), None)
    if place is None or company_reports.without_xbrl(place):
        return None
    facts: dict[str, dict[str, Any]] = {"dei": {}, "us-gaap": {}}
    framed: set[tuple[str, date | None, date]] = set()
    for report in company_reports.accepted_by(world, place, now):
        for fact in report.facts:
            entry = facts[fact.taxonomy].setdefault(fact.tag, {"label": fact.tag, "description": "Synthetic.", "units": {}})
            record = {"end": fact.end.isoformat(), "val": fact.value, "accn": report.submission.accession, "fy": report.year}
            record |= {"fp": report.period, "form": report.submission.form, "filed": report.submission.filed.isoformat()}
            if fact.start is not None:
                record = {"start": fact.start.isoformat(), **record}
            if (fact.tag, fact.start, fact.end) not in framed:
                record["frame"] = f"CY{fact.end.year}Q{(fact.end.month + 2) // 3}{'' if fact.start else 'I'}"
                framed.add((fact.tag, fact.start, fact.end))
            entry["units"].setdefault(fact.unit, []).append(record)
    return {"cik": cik, "entityName": world.stocks()[place].name, "facts": facts}
