"""The metric catalogue and its one door."""

import re
import subprocess

import pytest

from daemon.metric_catalogue import CATALOGUE, Family
from daemon.metrics import Metrics
from tests.conftest import need

INSTALLED = {
    "job": ["cycle", "settle"],
    "source": ["quiver"],
    "dataset": ["bars_daily"],
    "strategy": ["congress_aggregate"],
}


def made() -> Metrics:
    return Metrics(version="0.1.0", revision="abc1234", installed=INSTALLED)


def first_labels(family: Family) -> dict[str, str]:
    return {label: (values or INSTALLED.get(label, [""]))[0] for label, values in family.labels.items()}


def touch_all(metrics: Metrics) -> None:
    for family in CATALOGUE.values():
        if family.name == "allocd_build_info":
            continue
        method = {"gauge": metrics.set, "counter": metrics.inc, "histogram": metrics.observe}[family.kind]
        method(family.name, 1.0, **first_labels(family))


def samples(metrics: Metrics) -> dict[str, float]:
    lines = metrics.exposition().decode().splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))}


def test_every_family_of_the_catalogue_can_be_recorded_and_is_exposed() -> None:
    metrics = made()
    touch_all(metrics)
    text = metrics.exposition().decode()
    for family in CATALOGUE.values():
        assert f"# TYPE {family.name} {family.kind}\n" in text


def test_recorded_values_come_out_under_their_labels() -> None:
    metrics = made()
    metrics.set("allocd_portfolio_nav_usd", 101_284.17)
    metrics.inc("allocd_job_runs_total", job="cycle", outcome="success")
    metrics.inc("allocd_job_runs_total", 2, job="cycle", outcome="success")
    metrics.observe("allocd_job_duration_seconds", 3.0, job="cycle")
    seen = samples(metrics)
    assert seen["allocd_portfolio_nav_usd"] == 101_284.17
    assert seen['allocd_job_runs_total{job="cycle",outcome="success"}'] == 3.0
    assert seen['allocd_job_duration_seconds_bucket{job="cycle",le="1.0"}'] == 0.0
    assert seen['allocd_job_duration_seconds_bucket{job="cycle",le="5.0"}'] == 1.0


def test_counters_start_at_zero_and_gauges_are_absent_until_measured() -> None:
    seen = samples(made())
    assert seen['allocd_orders_submitted_total{side="buy"}'] == 0.0
    assert not any(name.startswith("allocd_portfolio_nav_usd") for name in seen)


def test_a_name_outside_the_catalogue_is_refused() -> None:
    with pytest.raises(KeyError, match="not in the metric catalogue"):
        made().set("allocd_invented", 1.0)


def test_a_label_value_outside_its_closed_list_is_refused() -> None:
    with pytest.raises(KeyError, match="AAPL"):
        made().inc("allocd_orders_submitted_total", side="AAPL")
    with pytest.raises(KeyError, match="unknown_job"):
        made().set("allocd_job_running", 1.0, job="unknown_job")


@pytest.mark.parametrize("labels", [{}, {"side": "buy", "symbol": "AAPL"}, {"symbol": "AAPL"}])
def test_labels_other_than_those_of_the_family_are_refused(labels: dict[str, str]) -> None:
    with pytest.raises(KeyError, match="takes the labels"):
        made().inc("allocd_orders_submitted_total", **labels)


def test_a_method_that_does_not_fit_the_type_is_refused() -> None:
    with pytest.raises(TypeError, match="is a gauge"):
        made().inc("allocd_ready")


def test_two_instances_do_not_share_values() -> None:
    one, other = made(), made()
    one.inc("allocd_orders_submitted_total", side="buy")
    assert samples(other)['allocd_orders_submitted_total{side="buy"}'] == 0.0


def test_no_created_samples_are_exposed() -> None:
    metrics = made()
    touch_all(metrics)
    assert b"_created" not in metrics.exposition()


def test_the_process_and_the_collector_of_garbage_are_measured_too() -> None:
    text = made().exposition()
    assert b"process_resident_memory_bytes" in text
    assert b"python_gc_collections_total" in text


def test_no_label_may_hold_what_is_not_a_closed_list() -> None:
    forbidden = {"symbol", "order_id", "client_order_id", "run_id", "url", "error", "message"}
    assert not any(forbidden & set(family.labels) for family in CATALOGUE.values())


def test_names_carry_their_unit_and_counters_end_in_total() -> None:
    for family in CATALOGUE.values():
        assert re.fullmatch(r"allocd_[a-z0-9_]+", family.name)
        assert family.name.endswith("_total") == (family.kind == "counter")
        assert bool(family.buckets) == (family.kind == "histogram")


def test_a_full_installation_stays_inside_the_budget_of_series() -> None:
    """At most 100 families, 3,000 series and 400 kB with 30 jobs, 20 sources, 24 datasets and 24 strategies."""
    counts = {"job": 30, "source": 20, "dataset": 24, "strategy": 24}
    installed = {label: [f"{label}_{number}" for number in range(count)] for label, count in counts.items()}
    metrics = Metrics(version="0.1.0", installed=installed)
    for family in CATALOGUE.values():
        for value in installed.get(next(iter(family.labels), ""), []):
            rest = dict(list(first_labels(family).items())[1:])
            labels = {next(iter(family.labels)): value, **rest}
            {"gauge": metrics.set, "counter": metrics.inc, "histogram": metrics.observe}[family.kind](family.name, 1.0, **labels)
    text = metrics.exposition()
    assert len(CATALOGUE) <= 100
    assert len(samples(metrics)) <= 3_000
    assert len(text) <= 400_000


def test_promtool_has_nothing_to_say_about_the_exposition() -> None:
    promtool = need("promtool")
    metrics = made()
    touch_all(metrics)
    checked = subprocess.run([promtool, "check", "metrics"], input=metrics.exposition(), capture_output=True, timeout=30, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
