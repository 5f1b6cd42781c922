"""No damaged file of contracts, lobbying or apps makes an import crash, or a row that breaks its own declaration."""

import random
from pathlib import Path

import pytest

from scrapers import DATASETS, app_store_list
from scrapers.errors import ScrapeError
from tests.sources.canned import PAYLOADS
from tests.sources.fuzz import damaged, faults_of

SAMPLES = [
    ("gov_contracts", PAYLOADS / "quiver_contracts" / "dirt" / "1.json"),
    ("gov_contracts", PAYLOADS / "quiver_contracts_quarterly" / "dirt" / "1.json"),
    ("gov_contracts", PAYLOADS / "usaspending" / "dirt" / "1.json"),
    ("lobbying", PAYLOADS / "quiver_lobbying" / "dirt" / "1.json"),
    ("lobbying", PAYLOADS / "lda" / "dirt" / "1.json"),
    ("app_ratings", PAYLOADS / "quiver_apps" / "dirt" / "1.json"),
    ("app_ratings", PAYLOADS / "itunes" / "normal" / "2.json"),
    ("app_listings", app_store_list.LIST),
]


@pytest.mark.parametrize(("name", "sample"), SAMPLES, ids=[f"{name}-{sample.parent.parent.name}" for name, sample in SAMPLES])
def test_a_damaged_file_is_refused_whole_or_record_by_record(name: str, sample: Path, tmp_path: Path):
    rng, path, dataset, outcomes = random.Random(f"{name} {sample.name}"), tmp_path / "f", DATASETS[name], set()
    for _ in range(120):
        path.write_bytes(damaged(sample.read_bytes(), rng))
        try:
            for batch in dataset.load([path]):
                outcomes.add("read")
                assert [fault for row in batch.rows.to_pylist() for fault in faults_of(row, dataset.row)] == []
        except ScrapeError as error:
            outcomes.add(type(error).__name__)
    assert outcomes == {"read", "BadFile"}
