"""How a benchmark compares allocd with a peer: the same work in one process, equal outputs first, CPU time, medians, a ratio.

Rows alternate product and peer, so that a noisy machine troubles both. A row that misses its promised ratio fails the program.
"""

import gc
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

CHEAP_S = 0.02
"""Calls shorter than this are repeated within one measurement, so that the clock's step does not matter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One claim: what was done, against whom, and at least how many times faster (CPU time) it must be."""

    work: str
    peer: str
    at_least: float
    own_s: float
    peer_s: float
    equality: str

    @property
    def ratio(self) -> float:
        """Peer's CPU time over ours."""
        return self.peer_s / self.own_s

    def told(self) -> str:
        """The row as printed."""
        verdict = "ok" if self.ratio >= self.at_least else "MISSED"
        return (
            f"{self.work:<44} allocd {_ms(self.own_s)}  {self.peer:<34} {_ms(self.peer_s)}  "
            f"{self.ratio:8.1f}x (at least {self.at_least:g}x: {verdict})  {self.equality}"
        )


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds of one call, over as many calls as make 20 ms."""
    calls, begin = 0, time.process_time()
    while True:
        work()
        calls += 1
        spent = time.process_time() - begin
        if spent >= CHEAP_S:
            return spent / calls


def compare(
    work: str,
    peer: str,
    own: Callable[[], object],
    theirs: Callable[[], object],
    *,
    at_least: float,
    equality: str,
    repeats: int = 9,
    peer_repeats: int = 3,
) -> Row:
    """Measure both, alternating; `equality` says what was checked to be equal and how closely (the caller has checked it)."""
    own()
    own_times, peer_times = [], []
    gc.collect()
    for turn in range(max(repeats, peer_repeats)):
        if turn < peer_repeats:
            peer_times.append(cpu_s(theirs))
        if turn < repeats:
            own_times.append(cpu_s(own))
    return Row(work=work, peer=peer, at_least=at_least, own_s=median(own_times), peer_s=median(peer_times), equality=equality)


def report(rows: list[Row]) -> None:
    """Print the rows; the program fails when one misses its promise."""
    for row in rows:
        print(row.told(), flush=True)
    if any(row.ratio < row.at_least for row in rows):
        sys.exit("a promised ratio was missed")


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:10.3f} ms"
