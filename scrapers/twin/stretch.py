"""As much of a generated market as the doubles need by now: a world decades long would take them half a minute to make up.

What is published at an instant is the same however long the world lasts, so that one that ends a while after now will do.
"""

import threading
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from scrapers import times
from scrapers.twin.world import World

STEP = 512
"""Sessions by which the market grows."""
AHEAD = 128
"""Sessions after now that there always are, as far as the whole world has them."""
SKEW = timedelta(days=1)
"""How far ahead of now a service may believe to be."""
App = Callable[[Any, Any, Any], Awaitable[None]]


class Stretched:
    """ASGI app: what `make` makes of the market's beginning, made anew of a longer one as time goes on."""

    def __init__(self, whole: World, now: Callable[[], datetime], make: Callable[[World], App]) -> None:
        self._whole, self._now, self._make = whole, now, make
        self._made: tuple[int, App] | None = None
        self._lock = threading.Lock()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request."""
        await self.app()(scope, receive, send)

    def app(self) -> App:
        """The app over the market up to a while after now. It never becomes shorter."""
        needed = self._whole.index(times.new_york_date(self._now() + SKEW)) + 1 + AHEAD
        with self._lock:
            if self._made is None or self._made[0] < min(needed, len(self._whole.sessions)):
                length = min(-(-needed // STEP) * STEP, len(self._whole.sessions))
                self._made = length, self._make(self._whole.first(length))
            return self._made[1]
