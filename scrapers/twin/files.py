"""The files that other services publish: Cboe's VIX history and datahub's constituents."""

import csv
import io
from datetime import datetime

from scrapers import times
from scrapers.twin.world import World

CONSTITUENT_COLUMNS = ("Symbol", "Security", "GICS Sector", "GICS Sub-Industry", "Headquarters Location", "Date added", "CIK", "Founded")


def vix_history(world: World, now: datetime) -> str:
    """VIX_History.csv: all sessions up to the day before, dates as MM/DD/YYYY."""
    today = times.new_york_date(now)
    rows: list[tuple[object, ...]] = [("DATE", "OPEN", "HIGH", "LOW", "CLOSE")]
    for session in world.sessions:
        if session < today:
            day = world.vix(session)
            rows.append((session.strftime("%m/%d/%Y"), *(f"{value:.6f}" for value in (day.open, day.high, day.low, day.close))))
    return _csv(rows)


def constituents(world: World, now: datetime) -> str:
    """constituents.csv: the members of the day."""
    rows: list[tuple[object, ...]] = [CONSTITUENT_COLUMNS]
    for asset, added in world.constituents(times.new_york_date(now)):
        rows.append(
            (
                asset.symbol,
                asset.name,
                asset.sector,
                asset.sub_industry,
                "Synthetic City, Nowhere",
                added.isoformat(),
                world.cik_of(asset.symbol),
                1999,
            )
        )
    return _csv(rows)


def _csv(rows: list[tuple[object, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
