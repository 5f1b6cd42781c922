"""Reports of transactions in the Senate's eFD: what the search lists, what a report's page says, and which report amends which."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any
from urllib.parse import parse_qs, urlsplit

from scrapers import congress, disclosures, markup, tables, times
from scrapers import disclosure_forms as forms
from scrapers.base import Reject
from scrapers.errors import SourceChanged

BASE = "https://efdsearch.senate.gov"
COLUMNS = ("transaction date", "owner", "ticker", "asset name", "asset type", "type", "amount")
TAIL = 4000
"""Characters at the end of a page among which its closing mark stands."""
_LINK = re.compile(r"/search/view/(ptr|paper)/([0-9a-fA-F-]{8,40})/?")
_TITLE = re.compile(r"periodic transaction report(?: for)? (\d{1,2}/\d{1,2}/\d{4})\s*(?:\((amendment) ?(\d*)\))?", re.IGNORECASE)
_FILER = re.compile(r'<h2[^>]*class="[^"]*filedReport[^"]*"[^>]*>(.*?)</h2>', re.IGNORECASE | re.DOTALL)
_FILED = re.compile(r"\bfiled\s+(\d{1,2}/\d{1,2}/\d{4})", re.IGNORECASE)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

Trades = list[congress.Stated | Reject]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One line of the search. of: the date in its title, that of the report which it amends or, where it amends none, its own.

    amendment: 0 for an original. paper: a scan, without a table.
    """

    first_name: str
    last_name: str
    office: str
    uuid: str
    of: date
    amendment: int
    filed: date
    paper: bool

    @property
    def member(self) -> str:
        """First and last name."""
        return disclosures.member(f"{self.first_name.strip()} {self.last_name.strip()}")

    @property
    def url(self) -> str:
        """The report's page."""
        return f"{BASE}/search/view/{'paper' if self.paper else 'ptr'}/{self.uuid}/"

    @property
    def subject(self) -> tuple[str, date]:
        """What an amendment has in common with what it amends."""
        return self.member.lower(), self.of


def listed(row: object, at: str) -> Report | Reject | None:
    """The report of one line of the search's answer; None where the line is another kind of document, such as an extension."""
    if not (isinstance(row, list) and len(row) >= 5 and all(isinstance(cell, str) for cell in row[:5])):
        return tables.reject("not_a_record", "a line of five texts was expected", row, at)
    link, title = _LINK.search(row[3]), _TITLE.search(disclosures.plain(row[3]))
    if title is None and re.search(r"extension|annual report|blind trust|termination", row[3], re.IGNORECASE):
        return None
    filed, of = times.parse_date(row[4]), times.parse_date(title[1]) if title else None
    if link is None or of is None:
        return tables.reject("not_a_record", "a link to a periodic transaction report was expected", row, at)
    if filed is None:
        return tables.reject("no_disclosure_date", f"filed {row[4]!r}", row, at)
    return Report(
        first_name=disclosures.plain(row[0]),
        last_name=disclosures.plain(row[1]),
        office=disclosures.plain(row[2]),
        uuid=link[2].lower(),
        of=of,
        amendment=_number(title),
        filed=filed,
        paper=link[1] == "paper",
    )


def _number(title: re.Match[str] | None) -> int:
    """0 for an original; an amendment without a number is the first."""
    return int(title[3] or 1) if title and title[2] else 0


def parse_page(text: str, report: Report) -> Trades:
    """The transactions of a report's page; SourceChanged when it has no table under the known headings."""
    if "</html" not in text[-TAIL:].lower():
        raise SourceChanged(f"{report.url}: the page ends in its middle")
    table = next((t for t in markup.html_tables(text, report.url) if set(COLUMNS) <= _headings(t)), None)
    if table is None:
        if re.search(r"\b0 transactions total", text):
            return []
        raise SourceChanged(f"{report.url}: a table headed {', '.join(COLUMNS)} was expected")
    names, seen = [cell.text.lower() for cell in table.rows[0]], Counter[tuple[object, ...]]()
    found: Trades = []
    for number, row in enumerate(table.rows[1:], start=1):
        at = f"{report.url}[{number}]"
        cells = {name: cell.text for name, cell in zip(names, row, strict=False)}
        if len(row) != len(names):
            found.append(tables.reject("not_a_record", f"{len(row)} cells under {len(names)} headings", [c.text for c in row], at))
            continue
        item = congress.trade(_cells(cells, row[names.index("ticker")], report), cells, at, seen)
        found.append(item if isinstance(item, Reject) else congress.Stated(item=item, on=report.filed))
    return found


def _headings(table: markup.HtmlTable) -> set[str]:
    return {name.lower() for name in table.header()}


def _cells(cells: Mapping[str, str], ticker: markup.Cell, report: Report) -> forms.Cells:
    return forms.Cells(
        chamber="senate",
        member=report.member,
        owner=cells["owner"],
        ticker=_ticker(ticker),
        description=cells["asset name"],
        asset_type=cells["asset type"],
        transaction=cells["type"],
        amount=cells["amount"],
        traded=cells["transaction date"],
        disclosed=report.filed.isoformat(),
        filing_id=report.uuid,
        url=report.url,
        origin="senate",
    )


