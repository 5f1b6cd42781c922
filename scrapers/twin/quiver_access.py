"""Who may read the double of Quiver's interface, and what everybody else is told."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from scrapers.twin.base import Instead, html_answer, json_answer

UPGRADE = "Upgrade your subscription plan to access this dataset."
TRADER = ("/insiders", "/appratings", "/quivernews")
"""Endpoints that the smaller plan lacks."""
RETRY_AFTER_S = 30
NOT_FOUND = "<!doctype html>\n<html lang='en'><head><title>Not Found</title></head><body><h1>Not Found</h1></body></html>"


def key(request: Request) -> None:
    """Let a request with a key pass; some keys stand for an account of another state.

    `invalid`: unknown. `no-plan`: an account without the plan (403). `no-plan-string`: the same on an older deployment, which says so
    in a bare JSON string with status 200. `hobbyist`: the smaller plan. `throttled`: an account that has used its allowance up.
    """
    scheme, _, word = request.headers.get("Authorization", "").partition(" ")
    word = word.strip()
    if scheme not in ("Bearer", "Token") or not word:
        raise Instead(json_answer({"detail": "Authentication credentials were not provided."}, 401))
    if word == "invalid":
        raise Instead(json_answer({"detail": "Invalid token."}, 401))
    if word == "no-plan-string":
        raise Instead(json_answer(UPGRADE))
    if word == "no-plan" or (word == "hobbyist" and any(part in request.url.path for part in TRADER)):
        raise Instead(json_answer({"detail": UPGRADE}, 403))
    if word == "throttled":
        answer = json_answer({"detail": f"Request was throttled. Expected available in {RETRY_AFTER_S} seconds."}, 429)
        answer.headers["Retry-After"] = str(RETRY_AFTER_S)
        raise Instead(answer)


def elsewhere() -> APIRouter:
    """Every path that no other router knows: not found, as a page."""
    router = APIRouter()

    @router.get("/{path:path}")
    def not_found(path: str) -> Response:
        return html_answer(NOT_FOUND, 404)

    return router
