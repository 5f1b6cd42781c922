"""Saved exchanges with a source: the real client, and answers from `tests/sources/payloads/<source>/<case>/case.json` instead of a network.

case.json:
    since, until: ISO 8601. options: what the fetch is told; `close_at` and `rows:<dataset>` (a list of records) are made real.
    answers: [{"url": address without query, "method": "GET", "match": {parameter or form or JSON field: value}, "status": 200,
               "headers": {}, "body": file name beside it | "text": the body itself, "repeat": false}]; the first that fits is used up.
    rows: the rows that must come out, in any order, each a part of the columns (instants and dates as ISO text).
    rejects: reasons of the refused records, sorted. error: name of the error that must be raised instead.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pandas as pd

from scrapers import SOURCES, source_hosts, times
from scrapers.base import Batch, Source
from scrapers.http import Http, HttpOptions

PAYLOADS = Path(__file__).parent / "payloads"
Change = Callable[[bytes], bytes]


@dataclass(slots=True)
class Case:
    """One saved exchange. change: what is done to every body before the source sees it."""

    source: Source
    folder: Path
    document: dict[str, Any]
    change: Change | None = None
    unused: list[dict[str, Any]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def batches(self) -> Iterator[Batch]:
        """Fetch with the real client over the saved answers."""
        self.unused, self.missing = list(self.document["answers"]), []
        until = datetime.fromisoformat(self.document["until"])
        http = Http(
            HttpOptions(attempts=1), now=lambda: until, sleep=lambda _: None, contact="tests@example.org", hosts=source_hosts(),
            transport=httpx.MockTransport(self._answer),
        )  # fmt: skip
        try:
            yield from self.source.fetch(http, datetime.fromisoformat(self.document["since"]), until, self.options())
        finally:
            http.close()

    def options(self) -> dict[str, Any]:
        given = dict(self.document.get("options", {}))
        made: dict[str, Any] = {"backfill": False, "close_at": lambda day: times.new_york(day, times.REGULAR_CLOSE)}
        for name, value in given.items():
            if name.startswith("rows:"):
                value = (lambda frame: lambda since, asof: frame)(stored(value))
            if name == "members":
                value = {symbol: date.fromisoformat(day) for symbol, day in value.items()}
            made[name] = value
        return made

    def _answer(self, request: httpx.Request) -> httpx.Response:
        url, asked = str(request.url.copy_with(query=None)), _asked(request)
        for place, answer in enumerate(self.unused):
            fits = answer["url"] == url and answer.get("method", "GET") == request.method
            if fits and all(str(asked.get(name)) == str(value) for name, value in answer.get("match", {}).items()):
                if not answer.get("repeat"):
                    del self.unused[place]
                body = answer["text"].encode() if "text" in answer else (self.folder / answer["body"]).read_bytes()
                return httpx.Response(answer.get("status", 200), headers=answer.get("headers", {}), content=(self.change or bytes)(body))
        self.missing.append(f"{request.method} {url} {asked}")
        return httpx.Response(503)


def _asked(request: httpx.Request) -> dict[str, Any]:
    """Query, form and JSON fields of a request together."""
    asked: dict[str, Any] = dict(request.url.params)
    body = request.content
    if body and "json" in request.headers.get("content-type", ""):
        document = json.loads(body)
        asked |= document if isinstance(document, dict) else {}
    elif body:
        asked |= {name: values[0] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
    return asked


def stored(records: list[dict[str, Any]]) -> pd.DataFrame:
    """Records as a view gives them: with real instants."""
    frame = pd.DataFrame(records)
    for name in {"event_at", "known_at"} & set(frame.columns):
        frame[name] = pd.to_datetime(frame[name], utc=True)
    return frame


def cases() -> list[Case]:
    """Every saved exchange, by source and case."""
    found = sorted(PAYLOADS.glob("*/*/case.json"))
    return [Case(SOURCES[p.parent.parent.name], p.parent, json.loads(p.read_text(encoding="utf-8"))) for p in found]


def case(source: str, name: str) -> Case:
    """One saved exchange."""
    folder = PAYLOADS / source / name
    return Case(SOURCES[source], folder, json.loads((folder / "case.json").read_text(encoding="utf-8")))


def plain(value: object) -> object:
    """A cell as case.json writes it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


def matches(row: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """True when the row has every value of `wanted`."""
    return all(plain(row.get(name, "no such column")) == value for name, value in wanted.items())
