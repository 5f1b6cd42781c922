"""The disclosures of the Senate from its electronic search: a session under its terms of use, the list of reports, and their pages."""

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from scrapers import congress, rates, tables, times
from scrapers.base import Batch, Reject
from scrapers.errors import SourceChanged
from scrapers.senate_reports import BASE, Report, Trades, listed, parse_page, settled

if TYPE_CHECKING:
    from scrapers.http import Http, Jar, Response

SOURCE = "senate_efd"
HOME, DATA, SEARCH = f"{BASE}/search/home/", f"{BASE}/search/report/data/", f"{BASE}/search/"
RATE = rates.SENATE
LENGTH = 100
MAX_PAGES = 500
_INPUT = re.compile(r"<input\b[^>]*>", re.IGNORECASE)
_VALUE = re.compile(r"""\bvalue\s*=\s*["']([^"']{8,200})["']""", re.IGNORECASE)


class Session:
    """A session of the search. It is opened when first needed, and once more when the service has ended it."""

    def __init__(self, http: "Http") -> None:
        self._http, self._jar, self._token = http, _jar(), ""

    def reports(self, first: date, last: date, last_name: str = "") -> Iterator[Report | Reject]:
        """Every report of transactions filed from `first` to `last`, each once; of filers of one name where it is given.

        Raises SourceChanged when the list is of another shape, or ends before its own count.
        """
        told: dict[str, None] = {}
        start = 0
        for _ in range(MAX_PAGES):
            rows, total = self._page(start, first, last, last_name)
            for number, row in enumerate(rows):
                report = listed(row, f"{DATA}[{start + number}]")
                if report is not None and not (isinstance(report, Report) and report.uuid in told):
                    told |= {report.uuid: None} if isinstance(report, Report) else {}
                    yield report
            start += len(rows)
            if start >= total:
                return
            if not rows:
                raise SourceChanged(f"{DATA}: the list ends after {start} of {total} reports")
        raise SourceChanged(f"{DATA}: more than {MAX_PAGES} pages")

    def page(self, report: Report) -> Trades | None:
        """The transactions of a report; None when it is listed and no longer there, as those of former senators may be."""
        text = self._text(report.url)
        return None if text is None else parse_page(text, report)

    def _page(self, start: int, first: date, last: date, last_name: str) -> tuple[list[Any], int]:
        form = {
            "start": str(start),
            "length": str(LENGTH),
            "report_types": "[11]",
            "filer_types": "[]",
            "submitted_start_date": f"{first:%m/%d/%Y} 00:00:00",
            "submitted_end_date": f"{last:%m/%d/%Y} 23:59:59",
            "candidate_state": "",
            "senator_state": "",
            "office_id": "",
            "first_name": "",
            "last_name": last_name,
        }
        for again in (False, True):
            answer = self._ask(form, again=again)
            if not _is_home(answer.text()):
                break
        document = answer.json()
        rows = document.get("data") if isinstance(document, dict) else None
        total = document.get("recordsFiltered", document.get("recordsTotal")) if isinstance(document, dict) else None
        if not isinstance(rows, list) or isinstance(total, bool) or not isinstance(total, int) or document.get("result", "ok") != "ok":
            raise SourceChanged(f"{DATA}: an answer with data, recordsFiltered and result ok was expected")
        return rows, total

    def _ask(self, form: Mapping[str, str], *, again: bool) -> "Response":
        self._open(again=again)
        headers = {"Referer": SEARCH, "X-CSRFToken": self._token}
        body = {**form, "csrfmiddlewaretoken": self._token}
        return self._http.post(DATA, source=SOURCE, rate=RATE, form=body, headers=headers, jar=self._jar)

    def _text(self, url: str) -> str | None:
        """A page behind the terms of use; None when there is none."""
        for again in (False, True):
            self._open(again=again)
            answer = self._http.get(url, source=SOURCE, rate=RATE, headers={"Referer": SEARCH}, accept=(404,), jar=self._jar)
            if answer.status == 404:
                return None
            if not _is_home(answer.text()):
                return answer.text()
        raise SourceChanged(f"{url}: the terms of use came back in place of the report, although they were agreed to")

    def _open(self, *, again: bool) -> None:
        """Agree to the terms of use: a token from the form, sent back with its cookie and from the form's own address."""
        if self._token and not again:
            return
        self._jar = _jar()
        self._token = _token(self._http.get(HOME, source=SOURCE, rate=RATE, jar=self._jar).text())
        form = {"prohibition_agreement": "1", "csrfmiddlewaretoken": self._token}
        self._http.post(HOME, source=SOURCE, rate=RATE, form=form, headers={"Referer": HOME}, jar=self._jar)


