"""The daemon: start in order, recover, run the jobs, stop in order. Sandbox and live paper trading are the same but for the bag."""

import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Literal

import config
from config import Settings
from daemon import compose, outbound, own_process
from daemon.api import HttpServer, ListenError, create_app
from daemon.calendar import Calendar
from daemon.clock import Clock, SystemClock
from daemon.errors import DependencyFailed, PermissionsWrong, StartRefused
from daemon.history import collect_history, release, unread
from daemon.installation import Installation, prepare
from daemon.joblist import TRAINING, build_jobs
from daemon.jobs import JobRunner
from daemon.logging import configure, get_logger, observe_lines, register_secret, set_level
from daemon.metrics import Metrics
from daemon.outside import Outside, alpaca_world, sandbox_world
from daemon.own_errors import Stopped
from daemon.runtime import Runtime
from daemon.schedule import WORKERS, Job, LiveScheduler, occurrences, walk
from daemon.settle import open_account, settle
from daemon.store.errors import StorageFull
from daemon.surface import Surface
from daemon.watch.gauges import restore
from execution.errors import BrokerError, Unauthorized
from risk import kernels
from scrapers import DATASETS

log = get_logger("daemon")

ClockKind = Literal["auto", "system", "virtual"]
STOP_LIMIT_S = 4.5
HEARTBEAT_S = 60.0


class Stopping(Exception):
    """A stop was asked for while starting."""


