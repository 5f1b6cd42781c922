"""The alert rules are valid, speak of metrics that exist, fire and keep quiet as their tests say, and each has its entry for operators."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from daemon.metric_catalogue import CATALOGUE
from tests.conftest import CHECKOUT, need

MONITORING = CHECKOUT / "monitoring"
RULES = sorted((MONITORING / "alerts").glob("*.yml"))
SUFFIXES = ("_bucket", "_sum", "_count")


def rules(text: str) -> dict[str, str]:
    """The text of each alert by name."""
    parts = re.split(r"^ +- alert: (\w+)$", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


ALERTS = {name: body for file in RULES for name, body in rules(file.read_text(encoding="utf-8")).items()}


def expression(body: str) -> str:
    """The expression of a rule, on one line or folded over several."""
    found = re.search(r"^ +expr: (?:>-\n)?((?:.|\n)*?)\n +(?:for|labels):", body, re.MULTILINE)
    assert found
    return found[1].strip()


def promtool(*words: str, cwd: Path = MONITORING) -> subprocess.CompletedProcess[str]:
    return subprocess.run([need("promtool"), *words], cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def test_every_alert_of_the_files_is_looked_at_here() -> None:
    assert len(ALERTS) == sum(file.read_text(encoding="utf-8").count("alert:") for file in RULES) >= 9


def test_prometheus_reads_the_configuration_and_its_rules() -> None:
    checked = promtool("check", "config", "prometheus.yml")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(RULES)} rule files found" in checked.stdout


@pytest.mark.parametrize("file", RULES, ids=lambda file: str(file.stem))
def test_rules_fire_where_they_must_and_are_quiet_elsewhere(file: Path) -> None:
    tested = promtool("test", "rules", f"tests/{file.name}")
    assert tested.returncode == 0, tested.stdout + tested.stderr


@pytest.mark.parametrize("mutant", ["vector(0) > 1", "vector(1)"], ids=["never fires", "always fires"])
@pytest.mark.parametrize("name", ALERTS)
def test_the_tests_of_the_rules_notice_a_rule_that(name: str, mutant: str, tmp_path: Path) -> None:
    shutil.copytree(MONITORING, tmp_path / "monitoring")
    file = next(f for f in RULES if name in rules(f.read_text(encoding="utf-8")))
    place = tmp_path / "monitoring" / "alerts" / file.name
    sound = place.read_text(encoding="utf-8")
    start = sound.index(f"- alert: {name}\n")
    spoilt = sound[:start] + sound[start:].replace(expression(ALERTS[name]), mutant, 1)
    assert spoilt != sound
    place.write_text(spoilt, encoding="utf-8")
    assert promtool("check", "rules", str(place)).returncode == 0
    assert promtool("test", "rules", f"tests/{file.name}", cwd=tmp_path / "monitoring").returncode != 0


@pytest.mark.parametrize("name", ALERTS)
def test_a_rule_names_only_metrics_and_label_values_of_the_catalogue(name: str) -> None:
    body = expression(ALERTS[name])
    for metric, _, matchers in re.findall(r"\b(allocd_\w+)(\{([^}]*)\})?", body):
        family = CATALOGUE.get(re.sub(f"({'|'.join(SUFFIXES)})$", "", metric)) or CATALOGUE.get(metric)
        assert family is not None, f"{name} asks for {metric}, which the daemon does not expose"
        for label, value in re.findall(r'(\w+)!?=~?"([^"]*)"', matchers):
            own = label.removeprefix("exported_")
            assert own in family.labels, f"{name}: {metric} has no label {label}"
            closed = family.labels[own]
            assert closed is None or value in closed, f"{name}: {metric} never has {label}={value}"


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_is_wrong_how_bad_and_where_to_read_on(name: str) -> None:
    body = ALERTS[name]
    assert re.search(r"labels: \{severity: (page|ticket|info)\}", body)
    assert re.search(r'summary: "[^"]{15,}"', body)
    assert re.search(r'description: "[^"]{30,}"', body)
    runbook = re.search(r"runbook: docs/operations\.md#(\S+)", body)
    assert runbook
    headings = re.findall(r"^#+ (.+)$", (CHECKOUT / "docs" / "operations.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert runbook[1] == name.lower()
    assert name in headings