def _jar() -> "Jar":
    return {}


def _token(text: str) -> str:
    """The token of the form; SourceChanged without one."""
    for tag in _INPUT.findall(text):
        value = _VALUE.search(tag)
        if "csrfmiddlewaretoken" in tag and value:
            return html.unescape(value[1])
    raise SourceChanged(f"{HOME}: a hidden input csrfmiddlewaretoken was expected")


def _is_home(text: str) -> bool:
    """Whether a page is that with the terms of use, to which an ended session is sent."""
    return "prohibition_agreement" in text and "<" in text


def fetch(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Transactions of the reports filed from `since` to `until`, with what an amendment among them amends, wherever that lies.

    Option `backfill` gives rows the archive's `known_at`, and those that became known then. A report on paper is one reject,
    `paper_filing`. An amendment replaces the report that it amends: trades that are in both stay as they were, others come, and those
    that are missing are withdrawn.
    """
    backfill, session = bool(options.get("backfill")), Session(http)
    first, last = times.new_york_date(since - timedelta(days=int(backfill))), times.new_york_date(until)
    items: list[tables.Timed | Reject] = []
    reports: dict[str, Report] = {}
    for report in session.reports(first, last):
        if isinstance(report, Reject):
            items.append(report)
        elif first <= report.filed <= last:
            reports[report.uuid] = report
    read, rejects = _read(session, {**reports, **_amended(session, reports.values())}.values(), last)
    items += [each for uuid, each in rejects if uuid in reports]
    for chain in settled(read):
        items += [chain] if isinstance(chain, Reject) else congress.versions(chain, live=not backfill)
    yield from tables.batches(congress.CongressTrade, congress.within(items, since, until) if backfill else items)


def _read(session: Session, reports: Iterable[Report], last: date) -> tuple[list[tuple[Report, Trades]], list[tuple[str, Reject]]]:
    """Each report filed by `last` with its trades, and what was refused of which."""
    read, rejects = list[tuple[Report, Trades]](), list[tuple[str, Reject]]()
    for report in sorted(reports, key=lambda each: (each.filed, each.uuid)):
        if report.paper:
            refused = tables.reject("paper_filing", "filed on paper, a picture without text", asdict(report), report.url)
            rejects.append((report.uuid, refused))
        elif report.filed <= last:
            trades = session.page(report)
            if trades is None:
                refused = tables.reject("missing_document", "the list names the report, and it is not there", asdict(report), report.url)
                rejects.append((report.uuid, refused))
            else:
                read.append((report, trades))
                rejects += [(report.uuid, each) for each in trades if isinstance(each, Reject)]
    return read, rejects


def _amended(session: Session, reports: Iterable[Report]) -> dict[str, Report]:
    """The reports that the window's amendments amend, and those that do so too: by their filer and the date in their title."""
    found: dict[str, Report] = {}
    subjects = {report.subject: report for report in reports if report.amendment}
    for report in subjects.values():
        named = session.reports(report.of, report.filed, report.last_name)
        found |= {each.uuid: each for each in named if isinstance(each, Report) and each.subject == report.subject}
    return found
