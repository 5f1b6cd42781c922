"""What the double of an outside service is made of: its host, and the routes that it answers as the original does."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from fastapi.responses import Response as Answer
from starlette.exceptions import HTTPException

if TYPE_CHECKING:
    from fastapi import APIRouter

    from scrapers.twin.world import World

MARK = {"X-Synthetic": "allocd-twin"}
"""Borne by every answer."""


@dataclass(slots=True)
class TwinClock:
    """The server's now: what the caller passed in, until somebody sets it. close_at: when a session's bar appears."""

    source: Callable[[], datetime]
    close_at: Callable[[date], datetime]
    _set: datetime | None = field(default=None)

    def now(self) -> datetime:
        """UTC."""
        return (self._set or self.source()).astimezone(UTC)

    def put(self, at: datetime) -> None:
        """Hold the clock at an instant until the next call."""
        self._set = at


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The double of one host. routes: makes the router of its paths, exactly as they are behind the real host's name.

    It shows what is published at `clock.now()`, and nothing later.
    """

    host: str
    routes: "Callable[[World, TwinClock], APIRouter]"


class Instead(HTTPException):
    """Raised in a route or in what a route depends on: the answer is given in place of the route's own."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


def json_answer(content: object, status: int = 200) -> Answer:
    """A JSON answer with the mark of synthetic data."""
    return JSONResponse(content, status_code=status, headers=MARK)


def text_answer(content: str, status: int = 200, *, media_type: str = "text/plain") -> Answer:
    """A text answer (plain, CSV, XML) with the mark."""
    return PlainTextResponse(content, status_code=status, media_type=media_type, headers=MARK)


def html_answer(content: str, status: int = 200) -> Answer:
    """An HTML page with the mark."""
    return HTMLResponse(content, status_code=status, headers=MARK)


def bytes_answer(content: bytes, media_type: str) -> Answer:
    """A file with the mark."""
    return Answer(content, media_type=media_type, headers=MARK)