def _ticker(cell: markup.Cell) -> str:
    """The cell's text; where several links stand in it, the symbols that they ask for."""
    asked = [word for link in cell.links for word in _asked(link)]
    return "|".join(asked) if len(asked) > 1 and "--" not in cell.text else cell.text


def _asked(link: str) -> list[str]:
    """What a link to a quote asks for; nothing for one that does not parse."""
    try:
        return parse_qs(urlsplit(link).query).get("s", [])
    except ValueError:
        return []


def settled(reports: Iterable[tuple[Report, Trades]]) -> Iterator[list[congress.Stated] | Reject]:
    """The statements of each original report with those of its amendments, which replace it whole, oldest first.

    A trade that an amendment no longer has is struck. Trades of all of them bear the original's id. Where several originals could be
    meant, it is the one that shares most trades with the amendment; where that does not tell, the amendment is a reject.
    """
    subjects: dict[tuple[str, date], list[tuple[Report, Trades]]] = defaultdict(list)
    for report, trades in sorted(reports, key=lambda each: (each[0].filed, each[0].amendment, each[0].uuid)):
        subjects[report.subject].append((report, trades))
    for same in subjects.values():
        originals = [each for each in same if each[0].amendment == 0]
        chains = {each[0].uuid: [each] for each in (originals or same[:1])}
        for report, trades in same if originals else same[1:]:
            if report.uuid in chains:
                continue
            meant = _amended(chains, trades)
            if meant is None:
                yield tables.reject("ambiguous_amendment", "several reports could be the one that it amends", asdict(report), report.url)
            else:
                chains[meant].append((report, trades))
        yield from (_replaced(uuid, chain) for uuid, chain in chains.items())


def _amended(chains: Mapping[str, list[tuple[Report, Trades]]], trades: Trades) -> str | None:
    """The original that an amendment means."""
    if len(chains) == 1:
        return next(iter(chains))
    own = _substance(trades)
    shared = sorted(((len(own & _substance(chain[-1][1])), uuid) for uuid, chain in chains.items()), reverse=True)
    return shared[0][1] if shared[0][0] > shared[1][0] else None


def _substance(trades: Trades) -> set[tuple[object, ...]]:
    """The keys of the trades without the report's id."""
    return {congress.key_of(each.item)[1:] for each in trades if isinstance(each, congress.Stated)}


def _replaced(uuid: str, chain: list[tuple[Report, Trades]]) -> list[congress.Stated]:
    """The statements of a chain: at each amendment those of its own trades, and what was in force and is not among them, struck."""
    stated: list[congress.Stated] = []
    force: dict[tuple[object, ...], congress.Stated] = {}
    for report, trades in chain:
        own = [
            replace(each, item=replace(each.item, row=replace(each.item.row, filing_id=uuid)))
            for each in trades
            if isinstance(each, congress.Stated)
        ]
        kept = {congress.key_of(each.item): each for each in own}
        stated += [replace(each, on=report.filed, struck=True) for key, each in force.items() if key not in kept]
        stated += own
        force = kept
    return stated


def parse_saved(pages: Iterable[tuple[str, str]]) -> Iterator[tables.Timed | Reject]:
    """Transactions of saved pages, (file name, text) pairs; a page says who filed what when, its name or text the report's id."""
    read: list[tuple[Report, Trades]] = []
    for name, text in pages:
        report = _saved(name, text)
        if isinstance(report, Reject):
            yield report
            continue
        read.append((report, parse_page(text, report)))
        yield from (each for each in read[-1][1] if isinstance(each, Reject))
    for each in settled(read):
        if isinstance(each, Reject):
            yield each
        else:
            yield from congress.versions(each, live=False)


def is_page(text: str) -> bool:
    """Whether a text is the page of a periodic transaction report."""
    return bool(_TITLE.search(disclosures.plain(text)) and "<" in text and _FILER.search(text))


def _saved(name: str, text: str) -> Report | Reject:
    words: dict[str, Any] = {"file": name}
    title, filer, uuid = _TITLE.search(disclosures.plain(text)), _FILER.search(text), _UUID.search(name) or _UUID.search(text)
    filed_text = _FILED.search(disclosures.plain(text))
    filed, of = (times.parse_date(found[1]) if found else None for found in (filed_text, title))
    if filed is None or of is None:
        return tables.reject("no_disclosure_date", "the page does not say when it was filed", words, name)
    if uuid is None or filer is None:
        return tables.reject("not_a_record", "neither the file's name nor the page holds the report's id", words, name)
    member = re.sub(r"\(.*?\)", "", disclosures.plain(filer[1]))
    return Report(
        first_name="", last_name=member, office="", uuid=uuid[0].lower(), of=of, amendment=_number(title), filed=filed, paper=False
    )
