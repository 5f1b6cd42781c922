"""cdn.cboe.com and datahub.io: published files."""

from fastapi import APIRouter
from fastapi.responses import Response

from scrapers.twin import files
from scrapers.twin.base import Service, TwinClock, text_answer
from scrapers.twin.world import World


def cboe(world: World, clock: TwinClock) -> APIRouter:
    """The volatility index."""
    router = APIRouter()

    @router.get("/api/global/us_indices/daily_prices/VIX_History.csv")
    def vix() -> Response:
        return text_answer(files.vix_history(world, clock.now()), media_type="text/csv")

    return router


def datahub(world: World, clock: TwinClock) -> APIRouter:
    """The members of the S&P 500."""
    router = APIRouter()

    @router.get("/core/s-and-p-500-companies/_r/-/data/constituents.csv")
    def constituents() -> Response:
        return text_answer(files.constituents(world, clock.now()), media_type="text/csv")

    return router


SERVICES = (Service(host="cdn.cboe.com", routes=cboe), Service(host="datahub.io", routes=datahub))
