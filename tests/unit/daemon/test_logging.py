"""One line per event, with closed names, masked secrets and no forged lines."""

import ast
import contextvars
import io
import json
import logging as stdlib
import re
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from daemon import log_text
from daemon import logging as daemon_logging
from daemon.log_events import EVENTS
from daemon.logging import UnknownEvent, bound, configure, get_logger, register_secret, set_level

CHECKOUT = Path(__file__).resolve().parents[3]
AT = datetime(2026, 3, 4, 14, 30, 5, 123456, tzinfo=UTC)
log = get_logger("cycle")


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test starts without secrets and leaves the process's logging as it found it."""
    root = stdlib.getLogger()
    handlers, level = list(root.handlers), root.level
    monkeypatch.setattr(log_text, "_secrets", [])
    before = dict(vars(daemon_logging._state))
    yield
    vars(daemon_logging._state).update(before)
    root.handlers[:] = handlers
    root.setLevel(level)


def written(*, as_json: bool = True, level: str = "info", **options: Any) -> io.StringIO:
    stream = io.StringIO()
    configure(json=as_json, level=level, base={"mode": "PAPER", "version": "0.1.0"}, now=lambda: AT, stream=stream, **options)
    return stream


def only(stream: io.StringIO) -> dict[str, Any]:
    (line,) = stream.getvalue().splitlines()
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


def test_a_line_is_one_json_object_with_the_common_fields_first() -> None:
    stream = written()
    log.info("cycle.finished", orders=3)
    line = only(stream)
    assert list(line) == ["ts", "level", "event", "component", "mode", "version", "orders"]
    assert line == {
        "ts": "2026-03-04T14:30:05.123Z",
        "level": "info",
        "event": "cycle.finished",
        "component": "cycle",
        "mode": "PAPER",
        "version": "0.1.0",
        "orders": 3,
    }


def test_an_instant_of_another_zone_is_written_in_utc() -> None:
    stream = io.StringIO()
    new_york = AT.astimezone(timezone(timedelta(hours=-5)))
    configure(json=True, level="info", base={}, now=lambda: new_york, stream=stream)
    log.info("nav.marked")
    assert only(stream)["ts"] == "2026-03-04T14:30:05.123Z"


def test_a_logger_made_before_configure_follows_it() -> None:
    first, second = written(), written()
    log.info("nav.marked")
    assert first.getvalue() == ""
    assert only(second)["event"] == "nav.marked"


def test_lines_below_the_level_are_not_written_and_the_level_can_change_at_run_time() -> None:
    stream = written(level="warning")
    log.info("nav.marked")
    set_level("debug")
    log.debug("nav.marked")
    assert only(stream)["level"] == "debug"
    with pytest.raises(ValueError, match="loud"):
        set_level("loud")


def test_bound_fields_are_on_every_line_inside_and_on_none_outside() -> None:
    stream = written()
    with bound(run_id="r1", cycle_id="c1"):
        log.info("cycle.started")
        get_logger("orders").info("order.sent", order_id="o1")
    log.info("nav.marked")
    inside, sent, outside = map(json.loads, stream.getvalue().splitlines())
    assert (inside["run_id"], sent["run_id"], sent["cycle_id"], sent["order_id"]) == ("r1", "r1", "c1", "o1")
    assert "run_id" not in outside


def test_bound_fields_do_not_leak_into_another_context() -> None:
    stream = written()
    with bound(run_id="r1"):
        contextvars.Context().run(log.info, "nav.marked")
    assert "run_id" not in only(stream)


def test_an_unknown_event_raises_where_asked_and_is_otherwise_kept_as_a_field() -> None:
    written(strict=True)
    with pytest.raises(UnknownEvent, match=r"made\.up"):
        log.info("made.up")
    stream = written()
    log.info("made.up\n2026 forged")
    line = only(stream)
    assert (line["event"], line["name"]) == ("log.unregistered", "made.up\n2026 forged")


def test_values_of_every_common_type_survive_as_json() -> None:
    stream = written()
    log.info("nav.marked", at=AT, session=date(2026, 3, 4), nav=Decimal("10.50"), names={"b", "a"}, nothing=None, pair=(1, 2))
    line = only(stream)
    assert (line["session"], line["nav"], line["names"], line["pair"]) == ("2026-03-04", "10.50", ["a", "b"], [1, 2])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {(1, 2): "tuple key"}])
def test_a_value_that_json_does_not_know_never_loses_the_line(value: object) -> None:
    stream = written()
    log.info("nav.marked", value=value)
    assert only(stream)["value"] == repr(value)


def test_an_exception_is_a_field_of_the_same_line() -> None:
    stream = written()
    try:
        raise ZeroDivisionError("on purpose")
    except ZeroDivisionError:
        log.exception("job.failed", job="cycle")
    line = only(stream)
    assert line["level"] == "error"
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ZeroDivisionError: on purpose")


