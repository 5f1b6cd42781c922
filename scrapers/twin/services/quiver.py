"""api.quiverquant.com, what the subscription offers behind a key, and www.quiverquant.com, a few of its web pages."""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from scrapers import twin
from scrapers.twin import quiver_access
from scrapers.twin.base import Service, TwinClock, html_answer
from scrapers.twin.world import World

FEEDS = ("quiver_congress", "quiver_feeds")
"""Modules of `scrapers.twin` with `routes(world, clock)`, whose paths are below /beta."""
PAGES = "quiver_page_"
"""Modules whose names begin so declare one page: PATH and `page(world, now) -> str`."""


def _modules(prefix: str) -> list[ModuleType]:
    found = (entry.name for entry in iter_modules(twin.__path__) if entry.name.startswith(prefix))
    return [import_module(f"{twin.__name__}.{name}") for name in sorted(found)]


def interface(world: World, clock: TwinClock) -> APIRouter:
    """Every endpoint, by a key alone; an unknown path is an HTML page with status 404."""
    feeds, router = APIRouter(prefix="/beta", dependencies=[Depends(quiver_access.key)]), APIRouter()
    for module in (module for name in FEEDS for module in _modules(name)):
        feeds.include_router(module.routes(world, clock))
    router.include_router(feeds)
    router.include_router(quiver_access.elsewhere())
    return router


def pages(world: World, clock: TwinClock) -> APIRouter:
    """The web pages, open to everybody."""
    router = APIRouter()
    for module in _modules(PAGES):
        _mount(router, module, world, clock)
    router.include_router(quiver_access.elsewhere())
    return router


def _mount(router: APIRouter, module: ModuleType, world: World, clock: TwinClock) -> None:
    @router.get(module.PATH)
    def page(request: Request) -> Response:
        return html_answer(module.page(world, clock.now()))


SERVICES = (Service(host="api.quiverquant.com", routes=interface), Service(host="www.quiverquant.com", routes=pages))
