"""The cycle: gather what is known, decide purely, record the decision with its orders in one transaction, then send."""

import time
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

import numpy as np

from daemon.book import OpenOrder, Outbox, PendingCross
from daemon.cycle_input import CycleInput, Options
from daemon.decision import Decision, decide, extend, step_books
from daemon.decision_log import tell
from daemon.freshness import stale_datasets
from daemon.jobs import Skipped, attempt
from daemon.logging import bound, get_logger
from daemon.marks import drawdown_frac
from daemon.memory import Memory, history_hash, recall, remember_targets, save_states
from daemon.readings import coverage
from daemon.report_data import decision_json
from daemon.runtime import Runtime
from daemon.settle import SEND_UNTIL, send, settle
from daemon.shadow import ShadowMark
from daemon.sleeve_inputs import may_short, sleeve_inputs
from daemon.store.events import micros
from daemon.store.segments import BARS
from execution.planning import SleeveState
from execution.sleeves import transfer
from strategies.base import EVIDENCE_COLUMNS, Targets

log = get_logger("cycle")


class Cycles:
    """Runs the cycle of each session, remembering in memory what the record also holds."""

    def __init__(self, rt: Runtime) -> None:
        self._rt = rt
        self._memory: Memory | None = None

    def run(self, at: datetime) -> dict[str, Any]:
        """The cycle of the session that opens next after `at`. Resumes a recorded one; raises Skipped when its window has passed."""
        rt = self._rt
        session = rt.calendar.upcoming(at)
        with rt.trading:
            settle(rt, at)
            recorded = rt.db.row("cycle_of_session", session=session)
            if recorded is not None:
                return self._resume(recorded)
            if rt.clock.now() > rt.calendar.open_at(session) + SEND_UNTIL:
                log.error("rebalance.missed", session=session, reason="the window of the session's open has passed")
                raise Skipped("the window of the session's open has passed; sleeves stay due for the next cycle")
            return self._fresh(session, at)

    def _resume(self, recorded: Mapping[str, Any]) -> dict[str, Any]:
        """The saved decision stands; `settle` has looked up its intents and sent what never arrived."""
        if recorded["applied_at"] is None:
            self._rt.db.run("cycle_applied", cycle_id=recorded["cycle_id"], at=self._rt.clock.now())
            log.info("cycle.recovered", cycle_id=recorded["cycle_id"], open_orders=len(self._rt.book.orders))
        return {"cycle_id": recorded["cycle_id"], "resumed": True}

    def _fresh(self, session: date, at: datetime) -> dict[str, Any]:
        rt = self._rt
        rt.archive.refresh()
        if not rt.archive.view(at).symbols:
            raise Skipped("no daily bars are known yet; sleeves stay due for the next cycle")
        memory = recall(rt, self._memory, session)
        self._memory = None
        if any(m.book.session is None for m in memory.sleeves.values()):
            self._warm_up(memory, session)
        view = rt.archive.view(at)
        rt.metrics.set("allocd_data_coverage_ratio", coverage(view) or 0.0, dataset=BARS)
        given, rung_before = self._gather(memory, session, at), memory.rung
        decision = decide(given, view, memory.history, rt.strategies, rt.calendar, self._attempt)
        with bound(cycle_id=given.cycle_id):
            with rt.book.changing():
                with rt.db.transaction():
                    record(rt, given, decision)
                    self._remember(memory, given, decision)
                sent = apply(rt, given)
            tell(rt, given, decision, rung_before)
        self._memory = memory
        return {
            "cycle_id": given.cycle_id,
            "session": session.isoformat(),
            "orders": len(decision.plan.orders),
            "sent": sent,
            "why": decision.reason,
        }

    def _attempt(self, name: str, call: Callable[[], Targets]) -> Targets | str:
        """Run a strategy contained and timed."""
        begin = time.perf_counter()
        try:
            return attempt(name, call)
        finally:
            self._rt.metrics.set("allocd_strategy_last_duration_seconds", time.perf_counter() - begin, strategy=name)

    def _gather(self, memory: Memory, session: date, at: datetime) -> CycleInput:
        rt, settings = self._rt, self._rt.settings
        ledger = rt.book.ledger
        names = {*ledger.sleeves(), *rt.strategies, "treasury"}
        state, why = trading_state(rt)
        short_selling = may_short(rt)
        return CycleInput(
            cycle_id=session.strftime("%Y%m%d"),
            session=session,
            at=at,
            code_version=rt.code_version,
            options=Options(
                limits=settings.limits(),
                cost_frac=settings.cost_bps / 1e4,
                min_notional_usd=str(settings.min_notional_usd),
                band_frac=settings.band_frac,
                qty_decimals=settings.qty_decimals,
                id_prefix=rt.id_prefix,
                benchmark=settings.benchmark,
            ),
            sleeves=sleeve_inputs(rt, memory.sleeves, session, short_selling=short_selling),
            short_selling=short_selling,
            holdings={name: SleeveState(cash=ledger.cash(name), positions=ledger.positions(name)) for name in sorted(names)},
            previous_capital=memory.capital,
            state=state,
            state_reason=why,
            blocked=tuple(sorted({r["symbol"] for r in rt.db.rows("breaks_open")} | {o.symbol for o in rt.book.orders.values()})),
            whole_shares=tuple(sorted(rt.whole_shares)),
            versions_known=rt.archive.versions_known(micros(at)),
            history_hash=history_hash(memory.history),
            stale=stale_datasets(rt, rt.clock.now()),
            drawdown_frac=drawdown_frac(rt.db),
            unfinished=memory.unfinished,
            artefacts=rt.archive.artefacts.hashes(at),
        )

    def _warm_up(self, memory: Memory, session: date) -> None:
        """Give new shadow books a past: the same steps over the stored history, as it was known then."""
        rt = self._rt
        new = {n: m for n, m in memory.sleeves.items() if m.book.session is None}
        first = rt.calendar.offset(session, -max(1, rt.settings.shadow_warmup_sessions))
        marks: list[ShadowMark] = []
        short_selling = may_short(rt)
        for day in rt.calendar.sessions(first, rt.calendar.previous_session(session)):
            view = rt.archive.view(rt.calendar.decision_at(day))
            if not view.symbols:
                continue
            inputs = sleeve_inputs(rt, new, day, short_selling=short_selling, trading=False)
            books, rolled, evaluations = step_books(
                inputs, rt.strategies, rt.calendar, day, view, rt.settings.cost_bps / 1e4, attempt, short_selling=short_selling
            )
            marks += rolled
            for book in books:
                new[book.sleeve].book = book
            remember_targets(new, evaluations)
        memory.history = extend(memory.history, marks)
        with rt.db.transaction():
            rt.db.copy("copy_shadow_marks", [(m.sleeve, m.session, m.return_frac, m.turnover_frac) for m in marks])
            save_states(rt, memory)
        log.info("shadow.warmed", strategies=sorted(new), sessions=len({m.session for m in marks}), since=first)

    def _remember(self, memory: Memory, given: CycleInput, decision: Decision) -> None:
        for book in decision.books:
            memory.sleeves[book.sleeve].book = book
            memory.sleeves[book.sleeve].cycles += 1
        remember_targets(memory.sleeves, decision.evaluations)
        memory.history = extend(memory.history, decision.marks)
        save_states(self._rt, memory)
        if decision.allocation is not None:
            memory.capital = {str(k): float(v) for k, v in decision.allocation.capital.items()}
            memory.rung = decision.allocation.rung
            memory.unfinished = any(b.limit == "turnover" for b in decision.allocation.bound)
            self._rt.db.run("meta_set", key="capital", value=memory.capital)
            self._rt.db.run("meta_set", key="allocation", value={"rung": memory.rung, "unfinished": memory.unfinished})


