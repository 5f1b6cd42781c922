"""The closed list of event names: `noun.past_participle`, one per thing that an operator may want to count or find."""

from typing import Final

_NAMES: Final = """
daemon.started daemon.ready daemon.degraded daemon.stopping daemon.stopped daemon.failed daemon.heartbeat
sandbox.started sandbox.stopped exchange.started exchange.stopped exchange.adopted twin.started twin.stopped
config.loaded config.reloaded config.rejected
job.started job.finished job.retried job.failed job.missed job.skipped job.recovered job.paused job.resumed
scrape.finished scrape.failed scrape.blocked
circuit.opened circuit.closed
fetch.interrupted history.missed backfill.started backfill.finished reparse.finished archive.pruned
import.started import.progressed import.finished import.rejected
data.sealed data.loaded data.stale data.recovered data.rejected data.rebuilt
data.revised data.withdrawn data.withdrawal_refused data.unreconciled
signal.computed signal.failed signal.held
strategy.refused strategy.printed strategy.waiting
cycle.started cycle.planned cycle.finished cycle.failed cycle.skipped cycle.recovered cycle.submitted
allocation.decided allocation.degraded
rebalance.planned rebalance.finished rebalance.missed
risk.checked risk.limit_breached
risk.watched risk.alarmed risk.cleared
trading.halted trading.reduced trading.resumed
order.planned order.intended order.sent order.accepted order.acknowledged order.partially_filled order.filled order.canceled
order.rejected order.expired order.refused order.crossed order.uncertain order.resolved order.adopted
fill.recorded
settle.finished settle.failed
ledger.posted ledger.opened ledger.closed ledger.blocked
nav.marked
model.trained model.reused model.failed model.discarded model.uncached
shadow.warmed shadow.updated shadow.failed
reconcile.finished reconcile.broken reconcile.cleared
replay.started replay.progressed replay.finished report.written
broker.connected broker.unreachable broker.recovered broker.refused broker.disconnected
db.starting db.started db.stopped db.migrated db.recovered db.error
backup.finished backup.verified backup.failed
http.started http.stopped http.finished http.failed auth.refused
operator.acted
process.started process.exited process.stopped
scheduler.started scheduler.stopped schedule.planned
log.foreign log.unregistered log.suppressed
"""

EVENTS: Final = frozenset(_NAMES.split())
"""Names are written as literals in the code and external text goes into fields only."""