@pytest.mark.parametrize("secret", ["sk-plain-123", 'quo"te\\back', "p@ss/wörd +1", "87654321"])
def test_a_registered_secret_appears_in_no_form_and_the_line_stays_json(secret: str) -> None:
    register_secret(secret)
    for as_json in (True, False):
        stream = written(as_json=as_json)
        try:
            raise ValueError(f"refused {secret}")
        except ValueError:
            log.exception("broker.refused", key=secret, nested={"headers": [f"Bearer {secret}"], secret: 1}, number=87654321)
        text = stream.getvalue()
        assert secret not in text
        assert json.dumps(secret)[1:-1] not in text
        assert "[redacted]" in text
        if as_json:
            assert only(stream)["nested"]["headers"] == ["Bearer [redacted]"]


def test_a_percent_encoded_secret_is_masked() -> None:
    register_secret("a/b+c d!")
    stream = written()
    log.info("scrape.failed", url="https://example.org/?key=a%2Fb%2Bc%20d%21&again=a%2Fb%2Bc+d%21")
    assert only(stream)["url"] == "https://example.org/?key=[redacted]&again=[redacted]"


def test_an_empty_secret_masks_nothing() -> None:
    register_secret("")
    stream = written()
    log.info("nav.marked", text="ordinary")
    assert only(stream)["text"] == "ordinary"


HOSTILE = ["line\nforged", "esc\x1b[2Jclear", "bidi\u202egnp", "c1\x9b31m", "sep\u2028two", "null\x00", "cr\rback"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_on_one_line_without_raw_control_characters(text: str) -> None:
    for as_json in (True, False):
        stream = written(as_json=as_json)
        log.info("data.rejected", sample=text, nested=[text], **{f"key{text}": 1})
        plain = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
        assert plain.count("\n") == 1
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e]", plain)
        if as_json:
            assert only(stream)["sample"] == text


def test_the_console_shows_time_mode_level_event_and_fields_but_not_the_version_that_is_the_same_on_every_line() -> None:
    stream = written(as_json=False)
    log.warning("data.stale", dataset="vix", ratio=0.123456789)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())
    assert plain.split() == ["14:30:05.123", "PAPER", "warning", "data.stale", "dataset=vix", "ratio=0.123457"]


def test_warnings_of_libraries_come_out_in_our_form_and_their_chatter_does_not() -> None:
    stream = written()
    stdlib.getLogger("uvicorn.error").info("chatter")
    stdlib.getLogger("apscheduler.scheduler").warning("missed by %s", "3 s")
    line = only(stream)
    assert (line["event"], line["level"], line["logger"], line["message"]) == (
        "log.foreign",
        "warning",
        "apscheduler.scheduler",
        "missed by 3 s",
    )


def test_configuring_twice_does_not_double_the_lines_of_libraries() -> None:
    written()
    stream = written()
    stdlib.getLogger("some.library").error("once")
    assert only(stream)["message"] == "once"


def test_each_written_line_is_reported_with_its_level() -> None:
    levels: list[str] = []
    written(on_line=levels.append)
    log.debug("nav.marked")
    log.info("nav.marked")
    log.error("job.failed")
    assert levels == ["info", "error"]


def test_a_closed_stream_does_not_stop_the_work_that_logs() -> None:
    stream = written()
    stream.close()
    log.info("nav.marked")


def test_a_line_costs_less_than_30_microseconds() -> None:
    """The best of several rounds, so that a busy machine does not decide."""
    with open("/dev/null", "w", encoding="utf-8") as stream:
        configure(json=True, level="info", base={"mode": "PAPER", "version": "0.1.0"}, now=lambda: datetime.now(UTC), stream=stream)
        register_secret("some-secret-value")
        costs = []
        for _ in range(7):
            started = time.perf_counter()
            for _ in range(500):
                log.info("order.filled", symbol="AAPL", qty=12.5, price=101.25, order_id="c-2026-03-04-AAPL")
            costs.append((time.perf_counter() - started) / 500)
    assert min(costs) < 30e-6


def log_calls(source: str) -> Iterator[tuple[int, ast.expr]]:
    """Line and first argument of each call of a log method on a name that holds a logger."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            owner = node.func.value
            name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            if name in ("log", "_log", "logger") and node.func.attr in ("debug", "info", "warning", "error", "exception"):
                yield node.lineno, node.args[0]


def offences(source: str) -> list[str]:
    return [
        f"line {line}: {ast.unparse(event)}"
        for line, event in log_calls(source)
        if not (isinstance(event, ast.Constant) and event.value in EVENTS)
    ]


def test_every_event_name_in_the_source_is_a_literal_of_the_closed_list() -> None:
    packages = ("daemon", "scrapers", "strategies", "risk", "execution")
    paths = [path for package in packages for path in (CHECKOUT / package).rglob("*.py")] + sorted(CHECKOUT.glob("*.py"))
    found = {str(path.relative_to(CHECKOUT)): offences(path.read_text("utf-8")) for path in paths}
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize("call", ['log.info(f"order.{status}")', 'self._log.warning("made.up")', "log.error(name)"])
def test_the_walk_over_the_source_finds_what_it_should(call: str) -> None:
    assert len(offences(call)) == 1


def test_event_names_are_noun_and_participle() -> None:
    assert all(re.fullmatch(r"[a-z]+\.[a-z_]+", event) for event in EVENTS)