def trading_state(rt: Runtime) -> tuple[str, str]:
    """ACTIVE, REDUCING (positions only get smaller) or HALTED (nothing is sent), and who decided it and why."""
    state = rt.db.row("trading_state_last")
    return ("ACTIVE", "") if state is None else (state["state"], f"{state['actor']}: {state['reason']}")


def record(rt: Runtime, given: CycleInput, decision: Decision) -> None:
    """Write the cycle, why it decided, and every intent, in one transaction, before anything is sent."""
    cycle, now = given.cycle_id, rt.clock.now()
    outbox = Outbox()
    for t in decision.plan.transfers:
        rt.book.book(outbox, transfer(f"transfer:{cycle}:{t.sleeve}", t.sleeve, t.amount, now, memo="capital"))
    crosses = [
        PendingCross(
            cross_id=f"cross:{cycle}:{c.symbol}", session=given.session, symbol=c.symbol, shares=c.shares, decision_price=c.decision_price
        )
        for c in decision.plan.crosses
    ]
    with rt.db.transaction():
        rt.db.run(
            "cycle_add",
            cycle_id=cycle,
            session=given.session,
            at=given.at,
            input=given.as_json(),
            allocation=decision_json(decision),
            decision_hash=decision.hash,
        )
        _record_why(rt, cycle, decision)
        _record_orders(rt, given, decision, now)
        rt.db.copy(
            "copy_crosses",
            [(c.cross_id, cycle, c.session, c.symbol, {k: str(v) for k, v in c.shares.items()}, c.decision_price) for c in crosses],
        )
        rt.db.copy("copy_shadow_marks", [(m.sleeve, m.session, m.return_frac, m.turnover_frac) for m in decision.marks])
        rt.book.write_transactions(outbox.transactions)
    for cross in crosses:
        rt.book.crosses[cross.cross_id] = cross


