"""Lobbying reports of listed companies under the Lobbying Disclosure Act: from Quiver, or from LDA.gov itself."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapers import cells, files, lda, rates, records, tables, times
from scrapers.base import Batch, Dataset, Reject, Source
from scrapers.companies import Directory, core_of
from scrapers.quiver_arrays import Endpoint

if TYPE_CHECKING:
    from scrapers.http import Http

BETA = "https://api.quiverquant.com/beta"
QUIVER_KEYS = frozenset({"Date", "Amount", "Client", "Registrant", "Ticker"})
LIVE = Endpoint(url=f"{BETA}/live/lobbying", keys=QUIVER_KEYS, source="quiver_lobbying")
PAST = Endpoint(url=f"{BETA}/historical/lobbying", keys=QUIVER_KEYS, source="quiver_lobbying")
LONG_TEXT = 4000
EXAMPLES = 20
SHAPES = {
    "Quiver (JSON array)": "Date, Amount, Client, Issue, Specific_Issue, Registrant, Ticker",
    "LDA.gov filings (JSON object with results)": "filing_uuid, filing_type, filing_year, filing_period, income, expenses, dt_posted, ...",
}
_QUARTERLY = re.compile(r"Q?[1-4][AT@]?Y?")
_AMENDED = re.compile(r"[1-4][A@]Y?")


@dataclass(frozen=True, slots=True, kw_only=True)
class LobbyingReport:
    """What one registrant reported to have earned, or spent, for lobbying for one client.

    symbol: None when the client matches no listed company, or the source names no ticker.
    registrant: the lobbying firm, or the client itself. in_house: the client's own report, whose amount already includes what it paid
        to firms: where a company has one for a quarter, count it alone; otherwise add those of the firms. None when it cannot be told.
    amount_usd: in the quarter; None when it was below 5,000.
    period_year, period: the year and the quarter of it, 1 to 4, that the report is about; None at Quiver, which does not say.
    filed_date, filed_at: New York day of publication; its instant where the source has one.
    kind: `report` or `amendment`. An amendment replaces its report: it has the same key. Quiver does not tell the two apart.
    report_id: what all versions of a report share: registrant, client, year and quarter at LDA.gov, a fingerprint at Quiver.
    filing_uuid: of this version; empty at Quiver. occurrence: n-th record that is otherwise the same, from 0, by amount.
    """

    symbol: str | None
    client: str
    registrant: str
    in_house: bool | None
    amount_usd: float | None
    period_year: int | None
    period: int | None
    filed_date: date
    filed_at: datetime | None
    issue: str
    specific_issue: str
    kind: str
    report_id: str
    filing_uuid: str
    occurrence: int
    origin: str
    source_url: str


KEY = ("origin", "symbol", "report_id", "occurrence")


def parse_quiver(found: list[Any], *, url: str) -> list[tables.Timed | Reject]:
    """Rows of Quiver's records, of which equal ones must all be there: they are numbered. known_at: the day after `Date`."""
    items = records.parsed(found, partial(_quiver, url=url), QUIVER_KEYS, url)
    return records.numbered(items, lambda row: (row.symbol, row.report_id), lambda row: -1.0 if row.amount_usd is None else row.amount_usd)


def _quiver(record: dict[str, Any], *, url: str) -> tables.Timed:
    filed = times.parse_date(record["Date"])
    if filed is None:
        raise records.Unusable("bad_date", f"Date {str(record['Date'])[:80]!r}")
    client, registrant = cells.text(record["Client"]), cells.text(record["Registrant"])
    issue, specific = cells.text(record.get("Issue"), LONG_TEXT), cells.text(record.get("Specific_Issue"), LONG_TEXT)
    row = LobbyingReport(
        symbol=records.symbol_of(record["Ticker"]),
        client=client,
        registrant=registrant,
        in_house=_same(client, registrant),
        amount_usd=_amount(record, "Amount"),
        period_year=None,
        period=None,
        filed_date=filed,
        filed_at=None,
        issue=issue,
        specific_issue=specific,
        kind="report",
        report_id=records.fingerprint(filed, client, registrant, issue, specific),
        filing_uuid="",
        occurrence=0,
        origin="quiver",
        source_url=url,
    )
    return tables.Timed(row=row, event_at=times.new_york(filed), known_at=times.day_after(filed))


def parse_lda(found: list[Any], *, companies: Directory, position: str) -> Iterator[tables.Timed | Reject]:
    """Rows of filings, whether their client is known or not. known_at: `dt_posted`. A registration is a reject, `no_quarterly_report`."""
    return records.parsed(found, partial(_filing, companies=companies), lda.KEYS, position)


