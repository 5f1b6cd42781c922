"""Federal contracts of listed companies: single awards and quarterly sums from Quiver, or the large actions at USAspending.gov."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scrapers import cells, files, rates, records, tables, times, usaspending
from scrapers.base import Batch, Dataset, Reject, Source
from scrapers.companies import Directory
from scrapers.quiver_arrays import Endpoint

if TYPE_CHECKING:
    from scrapers.http import Http

BETA = "https://api.quiverquant.com/beta"
AWARD_KEYS = frozenset({"Ticker", "Date", "Agency", "Amount"})
QUARTER_KEYS = frozenset({"Ticker", "Amount", "Qtr", "Year"})
LIVE_AWARDS = Endpoint(url=f"{BETA}/live/govcontractsall", keys=AWARD_KEYS, source="quiver_contracts")
PAST_AWARDS = Endpoint(url=f"{BETA}/historical/govcontractsall", keys=AWARD_KEYS, source="quiver_contracts")
LIVE_QUARTERS = Endpoint(url=f"{BETA}/live/govcontracts", keys=QUARTER_KEYS, source="quiver_contracts_quarterly")
PAST_QUARTERS = Endpoint(url=f"{BETA}/historical/govcontracts", keys=QUARTER_KEYS, source="quiver_contracts_quarterly")
QUARTER_LAG = timedelta(days=90)
"""A past quarter's sum holds contracts of the Department of Defense, which are published 90 days late: it is known after them."""
EXAMPLES = 20
SHAPES = {
    "Quiver awards (JSON array)": "Ticker, Date, Agency, Amount, Description, action_date",
    "Quiver quarters (JSON array)": "Ticker, Amount, Qtr, Year",
    "USAspending transactions (JSON object with results)": ", ".join(usaspending.FIELDS),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GovContract:
    """One action on a contract, or a company's sum over a quarter. Rows of both periods tell of the same money: add those of one.

    symbol: None when the recipient matches no listed company, or the source names no ticker.
    recipient: as the agency writes it; empty at Quiver. agency, sub_agency: who awards.
    amount_usd: obligated by this action, or in the quarter; negative when money was taken back.
    action_date, announced_date: day of the action, day of its announcement; None where the source has none, and for quarters.
    record_id: what identifies the record at its origin: the award's unique id at USAspending, a fingerprint at Quiver, which has no ids.
    award_id, modification: the contract's number and that of its modification; empty at Quiver.
    period: `award` or `quarter`; quarter, year: of the calendar, for quarters alone.
    occurrence: n-th record that is otherwise the same, from 0, by amount.
    """

    symbol: str | None
    recipient: str
    agency: str
    sub_agency: str
    amount_usd: float
    action_date: date | None
    announced_date: date | None
    award_id: str
    record_id: str
    modification: str
    description: str
    period: str
    quarter: int | None
    year: int | None
    occurrence: int
    origin: str
    source_url: str


KEY = ("origin", "period", "symbol", "record_id", "modification", "year", "quarter", "occurrence")


def _identity(row: GovContract) -> tuple[object, ...]:
    return (row.symbol, row.record_id, row.modification)


def _size(row: GovContract) -> float:
    return row.amount_usd


def parse_awards(found: list[Any], *, url: str) -> list[tables.Timed | Reject]:
    """Rows of Quiver's award records, of which equal ones must all be there: they are numbered. known_at: the day after `Date`."""
    items = records.parsed(found, partial(_award, url=url), AWARD_KEYS, url)
    return records.numbered(items, _identity, _size)


def _award(record: dict[str, Any], *, url: str) -> tables.Timed:
    announced, acted = times.parse_date(record["Date"]), times.parse_date(record.get("action_date"))
    if announced is None:
        raise records.Unusable("no_announcement_date", f"Date {str(record['Date'])[:80]!r}")
    if acted is None and not cells.is_empty(record.get("action_date")):
        raise records.Unusable("bad_date", f"action_date {str(record['action_date'])[:80]!r}")
    agency, description = cells.text(record["Agency"]), cells.text(record.get("Description"), 2000)
    row = GovContract(
        symbol=records.symbol_of(record["Ticker"]),
        recipient="",
        agency=agency,
        sub_agency="",
        amount_usd=records.amount_of(record, "Amount"),
        action_date=acted,
        announced_date=announced,
        award_id="",
        record_id=records.fingerprint(announced, acted, agency, description),
        modification="",
        description=description,
        period="award",
        quarter=None,
        year=None,
        occurrence=0,
        origin="quiver",
        source_url=url,
    )
    return tables.Timed(row=row, event_at=times.new_york(min(acted or announced, announced)), known_at=times.day_after(announced))


def parse_quarters(found: list[Any], *, url: str) -> Iterator[tables.Timed | Reject]:
    """Rows of Quiver's quarterly sums. event_at is the quarter's first day; known_at 90 days after its last one."""
    return records.parsed(found, partial(_quarter, url=url), QUARTER_KEYS, url)


def _quarter(record: dict[str, Any], *, url: str) -> tables.Timed:
    quarter, year = cells.whole(record["Qtr"]), cells.whole(record["Year"])
    if quarter not in (1, 2, 3, 4) or year is None or not 1990 <= year <= 2100:
        raise records.Unusable("bad_quarter", f"Qtr {str(record['Qtr'])[:40]!r}, Year {str(record['Year'])[:40]!r}")
    symbol = records.symbol_of(record["Ticker"])
    if symbol is None:
        raise records.Unusable("no_ticker", "a sum of nobody")
    first = date(year, 3 * quarter - 2, 1)
    last = date(year + quarter // 4, (3 * quarter) % 12 + 1, 1) - timedelta(days=1)
    row = GovContract(
        symbol=symbol,
        recipient="",
        agency="",
        sub_agency="",
        amount_usd=records.amount_of(record, "Amount"),
        action_date=None,
        announced_date=None,
        award_id="",
        record_id="",
        modification="",
        description="",
        period="quarter",
        quarter=quarter,
        year=year,
        occurrence=0,
        origin="quiver",
        source_url=url,
    )
    return tables.Timed(row=row, event_at=times.new_york(first), known_at=times.day_after(last + QUARTER_LAG))


def parse_actions(found: list[Any], *, companies: Directory, position: str) -> list[tables.Timed | Reject]:
    """Rows of USAspending's transactions, matched or not. known_at: the day after they are public at the latest.

    A record that stands twice among them, as happens when pages shift, is one row and a reject `repeated_record`.
    """
    seen: Counter[object] = Counter()
    items = records.parsed(found, partial(_action, companies=companies, seen=seen), usaspending.KEYS, position)
    return records.numbered(items, _identity, _size)


def _action(record: dict[str, Any], *, companies: Directory, seen: Counter[object]) -> tables.Timed:
    award, recipient = cells.text(record[usaspending.AWARD]), cells.text(record[usaspending.RECIPIENT])
    acted, agency = times.parse_date(record[usaspending.ACTION_DATE]), cells.text(record.get("Awarding Agency"))
    unique = cells.text(record.get("generated_internal_id")) or award
    amount, modification = records.amount_of(record, usaspending.AMOUNT), cells.text(record[usaspending.MODIFICATION])
    if acted is None:
        raise records.Unusable("bad_date", f"Action Date {str(record[usaspending.ACTION_DATE])[:80]!r}")
    if not unique:
        raise records.Unusable("no_award_id", "neither Award ID nor generated_internal_id")
    same = (unique, modification, acted, amount)
    seen[same] += 1
    if seen[same] > 1:
        raise records.Unusable("repeated_record", f"award {unique}, modification {modification!r} stands twice")
    row = GovContract(
        symbol=companies.symbol_of(recipient),
        recipient=recipient,
        agency=agency,
        sub_agency=cells.text(record.get("Awarding Sub Agency")),
        amount_usd=amount,
        action_date=acted,
        announced_date=None,
        award_id=award,
        record_id=unique,
        modification=modification,
        description=cells.text(record.get("Transaction Description") or record.get("Description"), 2000),
        period="award",
        quarter=None,
        year=None,
        occurrence=0,
        origin="usaspending",
        source_url=f"{usaspending.AWARD_PAGE}/{unique}",
    )
    return tables.Timed(row=row, event_at=times.new_york(acted), known_at=times.day_after(usaspending.posted(acted, agency)))


def _within(items: Iterable[tables.Timed | Reject], since: datetime, until: datetime) -> Iterator[tables.Timed | Reject]:
    """Rejects, and the rows that became known from `since` to `until`."""
    return (item for item in items if isinstance(item, Reject) or (item.known_at is not None and since <= item.known_at <= until))


def _days(first: datetime, last: datetime) -> Iterator[date]:
    day, end = times.new_york_date(first), times.new_york_date(last)
    while day <= end:
        yield day
        day += timedelta(days=1)


def fetch_awards(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Awards announced on each day from `since` to `until`; with `backfill` the whole past of each of `symbols`, within those bounds."""
    if options.get("backfill"):
        for url, found in PAST_AWARDS.of_tickers(http, options.get("symbols", ())):
            yield from tables.batches(GovContract, _within(parse_awards(found, url=url), since, until))
        return
    for day in _days(since, until):
        found = LIVE_AWARDS.everything(http, {"date": f"{day:%Y%m%d}"})
        yield from tables.batches(GovContract, records.live(parse_awards(found, url=LIVE_AWARDS.url), until))


def fetch_quarters(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """The sums that Quiver shows now, the current quarter's growing day by day; with `backfill` past quarters of each of `symbols`."""
    if options.get("backfill"):
        for url, found in PAST_QUARTERS.of_tickers(http, options.get("symbols", ())):
            yield from tables.batches(GovContract, _within(parse_quarters(found, url=url), since, until))
        return
    items = parse_quarters(LIVE_QUARTERS.array(http), url=LIVE_QUARTERS.url)
    yield from tables.batches(GovContract, records.live(items, until))


def fetch_actions(http: "Http", since: datetime, until: datetime, options: Mapping[str, Any]) -> Iterator[Batch]:
    """Actions of a million USD and more on contracts of `companies`, modified from `since` to `until`; with `backfill` those that
    were public within that time, by their date.

    Most recipients are no listed company. Their actions are no rows: one reject, `unmatched_recipients`, counts them and names the
    largest, so that rows, other rejects and its count make all that was received.
    """
    backfill, companies = bool(options.get("backfill")), Directory(options.get("companies", {}))
    unmatched: Counter[str] = Counter()
    for day in _days(since - usaspending.LONGEST_DELAY if backfill else since, until):
        found = usaspending.large_actions(http, day, modified=not backfill)
        items = parse_actions(found, companies=companies, position=f"{usaspending.URL} {day}")
        if backfill:
            items = list(_within(items, since, until))
        kept = [item for item in items if isinstance(item, Reject) or item.row.symbol is not None]
        unmatched.update(item.row.recipient for item in items if not isinstance(item, Reject) and item.row.symbol is None)
        yield from tables.batches(GovContract, kept if backfill else records.live(kept, until))
    if unmatched:
        yield from tables.batches(GovContract, [_told(unmatched)])


def _told(unmatched: Counter[str]) -> Reject:
    detail = f"{unmatched.total()} actions of {len(unmatched)} recipients that are no company of the universe"
    named = dict(sorted(unmatched.items(), key=lambda item: (-item[1], item[0]))[:EXAMPLES])
    return tables.reject("unmatched_recipients", detail, named, usaspending.URL)


def load(paths: Iterable[Path]) -> Iterator[Batch]:
    """Import saved answers; actions of USAspending have no symbol then. Raises BadFile for any other shape."""
    for path in paths:
        yield from tables.batches(GovContract, _parse_file(path))


def _parse_file(path: Path) -> Iterable[tables.Timed | Reject]:
    content = files.read(path)
    document = files.json_of(content, path.name) if files.is_json(content) else None
    found = document.get("results") if isinstance(document, dict) else document
    readers: list[tuple[frozenset[str], Callable[[list[Any]], Iterable[tables.Timed | Reject]]]] = [
        (QUARTER_KEYS, partial(parse_quarters, url=LIVE_QUARTERS.url)),
        (AWARD_KEYS, partial(parse_awards, url=LIVE_AWARDS.url)),
        (usaspending.KEYS, partial(parse_actions, companies=Directory({}), position=path.name)),
    ]
    for keys, read in readers:
        if records.fits(found, keys):
            return read(found)  # type: ignore[arg-type]
    if isinstance(document, dict) and "page_metadata" in document and found == []:
        return ()
    return files.unknown_shape(path.name, records.seen_keys(found), SHAPES)


DATASET = Dataset(
    name="gov_contracts",
    row=GovContract,
    key=KEY,
    schedule="cron: mon-fri 07:30",
    description="Federal contract awards and quarterly sums of listed companies",
    sources=(
        Source(
            name="quiver_contracts",
            fetch=fetch_awards,
            rate=rates.QUIVER_10_MINUTE,
            urls=(LIVE_AWARDS.url, PAST_AWARDS.url),
            needs=("quiver_api_key",),
            wants=("symbols",),
            asks_by="symbols",
        ),
        Source(
            name="quiver_contracts_quarterly",
            fetch=fetch_quarters,
            rate=rates.QUIVER_10_MINUTE,
            urls=(LIVE_QUARTERS.url, PAST_QUARTERS.url),
            needs=("quiver_api_key",),
            wants=("symbols",),
            asks_by="symbols",
        ),
        Source(
            name=usaspending.SOURCE,
            fetch=fetch_actions,
            rate=rates.USASPENDING,
            urls=(usaspending.URL,),
            rank=1,
            wants=("companies",),
            chunk=timedelta(days=366),
        ),
    ),
    load=load,
    max_silence=timedelta(days=14),
    overlap=timedelta(days=7),
    known="the day after an award was announced; an action three business days after its date, 90 days for the Department of Defense; "
    "a quarter 90 days after its end",
)
