"""Spoil one outside service after another under a trading daemon, and audit its data from outside each time.

    python -m tests.acceptance.data_faults --rounds 20 [--seed N] [--state DIR]

Prints a line for each round and a summary; exits 1 when a dataset lost rows, learned from the future, miscounted, or was held back by
another's trouble, when an invariant of the record broke, or when the daemon ended.
"""

import argparse
import http.client
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from daemon.store.postgres import Database
from scrapers import DATASETS
from scrapers.twin.faults import KINDS
from tests.acceptance.outside_audit import audit_running, database, db_rows
from tests.acceptance.sandbox_process import Daemon, Event, NoSuchEvent, ask, service, tracebacks

FILLED_WITHIN_S = 240.0
ROUND_LIMIT_S = 120.0
SESSIONS_SPOILT = 3
CALM = frozenset({"slow", "duplicate_page"})
"""Kinds that a source may get over without a word."""
PACE = {"ALLOCD_SANDBOX_SECONDS_PER_SESSION": "0.2", "ALLOCD_SANDBOX_SYMBOLS": "60"}


def hosts() -> dict[str, set[str]]:
    """Hosts that a sandbox asks, and the datasets of which each delivers a part."""
    found: dict[str, set[str]] = {}
    for name, dataset in DATASETS.items():
        for source in (s for s in dataset.sources if s.rank == 0):
            for url in source.urls:
                found.setdefault(urlsplit(url).hostname or "", set()).add(name)
    return found


