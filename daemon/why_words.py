"""A stored row in three phrases for people: who, what and how much. One small function for each dataset that strategies read."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from daemon.store.queries import Row
from daemon.store.segments import BARS

Phrases = tuple[str, str, str]
LONGEST = 120
_CODES: Final[Mapping[str, str]] = {"P": "open-market purchase", "S": "open-market sale"}
"""Transaction codes of Form 4, General Instruction 8, that strategies act on."""


def phrases(dataset: str, row: Row) -> Phrases:
    """Who, what and how much of a row; an unknown dataset gives its name and nothing else."""
    who, what, amount = _WORDS.get(dataset, _unknown)(row)
    return _short(who), _short(what), _short(amount)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _joined(*parts: Any, by: str = " ") -> str:
    return by.join(str(part) for part in parts if part not in (None, ""))


def _usd(value: Any) -> str:
    return "" if value is None else f"{value:,.0f} USD"


def _bar(row: Row) -> Phrases:
    kind = str(row["adjustment"]).replace("_", " ")
    return row["symbol"], f"bar of {row['session'].isoformat()} ({kind})", f"{row['close']:.6g} USD at the close"


def _congress(row: Row) -> Phrases:
    owner = row["owner"] if row["owner"] not in ("", "self") else ""
    range_usd = f"{row['amount_low_usd']:,.0f} to {row['amount_high_usd']:,.0f} USD" if row["amount_high_usd"] is not None else ""
    amount = row["amount_text"] or range_usd or _usd(row["amount_low_usd"])
    return row["member"] + (f" ({owner})" if owner else ""), row["transaction"], amount


def _insider(row: Row) -> Phrases:
    roles = (("is_director", "director"), ("is_officer", "officer"), ("is_ten_percent_owner", "10 % owner"))
    role = row["officer_title"] or ", ".join(word for flag, word in roles if row[flag])
    price = row["price_usd"]
    worth = "" if price is None else f" at {price:,.2f}, {row['shares'] * price:,.0f} USD"
    what = _CODES.get(row["code"], f"transaction of code {row['code']}")
    return (
        _joined(row["owner_name"], f"({role})" if role else ""),
        f"{what} on {row['transaction_date']}",
        f"{row['shares']:,.0f} shares{worth}",
    )


def _contract(row: Row) -> Phrases:
    when = row["action_date"] or row["announced_date"] or row["period"]
    whose = f"contract to {row['recipient']}" if row["recipient"] else "contract"
    return row["agency"], _joined(whose, when, row["description"], by=", "), _usd(row["amount_usd"])


def _views(row: Row) -> Phrases:
    return row["article"], f"page views of {row['day']}", f"{row['views']:,} views"


def _mentions(row: Row) -> Phrases:
    before = "" if row["mentions_before"] is None else f" ({row['mentions_before']:,} before)"
    return row["forum"], _joined(row["kind"], row["item_id"]), f"{row['mentions']:,} mentions{before}"


def _app(row: Row) -> Phrases:
    rating = "no rating" if row["rating"] is None else f"rating {row['rating']:.2f}"
    return (
        _joined(row["app_name"], f"({row['publisher']})" if row["publisher"] else ""),
        f"{rating} on {row['day']}",
        f"{row['rating_count']:,} ratings",
    )


def _search(row: Row) -> Phrases:
    return row["keyword"], f"search interest of {row['day']}", f"{row['value']:g} of 100"


def _news(row: Row) -> Phrases:
    return row["source"], row["headline"], f"sentiment {row['sentiment']:+.2f}"


def _rating(row: Row) -> Phrases:
    target = "" if row["price_target"] is None else f"target {row['price_target']:,.2f} USD"
    return row["firm"], _joined(row["action"], _joined(row["from_grade"], row["to_grade"], by=" to "), by=": "), target


def _catalyst(row: Row) -> Phrases:
    return row["company"], _joined(row["kind"], row["product"], row["phase"], row["status"], by=", "), _joined("event", row["event_date"])


def _lobbying(row: Row) -> Phrases:
    period = "" if row["period"] is None else f"{row['period_year']} quarter {row['period']}"
    by = "" if row["registrant"] == row["client"] else f" through {row['registrant']}"
    return f"{row['client']}{by}", _joined("lobbying", period, row["kind"], by=", "), _usd(row["amount_usd"])


def _score(row: Row) -> Phrases:
    return row["origin"], f"score of {row['score_date']}", f"{row['score']:g}"


def _fundamental(row: Row) -> Phrases:
    period = _joined(row["period_start"], row["period_end"], by=" to ")
    return _joined(row["form"], "filed", row["filed"]), f"{row['concept']}, {period}", f"{row['value']:,.6g} {row['unit']}"


def _vix(row: Row) -> Phrases:
    return "Cboe", f"VIX of {row['session']}", f"{row['close']:.2f}"


def _spell(row: Row) -> Phrases:
    until = "" if row["end_date"] is None else f" to {row['end_date']}"
    return row["index_name"], f"member from {row['start_date']}{until}", ""


def _constituent(row: Row) -> Phrases:
    return row["name"], f"sector {row['sector']}", ""


def _unknown(row: Row) -> Phrases:
    return "", "", ""


_WORDS: Mapping[str, Callable[[Row], Phrases]] = {
    BARS: _bar,
    "analyst_ratings": _rating,
    "app_ratings": _app,
    "biotech_events": _catalyst,
    "congress_trades": _congress,
    "constituents": _constituent,
    "dc_insider_scores": _score,
    "fundamentals": _fundamental,
    "gov_contracts": _contract,
    "index_membership": _spell,
    "insider_trades": _insider,
    "lobbying": _lobbying,
    "news": _news,
    "reddit_mentions": _mentions,
    "search_trends": _search,
    "vix": _vix,
    "wiki_pageviews": _views,
}
