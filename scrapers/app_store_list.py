"""The packaged list of which listed company owns which app of the App Store."""

import csv
from dataclasses import dataclass
from pathlib import Path

LIST = Path(__file__).parent / "lists" / "app_listings.csv"
COLUMNS = ["symbol", "app_id", "app_name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppListing:
    """An app and its owner. app_id: its number in the App Store, in digits. symbol: canonical. app_name: for people."""

    symbol: str
    app_id: str
    app_name: str


def packaged() -> list[AppListing]:
    """The list, in its order: apps with many ratings whose numbers and owners are certain."""
    with LIST.open(encoding="utf-8", newline="") as file:
        return [AppListing(**record) for record in csv.DictReader(file)]
