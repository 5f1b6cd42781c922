"""The whole catalog fills in the sandbox, and trouble with one source stays with that source: each kind of it, seen from outside."""

import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from scrapers import DATASETS
from strategies import CATALOG
from tests.acceptance.data_faults import PACE, audit_data, hosts, metric, rows, spoil, switch, until_read, wait_filled
from tests.acceptance.outside_audit import audit_running, database
from tests.acceptance.sandbox_process import Daemon, Event, end_service, run_verb, service, tracebacks

pytestmark = pytest.mark.timeout(300)
LIMIT_S = 120.0
DAYS = 86_400.0
HELD, HELD_FOR = "volatility_scaled_momentum", "index_membership"


@dataclass(frozen=True, slots=True, kw_only=True)
class Poison:
    """A fault, the source that it hits, and the type of error that the source must fail with; code: the status class it counts."""

    host: str
    kind: str
    dataset: str
    source: str
    error: str
    code: str = "2xx"
    path: str = ""


POISONS = (
    Poison(
        host="oauth.reddit.com",
        kind="429_retry_after",
        dataset="reddit_mentions",
        source="reddit_praw",
        error="SourceUnavailable",
        code="429",
    ),
    Poison(host="datahub.io", kind="503", dataset=HELD_FOR, source="datahub_membership", error="SourceUnavailable", code="5xx"),
    Poison(host="efts.sec.gov", kind="reset", dataset="biotech_events", source="edgar_8k", error="SourceUnavailable", code="error"),
    Poison(host="clinicaltrials.gov", kind="html", dataset="biotech_events", source="clinicaltrials", error="SourceChanged"),
    Poison(host="api.fda.gov", kind="truncated", dataset="biotech_events", source="openfda", error="SourceChanged"),
    Poison(host="www.quiverquant.com", kind="schema", dataset="analyst_ratings", source="quiver_analysts_page", error="SourceChanged"),
    Poison(host="wikimedia.org", kind="container", dataset="wiki_pageviews", source="wikimedia_pageviews", error="SourceChanged"),
    Poison(host="cdn.cboe.com", kind="empty", dataset="vix", source="cboe_vix", error="SourceChanged"),
    Poison(
        host="api.quiverquant.com",
        kind="hostile",
        dataset="insider_trades",
        source="quiver_insiders",
        error="SourceChanged",
        path="/beta/live/insiders",
    ),
    Poison(host="data.sec.gov", kind="bomb", dataset="fundamentals", source="edgar_companyfacts", error="Blocked", code="error"),
)
CIRCUITS = ("reddit_praw", "clinicaltrials")
"""Spoilt sources that are asked often enough to be left alone soon."""
SKEWED = "www.federalregister.gov"
HIT = {p.dataset for p in POISONS} | hosts()["datahub.io"] | hosts()["www.quiverquant.com"]
"""Datasets of which some source is spoilt."""


@dataclass(slots=True)
class Scene:
    """A daemon at one point of the story. begin: position in its log; stored: rows by dataset; seen: what each poison made it say."""

    daemon: Daemon
    begin: int
    stored: dict[str, int]
    seen: dict[str, Event] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A sandbox whose whole catalog has been collected, and which trades on."""
    with Daemon(tmp_path_factory.mktemp("faults") / "state", settings=PACE) as daemon:
        daemon.wait_ready()
        stored = wait_filled(daemon)
        yield Scene(daemon=daemon, begin=len(daemon.events), stored=stored)


def until_failed(daemon: Daemon, begin: int, poison: Poison) -> Event:
    """What the source says when it fails in the way that it must."""
    shown = (poison.source, poison.error)
    return daemon.wait_for("scrape.failed", after=begin, timeout_s=LIMIT_S, where=lambda e: (e["source"], e["error_type"]) == shown)


def until_open(daemon: Daemon, begin: int, source: str) -> Event:
    """The line in which a source's circuit opens."""
    return daemon.wait_for("circuit.opened", after=begin, timeout_s=LIMIT_S, where=lambda e: e["source"] == source)


