"""The rows of every dataset that strategies read: their columns, and frames of them in the types in which a view hands them out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import NDArray

NEW_YORK = ZoneInfo("America/New_York")
STAMPS = ("row_key", "event_at", "known_at")
INSTANT = "datetime64[us, UTC]"
Instants = NDArray[np.datetime64]

_TYPES = {
    "analyst_ratings": "symbol firm action from_grade to_grade graded_at:datetime price_target:float? prior_price_target:float? "
    "occurrence:int origin",
    "app_ratings": "symbol kind app_id app_name publisher day:date rating:float? rating_count:int origin source_url",
    "assets": "symbol asset_id name exchange asset_class status tradable:bool fractionable:bool shortable:bool easy_to_borrow:bool "
    "marginable:bool",
    "biotech_events": "origin reference_id kind occurrence:int symbol:str? company product phase status event_date:date? date_precision "
    "date_type published:date quote source_url",
    "congress_trades": "chamber member member_id party state owner symbol:str? received_symbol:str? ticker_text symbol_note "
    "asset_description asset_type transaction amount_low_usd:float? amount_high_usd:float? amount_text transaction_date:date "
    "disclosure_date:date filing_id occurrence:int source_url origin member_key asset_key",
    "constituents": "symbol sector sub_industry name cik date_added:date? index_name",
    "corporate_actions": "symbol kind ex_date:date action_id ratio:float? amount_usd:float? other_symbol:str? process_date:date? origin",
    "dc_insider_scores": "symbol score_date:date score:float rank:int? origin",
    "fundamentals": "symbol cik concept unit period_start:date? period_end:date fiscal_year:int? fiscal_period value:float form accession "
    "filed:date tag source_url",
    "gov_contracts": "symbol:str? recipient agency sub_agency amount_usd:float action_date:date? announced_date:date? award_id record_id "
    "modification description period quarter:int? year:int? occurrence:int origin source_url",
    "index_membership": "index_name symbol start_date:date end_date:date?",
    "insider_trades": "trade_id symbol:str? symbol_text issuer_cik issuer_name owner_cik owner_name is_director:bool is_officer:bool "
    "is_ten_percent_owner:bool is_other:bool officer_title transaction_date:date code acquired_disposed shares:float price_usd:float? "
    "shares_after:float? ownership is_10b5_1:bool? security_title derivative:bool footnoted:bool filed:date? accepted_at:datetime? "
    "accession line:int amendment:bool source_url",
    "lobbying": "symbol:str? client registrant in_house:bool? amount_usd:float? period_year:int? period:int? filed_date:date "
    "filed_at:datetime? issue specific_issue kind report_id filing_uuid occurrence:int origin source_url",
    "news": "symbol news_id headline summary source url n_symbols:int sentiment:float created_at:datetime updated_at:datetime",
    "reddit_mentions": "origin forum item_id symbol kind mentions:int mentions_before:int? upvotes:int? rank:int? cashtag:bool? "
    "in_title:bool? sentiment:float? window_hours:int?",
    "search_trends": "origin batch keyword symbol day:date value:float partial:bool",
    "vix": "session:date open:float high:float low:float close:float",
    "wiki_pageviews": "symbol article day:date views:int",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a dataset's rows. kind: str, int, float, bool, date or datetime; optional: a row may have None there."""

    name: str
    kind: str
    optional: bool


def _columns(text: str) -> tuple[Column, ...]:
    found = []
    for word in text.split():
        name, _, kind = word.partition(":")
        found.append(Column(name, kind.rstrip("?") or "str", kind.endswith("?")))
    return tuple(found)


COLUMNS: Mapping[str, tuple[Column, ...]] = MappingProxyType({dataset: _columns(text) for dataset, text in _TYPES.items()})
"""By dataset the columns of its rows in order, without row_key, event_at and known_at."""


def frame(dataset: str, cells: Mapping[str, Any], *, event_at: Instants, known_at: Instants, keys: Sequence[str] = ()) -> pd.DataFrame:
    """Rows of a dataset as a view has them, from columns of equal length or single values; what is not given is plain (see `_plain`).

    event_at, known_at: datetime64[us], UTC. keys: `dataset/000000` and so on when not given. Raises ValueError for an unknown column.
    """
    count = len(known_at)
    strange = set(cells).difference(column.name for column in COLUMNS[dataset])
    if strange:
        raise ValueError(f"{dataset} has no columns {', '.join(sorted(strange))}")
    made = {}
    for column in COLUMNS[dataset]:
        given = cells.get(column.name, _plain(column, event_at, known_at))
        values = given if isinstance(given, Sequence | np.ndarray) and not isinstance(given, str) else [given] * count
        made[column.name] = typed(column.kind, values)
    made["row_key"] = typed("str", keys or [f"{dataset}/{number:06d}" for number in range(count)])
    made |= {"event_at": typed("datetime", event_at), "known_at": typed("datetime", known_at)}
    return pd.DataFrame(made)


def _plain(column: Column, event_at: Instants, known_at: Instants) -> Any:
    """None where a row may have none; the day of the event, the instant of knowing, an empty text, 0 and False elsewhere."""
    if column.optional:
        return None
    if column.kind == "date":
        return days(event_at)
    return known_at if column.kind == "datetime" else {"str": "", "int": 0, "float": 0.0, "bool": False}[column.kind]


def typed(kind: str, values: Any) -> pd.Series:
    """A column of a view's frame: ints with missing values are floats, bools with missing values and all dates are objects."""
    if kind == "datetime":
        return pd.Series(pd.DatetimeIndex(values).tz_localize("UTC") if isinstance(values, np.ndarray) else values, dtype=INSTANT)
    if kind == "date":
        return pd.Series(np.asarray(values, dtype=object), dtype=object)
    if kind == "str":
        return pd.Series(values, dtype="str")
    found = pd.Series(values, dtype=None if isinstance(values, np.ndarray) else object)
    missing = bool(found.isna().any())
    if kind == "float":
        return found.astype("float64")
    return found.astype({"int": "float64" if missing else "int64", "bool": "object" if missing else "bool"}[kind])


def missing(column: pd.Series, kind: str, where: NDArray[np.bool_]) -> pd.Series:
    """A column without its values at the places `where`, in the type that a view gives it then."""
    if kind == "datetime":
        return column.mask(where)
    if kind in ("str", "float"):
        return column.mask(where, np.nan)
    values = column.astype(object).to_numpy(copy=True)
    values[where] = None
    return typed(kind, list(values))


def postponed(instants: pd.Series, by: Any) -> pd.Series:
    """Instants of a frame so many days later (a number, or an array of them)."""
    values = instants.dt.tz_localize(None).to_numpy(dtype="datetime64[us]") + np.asarray(by, dtype="timedelta64[D]")
    return typed("datetime", values).set_axis(instants.index)


def days(instants: Instants) -> NDArray[np.object_]:
    """The UTC days of instants, as dates."""
    return instants.astype("datetime64[D]").astype(object)


def instant(at: datetime) -> np.datetime64:
    """An aware instant as the generators reckon with it: datetime64[us], UTC."""
    return np.datetime64(at.astimezone(UTC).replace(tzinfo=None), "us")


def new_york(dates: Any, at: time = time()) -> Instants:
    """The instants at which it is `at` in New York on those days (an array of dates or datetime64[D])."""
    unique, place = np.unique(np.asarray(dates, dtype="datetime64[D]"), return_inverse=True)
    found = [instant(datetime.combine(day, at, NEW_YORK)) for day in unique.astype(object)]
    return np.asarray(found, dtype="datetime64[us]")[place]
