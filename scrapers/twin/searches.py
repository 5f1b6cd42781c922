"""How often the generated companies are searched for, on Google's scale: whole numbers to 100, the largest of the days asked for."""

from datetime import date

import numpy as np

from scrapers.twin.curves import Curves
from scrapers.twin.world import World

LIFT = 2.0


class Searches:
    """Relative search volume of "SYMBOL stock" by day of UTC."""

    def __init__(self, world: World) -> None:
        self._curves = Curves(world, "search", lift=LIFT)
        self._obscure = {asset.symbol for place, asset in enumerate(world.stocks()) if place % 17 == 16}

    def scaled(self, keyword: str, days: list[date]) -> list[int]:
        """Values of the days; all 0 for a keyword that nobody searches for, and 0 on many days of an obscure one."""
        symbol = keyword.removesuffix(" stock").upper()
        if symbol not in self._curves or not days:
            return [0] * len(days)
        volume = self._curves.relative(symbol, days)
        if symbol in self._obscure:
            volume = np.where([day.toordinal() % 3 == 0 for day in days], volume, 0.0)
        largest = float(volume.max())
        return [round(100.0 * value / largest) for value in volume.tolist()] if largest > 0 else [0] * len(days)
