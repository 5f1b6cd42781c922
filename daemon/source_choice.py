"""Which of a dataset's sources this installation collects: the first choice that it can run, or what the operator named.

The choice is made once, at start. There is no switch from one source to another at run time, not even when the first choice fails
for days: two services name the same trade by different keys, so that rows of both would count it twice. An operator who wants the
other one says so with ALLOCD_SOURCES and knows from which day on.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from config import Settings, variable
from daemon.errors import StartRefused
from scrapers.base import Dataset, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The sources of a dataset that are collected, together, and why these; none when nothing can run."""

    sources: tuple[Source, ...]
    reason: str


def chosen(settings: Settings, datasets: Mapping[str, Dataset], *, sandbox: bool) -> dict[str, Choice]:
    """By dataset, what is collected and why. In the sandbox every key is at hand. Raises StartRefused for a name that is unknown."""
    for name in settings.sources:
        _known(name, datasets, "a dataset")
    return {name: _choose(settings, dataset, sandbox=sandbox) for name, dataset in datasets.items()}


def _choose(settings: Settings, dataset: Dataset, *, sandbox: bool) -> Choice:
    if dataset.name in settings.sources:
        return _named(settings, dataset, sandbox=sandbox)
    if not dataset.sources:
        return Choice(sources=(), reason="import only")
    missing = {s.name: () if sandbox else missing_settings(settings, s) for s in dataset.sources}
    able = [s for s in dataset.sources if not missing[s.name]]
    without = _told({s.name: m for s, m in ((s, missing[s.name]) for s in dataset.sources) if m})
    if not able:
        return Choice(sources=(), reason=f"nothing can run: {without}")
    rank = min(s.rank for s in able)
    picked = tuple(s for s in able if s.rank == rank)
    told = "first choice" if rank == min(s.rank for s in dataset.sources) else "free fall-back"
    return Choice(sources=picked, reason=f"{told}; {without}" if without else told)


def _named(settings: Settings, dataset: Dataset, *, sandbox: bool) -> Choice:
    by_name = {s.name: s for s in dataset.sources}
    for name in settings.sources[dataset.name]:
        _known(name, by_name, f"a source of {dataset.name}")
        if missing := () if sandbox else missing_settings(settings, by_name[name]):
            raise StartRefused(f"ALLOCD_SOURCES names {name}, which cannot run: set {', '.join(missing)}")
    return Choice(sources=tuple(by_name[name] for name in settings.sources[dataset.name]), reason="named by ALLOCD_SOURCES")


def missing_settings(settings: Settings, source: Source) -> tuple[str, ...]:
    """Variables that must be set before a source can run."""
    return tuple(variable(need) for need in source.needs if not getattr(settings, need))


def _told(missing: Mapping[str, Iterable[str]]) -> str:
    return "; ".join(f"{source} needs {' and '.join(variables)}" for source, variables in missing.items())


def _known(name: str, known: Iterable[str], what: str) -> None:
    if name not in (names := sorted(known)):
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
        hint = f"; the nearest is {near[0]!r}" if near else "; it has none"
        raise StartRefused(f"ALLOCD_SOURCES names {name!r}, which is not {what}{hint}")
