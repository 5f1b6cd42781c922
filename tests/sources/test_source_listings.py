"""Tradable assets, renamed tickers, and the lists of the S&P 400 and 600."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

from scrapers import DATASETS
from scrapers.base import Reject
from scrapers.errors import BadFile, SourceChanged
from scrapers.sources import assets, constituents, index_membership, symbol_changes

ASSET = {
    "id": "b0b6dd9d-8b9b-48a9-ba46-b9d54906e415",
    "class": "us_equity",
    "exchange": "NASDAQ",
    "symbol": "AAPL",
    "name": "Apple Inc. Common Stock",
    "status": "active",
    "tradable": True,
    "marginable": True,
    "shortable": True,
    "easy_to_borrow": True,
    "fractionable": True,
}
RENAME = {"old_symbol": "FB", "old_cusip": "30303M102", "new_symbol": "META", "new_cusip": "30303M102", "process_date": "2022-06-09"}


def test_of_two_listings_of_one_symbol_the_tradable_one_counts_wherever_it_stands():
    closed = {**ASSET, "id": "2", "tradable": False}
    for records in ([closed, ASSET], [ASSET, closed]):
        row, reject = assets.parse(records, name="f")
        assert (row.row.asset_id, row.row.tradable) == (ASSET["id"], True)
        assert (reject.reason, json.loads(reject.raw)["id"]) == ("second_listing", "2")


@pytest.mark.parametrize("missing", ["tradable", "symbol", "class", "status"])
def test_an_asset_without_what_it_always_has_is_a_reject_and_many_such_are_a_changed_source(missing: str):
    broken = {name: value for name, value in ASSET.items() if name != missing}
    *_, reject = assets.parse([ASSET, broken], name="f")
    assert isinstance(reject, Reject)
    assert reject.reason == "not_an_asset"
    with pytest.raises(SourceChanged, match=missing):
        list(assets.parse([ASSET, broken, broken], name="f"))


@pytest.mark.parametrize("document", [None, {}, [], "x", {"assets": [ASSET]}])
def test_a_list_of_assets_of_another_shape_is_a_changed_source(document: object):
    with pytest.raises(SourceChanged):
        list(assets.parse(document, name="f"))


def test_a_rename_holds_from_midnight_of_its_day():
    (item,) = symbol_changes.parse_page({"name_changes": [RENAME]})
    assert (item.row.old_symbol, item.row.new_symbol, item.row.effective_date) == ("FB", "META", date(2022, 6, 9))
    assert item.event_at == item.known_at == datetime(2022, 6, 9, 4, tzinfo=UTC)


def test_a_changed_cusip_alone_is_no_rename():
    (item,) = symbol_changes.parse_page({"name_changes": [{**RENAME, "new_symbol": "FB"}]})
    assert item.reason == "same_symbol"


@pytest.mark.parametrize(
    "page", [None, [], {"name_changes": 1}, {"name_changes": [1]}, {"name_changes": [{"old_symbol": "A"}]}, {"cash": []}]
)
def test_renames_of_another_shape_are_a_changed_source(page: object):
    with pytest.raises(SourceChanged):
        list(symbol_changes.parse_page(page))


@pytest.mark.parametrize(
    ("name", "document", "symbol"),
    [("assets", [ASSET], "AAPL"), ("symbol_changes", {"corporate_actions": {"name_changes": [RENAME]}, "next_page_token": None}, "META")],
)
def test_saved_answers_are_imported(tmp_path: Path, name: str, document: object, symbol: str):
    path = tmp_path / "f"
    path.write_text(json.dumps(document))
    (batch,) = DATASETS[name].load([path])
    assert symbol in batch.rows.to_pylist()[0].values()


@pytest.mark.parametrize("name", ["assets", "symbol_changes"])
@pytest.mark.parametrize("text", ["", "{}", "[]", "a,b\n", '{"corporate_actions": {"name_changes": [1]}}'])
def test_a_file_of_another_shape_is_refused(tmp_path: Path, name: str, text: str):
    path = tmp_path / "f"
    path.write_text(text)
    with pytest.raises(BadFile):
        list(DATASETS[name].load([path]))


LIST = "<table><tr><th>Symbol</th><th>Security</th><th>GICS Sector</th></tr>{}</table>"
ON = date(2026, 1, 6)


def listed(*symbols: str) -> str:
    return LIST.format("".join(f"<tr><td>{symbol}</td><td>Synthetic</td><td>Energy</td></tr>" for symbol in symbols))


def test_a_member_keeps_the_day_on_which_it_was_first_seen_and_ends_when_it_is_gone():
    members = {"OLD": date(2020, 5, 5), "STAY": date(2021, 6, 6)}
    items = list(index_membership.parse_list(listed("STAY", "NEW"), "f", "sp400", on=ON, members=members))
    assert [(i.row.symbol, i.row.start_date, i.row.end_date) for i in items] == [
        ("STAY", date(2021, 6, 6), None),
        ("NEW", ON, None),
        ("OLD", date(2020, 5, 5), ON),
    ]


def test_a_list_that_lacks_many_members_ends_no_spell():
    members = {f"A{chr(65 + n)}": ON for n in range(20)}
    with pytest.raises(SourceChanged, match="20 of the 20 members of sp600"):
        list(index_membership.parse_list(listed("ZZ"), "f", "sp600", on=ON, members=members))


class Page:
    """Stands for the HTTP client: one text for every address."""

    def __init__(self, text: str) -> None:
        self._text, self.content = text, text.encode()

    def get(self, *args: object, **options: object) -> "Page":
        return self

    def text(self) -> str:
        return self._text


def test_each_list_withdraws_its_own_companies_alone():
    held = {"sector": "Energy", "sub_industry": "", "name": "", "cik": "", "date_added": None}
    records = [{**held, "symbol": s, "index_name": i} for s, i in (("OUT", "sp400"), ("BIG", "sp500"), ("ARCHIVED", ""), ("STAY", "sp400"))]
    options = {"rows:constituents": lambda since, asof: pd.DataFrame(records)}
    now = datetime(2026, 1, 6, tzinfo=UTC)
    batches = constituents.fetch_wikipedia(Page(listed("STAY")), now, now, options)
    rows = [(row["symbol"], row["index_name"], row["gone"]) for batch in batches for row in batch.rows.to_pylist()]
    assert rows == [("STAY", "sp400", False), ("OUT", "sp400", True), ("STAY", "sp600", False)]
