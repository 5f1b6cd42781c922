"""Saved exchanges with damaged bodies: `python -m tests.sources.fuzz --payloads 10000 [--source NAME] [--seed N]`.

A source may refuse a damaged answer with one of our own errors, or reject records of it; it may never crash, never hand on a row that
breaks the row's own declaration, and never take memory without bound.
"""

import argparse
import json
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, get_args, get_type_hints

from scrapers import DATASETS, SOURCES, symbols
from scrapers.errors import ScrapeError
from tests.sources.canned import Case, case

BYTES = [
    b",", b'"', b"\n", b"\x00", b"{", b"]", b"null", b"-", b"9" * 400, b"\xff\xfe", b"<br>", b"1e999", b"\\u0000", b"\xed\xa0\x80",
    b"<!DOCTYPE x>",    b"'; DROP TABLE x; --", b"\x1b[31m", b"</td></tr>", b"NaN", b"-Infinity", b"true",
]  # fmt: skip
ODD: list[object] = [
    None, True, -1, 0, 1e308, -1e308, 10**400, 2**63, "", "x" * 200_000, "\x00", "--", [], {}, [[]], {"t": 1}, "2021-01-01", "0009-06-09",
    "20221-11-18", "<a href='q?s=X'>X</a>", "<script>alert(1)</script>", "A\x1b[2J\nB", "\u202eAAPL", "AAPL MSFT", "BRK.B", "N/A",
    "1e999", "nan",
]  # fmt: skip


def damaged(body: bytes, rng: random.Random) -> bytes:
    """The body with one to six faults, in its bytes or in its JSON document."""
    if rng.random() < 0.6:
        try:
            return json.dumps(_warped(json.loads(body), rng, rng.choice([0.01, 0.05, 0.2])), default=str).encode("utf-8", "surrogatepass")
        except (ValueError, RecursionError):
            pass
    data = bytearray(body)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(6):
            case 0:
                data[at:at] = rng.choice(BYTES)
            case 1:
                del data[at : at + rng.randint(1, 12)]
            case 2:
                data[at : at + 1] = bytes([rng.randrange(256)])
            case 3:
                data = data[: max(at, 1)]
            case 4:
                data[at:at] = data[rng.randrange(len(data) + 1) :][: rng.randint(1, 400)]
            case _:
                data[at:at] = b"A" * rng.choice([100, 100_000])
    return bytes(data)


def _warped(value: object, rng: random.Random, share: float) -> object:
    if rng.random() < share:
        return rng.choice(ODD)
    if isinstance(value, dict):
        return {
            (key if rng.random() > share / 4 else f"{key}x"): _warped(item, rng, share)
            for key, item in value.items()
            if rng.random() > share / 3
        }
    if isinstance(value, list):
        return [_warped(item, rng, share) for item in value]
    return value


def faults_of(row: dict[str, Any], row_type: type) -> Iterator[str]:
    """What is wrong with a row, by its own declaration."""
    for name, hint in get_type_hints(row_type).items():
        value, allowed = row[name], get_args(hint) or (hint,)
        if value is None:
            if type(None) not in allowed:
                yield f"{name} is missing"
            continue
        kinds = tuple(kind for kind in allowed if kind is not type(None))
        if (
            not isinstance(value, kinds)
            or (isinstance(value, bool) and bool not in kinds)
            or (isinstance(value, datetime) and datetime not in kinds)
        ):
            yield f"{name} is {type(value).__name__}"
        if isinstance(value, float) and not abs(value) < float("inf"):
            yield f"{name} is {value}"
        if isinstance(value, date) and not 1900 <= value.year <= 2100:
            yield f"{name} is {value}"
        if isinstance(value, str):
            yield from _text_faults(name, value)
    for name in ("event_at", "known_at"):
        at = row[name]
        if at is None and name == "event_at":
            yield "event_at is missing"
        if at is not None and not datetime(1900, 1, 1, tzinfo=UTC) <= at <= datetime(2101, 1, 1, tzinfo=UTC):
            yield f"{name} is {at}"


def _text_faults(name: str, value: str) -> Iterator[str]:
    if len(value) > 4000:
        yield f"{name} has {len(value)} characters"
    if any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or 0xD800 <= ord(c) < 0xE000 for c in value):
        yield f"{name} has control characters: {value[:60]!r}"
    if "<script" in value.lower():
        yield f"{name} has markup: {value[:60]!r}"
    if name in ("symbol", "received_symbol") and symbols.canonical(value) != value:
        yield f"{name} is no symbol: {value[:60]!r}"


@dataclass(slots=True)
class Outcome:
    """What became of the damaged answers of one source."""

    outcomes: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)


def run(source: str, payloads: int, seed: int) -> Outcome:
    """Fetch `payloads` times with one answer damaged."""
    found, rng = Outcome(), random.Random(f"{source} {seed}")
    row_type = next(d.row for d in DATASETS.values() if SOURCES[source] in d.sources)
    saved: Case = case(source, "normal")
    answers = len(saved.document["answers"])
    for number in range(payloads):
        state, spoil, seen = rng.getstate(), rng.randrange(answers), 0

        def change(body: bytes, spoil: int = spoil) -> bytes:
            nonlocal seen
            seen += 1
            return damaged(body, rng) if seen == spoil + 1 else body

        saved.change = change
        try:
            rows = [row for batch in saved.batches() for row in batch.rows.to_pylist()]
            wrong = [fault for row in rows for fault in faults_of(row, row_type)]
            found.findings += [f"{source} #{number}: {fault}" for fault in wrong[:3]]
            found.outcomes["wrong row" if wrong else "rows" if rows else "no rows"] += 1
        except ScrapeError as error:
            found.outcomes[type(error).__name__] += 1
        except Exception as error:  # noqa: BLE001 - every crash is a finding
            found.outcomes["crash"] += 1
            found.findings.append(f"{source} #{number} (state {hash(state)}): {type(error).__name__}: {str(error)[:300]}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--payloads", type=int, default=10_000)
    parser.add_argument("--source", action="append", choices=sorted(SOURCES))
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    bad = 0
    for source in given.source or sorted(SOURCES):
        if not SOURCES[source].urls or not (case_exists := _has_case(source)):
            print(f"{source:<28} no saved exchange")
            continue
        assert case_exists
        before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
        found = run(source, given.payloads, given.seed)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        print(f"{source:<28} {dict(found.outcomes)}  peak memory +{grown:.0f} MB  {time.perf_counter() - begin:.0f} s", flush=True)
        for line in found.findings[:10]:
            print(f"    {line}")
        bad += len(found.findings) + (grown > 300)
    return 1 if bad else 0


def _has_case(source: str) -> bool:
    from tests.sources.canned import PAYLOADS

    return (PAYLOADS / source / "normal" / "case.json").exists()


if __name__ == "__main__":
    sys.exit(main())
