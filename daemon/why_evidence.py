"""The stored rows behind a score: who, what, when it happened, when it became known, and where it can be read again."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from daemon.store.panel import RANK
from daemon.store.postgres import Database
from daemon.store.queries import Row
from daemon.store.rows import versions_by_identity, versions_by_key
from daemon.store.segments import BARS
from daemon.why_words import phrases
from scrapers.base import Dataset
from scrapers.renames import listed
from strategies.base import Targets

TIMES = ("row_key", "event_at", "known_at", "fetched_at")
DAY_S = 86_400.0


def recorded_evidence(
    db: Database, datasets: Mapping[str, Dataset], cycle_id: str, sleeve: str, symbol: str, at: datetime
) -> list[dict[str, Any]]:
    """Every row that a sleeve's score of a symbol rests on, largest contribution first, in the version known at `at`.

    A row that is not stored any more is named with `found` false, never left out.
    """
    return _looked_up(db, datasets, db.rows("why_evidence", cycle_id=cycle_id, sleeve=sleeve, symbol=symbol), at)


def derived_evidence(db: Database, datasets: Mapping[str, Dataset], found: Targets, symbol: str, at: datetime) -> list[dict[str, Any]]:
    """The same for targets that were derived again instead of recorded."""
    rows = [
        {"dataset": dataset, "row_key": key, "contribution": float(contribution)}
        for dataset, key, about, contribution in found.evidence.itertuples(index=False, name=None)
        if about == symbol
    ]
    return _looked_up(db, datasets, sorted(rows, key=lambda r: (-abs(r["contribution"]), r["row_key"])), at)


def _looked_up(db: Database, datasets: Mapping[str, Dataset], recorded: Sequence[Row], at: datetime) -> list[dict[str, Any]]:
    by_dataset: dict[str, list[str]] = {}
    for row in recorded:
        by_dataset.setdefault(row["dataset"], []).append(row["row_key"])
    found = {name: _versions(db, datasets.get(name), keys) for name, keys in by_dataset.items()}
    return [_item(datasets.get(r["dataset"]), r, found[r["dataset"]].get(r["row_key"], []), at) for r in recorded]


def add_up(items: Iterable[Mapping[str, Any]], score: float | None) -> dict[str, Any]:
    """The sum of contributions beside the score that they should make; `matches` allows for rounding in the sum alone."""
    contributions = [float(i["contribution"]) for i in items]
    total = math.fsum(contributions)
    scale = max([1.0, *map(abs, contributions)])
    return {"sum": total, "score": score, "matches": score is not None and abs(total - score) <= 1e-9 * scale}


def _versions(db: Database, dataset: Dataset | None, keys: Sequence[str]) -> dict[str, list[Row]]:
    """Stored versions by row key as it stands in the evidence."""
    grouped: dict[str, list[Row]] = {}
    if dataset is None:
        return grouped
    if dataset.name != BARS:
        for row in versions_by_key(db, dataset, keys):
            grouped.setdefault(row["row_key"], []).append(row)
        return grouped
    bars = {key: bar for key in keys if (bar := _bar_of(key)) is not None}
    names = {key: [symbol, *listed().former(symbol)] for key, (symbol, _) in bars.items()}
    identities = [(name, bars[key][1], kind) for key in bars for name in names[key] for kind in RANK]
    for row in versions_by_identity(db, dataset, identities):
        grouped.setdefault(f"{row['symbol']}@{row['session'].isoformat()}", []).append(row)
    delivered = {key: next((f for name in names[key] if (f := f"{name}@{bars[key][1].isoformat()}") in grouped), key) for key in bars}
    return {key: _one_series(grouped[found]) for key, found in delivered.items() if found in grouped}


def _bar_of(key: str) -> tuple[str, date] | None:
    symbol, _, day = key.rpartition("@")
    try:
        return symbol, date.fromisoformat(day)
    except ValueError:
        return None


def _one_series(rows: Sequence[Row]) -> list[Row]:
    """The versions of the series that views use where a bar came in several adjustments: the one that was known first."""
    first = min(rows, key=lambda r: (r["known_at"], RANK[r["adjustment"]]))
    return [r for r in rows if r["adjustment"] == first["adjustment"]]


def _item(dataset: Dataset | None, recorded: Row, versions: Sequence[Row], at: datetime) -> dict[str, Any]:
    used = [v for v in versions if v["known_at"] <= at]
    item = {
        "dataset": recorded["dataset"],
        "row_key": recorded["row_key"],
        "contribution": recorded["contribution"],
        "found": bool(versions),
        "known_in_time": bool(used),
    }
    if not versions:
        return item
    row = used[-1] if used else versions[0]
    who, what, amount = phrases(recorded["dataset"], row)
    later = [v["known_at"] for v in versions if v["known_at"] > row["known_at"]]
    return {
        **item,
        "who": who,
        "what": what,
        "amount": amount,
        "event_at": row["event_at"].isoformat(),
        "known_at": row["known_at"].isoformat(),
        "lag_days": round((row["known_at"] - row["event_at"]).total_seconds() / DAY_S, 2),
        "fetched_at": row["fetched_at"].isoformat(),
        "revised_at": later[0].isoformat() if later else None,
        "source_url": row.get("source_url") or (dataset.source_url if dataset else ""),
        "row": {name: plain(value) for name, value in row.items() if name not in TIMES},
    }


def plain(value: Any) -> Any:
    """A value as JSON knows it: dates and instants in ISO form, exact decimals as text."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat() if isinstance(value, date) else value
