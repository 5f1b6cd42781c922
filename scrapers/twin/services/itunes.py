"""itunes.apple.com: what the App Store says of the invented companies' apps, and their newest reviews."""

from datetime import datetime
from itertools import islice
from typing import Any

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

from scrapers.twin import app_store
from scrapers.twin.base import Service, TwinClock, json_answer
from scrapers.twin.world import World

REVIEWS_PER_PAGE, REVIEW_PAGES = 50, 10


def app_id_of(world: World, symbol: str) -> str:
    """The number of a company's app."""
    return str(app_store.app_id([asset.symbol for asset in world.stocks()].index(symbol)))


def routes(world: World, clock: TwinClock) -> APIRouter:
    """Lookup and reviews of the American store."""
    router = APIRouter()

    @router.get("/lookup")
    def lookup(id: str = "", country: str = "us") -> Response:  # noqa: A002 - the service's word
        found = [app for number in id.split(",") if (app := app_record(world, clock.now(), number.strip())) is not None]
        return json_answer({"resultCount": len(found), "results": found})

    @router.get("/us/rss/customerreviews/page={page}/id={number}/sortby=mostrecent/json")
    def reviews(page: int, number: str) -> Response:
        if not 1 <= page <= REVIEW_PAGES:
            raise HTTPException(400, "CustomerReviews RSS page depth is limited to 10")
        return json_answer(feed(world, clock.now(), number, page))

    return router


def _stock(world: World, number: str) -> int | None:
    stock = int(number) - app_store.FIRST_ID if number.isdigit() else -1
    return stock if 0 <= stock < len(world.stocks()) else None


def app_record(world: World, now: datetime, number: str) -> dict[str, Any] | None:
    """One app as it stands now; None for a number that the store does not know."""
    stock, reading = _stock(world, number), app_store.newest_reading(world, now)
    if stock is None or reading < 0:
        return None
    average, count = app_store.totals(world)
    asset = world.stocks()[stock]
    return {
        "trackId": app_store.app_id(stock),
        "trackName": f"Synthetic App {asset.symbol}",
        "bundleId": f"com.synthetic.{asset.symbol.lower()}",
        "sellerName": asset.name,
        "averageUserRating": round(float(average[reading, stock]), 5),
        "userRatingCount": int(count[reading, stock]),
        "averageUserRatingForCurrentVersion": round(float(average[reading, stock]), 5),
        "userRatingCountForCurrentVersion": int(count[reading, stock]),
        "version": "1.0",
        "currentVersionReleaseDate": f"{world.sessions[0].isoformat()}T08:00:00Z",
    }


def feed(world: World, now: datetime, number: str, page: int) -> dict[str, Any]:
    """One page of reviews: `entry` is a list, an object when there is one, and missing when there is none."""
    stock = _stock(world, number)
    found = [] if stock is None else list(islice(app_store.reviews(world, stock, now), REVIEWS_PER_PAGE * REVIEW_PAGES))
    shown = [_entry(review) for review in found[(page - 1) * REVIEWS_PER_PAGE : page * REVIEWS_PER_PAGE]]
    content: dict[str, Any] = {
        "author": {"name": {"label": "iTunes Store"}, "uri": {"label": "http://www.apple.com/itunes/"}},
        "updated": {"label": now.isoformat(timespec="seconds")},
        "title": {"label": "iTunes Store: Customer Reviews"},
        "id": {"label": f"https://itunes.apple.com/us/rss/customerreviews/id={number}/mostrecent/json"},
    }
    if shown:
        content["entry"] = shown[0] if len(shown) == 1 else shown
    return {"feed": content}


def _entry(review: app_store.Review) -> dict[str, Any]:
    return {
        "author": {"name": {"label": f"Synthetic Reviewer {review.number % 997}"}},
        "updated": {"label": review.at.isoformat()},
        "im:rating": {"label": str(review.stars)},
        "im:version": {"label": "1.0"},
        "id": {"label": str(review.number)},
        "title": {"label": f"Synthetic review of {review.stars} stars"},
        "content": {"label": "Synthetic text", "attributes": {"type": "text"}},
    }


SERVICES = (Service(host="itunes.apple.com", routes=routes),)
