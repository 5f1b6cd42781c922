"""Kill a trading daemon again and again, start it again, and audit it from outside each time.

    python -m tests.acceptance.kill_campaign --kills 50 [--seed N] [--state DIR]

Prints a line for each kill and a summary; exits 1 when anything was lost, done twice, or left unequal to the exchange.
"""

import argparse
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.outside_audit import Findings, audit_running, audit_stopped
from tests.acceptance.sandbox_process import Daemon, NoSuchEvent, end_service, is_service, postmaster_pid, service, tracebacks

STOP_LIMIT_S = 5.0
PROGRESS_WITHIN_S = 45.0


@dataclass(slots=True)
class Campaign:
    """Figures of a campaign so far."""

    seed: int
    directory: Path
    violations: list[str] = field(default_factory=list)
    recoveries_s: list[float] = field(default_factory=list)
    outages_s: list[float] = field(default_factory=list)
    moments: Counter[str] = field(default_factory=Counter)
    audits: int = 0
    orders: int = 0
    fills: int = 0
    sessions: int = 0
    stop_s: float = 0.0

    def take(self, when: str, found: Findings) -> None:
        """Add an audit."""
        self.audits += 1
        self.orders, self.fills, self.sessions = (
            max(self.orders, found.orders),
            max(self.fills, found.fills),
            max(self.sessions, found.sessions),
        )
        self.violations += [f"{when}: {v}" for v in found.violations]


Moment = Callable[[Daemon, random.Random], None]


def _anytime(daemon: Daemon, rng: random.Random) -> None:
    time.sleep(rng.uniform(0.0, 2.0))


def _while_starting(daemon: Daemon, rng: random.Random) -> None:
    daemon.wait_for("daemon.started")
    time.sleep(rng.uniform(0.0, 1.5))


def _as_it_started(daemon: Daemon, rng: random.Random) -> None:
    daemon.wait_for("daemon.started")


def _in_backfill(daemon: Daemon, rng: random.Random) -> None:
    daemon.wait_until(lambda e: e["event"] == "daemon.ready" or (e["event"] == "scrape.finished" and bool(e["backfill"])))
    time.sleep(rng.uniform(0.0, 0.6))


def _after_an_order(daemon: Daemon, rng: random.Random) -> None:
    begin = len(daemon.events)
    daemon.wait_for("order.sent", after=begin)
    time.sleep(rng.uniform(0.0, 0.05))


def _in_cycle(daemon: Daemon, rng: random.Random) -> None:
    begin = len(daemon.events)
    daemon.wait_for("job.finished", after=begin, where=lambda e: e["job"] == "ingest.vix")
    time.sleep(rng.uniform(0.0, 0.15))


def _in_settle(daemon: Daemon, rng: random.Random) -> None:
    begin = len(daemon.events)
    daemon.wait_for("job.finished", after=begin, where=lambda e: e["job"] == "cycle" and bool(e.get("orders")))
    time.sleep(rng.uniform(0.0, 0.12))


def _in_mark(daemon: Daemon, rng: random.Random) -> None:
    begin = len(daemon.events)
    daemon.wait_for("job.finished", after=begin, where=lambda e: e["job"] == "ingest.bars_daily")
    time.sleep(rng.uniform(0.0, 0.06))


BEFORE_READY: dict[str, Moment] = {"while starting": _while_starting, "as it started": _as_it_started}
RUNNING: dict[str, Moment] = {
    "any time": _anytime, "after order.sent": _after_an_order, "in a cycle": _in_cycle, "in settle": _in_settle, "in a mark": _in_mark,
}  # fmt: skip
TARGETS = ("daemon",) * 6 + ("daemon and exchange", "daemon and postmaster", "postmaster", "exchange", "twin")


def plan(kills: int, rng: random.Random) -> list[tuple[str, str]]:
    """(moment, target) of each kill: the first ones while the history is collected, then a mix that visits everything."""
    first = [("while starting", "daemon"), ("in the backfill", "daemon"), ("in the backfill", "daemon")][: max(0, kills - 1)]
    rest = []
    moments = [*RUNNING, *RUNNING, *BEFORE_READY]
    targets = list(TARGETS)
    rng.shuffle(moments)
    rng.shuffle(targets)
    for n in range(kills - len(first)):
        moment, target = moments[n % len(moments)], targets[n % len(targets)]
        rest.append((moment, "daemon" if moment in BEFORE_READY else target))
    return first + rest


def run(kills: int, seed: int, state: Path, say: Callable[[str], None] = print) -> Campaign:
    """The whole campaign; its figures and violations."""
    rng = random.Random(seed)
    campaign = Campaign(seed=seed, directory=state / "sandbox")
    broken = False
    for number, (moment, target) in enumerate(plan(kills, rng), start=1):
        daemon = Daemon(state)
        try:
            text = _round(campaign, daemon, moment, target, rng, after_damage=broken)
        except NoSuchEvent as error:
            campaign.violations.append(f"kill {number}: {error}")
            text = "FAILED"
        finally:
            if daemon.process.poll() is None:
                daemon.kill()
        broken = "daemon" not in target
        _judge_log(campaign, daemon, f"kill {number} ({moment}, {target})", damaged=target != "daemon")
        campaign.moments[f"{target}: {moment}"] += 1
        say(f"{number:>3}/{kills}  {target:<22}{moment:<18}{text}  violations {len(campaign.violations)}")
    _finish(campaign, state)
    return campaign