def _record_why(rt: Runtime, cycle: str, decision: Decision) -> None:
    evaluated = [(e, e.targets) for e in decision.evaluations if e.targets is not None]
    rt.db.copy(
        "copy_evaluations",
        [(cycle, e.sleeve, e.due_session, e.outcome, e.reason, dict(e.targets.skipped) if e.targets else {}) for e in decision.evaluations],
    )
    rt.db.copy(
        "copy_targets",
        [(cycle, e.sleeve, str(s), float(w), float(t.scores.get(s, 0.0))) for e, t in evaluated for s, w in t.weights.items()],
    )
    rt.db.copy(
        "copy_evidence",
        [
            (cycle, e.sleeve, symbol, dataset, key, float(contribution))
            for e, t in evaluated
            for dataset, key, symbol, contribution in zip(*(t.evidence[column].tolist() for column in EVIDENCE_COLUMNS), strict=True)
        ],
    )
    if decision.allocation is not None:
        weights = decision.allocation.sleeve_weights
        values = weights.to_numpy()
        rt.db.copy(
            "copy_sleeve_weights",
            [(cycle, str(weights.index[i]), str(weights.columns[j]), float(values[i, j])) for i, j in np.argwhere(values != 0.0)],
        )


def _record_orders(rt: Runtime, given: CycleInput, decision: Decision, now: datetime) -> None:
    orders = [
        OpenOrder(
            client_order_id=p.request.client_order_id,
            cycle_id=given.cycle_id,
            session=given.session,
            symbol=p.request.symbol,
            side=p.request.side,
            qty=p.request.qty,
            type=p.request.type,
            time_in_force=p.request.time_in_force,
            decision_price=p.decision_price,
            status="intended",
            intended_at=now,
            shares=p.shares,
        )
        for p in decision.plan.orders
    ]
    rt.db.copy(
        "copy_orders",
        [
            (
                o.client_order_id,
                o.cycle_id,
                o.session,
                o.symbol,
                o.side,
                o.qty,
                o.type,
                o.time_in_force,
                None,
                o.decision_price,
                o.status,
                now,
                now,
            )
            for o in orders
        ],
    )
    rt.db.copy("copy_order_shares", [(o.client_order_id, s, q) for o in orders for s, q in o.shares.items()])
    for order in orders:
        rt.book.track(order)


def apply(rt: Runtime, given: CycleInput) -> int:
    """Send the recorded intents, sells first; the number that the broker accepted."""
    now = rt.clock.now()
    orders = [o for o in rt.book.working() if o.cycle_id == given.cycle_id and o.status == "intended"]
    for order in sorted(orders, key=lambda o: (o.side == "buy", o.symbol)):
        send(rt, order, now)
    with rt.db.transaction():
        rt.book.save(Outbox(), now)
        rt.db.run("cycle_applied", cycle_id=given.cycle_id, at=now)
    return sum(o.is_sent for o in orders)
