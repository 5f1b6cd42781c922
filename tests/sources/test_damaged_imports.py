"""No file makes an import crash: what is damaged is refused, as a file or record by record."""

import json
import random
from pathlib import Path

import pytest

from scrapers import DATASETS
from scrapers.errors import ScrapeError
from tests.sources.fuzz import damaged

SAMPLES = {
    "congress_trades": json.dumps(
        [
            {
                "first_name": "A",
                "last_name": "B",
                "ptr_link": "https://x/1/",
                "date_recieved": "03/10/2021",
                "transactions": [
                    {
                        "transaction_date": "02/11/2021",
                        "owner": "Self",
                        "ticker": '<a href="q?s=PENN">PENN</a>',
                        "asset_description": "Penn",
                        "type": "Exchange",
                        "amount": "$1,001 - $15,000",
                    }
                ],
            }
        ]
    ),
    "bars_daily": "ticker,date,open,high,low,close,adj_close,volume\nA,2021-03-10,10,11,9,10.5,10.1,1000\nA,2021-03-11,9,9,9,9,9,9\n",
    "vix": "DATE,OPEN,HIGH,LOW,CLOSE\n01/04/2021,22,23,21,22.5\n2021-01-05,22,23,21,22.5\n",
    "index_membership": "ticker,start_date,end_date\nA,2000-06-05,\nAABA,1999-12-08,2017-06-19\n",
    "constituents": 'Symbol,Security,GICS Sector,Date added\nMMM,"3M, Co",Industrials,1957-03-04\nA,B,Energy,\n',
}


@pytest.mark.parametrize("name", SAMPLES)
def test_no_mutated_file_raises_anything_but_our_own_errors(name: str, tmp_path: Path):
    rng = random.Random(f"files of {name}")
    path, outcomes = tmp_path / "f", set()
    for _ in range(300):
        path.write_bytes(damaged(SAMPLES[name].encode(), rng))
        try:
            for batch in DATASETS[name].load([path]):
                outcomes.add("rows" if batch.rows.num_rows else "rejects")
        except ScrapeError as error:
            outcomes.add(type(error).__name__)
    assert outcomes == {"rows", "rejects", "BadFile"}
