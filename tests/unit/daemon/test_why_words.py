"""Every dataset that a strategy may read can be told in three phrases, whatever of a row is missing."""

import dataclasses
import types
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest

from daemon.why_words import LONGEST, phrases
from scrapers import DATASETS
from strategies import CATALOG

SAMPLES: dict[type, Any] = {
    str: "Text <b>", float: 1234.5, int: 7, bool: True, date: date(2021, 3, 5), datetime: datetime(2021, 3, 5, 12, tzinfo=UTC),
}  # fmt: skip
READ = sorted({name for strategy in CATALOG.values() for name in (*strategy.needs, *strategy.uses)})


def rows(dataset: str) -> Iterator[dict[str, Any]]:
    """A full row, and one with nothing in every cell that may be empty."""
    hints = get_type_hints(DATASETS[dataset].row)
    fields = [field.name for field in dataclasses.fields(DATASETS[dataset].row)]
    yield {name: SAMPLES[_plain(hints[name])] for name in fields}
    yield {name: None if _optional(hints[name]) else "" if hints[name] is str else SAMPLES[_plain(hints[name])] for name in fields}


def _optional(hint: Any) -> bool:
    return get_origin(hint) in (Union, types.UnionType)


def _plain(hint: Any) -> type:
    found = next(part for part in get_args(hint) if part is not type(None)) if _optional(hint) else hint
    return found if isinstance(found, type) else str


@pytest.mark.parametrize("dataset", [name for name in READ if name not in ("assets", "corporate_actions")])
def test_every_dataset_that_a_strategy_reads_has_words_for_its_rows(dataset: str) -> None:
    full, bare = rows(dataset)
    assert any(phrases(dataset, full)) and "None" not in " ".join(phrases(dataset, full))
    assert "None" not in " ".join(phrases(dataset, bare))


def test_an_insider_is_told_with_role_code_and_worth() -> None:
    row = dict(next(rows("insider_trades")), owner_name="Smith John", officer_title="", code="P", shares=1000.0, price_usd=12.5)
    assert phrases("insider_trades", row) == (
        "Smith John (director, officer, 10 % owner)", "open-market purchase on 2021-03-05", "1,000 shares at 12.50, 12,500 USD",
    )  # fmt: skip


def test_a_spouse_s_trade_is_flagged_and_a_members_own_is_not() -> None:
    row = dict(next(rows("congress_trades")), member="Some Member", owner="spouse", transaction="purchase", amount_text="$1,001 - $15,000")
    assert phrases("congress_trades", row)[0] == "Some Member (spouse)"
    assert phrases("congress_trades", row | {"owner": "self"}) == ("Some Member", "purchase", "$1,001 - $15,000")


def test_long_and_broken_text_is_one_short_line() -> None:
    row = dict(next(rows("news")), headline="a\nb\t c" + "x" * 500)
    what = phrases("news", row)[1]
    assert what.startswith("a b cxxx") and len(what) == LONGEST


def test_an_unknown_dataset_has_no_words() -> None:
    assert phrases("nothing", {}) == ("", "", "")
