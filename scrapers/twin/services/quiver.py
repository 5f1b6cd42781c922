"""api.quiverquant.com: what the subscription offers, behind a key."""

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from scrapers.twin import quiver
from scrapers.twin.base import Service, TwinClock, json_answer
from scrapers.twin.world import World


def routes(world: World, clock: TwinClock) -> APIRouter:
    """The endpoints below /beta."""
    router = APIRouter(prefix="/beta")

    @router.get("/live/congresstrading")
    def live(request: Request) -> Response:
        _key(request)
        return json_answer(quiver.live(world, clock.now()))

    @router.get("/bulk/congresstrading")
    def bulk(request: Request, page: int = 1, page_size: int = 1000, version: str = "V1") -> Response:
        _key(request)
        if page < 1 or not 1 <= page_size <= 5000 or version not in ("V1", "V2"):
            raise HTTPException(400, "page, page_size or version out of range")
        return json_answer(quiver.bulk(world, clock.now(), page, page_size, version))

    return router


def _key(request: Request) -> None:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme not in ("Bearer", "Token") or not key.strip():
        raise HTTPException(401, "Authentication credentials were not provided.")


SERVICES = (Service(host="api.quiverquant.com", routes=routes),)