def switch(daemon: Daemon, method: str, body: Mapping[str, Any] | None = None, host: str = "") -> Any:
    """Ask the twin's fault switches: PUT a fault, DELETE one host's or all, GET what is on."""
    found = service(daemon.sandbox, "twin")
    assert found is not None, "the twin has not begun to listen"
    connection = http.client.HTTPConnection("127.0.0.1", found[0], timeout=30.0)
    try:
        payload = None if body is None else json.dumps(body)
        connection.request(method, f"/twin/faults{f'?host={host}' if host else ''}", payload, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        told = json.loads(answer.read())
        assert answer.status == 200, told
        return told
    finally:
        connection.close()


def spoil(daemon: Daemon, host: str, kind: str, **more: Any) -> int:
    """Switch a fault on; the position in the log from which it counts."""
    position = len(daemon.events)
    switch(daemon, "PUT", {"host": host, "kind": kind, **more})
    return position


def metric(daemon: Daemon, name: str, **labels: str) -> float:
    """The sum of a metric's samples that bear the labels; 0 when there are none."""
    total = 0.0
    for line in daemon.get("/metrics")[1].splitlines():
        if line.startswith((f"{name}{{", f"{name} ")):
            have = dict(re.findall(r'(\w+)="([^"]*)"', line))
            if labels.items() <= have.items():
                total += float(line.rpartition(" ")[2])
    return total


def rows(db: Database) -> dict[str, int]:
    """Versions stored, by dataset."""
    return {name: db_rows(db, f"SELECT count(*) AS n FROM {name}")[0]["n"] for name in DATASETS}


def until_read(daemon: Daemon, source: str, begin: int, within_s: float) -> Event:
    """The first time that a source is read to its end, at or behind a position of the log."""
    return daemon.wait_for("scrape.finished", after=begin, timeout_s=within_s, where=lambda e: e["source"] == source)


def until_collected(daemon: Daemon, dataset: str, within_s: float) -> Event:
    """The first time that all sources of a dataset were read."""
    wanted = (f"ingest.{dataset}", "success")
    return daemon.wait_for("job.finished", timeout_s=within_s, where=lambda e: (e["job"], e["outcome"]) == wanted)


def wait_filled(daemon: Daemon, within_s: float = FILLED_WITHIN_S) -> dict[str, int]:
    """Wait until every dataset was collected without a failure and has rows; rows by dataset."""
    until = time.monotonic() + within_s
    for name in sorted(DATASETS):
        until_collected(daemon, name, until - time.monotonic())
    with database(daemon.sandbox) as db:
        while empty := [name for name, n in rows(db).items() if not n]:
            if time.monotonic() > until:
                raise NoSuchEvent(f"no rows of {', '.join(empty)} within {within_s} s; the log ends with\n{daemon.tail()}")
            daemon.wait_for("nav.marked", after=len(daemon.events), timeout_s=within_s)
        return rows(db)


def audit_data(daemon: Daemon, before: Mapping[str, int]) -> tuple[list[str], dict[str, int]]:
    """Violations of what must hold of the stored data at any instant, and the rows by dataset now."""
    with database(daemon.sandbox) as db:
        newest = {name: db_rows(db, f"SELECT max(known_at) AS at FROM {name}")[0]["at"] for name in DATASETS}
        now, found = rows(db), list[str]()
        # Asked last: the clock only goes forward.
        clock = datetime.fromisoformat(ask(_port(daemon, "twin"), "/twin/clock")["now"])
        found += [
            f"{n}: a row known at {at}, and it is {clock}" for n, at in newest.items() if at is not None and at.astimezone(UTC) > clock
        ]
        found += [f"{n}: {now[n]} rows, there were {count}" for n, count in before.items() if now[n] < count]
        found += [f"{n}: a fetch reports {row['told']} rows and stored {row['stored']}" for n in DATASETS for row in _miscounted(db, n)]
    found += [f"counts do not reconcile: {event}" for event in daemon.named("data.unreconciled")]
    return found, now


def _port(daemon: Daemon, name: str) -> int:
    found = service(daemon.sandbox, name)
    assert found is not None, f"the {name} has not begun to listen"
    return found[0]


def _miscounted(db: Database, name: str) -> list[Mapping[str, Any]]:
    """Finished fetches of a dataset that report other numbers than they stored; what a snapshot withdrew is reported apart."""
    return db_rows(
        db,
        "SELECT f.new + f.revised AS told, count(d.id) AS stored FROM fetches f"
        f" LEFT JOIN {name} d ON d.fetch_id = f.id WHERE f.dataset = '{name}' AND f.finished_at IS NOT NULL GROUP BY f.id"
        " HAVING f.new + f.revised > count(d.id) OR f.new + f.revised < count(d.id) FILTER (WHERE NOT d.gone)",
    )


@dataclass(slots=True)
class Campaign:
    """Figures of a campaign so far. told: rounds in which each event followed a fault."""

    seed: int
    violations: list[str] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    recoveries_s: list[float] = field(default_factory=list)
    rounds: int = 0


def run(rounds: int, seed: int, state: Path, say: Callable[[str], None] = print) -> Campaign:
    """The whole campaign; its figures and violations."""
    rng, campaign = random.Random(seed), Campaign(seed=seed)
    with Daemon(state, settings=PACE) as daemon:
        daemon.wait_ready()
        stored = wait_filled(daemon)
        say(f"{sum(stored.values())} rows of {len(stored)} datasets after {time.monotonic() - daemon.started_at:.0f} s")
        for host, kind in plan(rounds, rng):
            campaign.rounds += 1
            when = f"round {campaign.rounds} ({kind} at {host})"
            try:
                text = _round(campaign, daemon, host, kind, rng)
            except (NoSuchEvent, OSError) as error:
                campaign.violations.append(f"{when}: {error}")
                text = "FAILED"
            found, stored = audit_data(daemon, stored)
            found += audit_running(daemon.sandbox).violations
            campaign.violations += [f"{when}: {v}" for v in found]
            for violation in found:
                say(f"     {violation}")
            say(f"{campaign.rounds:>3}/{rounds}  {kind:<16}{host:<28}{text}  violations {len(campaign.violations)}")
            if daemon.process.poll() is not None:
                campaign.violations.append(f"{when}: the daemon ended with {daemon.process.returncode}")
                break
        _judge_log(campaign, daemon)
    return campaign


def plan(rounds: int, rng: random.Random) -> list[tuple[str, str]]:
    """(host, kind) of each round: every host and every kind before any comes again."""
    names, kinds = sorted(hosts()), sorted(KINDS)
    chosen: list[tuple[str, str]] = []
    while len(chosen) < rounds:
        rng.shuffle(names)
        rng.shuffle(kinds)
        chosen += [(names[n % len(names)], kinds[n % len(kinds)]) for n in range(max(len(names), len(kinds)))]
    return chosen[:rounds]


def _round(campaign: Campaign, daemon: Daemon, host: str, kind: str, rng: random.Random) -> str:
    """Spoil a host for some sessions, then let it recover: its own sources may fail meanwhile, and nobody else's."""
    seconds = {"slow": 0.5, "clock_skew": 86_400.0 * rng.randint(1, 40)}.get(kind, 30.0)
    begin = spoil(daemon, host, kind, seconds=seconds)
    for _ in range(SESSIONS_SPOILT):
        daemon.wait_for("nav.marked", after=len(daemon.events), timeout_s=ROUND_LIMIT_S)
    spoilt = switch(daemon, "GET")["spoilt"].get(host, 0)
    switch(daemon, "DELETE", host=host)
    end, cleared_at = len(daemon.events), time.monotonic()
    told = Counter(e["event"] for e in daemon.events[begin:end] if e["event"] in ("scrape.failed", "circuit.opened", "data.stale"))
    campaign.told.update(told.keys())
    mine = hosts()[host]
    strangers = {e["source"] for e in daemon.events[begin:end] if e["event"] == "scrape.failed" and e["dataset"] not in mine}
    campaign.violations += [f"{kind} at {host}: {source} failed, which does not ask it" for source in sorted(strangers)]
    for source in sorted({e["source"] for e in daemon.events[begin:end] if e["event"] == "scrape.failed"} - strangers):
        until_read(daemon, source, end, ROUND_LIMIT_S)
    campaign.recoveries_s.append(time.monotonic() - cleared_at)
    return f"spoilt {spoilt:>3}, {told['scrape.failed']:>2} failed, {told['circuit.opened']} opened, {told['data.stale']} stale"


def _judge_log(campaign: Campaign, daemon: Daemon) -> None:
    """No traceback ever, no cycle or mark that failed, and nothing but events."""
    for event in tracebacks(daemon.events):
        campaign.violations.append(f"{event['event']} {event.get('job', '')} with a traceback: {event['exception'][-700:]}")
    for event in daemon.named("job.failed"):
        if event["job"] in ("cycle", "mark"):
            campaign.violations.append(f"{event['job']} failed: {event.get('error')}")
    if daemon.foreign:
        campaign.violations.append(f"lines that are no events: {daemon.foreign[:3]}")


def summary(campaign: Campaign) -> str:
    """The figures of a campaign in a few lines."""
    longest_s = max(campaign.recoveries_s, default=0.0)
    told = ", ".join(f"{name} in {n}" for name, n in campaign.told.most_common()) or "nothing was told"
    lines = [
        f"{campaign.rounds} rounds, {len(campaign.violations)} violations (seed {campaign.seed}); {told}",
        f"longest recovery {longest_s:.1f} s",
    ]
    return "\n".join([*lines, *(f"VIOLATION {v}" for v in campaign.violations)])


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=None, help="repeats the plan of an earlier campaign")
    parser.add_argument("--state", type=Path, default=None, help="state directory, kept; default: a temporary one")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    with tempfile.TemporaryDirectory(prefix="allocd-faults-", ignore_cleanup_errors=True) as temporary:
        campaign = run(given.rounds, seed, (given.state or Path(temporary)).absolute(), lambda line: print(line, flush=True))
    print(summary(campaign))
    return 1 if campaign.violations else 0


if __name__ == "__main__":
    sys.exit(main())