class Daemon:
    """One run of the daemon, from settings to a clean stop."""

    def __init__(self, settings: Settings, clock_kind: ClockKind) -> None:
        self.settings = settings
        self.sandbox = not settings.has_alpaca_keys
        if settings.broker == "builtin":
            raise StartRefused(
                "ALLOCD_BROKER=builtin: fills against real quotes are not in this version; unset it, or set Alpaca paper keys"
            )
        if clock_kind == "virtual" and not self.sandbox:
            raise StartRefused("--clock virtual is for the sandbox: unset ALPACA_API_KEY and ALPACA_API_SECRET, or drop the option")
        self.paced = self.sandbox and clock_kind != "system"
        self.calendar = Calendar()
        self.metrics: Metrics | None = None
        self._clock: Clock | None = None
        self._stop = threading.Event()
        self._stop_asked_at = 0.0
        self._reload = threading.Event()
        self._failure: StorageFull | None = None
        self._outside: Outside | None = None
        self._history: threading.Thread | None = None

    @property
    def directory(self) -> Path:
        """State directory: the sandbox has its own below the main one, by kind of clock."""
        if not self.sandbox:
            return self.settings.state_dir
        return self.settings.state_dir / ("sandbox" if self.paced else "sandbox-realtime")

    def run(self) -> int:
        """Start, work until a signal, stop. The exit code."""
        faulthandler.enable()
        config.kernel_cache(Path(kernels.__file__).parent, self.settings.state_dir / "kernels")
        started_at = SystemClock().now()
        self._configure_log()
        self._take_signals()
        surface = self._surface(started_at)
        http = HttpServer(
            create_app(surface, hosts=[self.settings.listen_host], on_request=surface.observe, on_refused=surface.refused),
            self.settings.listen_host,
            self.settings.listen_port,
        )
        installation = self._installation()
        try:
            installation.lock()
            http.start()
            self._tell_start(http)
            self._work(installation, surface)
        except (Stopping, Stopped):
            pass
        except ListenError as error:
            raise DependencyFailed(str(error)) from error
        finally:
            self._shut_down(installation, http)
        return 0

    @contextmanager
    def prepared(self) -> Iterator[Runtime]:
        """A recovered runtime without jobs, pages or signals, for a single piece of work."""
        self._configure_log()
        installation = self._installation()
        try:
            installation.lock()
            yield self._assemble(installation, self._surface(SystemClock().now()))
        finally:
            self._shut_down(installation, None)

    def _surface(self, started_at: datetime) -> Surface:
        token = self.settings.api_token
        return Surface(
            started_at=started_at,
            version=compose.code_version(),
            token=token.get_secret_value() if token else None,
            sandbox=self.sandbox,
            mode="PAPER",
        )

    def _installation(self) -> Installation:
        uri = self.settings.pg_uri
        return Installation(self.directory, self.settings, pg_uri=None if self.sandbox or uri is None else uri.get_secret_value())

    def _configure_log(self) -> None:
        as_json = self.settings.log_json == "true" or (self.settings.log_json == "auto" and not sys.stdout.isatty())
        base = {"mode": "SANDBOX SYNTHETIC" if self.sandbox else "PAPER", "version": compose.code_version()}
        configure(json=as_json, level=self.settings.log_level, base=base, now=SystemClock().now)
        for secret in self.settings.secrets():
            register_secret(secret)

    def _count_line(self, level: str) -> None:
        if self.metrics is not None:
            self.metrics.inc("allocd_log_messages_total", level=level)

    def _take_signals(self) -> None:
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_reload)

    def _on_stop(self, number: int, _frame: FrameType | None) -> None:
        if self._stop.is_set():
            return
        self._stop_asked_at = time.monotonic()
        self._stop.set()
        if self._clock is not None:
            self._clock.interrupt()
        own_process.stop()
        # Everything is recorded before it is done, so a stop that drags on may be cut short: nothing is lost by it.
        timer = threading.Timer(STOP_LIMIT_S, os._exit, args=(0,))
        timer.daemon = True
        timer.start()

    def _on_reload(self, _number: int, _frame: FrameType | None) -> None:
        self._reload.set()

    def _tell_start(self, http: HttpServer) -> None:
        settings = self.settings
        log.info(
            "daemon.started",
            state_dir=str(self.directory),
            config_hash=settings.fingerprint()[:16],
            listen=f"http://{settings.listen_host}:{http.port}",
            account="synthetic" if self.sandbox else "Alpaca paper",
            calendar="XNYS",
            timezone="America/New_York",
            pid=os.getpid(),
            clock="paced virtual" if self.paced else "system",
        )

    def _phase(self, surface: Surface, text: str) -> None:
        surface.phase = text
        if self._stop.is_set():
            raise Stopping

    def _work(self, installation: Installation, surface: Surface) -> None:
        rt = self._assemble(installation, surface)
        runner = JobRunner(rt.db, rt.clock, rt.metrics)
        jobs = surface.jobs = build_jobs(rt, runner)
        urgent, other = unread(rt)
        release(rt, [*urgent, *other])
        self._rerun_interrupted(rt, runner)
        if self.paced:  # virtual time waits for what strategies need; on real time everything is read beside the jobs
            collect_history(rt, runner, urgent, self._stop, surface.collecting)
        self._ready(rt, surface, jobs)
        later = other if self.paced else [*urgent, *other]
        args = (rt, runner, later, self._stop, surface.collecting, () if self.paced else (TRAINING,))
        self._history = threading.Thread(target=collect_history, args=args, name="history", daemon=True)
        self._history.start()
        threading.Thread(target=kernels.warm, name="kernels", daemon=True).start()
        with self._heart(rt):
            self._run_jobs(rt, runner, jobs, surface)

    def _assemble(self, installation: Installation, surface: Surface) -> Runtime:
        """Everything up to a runtime that is level with the broker and has its history."""
        self._phase(surface, "opening the database")
        db, lake = installation.database(), installation.lake()
        prepare(db, lake, DATASETS.values())
        strategies, params = compose.enabled(self.settings)
        settles = compose.PACED_SETTLES if self.paced else (f"every {self.settings.settle_interval_s}s in session",)
        metrics = self.metrics = compose.metrics_of(strategies, settles)
        observe_lines(self._count_line)
        self._phase(surface, "starting the outside world" if self.sandbox else "connecting to the broker")
        outside = self._outside = self._connect()
        clock = self._clock = outside.clock
        broker = compose.broker(outside.key, outside.secret, outside.broker_url, metrics, clock)
        sources = compose.sources(self.settings, sandbox=self.sandbox)
        raw = compose.raw_archive(self.settings, self.directory)
        http = outbound.http_client(
            self.settings, db, clock, metrics, raw, twin_url=outside.twin_url, paced=self.paced, stopping=self._stop
        )
        rt = compose.runtime(
            self.settings,
            db=db,
            lake=lake,
            clock=clock,
            calendar=self.calendar,
            broker=broker,
            http=http,
            raw=raw,
            datasets=compose.datasets(paced=self.paced),
            sources=sources,
            metrics=metrics,
            strategies=strategies,
            params=params,
            sandbox=self.sandbox,
            settle_anchors=settles,
            id_prefix=compose.order_prefix(db, sandbox=self.sandbox),
        )
        surface.rt = rt
        self._describe(rt)
        self._phase(surface, "recovering orders")
        self._recover(rt)
        return rt

    def _connect(self) -> Outside:
        if not self.sandbox:
            return alpaca_world(self.settings)
        return sandbox_world(self.settings, self.directory, self.calendar, paced=self.paced)

    def _describe(self, rt: Runtime) -> None:
        log.info(
            "config.loaded",
            strategies=list(rt.strategies),
            sources={name: [s.name for s in sources] for name, sources in rt.sources.items()},
            without_source=sorted(set(DATASETS) - set(rt.sources)),
            schema_version=rt.db.schema_version(),
        )

    def _recover(self, rt: Runtime) -> None:
        """Level the book with the broker before anything new is decided."""
        try:
            rt.tradable = frozenset(a.symbol for a in rt.broker.assets() if a.tradable)
            open_account(rt)
            result = settle(rt, rt.clock.now())
        except Unauthorized as error:
            raise PermissionsWrong(
                f"the broker refused the keys ({error}): check ALPACA_API_KEY and ALPACA_API_SECRET, which must be paper keys"
            ) from error
        except BrokerError as error:
            if not rt.book.is_open:
                raise DependencyFailed(f"the broker did not answer at first start: {error}") from error
            log.warning("broker.unreachable", error_type=type(error).__name__, reason=str(error)[:300])
            return
        log.info("settle.finished", **result)

    def _rerun_interrupted(self, rt: Runtime, runner: JobRunner) -> None:
        """Occurrences that a killed process had claimed are run again by this one; their work is idempotent."""
        if cut := rt.db.count("fetches_interrupted"):
            log.warning("fetch.interrupted", fetches=cut)
        for row in rt.db.rows("job_interrupted"):
            log.warning("job.recovered", job=row["job"], planned_at=row["scheduled_at"])
            runner.resume(row["job"], row["scheduled_at"])

    def _ready(self, rt: Runtime, surface: Surface, jobs: Sequence[Job]) -> None:
        surface.ready, surface.ready_at, surface.phase = True, rt.clock.now(), "running"
        self._set_standing_metrics(rt, jobs)
        now = rt.clock.now()
        upcoming = sorted(
            (at, j.name) for j in jobs if (at := next(occurrences(j.anchor, self.calendar, now, now + timedelta(days=10)), None))
        )
        log.info("daemon.ready", jobs=len(jobs), next_runs=[f"{name} {at.isoformat()}" for at, name in upcoming[:3]], now=now)

    def _set_standing_metrics(self, rt: Runtime, jobs: Sequence[Job]) -> None:
        """What holds for as long as this process runs."""
        metrics = rt.metrics
        metrics.set("allocd_trading_mode", 1, mode="paper")
        metrics.set("allocd_trading_mode", 0, mode="live")
        metrics.set("allocd_sandbox", float(self.sandbox))
        metrics.set("allocd_scheduler_worker_limit", 1 if self.paced else WORKERS)
        metrics.set("allocd_db_schema_version", rt.db.schema_version(), store="postgres")
        metrics.set("allocd_db_size_bytes", rt.db.size_bytes(), store="postgres")
        for scope in ("operator", "risk", "system"):
            metrics.set("allocd_risk_halt_active", 0, scope=scope)
        restore(rt)
        for name in rt.strategies:
            metrics.set("allocd_strategy_enabled", 1, strategy=name)
        for job in jobs:
            metrics.set("allocd_job_paused", 0, job=job.name)
            metrics.set("allocd_job_running", 0, job=job.name)

    @contextmanager
    def _heart(self, rt: Runtime) -> Iterator[None]:
        done = threading.Event()
        began = time.monotonic()

        def beat() -> None:
            last = time.monotonic()
            while not done.wait(0.2):
                if self._reload.is_set():
                    self._reload.clear()
                    self._reloaded(rt)
                if time.monotonic() - last >= HEARTBEAT_S:
                    last = time.monotonic()
                    log.info("daemon.heartbeat", uptime_s=round(last - began), now=rt.clock.now(), orders_open=len(rt.book.orders))

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()

    def _reloaded(self, rt: Runtime) -> None:
        """SIGHUP: read the settings again; a bad file keeps the old ones in force and says so."""
        try:
            fresh = config.load()
        except config.ConfigError as error:
            log.error("config.rejected", problems=list(error.problems), note="the settings in force stay as they are")
            return
        changed = sorted(k for k, v in fresh.public().items() if self.settings.public().get(k) != v)
        set_level(fresh.log_level)
        log.info(
            "config.reloaded", changed_keys=changed, applied=[k for k in changed if k == "log_level"], note="other changes need a restart"
        )

    def _run_jobs(self, rt: Runtime, runner: JobRunner, jobs: Sequence[Job], surface: Surface) -> None:
        if self.paced:
            end = self.calendar.open_at(self.calendar.previous_session(self.calendar.end))
            if walk(jobs, self._walk_from(rt, jobs), end, rt.clock, self.calendar):
                log.warning("daemon.degraded", reason="the generated market has ended; the pages stay up until stopped")
            self._wait()
            return
        scheduler = LiveScheduler(jobs, self.calendar, rt.clock, on_missed=runner.missed, on_error=self._on_job_error)
        handled = {j.name: r["scheduled_at"] for j in jobs if (r := rt.db.row("job_last_scheduled", job=j.name)) and r["scheduled_at"]}
        scheduler.start(handled)
        self._wait()
        scheduler.stop(STOP_LIMIT_S / 2)
        if self._failure is not None:
            raise self._failure

    def _on_job_error(self, name: str, error: BaseException) -> None:
        """What got out of a job on real time: without room to record anything the daemon ends, all else is tried again in its time."""
        log.error("job.failed", job=name, error_type=type(error).__name__, error=str(error)[:300])
        if isinstance(error, StorageFull):
            self._failure = error
            self._stop.set()

    def _walk_from(self, rt: Runtime, jobs: Sequence[Job]) -> datetime:
        """Where virtual time goes on: at the newest instant that has a run, because others of that instant may not have had theirs.

        A run that waited for a source may have moved the clock beyond it. What has run already is claimed and is not run again.
        """
        rows = [rt.db.row("job_last_scheduled", job=j.name) for j in jobs if j.ledgered]
        newest = max(
            (r["scheduled_at"] for r in rows if r and r["scheduled_at"]), default=self._outside.opened_at if self._outside else None
        )
        now = rt.clock.now().replace(microsecond=0)
        return now if newest is None else min(now, newest)

    def _wait(self) -> None:
        while not self._stop.is_set():
            time.sleep(0.1)

    def _shut_down(self, installation: Installation, http: HttpServer | None) -> None:
        log.info("daemon.stopping", reason="signal" if self._stop.is_set() else "done")
        if http is not None:
            http.stop()
        if self._history is not None:
            self._history.join(STOP_LIMIT_S / 3)
        for service in self._outside.services if self._outside else ():
            service.stop()
        installation.close()
        drain_s = round(time.monotonic() - self._stop_asked_at, 3) if self._stop_asked_at else 0.0
        log.info("daemon.stopped", drain_s=drain_s)
        observe_lines(None)