def _filing(record: dict[str, Any], *, companies: Directory) -> tables.Timed:
    posted, form = _instant(record["dt_posted"]), cells.text(record["filing_type"]).upper()
    quarter, year = lda.QUARTERS.get(cells.text(record["filing_period"])), cells.whole(record["filing_year"])
    if quarter is None or not _QUARTERLY.fullmatch(form):
        raise records.Unusable("no_quarterly_report", f"type {form[:20]!r} for period {str(record['filing_period'])[:40]!r}")
    if year is None or not 1995 <= year <= 2100:
        raise records.Unusable("bad_year", f"filing_year {str(record['filing_year'])[:40]!r}")
    registrant, client = _party(record, "registrant"), _party(record, "client")
    income, expenses = _amount(record, "income"), _amount(record, "expenses")
    if income is not None and expenses is not None:
        raise records.Unusable("income_and_expenses", f"income {income}, expenses {expenses}")
    stated = income is not None or expenses is not None
    issue, specific = _activities(record)
    row = LobbyingReport(
        symbol=companies.symbol_of(client[1]),
        client=client[1],
        registrant=registrant[1],
        in_house=expenses is not None if stated else _same(client[1], registrant[1]),
        amount_usd=expenses if income is None else income,
        period_year=year,
        period=quarter,
        filed_date=times.new_york_date(posted),
        filed_at=posted,
        issue=issue,
        specific_issue=specific,
        kind="amendment" if _AMENDED.fullmatch(form) else "report",
        report_id=f"{registrant[0]}/{client[0]}/{year}/{quarter}",
        filing_uuid=cells.text(record["filing_uuid"]),
        occurrence=0,
        origin="lda",
        source_url=cells.text(record.get("filing_document_url")) or cells.text(record.get("url")) or lda.URL,
    )
    return tables.Timed(row=row, event_at=posted, known_at=posted)


def _instant(value: object) -> datetime:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or not 1995 <= at.year <= 2099:
        raise records.Unusable("bad_time", f"dt_posted {str(value)[:80]!r}")
    return at.astimezone(UTC)


def _party(record: dict[str, Any], role: str) -> tuple[int, str]:
    """Number and name of the registrant or client."""
    party = record[role] if isinstance(record[role], dict) else {}
    number, name = cells.whole(party.get("id")), cells.text(party.get("name"))
    if number is None or not name:
        raise records.Unusable("no_party", f"the {role} has no id or no name")
    return number, name


def _activities(record: dict[str, Any]) -> tuple[str, str]:
    """Issues, and what was lobbied for in particular, of all activities."""
    listed = record.get("lobbying_activities")
    activities = [activity for activity in (listed if isinstance(listed, list) else []) if isinstance(activity, dict)]
    issues = dict.fromkeys(cells.text(activity.get("general_issue_code_display")) for activity in activities)
    particular = dict.fromkeys(cells.text(activity.get("description"), LONG_TEXT) for activity in activities)
    return ", ".join(filter(None, issues))[:LONG_TEXT], "; ".join(filter(None, particular))[:LONG_TEXT]


def _same(client: str, registrant: str) -> bool | None:
    return core_of(client) == core_of(registrant) if client and registrant else None


def _amount(record: dict[str, Any], key: str) -> float | None:
    if cells.is_empty(record[key]):
        return None
    found = records.amount_of(record, key)
    if found < 0:
        raise records.Unusable("bad_amount", f"{key} {found}")
    return found