@pytest.fixture(scope="module")
def poisoned(filled: Scene) -> Scene:
    """The same, with ten services spoilt and one that lives in the future, once each of them has shown."""
    daemon = filled.daemon
    begin = len(daemon.events)
    spoil(daemon, SKEWED, "clock_skew", seconds=30 * DAYS)
    for p in POISONS:
        spoil(daemon, p.host, p.kind, path=p.path)
    scene = Scene(daemon=daemon, begin=begin, stored=filled.stored)
    for p in POISONS:
        scene.seen[p.source] = until_failed(daemon, begin, p)
    for source in CIRCUITS:
        scene.seen[f"circuit {source}"] = until_open(daemon, begin, source)
    scene.seen["held"] = daemon.wait_for(
        "signal.computed", after=begin, timeout_s=LIMIT_S, where=lambda e: e["strategy"] == HELD and e["outcome"] == "held"
    )
    daemon.wait_for("cycle.finished", after=daemon.events.index(scene.seen["held"]), timeout_s=LIMIT_S)
    daemon.wait_for("nav.marked", after=len(daemon.events), timeout_s=LIMIT_S)
    return scene


def test_every_dataset_fills_from_its_first_choice_without_an_error(filled: Scene) -> None:
    told = filled.daemon.events[: filled.begin]
    assert all(filled.stored[name] > 0 for name in DATASETS), filled.stored
    assert not [e for e in told if e["level"] in ("error", "critical")]
    assert not filled.daemon.foreign


def test_what_is_stored_and_owed_of_every_dataset_is_in_the_metrics(filled: Scene) -> None:
    for name in DATASETS:
        assert metric(filled.daemon, "allocd_data_stored_rows", dataset=name) > 0, name
        assert metric(filled.daemon, "allocd_data_due_timestamp_seconds", dataset=name) > 0, name


@pytest.mark.parametrize("poison", POISONS, ids=lambda p: f"{p.kind} at {p.host}")
def test_a_spoilt_source_fails_alone_and_says_how(poisoned: Scene, poison: Poison) -> None:
    line = poisoned.seen[poison.source]
    assert (line["dataset"], line["level"]) == (poison.dataset, "error")
    assert line["reason"]
    if poison.error == "SourceChanged":
        assert line["page"].endswith(".gz"), "the page that was not understood is named"
        assert metric(poisoned.daemon, "allocd_scraper_schema_changes_total", source=poison.source) > 0
    assert metric(poisoned.daemon, "allocd_scraper_requests_total", source=poison.source, code=poison.code) > 0
    job = [e for e in poisoned.daemon.events[poisoned.begin :] if e["event"] == "job.failed" and e["job"] == f"ingest.{poison.dataset}"]
    assert job
    assert poison.source in job[0]["error"]


def test_a_body_that_unpacks_too_far_is_counted_as_blocked(poisoned: Scene) -> None:
    assert metric(poisoned.daemon, "allocd_scraper_blocked_urls_total", reason="ratio") > 0
    assert [e for e in poisoned.daemon.events[poisoned.begin :] if e["event"] == "scrape.blocked" and e["reason"] == "ratio"]


def test_repeated_failures_open_the_circuit_of_that_source(poisoned: Scene) -> None:
    assert metric(poisoned.daemon, "allocd_scraper_circuit_open", source="reddit_praw") == 1.0
    assert metric(poisoned.daemon, "allocd_scraper_circuit_open", source="alpaca_bars") == 0.0


def test_sources_that_are_well_go_on_and_none_of_them_fails(poisoned: Scene) -> None:
    told = poisoned.daemon.events[poisoned.begin :]
    finished = {e["dataset"] for e in told if e["event"] == "scrape.finished"}
    assert not {e["dataset"] for e in told if e["event"] == "scrape.failed"} - HIT
    daily = {"bars_daily", "corporate_actions", "assets", "symbol_changes", "congress_trades", "gov_contracts", "lobbying", "news"}
    assert daily <= finished
    assert "federal_register_adcom" in {e["source"] for e in told if e["event"] == "scrape.finished"}, "another source of a spoilt dataset"


def test_what_needs_stale_data_holds_and_names_it_while_the_others_trade_on(poisoned: Scene) -> None:
    held = poisoned.seen["held"]
    assert f"{HELD_FOR} is stale" in held["reason"]
    told = poisoned.daemon.events[poisoned.begin :]
    other = {e["strategy"]: e for e in told if e["event"] == "signal.computed" and not set(CATALOG[e["strategy"]].needs) & HIT}
    assert other
    assert all(e["outcome"] == "evaluated" for e in other.values()), other
    assert sum(e["orders"] for e in told if e["event"] == "cycle.finished") > 0
    assert [e for e in told if e["event"] == "data.stale" and e["dataset"] == HELD_FOR]
    assert metric(poisoned.daemon, "allocd_data_quality_failures_total", dataset=HELD_FOR, kind="stale") > 0


