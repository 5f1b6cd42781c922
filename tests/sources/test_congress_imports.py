"""Saved documents about trades of Congress in the shapes that mirrors and services publish them in, and reports that are read once."""

import gzip
import json
from pathlib import Path

import pytest

from scrapers import house_clerk
from scrapers.sources import congress_trades as congress
from tests.sources.canned import PAYLOADS
from tests.sources.test_source_congress_trades import FILING, TRADE, V1, V2

HOUSE = {
    "disclosure_year": 2021,
    "disclosure_date": "10/04/2021",
    "transaction_date": "2021-09-27",
    "owner": "joint",
    "ticker": "BP",
    "asset_description": "BP plc",
    "type": "sale_partial",
    "amount": "$1,001 - $15,000",
    "representative": "Hon. Synthetic Member",
    "district": "NC05",
    "ptr_link": "https://disclosures-clerk.house.gov/public_disc/ptr-pdfs/2021/20019557.pdf",
    "cap_gains_over_200_usd": False,
}


def imported(tmp_path: Path, document: object, *, packed: bool = False) -> list[dict]:
    path, content = tmp_path / "saved", json.dumps(document).encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    return [row for batch in congress.load([path]) for row in batch.rows.to_pylist()]


@pytest.mark.parametrize("packed", [False, True])
def test_house_transactions_as_json_are_the_trades_of_their_table(tmp_path: Path, packed: bool):
    (row,) = imported(tmp_path, [HOUSE], packed=packed)
    assert (row["chamber"], row["member"], row["owner"], row["state"]) == ("house", "Synthetic Member", "joint", "NC")
    assert (row["symbol"], row["transaction"], row["amount_low_usd"], row["amount_high_usd"]) == ("BP", "sale_partial", 1001.0, 15000.0)
    assert row["filing_id"] == "20019557"
    assert row["known_at"].isoformat() == "2021-10-05T04:00:00+00:00", "midnight in New York after the disclosure"


@pytest.mark.parametrize("record", [V1, V2, HOUSE, {**FILING, "transactions": [TRADE]}], ids=["V1", "V2", "House", "Senate"])
def test_a_single_record_without_its_array_is_the_same_trade(tmp_path: Path, record: dict):
    assert imported(tmp_path, record) == imported(tmp_path, [record]) != []


def test_a_report_is_the_same_however_often_it_is_read_and_texts_are_kept_in_bounds():
    content = (PAYLOADS / "house_clerk/normal/20026590.pdf").read_bytes()
    first = house_clerk.text_of(content)
    for number in range(house_clerk.KEPT + 10):
        assert house_clerk.text_of(b"%d" % number) == ""
    assert house_clerk.text_of(content) == first != ""
    assert len(house_clerk._texts) <= house_clerk.KEPT