def _round(campaign: Campaign, daemon: Daemon, moment: str, target: str, rng: random.Random, *, after_damage: bool) -> str:
    if moment == "in the backfill":
        _in_backfill(daemon, rng)
        daemon.kill()
        return "killed before it was ready"
    if moment in BEFORE_READY:
        BEFORE_READY[moment](daemon, rng)
        daemon.kill()
        return "killed before it was ready"
    ready_s = daemon.wait_ready()
    campaign.recoveries_s.append(ready_s)
    found = audit_running(campaign.directory)
    campaign.take(f"after restart {len(campaign.recoveries_s)}", found)
    RUNNING[moment](daemon, rng)
    text = f"ready {ready_s:4.1f} s, {found.sessions:>3} sessions, {found.orders:>5} orders"
    if target.startswith("daemon"):
        _kill_parts(campaign, target)
        daemon.kill()
        return text
    return text + _survives(campaign, daemon, target)


def _kill_parts(campaign: Campaign, target: str) -> None:
    if "exchange" in target:
        end_service(campaign.directory, "exchange")
    if "twin" in target:
        end_service(campaign.directory, "twin")
    if "postmaster" in target and (pid := postmaster_pid(campaign.directory)) is not None:
        os.kill(pid, signal.SIGKILL)


def _survives(campaign: Campaign, daemon: Daemon, target: str) -> str:
    """Kill a part under a living daemon: it must go on by itself, and nothing may be wrong afterwards."""
    begin, killed_at = len(daemon.events), time.monotonic()
    _kill_parts(campaign, target)
    daemon.wait_for("nav.marked", after=begin, timeout_s=PROGRESS_WITHIN_S)
    daemon.wait_for("nav.marked", after=len(daemon.events), timeout_s=PROGRESS_WITHIN_S)
    outage_s = time.monotonic() - killed_at
    campaign.outages_s.append(outage_s)
    campaign.take(f"{target} killed", audit_running(campaign.directory))
    daemon.kill()
    return f", went on, two marks within {outage_s:.1f} s"


def _judge_log(campaign: Campaign, daemon: Daemon, when: str, *, damaged: bool) -> None:
    """No traceback ever, and no failed job while every part lives; with a part killed, cycle and mark must still come to their end."""
    for event in tracebacks(daemon.events):
        campaign.violations.append(f"{when}: {event['event']} {event.get('job', '')} with a traceback: {event['exception'][-700:]}")
    for event in daemon.named("job.failed"):
        if not damaged or event["job"] in ("cycle", "mark"):
            campaign.violations.append(f"{when}: {event['job']} failed: {event.get('error')}")
    if daemon.foreign:
        campaign.violations.append(f"{when}: lines that are no events: {daemon.foreign[:3]}")


def _finish(campaign: Campaign, state: Path) -> None:
    """A last start, two quiet sessions, SIGTERM, and the record of everything."""
    with Daemon(state) as daemon:
        campaign.recoveries_s.append(daemon.wait_ready())
        for _ in range(2):
            daemon.wait_for("nav.marked", after=len(daemon.events))
        campaign.take("at the end", audit_running(campaign.directory))
        code, campaign.stop_s = daemon.terminate()
        if code != 0 or campaign.stop_s > STOP_LIMIT_S:
            campaign.violations.append(f"SIGTERM: exit code {code} after {campaign.stop_s:.2f} s")
        for name in ("exchange", "twin"):
            known = service(campaign.directory, name)
            if known is not None and is_service(known[1], name):
                campaign.violations.append(f"SIGTERM left the {name} running")
        _judge_log(campaign, daemon, "the last run", damaged=False)
    campaign.take("after the stop", audit_stopped(campaign.directory))


def summary(campaign: Campaign) -> str:
    """The figures of a campaign in a few lines."""
    kills = sum(campaign.moments.values())
    times = sorted(campaign.recoveries_s)
    lines = [
        f"{kills} kills, {campaign.audits} audits, {len(campaign.violations)} violations (seed {campaign.seed})",
        f"{campaign.sessions} sessions, {campaign.orders} orders at the exchange, {campaign.fills} fills, each recorded once",
        f"from start to ready: median {statistics.median(times):.1f} s, longest {times[-1]:.1f} s; SIGTERM to exit {campaign.stop_s:.2f} s",
    ]
    if campaign.outages_s:
        longest_s = max(campaign.outages_s)
        lines.append(f"a part killed under a living daemon {len(campaign.outages_s)} times: two marks later within {longest_s:.1f} s")
    return "\n".join([*lines, *(f"VIOLATION {v}" for v in campaign.violations)])


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=None, help="repeats the plan of an earlier campaign")
    parser.add_argument(
        "--state", type=Path, default=None, help="state directory, kept; default: a temporary one, removed when all was well"
    )
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="allocd-kills-", ignore_cleanup_errors=True) as temporary:
        campaign = run(given.kills, seed, (given.state or Path(temporary)).absolute(), lambda line: print(line, flush=True))
    print(f"{summary(campaign)}\n{time.monotonic() - began:.0f} s")
    return 1 if campaign.violations else 0


if __name__ == "__main__":
    sys.exit(main())