def test_the_deadline_of_a_dataset_that_fails_stands_still_and_lies_behind(poisoned: Scene) -> None:
    def due(name: str) -> float:
        return metric(poisoned.daemon, "allocd_data_due_timestamp_seconds", dataset=name)

    assert due(HELD_FOR) < due("gov_contracts")
    assert due("reddit_mentions") < due("bars_daily")


def test_earlier_rows_stay_counts_reconcile_and_nothing_comes_from_the_future(poisoned: Scene) -> None:
    assert audit_data(poisoned.daemon, poisoned.stored)[0] == []
    assert audit_running(poisoned.daemon.sandbox).violations == []


@pytest.fixture(scope="module")
def restarted(poisoned: Scene) -> Iterator[Scene]:
    """Killed with its services spoilt, and started again."""
    assert metric(poisoned.daemon, "allocd_scraper_circuit_open", source="reddit_praw") == 1.0
    poisoned.daemon.kill()
    with Daemon(poisoned.daemon.state, settings=PACE) as daemon:
        daemon.wait_for("daemon.ready", timeout_s=LIMIT_S)
        yield Scene(daemon=daemon, begin=0, stored=poisoned.stored, metrics={"open": metric(daemon, "allocd_scraper_circuit_open")})


def test_an_open_circuit_is_open_after_a_restart(restarted: Scene) -> None:
    assert restarted.metrics["open"] >= 2
    assert metric(restarted.daemon, "allocd_scraper_circuit_open", source="reddit_praw") == 1.0
    done = run_verb(
        restarted.daemon.state, "data", "--sandbox", "--json", settings={**PACE, "ALLOCD_LISTEN_PORT": str(restarted.daemon.port)}
    )
    assert done.returncode == 0, done.stderr
    told = {s["name"]: s for row in json.loads(done.stdout) for s in row["sources"]}
    assert told["reddit_praw"]["circuit"] != "closed"
    assert told["alpaca_bars"]["circuit"] == "closed"


@pytest.fixture(scope="module")
def healed(restarted: Scene) -> Scene:
    """The services well again, once every source that was spoilt has been read."""
    daemon = restarted.daemon
    begin = len(daemon.events)
    switch(daemon, "DELETE")
    for p in POISONS:
        until_read(daemon, p.source, begin, LIMIT_S)
    return Scene(daemon=daemon, begin=begin, stored=restarted.stored)


def test_when_the_services_are_well_again_circuits_close_and_data_recovers(healed: Scene) -> None:
    closed = {e["source"] for e in healed.daemon.named("circuit.closed")}
    assert set(CIRCUITS) <= closed
    assert metric(healed.daemon, "allocd_scraper_circuit_open", source="reddit_praw") == 0.0
    healed.daemon.wait_for("data.recovered", timeout_s=LIMIT_S, where=lambda e: e["dataset"] == HELD_FOR)
    assert audit_data(healed.daemon, healed.stored)[0] == []


def test_a_twin_that_is_killed_is_started_again_by_the_daemon_which_goes_on(healed: Scene) -> None:
    daemon = healed.daemon
    before, begin = service(daemon.sandbox, "twin"), len(daemon.events)
    assert end_service(daemon.sandbox, "twin", signal.SIGKILL)
    daemon.wait_for("process.exited", after=begin, where=lambda e: e["service"] == "twin")
    started = daemon.wait_for("process.started", after=begin, where=lambda e: e["service"] == "twin")
    assert before is not None
    assert (started["port"], started["pid"]) != before
    assert started["port"] == before[0]
    again = daemon.events.index(started)
    daemon.wait_for("scrape.finished", after=again, timeout_s=LIMIT_S, where=lambda e: e["dataset"] == "bars_daily")
    daemon.wait_for("nav.marked", after=again, timeout_s=LIMIT_S)
    with database(daemon.sandbox) as db:
        assert all(n >= healed.stored[name] for name, n in rows(db).items())


def test_at_the_end_nothing_is_wrong(healed: Scene) -> None:
    assert audit_data(healed.daemon, healed.stored)[0] == []
    assert audit_running(healed.daemon.sandbox).violations == []
    assert not tracebacks(healed.daemon.events)
    assert not healed.daemon.foreign
    assert not [e for e in healed.daemon.named("job.failed") if e["job"] in ("cycle", "mark")]
    code, seconds = healed.daemon.terminate()
    assert (code, seconds < 5.0) == (0, True)
