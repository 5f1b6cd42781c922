"""Prometheus metrics by catalogue name. The one door of prometheus_client.

A gauge appears on its first `set`: what was never measured is absent, not zero. A counter or histogram appears at once with every
combination of its labels at zero, so that `increase()` sees its first event.
"""

import itertools
import platform
import threading
from collections.abc import Collection, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from daemon.metric_catalogue import CATALOGUE, Family, Kind

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_Collector = Gauge | Counter | Histogram


class Metrics:
    """The metrics of one daemon, in a registry of its own.

    installed: the closed value lists that depend on the installation: `job`, `source`, `dataset`, `strategy`. A label left out has
    no legal value. Every method raises KeyError for a name outside the catalogue, for labels that are not exactly those of the family,
    and for a label value outside its closed list; TypeError when the method does not fit the type. Times are Unix seconds from the caller.
    """

    def __init__(self, *, version: str, revision: str = "unknown", installed: Mapping[str, Collection[str]] | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        build = {"version": version, "revision": revision, "python": platform.python_version()}
        known = {**{label: (value,) for label, value in build.items()}, **(installed or {})}
        self._values = {
            family.name: {label: frozenset(known.get(label, ()) if listed is None else listed) for label, listed in family.labels.items()}
            for family in CATALOGUE.values()
        }
        self._registry = CollectorRegistry(auto_describe=False)
        self._lock = threading.Lock()
        self._collectors: dict[str, _Collector] = {}
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)
        for family in CATALOGUE.values():
            if family.kind != "gauge":
                self._show(family)
        self.set("allocd_build_info", 1.0, **build)

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set the gauge to `value`, in the unit that its name says."""
        child = self._child(name, "gauge", labels)
        assert isinstance(child, Gauge)
        child.set(value)

    def inc(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """Add `amount` (>= 0, else ValueError) to the counter."""
        child = self._child(name, "counter", labels)
        assert isinstance(child, Counter)
        child.inc(amount)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Count `value` in the histogram."""
        child = self._child(name, "histogram", labels)
        assert isinstance(child, Histogram)
        child.observe(value)

    def value(self, name: str, **labels: str) -> float | None:
        """The present value of a gauge, None while it was never set."""
        collector = self._collectors.get(name)
        samples = (sample for family in collector.collect() for sample in family.samples) if collector is not None else ()
        return next((float(sample.value) for sample in samples if sample.name == name and sample.labels == labels), None)

    def exposition(self) -> bytes:
        """All samples in the Prometheus text format 0.0.4 (`CONTENT_TYPE`)."""
        return generate_latest(self._registry)

    def _child(self, name: str, kind: Kind, labels: Mapping[str, str]) -> _Collector:
        family = CATALOGUE.get(name)
        if family is None:
            raise KeyError(f"{name} is not in the metric catalogue")
        if family.kind != kind:
            raise TypeError(f"{name} is a {family.kind}, not a {kind}")
        self._check(family, labels)
        collector = self._collectors.get(name) or self._show(family)
        return collector.labels(**labels) if labels else collector

    def _check(self, family: Family, labels: Mapping[str, str]) -> None:
        allowed = self._values[family.name]
        if labels.keys() != allowed.keys():
            raise KeyError(f"{family.name} takes the labels {sorted(allowed)}, got {sorted(labels)}")
        for label, value in labels.items():
            if value not in allowed[label]:
                raise KeyError(f"{family.name}: {label}={value!r} is not one of {sorted(allowed[label])}")

    def _show(self, family: Family) -> _Collector:
        with self._lock:
            if family.name not in self._collectors:
                self._collectors[family.name] = self._made(family)
            return self._collectors[family.name]

    def _made(self, family: Family) -> _Collector:
        names = tuple(family.labels)
        if family.kind == "gauge":
            return Gauge(family.name, family.help, names, registry=self._registry)
        made: Counter | Histogram
        if family.kind == "counter":
            made = Counter(family.name, family.help, names, registry=self._registry)
        else:
            made = Histogram(family.name, family.help, names, registry=self._registry, buckets=family.buckets)
        values = self._values[family.name]
        for combination in itertools.product(*(sorted(values[name]) for name in names)) if names else ():
            made.labels(*combination)
        return made
