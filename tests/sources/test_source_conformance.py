"""What every dataset and every source owes, whichever it is: found by being in the catalog, covered without a line of its own."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from daemon.feeds import PROVIDERS
from scrapers import DATASETS, SOURCES, rates, source_hosts, sources, tables
from scrapers.base import Dataset, Rate, Source
from scrapers.twin import services
from tests.sources import fuzz
from tests.sources.canned import PAYLOADS
from tests.sources.served import asks

EACH = pytest.mark.parametrize("dataset", DATASETS.values(), ids=DATASETS.keys())
EACH_SOURCE = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES.keys())
NEEDS = {"quiver_api_key", "alpaca_api_key", "reddit_client_id", "contact"}
FUZZ_PAYLOADS = 60


@EACH
def test_a_dataset_names_itself_its_key_and_where_it_comes_from(dataset: Dataset):
    names = {field.name for field in dataclasses.fields(dataset.row)}
    assert set(dataset.key) <= names
    assert not names & {"event_at", "known_at", "fetched_at", "gone"}
    assert dataset.description
    assert dataset.source_url.startswith("https://")
    assert min(source.rank for source in dataset.sources) == 0
    assert dataset.load is not None


@EACH_SOURCE
def test_a_source_declares_what_it_asks_needs_and_wants(source: Source):
    assert source.urls
    assert all(urlsplit(url).scheme == "https" and urlsplit(url).hostname for url in source.urls)
    assert set(source.needs) <= NEEDS
    assert {name for name in source.wants if not name.startswith("rows:")} <= set(PROVIDERS)
    assert {name.removeprefix("rows:") for name in source.wants if name.startswith("rows:")} <= set(DATASETS)
    assert source.rate in {value for value in vars(rates).values() if isinstance(value, Rate)}


def test_every_file_of_the_folder_is_one_dataset():
    files = {path.stem for path in Path(sources.__path__[0]).glob("*.py")} - {"__init__"}
    assert files == set(DATASETS)


def test_every_host_that_may_be_asked_has_a_double_and_every_double_a_host():
    assert {service.host for service in services.found()} == source_hosts()


def test_no_two_groups_of_a_provider_bear_one_name_with_two_limits():
    limits: dict[str, set[tuple[int, float]]] = {}
    for source in SOURCES.values():
        limits.setdefault(source.rate.group, set()).add((source.rate.requests, source.rate.per_s))
    assert all(len(found) == 1 for found in limits.values())


@EACH
def test_every_column_has_an_arrow_type_and_both_times_are_utc(dataset: Dataset):
    shape = tables.schema(dataset.row)
    assert shape.names[-3:] == ["gone", "event_at", "known_at"]
    assert str(shape.field("known_at").type) == "timestamp[us, tz=UTC]"
    assert tables.table(dataset.row, []).num_rows == 0


def test_the_catalog_loads_no_heavy_library():
    heavy = ("pyarrow", "pandas", "numpy", "httpx", "fastapi", "praw", "pypdf", "vaderSentiment", "defusedxml")
    code = f"import scrapers, sys; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(sources.__path__[0]).parents[1]
    )
    assert found.stdout.strip() == "[]"


@EACH_SOURCE
def test_a_source_has_a_saved_exchange(source: Source):
    if not asks(source):
        pytest.skip("asks nobody")
    assert (PAYLOADS / source.name / "normal" / "case.json").is_file()


@EACH_SOURCE
def test_no_damaged_answer_crashes_a_source_or_makes_a_wrong_row(source: Source):
    if not asks(source):
        pytest.skip("asks nobody")
    found = fuzz.run(source.name, FUZZ_PAYLOADS, seed=20)
    assert found.findings == []
    assert len(found.outcomes) > 1, "no damage was noticed"