def fetch_quiver(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Reports filed from `since` to `until`; with `backfill` the whole past of each of `symbols`, within those bounds."""
    if options.get("backfill"):
        for url, found in PAST.of_tickers(http, options.get("symbols", ()), paged=True):
            yield from tables.batches(LobbyingReport, _within(parse_quiver(found, url=url), since, until))
        return
    first, last = times.new_york_date(since), times.new_york_date(until)
    found = LIVE.everything(http, {"all": "true", "date_from": f"{first:%Y%m%d}", "date_to": f"{last:%Y%m%d}"})
    yield from tables.batches(LobbyingReport, records.live(parse_quiver(found, url=LIVE.url), until))


def _within(items: Iterable[tables.Timed | Reject], since: datetime, until: datetime) -> Iterator[tables.Timed | Reject]:
    return (item for item in items if isinstance(item, Reject) or (item.known_at is not None and since <= item.known_at <= until))


def fetch_lda(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Quarterly reports posted from `since` to `until` for clients among `companies`.

    Live: every filing of the time; of a report and its amendment the newest alone. With `backfill`: what a search for each company of
    `symbols` finds, every version with its time, for all filings of years would be ten thousands of pages. Clients that are no listed
    company are no rows: one reject, `unmatched_clients`, counts them with examples. Registrations are left to the count as well.
    """
    names: Mapping[str, str] = options.get("companies", {})
    companies, unmatched = Directory(names), Counter[str]()
    asked = {"filing_dt_posted_after": _day(since), "filing_dt_posted_before": _day(until + timedelta(days=1))}
    if options.get("backfill"):
        wanted = [names[symbol] for symbol in options.get("symbols", names) if symbol in names]
        for text in dict.fromkeys(text for name in wanted for text in companies.searches(name)):
            found = _matched(lda.filings(http, {**asked, "client_name": text}), companies, unmatched)
            yield from tables.batches(LobbyingReport, _within(found, since, until))
    else:
        items = _newest(_matched(lda.filings(http, asked), companies, unmatched))
        yield from tables.batches(LobbyingReport, records.live(items, until))
    if unmatched:
        yield from tables.batches(LobbyingReport, [_told(unmatched)])


def _day(at: datetime) -> str:
    return times.new_york_date(at).isoformat()


def _matched(pages: Iterable[tuple[list[Any], str]], companies: Directory, unmatched: Counter[str]) -> list[tables.Timed | Reject]:
    """Rows with a symbol, the oldest first, and rejects; the others are counted."""
    kept: list[tables.Timed] = []
    refused: list[Reject] = []
    for page, position in pages:
        for item in parse_lda(page, companies=companies, position=position):
            if isinstance(item, Reject):
                unmatched.update(["no_quarterly_report"] if item.reason == "no_quarterly_report" else [])
                refused += [] if item.reason == "no_quarterly_report" else [item]
            elif item.row.symbol is None:
                unmatched[item.row.client] += 1
            else:
                kept.append(item)
    return [*sorted(kept, key=lambda item: (item.event_at, item.row.filing_uuid)), *refused]


def _newest(items: list[tables.Timed | Reject]) -> Iterator[tables.Timed | Reject]:
    """The last version of each report; earlier ones, which it replaces, are rejects `superseded`."""
    last = {item.row.report_id: item for item in items if isinstance(item, tables.Timed)}
    for item in items:
        if isinstance(item, Reject) or last[item.row.report_id] is item:
            yield item
        else:
            newer = last[item.row.report_id].row.filing_uuid
            if newer != item.row.filing_uuid:
                yield tables.reject("superseded", f"replaced by {newer}", item.row.filing_uuid, item.row.source_url)


def _told(unmatched: Counter[str]) -> Reject:
    others = unmatched.pop("no_quarterly_report", 0)
    detail = f"{unmatched.total()} reports of {len(unmatched)} clients that are no company of the universe, {others} registrations"
    named = dict(sorted(unmatched.items(), key=lambda item: (-item[1], item[0]))[:EXAMPLES])
    return tables.reject("unmatched_clients", detail, named, lda.URL)


def load(paths: Iterable[Path]) -> Iterator[Batch]:
    """Import saved answers; filings of LDA.gov have no symbol then. Raises BadFile for any other shape."""
    for path in paths:
        yield from tables.batches(LobbyingReport, _parse_file(path))


def _parse_file(path: Path) -> Iterable[tables.Timed | Reject]:
    content = files.read(path)
    document = files.json_of(content, path.name) if files.is_json(content) else None
    found = document.get("results") if isinstance(document, dict) else document
    if isinstance(found, list) and records.fits(found, QUIVER_KEYS):
        return parse_quiver(found, url=LIVE.url)
    if isinstance(found, list) and records.fits(found, lda.KEYS):
        items = parse_lda(found, companies=Directory({}), position=path.name)
        return sorted(items, key=lambda item: 0.0 if isinstance(item, Reject) else item.event_at.timestamp())
    if isinstance(document, dict) and document.keys() >= lda.PAGE_KEYS and found == []:
        return ()
    return files.unknown_shape(path.name, records.seen_keys(found), SHAPES)


DATASET = Dataset(
    name="lobbying",
    row=LobbyingReport,
    key=KEY,
    schedule="cron: mon-fri 07:00",
    description="Lobbying reports of listed companies, by registrant and quarter",
    sources=(
        Source(
            name="quiver_lobbying",
            fetch=fetch_quiver,
            rate=rates.QUIVER_10_MINUTE,
            urls=(LIVE.url, PAST.url),
            needs=("quiver_api_key",),
            wants=("symbols",),
            asks_by="symbols",
        ),
        Source(
            name=lda.SOURCE, fetch=fetch_lda, rate=rates.LDA, urls=(lda.URL,), rank=1, wants=("symbols", "companies"), asks_by="symbols"
        ),
    ),
    load=load,
    max_silence=timedelta(days=100),
    overlap=timedelta(days=7),
    known="a report of LDA.gov when it was posted, one of Quiver the day after it was filed",
)
