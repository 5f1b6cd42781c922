"""One line per event: JSON objects for machines, aligned colour for a terminal.

Event names are a closed list of literals (`EVENTS`); everything from outside goes into fields, where it is escaped. Secrets that were
registered are masked wherever they turn up in a line. `configure` may be called again: loggers that already exist follow it.
"""

import json
import logging as stdlib
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from typing import Any, Final, TextIO

import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars

from daemon.log_events import EVENTS
from daemon.log_text import masked_json, masked_text, plain, register_secret

__all__ = ["EVENTS", "Log", "UnknownEvent", "bound", "configure", "get_logger", "observe_lines", "register_secret", "set_level"]

Fields = MutableMapping[str, Any]

LEVELS: Final[Mapping[str, int]] = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_FIRST: Final = ("ts", "level", "event", "component")
_COLOURS: Final[Mapping[str, str]] = {
    "debug": "\x1b[2m",
    "info": "\x1b[32m",
    "warning": "\x1b[33m",
    "error": "\x1b[31m",
    "critical": "\x1b[1;31m",
}


class UnknownEvent(ValueError):
    """An event name that is not in the closed list; add it to daemon/log_events.py."""


class Log(structlog.BoundLoggerBase):
    """A logger of one component. Each call writes one line: a literal event name and its fields."""

    def debug(self, event: str, /, **fields: object) -> None:
        """What helps to find a fault; not written by default."""
        self._emit("debug", event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        """What happened, as it should."""
        self._emit("info", event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        """What a person may want to look at."""
        self._emit("warning", event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        """What a person must look at."""
        self._emit("error", event, fields)

    def exception(self, event: str, /, **fields: object) -> None:
        """An error with the traceback of the exception that is being handled."""
        self._emit("error", event, {**fields, "exc_info": True})

    def _emit(self, level: str, event: str, fields: Mapping[str, object]) -> None:
        if LEVELS[level] >= _state.threshold:
            self._proxy_to_logger(level, event, **fields)


class _State:
    """What `configure` decided; the processors read it, so that loggers made earlier follow."""

    def __init__(self) -> None:
        self.threshold = LEVELS["info"]
        self.json = True
        self.strict = False
        self.base: Mapping[str, str] = {}
        self.now: Callable[[], datetime] | None = None
        self.stream: TextIO = sys.stdout
        self.on_line: Callable[[str], None] | None = None
        self.lock = threading.Lock()


_state = _State()


class _Sink:
    """Where rendered lines go. A stream that is gone never stops the work that logs to it."""

    def write(self, line: str) -> None:
        with _state.lock:
            try:
                _state.stream.write(line)
                _state.stream.flush()
            except (OSError, ValueError):
                return

    debug = info = warning = error = critical = write


def configure(
    *,
    json: bool,
    level: str,
    base: Mapping[str, str],
    now: Callable[[], datetime],
    stream: TextIO | None = None,
    strict: bool = False,
    on_line: Callable[[str], None] | None = None,
) -> None:
    """Decide form, level and destination of the log, for every logger that exists or will.

    base: fields of every line (mode, version). now: the instant of a line. on_line: called with the level of each line written.
    strict: an event outside EVENTS raises UnknownEvent; otherwise it is written as `log.unregistered` with its name in a field.
    """
    _state.json, _state.strict, _state.now, _state.on_line = json, strict, now, on_line
    _state.base, _state.stream = dict(base), stream or sys.stdout
    set_level(level)
    _route_foreign()


def set_level(level: str) -> None:
    """The least severe level that is written: debug, info, warning, error or critical (ValueError otherwise)."""
    if level.lower() not in LEVELS:
        raise ValueError(f"log level {level!r} is none of {', '.join(LEVELS)}")
    _state.threshold = LEVELS[level.lower()]


def observe_lines(observer: Callable[[str], None] | None) -> None:
    """Tell `observer` the level of each line written from now on; None ends it."""
    _state.on_line = observer


def get_logger(component: str) -> Log:
    """The logger of a component; may be called at import time, before `configure`."""
    logger: Log = structlog.wrap_logger(_Sink(), processors=_PROCESSORS, wrapper_class=Log, context_class=dict).bind(component=component)
    return logger


def bound(**fields: object) -> AbstractContextManager[None]:
    """Inside `with bound(run_id=...)` every line of this thread carries the fields."""
    return bound_contextvars(**fields)


def _known_event(_logger: object, _method: str, fields: Fields) -> Fields:
    event = fields["event"]
    if event not in EVENTS:
        if _state.strict:
            raise UnknownEvent(f"{event!r} is not in daemon.log_events.EVENTS")
        fields["name"], fields["event"] = event, "log.unregistered"
    return fields


def _framed(_logger: object, method: str, fields: Fields) -> Fields:
    """Common fields first, in a fixed order, and the exception as text."""
    at = _state.now() if _state.now is not None else None
    if at is not None:
        fields["ts"] = at.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
    fields["level"] = method
    framed = {name: fields.pop(name) for name in _FIRST if name in fields}
    framed.update(_state.base)
    error = fields.pop("exc_info", None)
    framed.update(fields)
    if error:
        framed["exception"] = _traceback(error)
    return framed


def _traceback(error: object) -> str:
    cause = error if isinstance(error, BaseException) else sys.exc_info()[1]
    return "".join(traceback.format_exception(cause)).rstrip() if cause is not None else ""


def _rendered(_logger: object, method: str, fields: Fields) -> str:
    line = _json_line(fields) if _state.json else _console_line(fields)
    if _state.on_line is not None:
        _state.on_line(method)
    return line + "\n"


def _json_line(fields: Fields) -> str:
    try:
        return masked_json(_ENCODER.encode(fields))
    except (TypeError, ValueError):  # NaN, keys that are no text, cycles: rare, and no reason to lose the line
        return masked_json(_ENCODER.encode({str(name): value if isinstance(value, str) else repr(value) for name, value in fields.items()}))


def _console_line(fields: Fields) -> str:
    level, trace = str(fields.get("level", "")), fields.pop("exception", "")
    clock = plain(str(fields.get("ts", "")))[11:23]
    shown = {name: value for name, value in fields.items() if name not in _FIRST and name not in _state.base}
    pairs = " ".join(f"\x1b[2m{plain(name)}=\x1b[0m{plain(_short(value))}" for name, value in shown.items())
    mode = f" \x1b[33m{plain(str(fields['mode']))}\x1b[0m" if "mode" in fields else ""
    head = f"\x1b[2m{clock}\x1b[0m{mode} {_COLOURS.get(level, '')}{level:<8}\x1b[0m {plain(str(fields['event'])):<22} {pairs}"
    lines = [head, *(f"    {plain(line)}" for line in str(trace).splitlines())]
    return masked_text("\n".join(lines))


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value) if isinstance(value, str | int | datetime | date) else repr(value)


def _fallback(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    return str(value)


_ENCODER: Final = json.JSONEncoder(default=_fallback, separators=(",", ":"), allow_nan=False)
_PROCESSORS: Final[list[Callable[..., Any]]] = [merge_contextvars, _known_event, _framed, _rendered]


class _Foreign(stdlib.Handler):
    """Lines of libraries (uvicorn, apscheduler) in the form of ours."""

    def emit(self, record: stdlib.LogRecord) -> None:
        level = next((name for name, number in reversed(tuple(LEVELS.items())) if record.levelno >= number), "debug")
        write = getattr(_foreign, "error" if level == "critical" else level)
        error = record.exc_info[1] if record.exc_info else None
        write("log.foreign", logger=record.name, message=record.getMessage(), exc_info=error)


_foreign: Final = get_logger("library")


def _route_foreign() -> None:
    root = stdlib.getLogger()
    if not any(isinstance(handler, _Foreign) for handler in root.handlers):
        root.addHandler(_Foreign(stdlib.WARNING))
    root.setLevel(stdlib.WARNING)
