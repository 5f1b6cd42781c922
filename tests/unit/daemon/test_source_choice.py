"""Which sources are collected: the first choice whose keys are there, or what the operator named."""

from dataclasses import dataclass

import pytest

import config
from daemon.errors import StartRefused
from daemon.source_choice import Choice, chosen
from scrapers.base import Dataset, Rate, Source

RATE = Rate(group="g", requests=1, per_s=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    symbol: str


def source(name: str, rank: int, *needs: str) -> Source:
    return Source(name=name, fetch=lambda *_: iter(()), rate=RATE, urls=("https://x.example.org",), rank=rank, needs=needs)


PAID, PAID_TOO = source("paid", 0, "quiver_api_key"), source("paid_too", 0, "quiver_api_key")
HOUSE, SENATE = source("house", 1), source("senate", 1, "contact")
TRADES = Dataset(name="trades", row=Row, key=("symbol",), schedule="close", description="", sources=(PAID, PAID_TOO, HOUSE, SENATE))
FILES = Dataset(name="files", row=Row, key=("symbol",), schedule="close", description="")
DATASETS = {"trades": TRADES, "files": FILES}


def choice(sandbox: bool = False, **environ: str) -> Choice:
    return chosen(config.load(environ, env_file=None), DATASETS, sandbox=sandbox)["trades"]


def test_with_the_key_the_first_choice_is_collected_all_of_its_rank():
    assert choice(QUIVER_API_KEY="k") == Choice(sources=(PAID, PAID_TOO), reason="first choice; senate needs ALLOCD_CONTACT")


def test_without_it_the_free_sources_that_can_run_are_and_what_is_missing_is_told():
    found = choice()
    assert found.sources == (HOUSE,)
    assert found.reason == "free fall-back; paid needs QUIVER_API_KEY; paid_too needs QUIVER_API_KEY; senate needs ALLOCD_CONTACT"
    assert choice(ALLOCD_CONTACT="a@example.org").sources == (HOUSE, SENATE)


def test_in_the_sandbox_every_key_is_at_hand():
    assert choice(sandbox=True) == Choice(sources=(PAID, PAID_TOO), reason="first choice")


def test_a_dataset_that_cannot_be_collected_says_why():
    settings = config.load({}, env_file=None)
    only_paid = {
        "trades": Dataset(name="trades", row=Row, key=("symbol",), schedule="close", description="", sources=(PAID,)),
        "files": FILES,
    }
    found = chosen(settings, only_paid, sandbox=False)
    assert found["trades"] == Choice(sources=(), reason="nothing can run: paid needs QUIVER_API_KEY")
    assert found["files"] == Choice(sources=(), reason="import only")


def test_the_operator_may_name_other_sources():
    assert choice(QUIVER_API_KEY="k", ALLOCD_SOURCES='{"trades": "house"}') == Choice(sources=(HOUSE,), reason="named by ALLOCD_SOURCES")
    both = choice(ALLOCD_SOURCES='{"trades": ["senate", "house"]}', ALLOCD_CONTACT="https://example.org/me")
    assert both.sources == (SENATE, HOUSE)


@pytest.mark.parametrize(("named", "said"), [
    ('{"trade": "house"}', "names 'trade', which is not a dataset; the nearest is 'trades'"),
    ('{"trades": "hause"}', "names 'hause', which is not a source of trades; the nearest is 'house'"),
    ('{"trades": ["house", "paid"]}', "names paid, which cannot run: set QUIVER_API_KEY"),
    ('{"files": "x"}', "names 'x', which is not a source of files; it has none"),
])  # fmt: skip
def test_a_name_that_means_nothing_or_cannot_run_is_refused(named: str, said: str):
    with pytest.raises(StartRefused, match=said):
        choice(ALLOCD_SOURCES=named)


@pytest.mark.parametrize("value", ['["house"]', '{"trades": 3}', '{"trades": []}', "house"])
def test_a_setting_of_another_shape_is_refused_where_it_is_read(value: str):
    with pytest.raises(config.ConfigError, match="ALLOCD_SOURCES"):
        config.load({"ALLOCD_SOURCES": value}, env_file=None)


@pytest.mark.parametrize(("value", "good"), [
    ("me@example.org", True), ("https://example.org/contact", True), ("", True),
    ("me", False), ("me@host", False), ("ftp://example.org", False), ("a b@example.org", False), ("me@example.org\r\nX: y", False),
])  # fmt: skip
def test_a_contact_is_a_mail_address_or_a_url(value: str, good: bool):
    if good:
        assert config.load({"ALLOCD_CONTACT": value}, env_file=None).contact == value
    else:
        with pytest.raises(config.ConfigError, match="ALLOCD_CONTACT"):
            config.load({"ALLOCD_CONTACT": value}, env_file=None)
