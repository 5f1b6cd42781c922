"""USAspending.gov: the large obligations and de-obligations of federal contracts, day by day."""

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from scrapers import cells, rates, records
from scrapers.errors import SourceChanged

if TYPE_CHECKING:
    from scrapers.http import Http

SOURCE = "usaspending"
URL = "https://api.usaspending.gov/api/v2/search/spending_by_transaction/"
AWARD_PAGE = "https://www.usaspending.gov/award"
PAGE = 100
MAX_PAGES = 400
SMALLEST_USD = 1_000_000.0
"""Actions below it are left where they are: tens of thousands a day that together move no listed company."""
CONTRACTS = ["A", "B", "C", "D"]
AMOUNT, RECIPIENT, ACTION_DATE, MODIFICATION, AWARD = "Transaction Amount", "Recipient Name", "Action Date", "Mod", "Award ID"
FIELDS = [AWARD, MODIFICATION, RECIPIENT, "Recipient UEI", ACTION_DATE, AMOUNT, "Transaction Description", "Awarding Agency",
          "Awarding Sub Agency", "generated_internal_id"]  # fmt: skip
KEYS = frozenset({AWARD, MODIFICATION, RECIPIENT, ACTION_DATE, AMOUNT})
DEFENSE = "Department of Defense"
POSTED_WITHIN = 3
"""Business days in which agencies report an action."""
DEFENSE_DELAY = timedelta(days=90)
LONGEST_DELAY = timedelta(days=92)


def posted(action: date, agency: str) -> date:
    """The day on which an action is public at the latest: three business days on, and 90 days on for the Department of Defense."""
    if agency.strip().lower().startswith(DEFENSE.lower()):
        return action + DEFENSE_DELAY
    day, left = action, POSTED_WITHIN
    while left:
        day += timedelta(days=1)
        left -= day.weekday() < 5
    return day


def large_actions(http: "Http", day: date, *, modified: bool) -> list[Any]:
    """Records of the actions of one day (or those last modified on it) of at least SMALLEST_USD either way.

    The largest are asked for first, until they are too small; then, unless that was all, the most negative. A record without a readable
    amount is among them, so that it is refused by name and not passed over.
    """
    largest, complete = _sweep(http, day, modified, "desc")
    if complete:
        return [record for record in largest if (amount := _amount(record)) is None or abs(amount) >= SMALLEST_USD]
    lowest, _ = _sweep(http, day, modified, "asc")
    gained = [record for record in largest if (amount := _amount(record)) is None or amount >= SMALLEST_USD]
    return gained + [record for record in lowest if (amount := _amount(record)) is not None and amount <= -SMALLEST_USD]


def _sweep(http: "Http", day: date, modified: bool, order: str) -> tuple[list[Any], bool]:
    """The records in one order until they are too small, and whether these are all of the day."""
    found: list[Any] = []
    before: list[Any] = []
    for number in range(1, MAX_PAGES + 1):
        document = http.post(URL, source=SOURCE, rate=rates.USASPENDING, json=_question(day, modified, order, number)).json()
        page, more = _page(document)
        if page and page == before:
            raise SourceChanged(f"{URL}: page {number} of {day} shows the same records as the page before")
        found += page
        if not more or not page:
            return found, True
        last = _amount(page[-1])
        if last is not None and (last < SMALLEST_USD if order == "desc" else last > -SMALLEST_USD):
            return found, False
        before = page
    raise SourceChanged(f"{URL}: more than {MAX_PAGES} pages of {day}")


def _question(day: date, modified: bool, order: str, page: int) -> dict[str, Any]:
    period = {"start_date": day.isoformat(), "end_date": day.isoformat(), **({"date_type": "last_modified_date"} if modified else {})}
    filters = {"award_type_codes": CONTRACTS, "time_period": [period]}
    return {"filters": filters, "fields": FIELDS, "page": page, "limit": PAGE, "sort": AMOUNT, "order": order}


def _page(document: Any) -> tuple[list[Any], bool]:
    metadata = document.get("page_metadata") if isinstance(document, dict) else None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("hasNext"), bool):
        raise SourceChanged(f"{URL}: an object with results and page_metadata.hasNext was expected")
    return records.check_shape(document.get("results"), KEYS, URL), metadata["hasNext"]


def _amount(record: object) -> float | None:
    return cells.number(record.get(AMOUNT)) if isinstance(record, dict) else None
