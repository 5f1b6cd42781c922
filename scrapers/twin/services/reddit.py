"""www.reddit.com and oauth.reddit.com: a token for a script application, and the listings of one forum."""

from datetime import datetime
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Body, Header, HTTPException
from fastapi.responses import Response

from scrapers.twin import forum
from scrapers.twin.base import Service, TwinClock, json_answer
from scrapers.twin.forum import Board, Item
from scrapers.twin.world import World

TOKEN = "synthetic-token"  # noqa: S105 - opens nothing
LISTING_END = 1000
PAGE = 100
THREAD = 500


def web(world: World, clock: TwinClock) -> APIRouter:
    """Tokens."""
    router = APIRouter(prefix="/api/v1")

    @router.post("/access_token")
    def token(body: Annotated[bytes, Body()], authorization: Annotated[str, Header()] = "") -> Response:
        form = parse_qs(body.decode())
        if not authorization.lower().startswith("basic "):
            return json_answer({"message": "Unauthorized", "error": 401}, 401)
        if form.get("grant_type") not in (["client_credentials"], ["password"]):
            return json_answer({"error": "unsupported_grant_type"})
        return json_answer({"access_token": TOKEN, "token_type": "bearer", "expires_in": 86400, "scope": "*"})

    return router


def api(world: World, clock: TwinClock) -> APIRouter:
    """Listings of r/wallstreetbets, for the bearer of the token."""
    router, board = APIRouter(), Board(world)

    @router.get("/r/{name}/new")
    def new(name: str, authorization: Annotated[str, Header()] = "", limit: int = 25, after: str = "") -> Response:
        _admit(authorization, name)
        return _listing(board.newest("t3", clock.now(), LISTING_END), clock.now(), limit, after)

    @router.get("/r/{name}/comments/")
    @router.get("/r/{name}/comments")
    def comments(name: str, authorization: Annotated[str, Header()] = "", limit: int = 25, after: str = "") -> Response:
        _admit(authorization, name)
        return _listing(board.newest("t1", clock.now(), LISTING_END), clock.now(), limit, after)

    @router.get("/r/{name}/hot")
    def hot(name: str, authorization: Annotated[str, Header()] = "", limit: int = 25, after: str = "") -> Response:
        _admit(authorization, name)
        now = clock.now()
        posts = sorted(board.newest("t3", now, PAGE), key=lambda item: item.score, reverse=True)
        return _listing(board.threads(now) + [item for item in posts if not item.pinned], now, limit, after)

    @router.get("/comments/{thread}/")
    @router.get("/comments/{thread}")
    def thread(thread: str, authorization: Annotated[str, Header()] = "", limit: int = 200) -> Response:
        _admit(authorization, forum.NAME)
        return _thread(board, thread, clock.now(), min(limit, THREAD))

    return router


def _admit(authorization: str, name: str) -> None:
    if authorization.lower() != f"bearer {TOKEN}":
        raise HTTPException(401, {"message": "Unauthorized", "error": 401})
    if name.lower() != forum.NAME:
        raise HTTPException(404, {"message": "Not Found", "error": 404})


def _listing(posts: list[Item], now: datetime, limit: int, after: str) -> Response:
    """A page of at most 100, whatever was asked for, behind the post called `after`."""
    names = [post.name for post in posts]
    begin = names.index(after) + 1 if after in names else 0
    page = posts[begin : begin + max(1, min(limit, PAGE))]
    more = begin + len(page) < len(posts)
    children = [{"kind": post.kind, "data": forum.record(post, now)} for post in page]
    return _answer(_document(children, page[-1].name if more else None))


def _document(children: list[dict[str, Any]], after: str | None = None) -> dict[str, Any]:
    data = {"after": after, "before": None, "dist": len(children), "modhash": "", "children": children}
    return {"kind": "Listing", "data": data}


def _thread(board: Board, thread: str, now: datetime, limit: int) -> Response:
    """A submission and its newest comments, every seventh as a reply to the one after it, and what is left behind a `more`."""
    name = f"t3_{thread}"
    submission = next((post for post in board.newest("t3", now, LISTING_END) if post.name == name), None)
    if submission is None:
        raise HTTPException(404, {"message": "Not Found", "error": 404})
    comments = [comment for comment in board.newest("t1", now, LISTING_END) if comment.thread == name]
    children: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []
    for place, comment in enumerate(comments[:limit]):
        if place % 7 == 6 and place + 1 < min(len(comments), limit):
            waiting = [{"kind": "t1", "data": forum.record(comment, now)}]
            continue
        children.append({"kind": "t1", "data": forum.record(comment, now, _document(waiting) if waiting else "")})
        waiting = []
    if rest := [forum.base36(comment.number) for comment in comments[limit:]]:
        children.append({"kind": "more", "data": {"count": len(rest), "id": rest[0], "parent_id": name, "depth": 0, "children": rest}})
    return _answer([_document([{"kind": "t3", "data": forum.record(submission, now)}]), _document(children)])


def _answer(document: object) -> Response:
    answer = json_answer(document)
    answer.headers.update({"x-ratelimit-used": "4", "x-ratelimit-remaining": "996.0", "x-ratelimit-reset": "300"})
    return answer


SERVICES = (Service(host="www.reddit.com", routes=web), Service(host="oauth.reddit.com", routes=api))
