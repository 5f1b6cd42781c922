"""Renamed tickers: chains are followed, reused names are not, and the packaged list is sound."""

import csv
from datetime import date, timedelta
from pathlib import Path

import pytest

from scrapers.renames import LIST, Rename, Renames, listed, parse, resolve
from scrapers.symbols import canonical


def day(number: int) -> date:
    return date(2020, 1, 1) + timedelta(days=number)


@pytest.mark.parametrize(
    ("symbol", "on", "name"),
    [
        ("FB", date(2018, 1, 2), "META"),
        ("FB", date(2022, 6, 8), "META"),
        ("FB", date(2022, 6, 9), "FB"),
        ("META", date(2018, 1, 2), "META"),
        ("CBS", date(2018, 1, 2), "PARA"),
        ("VIAC", date(2021, 1, 4), "PARA"),
        ("HCP", date(2015, 1, 2), "DOC"),
        ("PEAK", date(2020, 1, 2), "DOC"),
        ("AA", date(2016, 10, 31), "HWM"),
        ("AA", date(2016, 11, 1), "AA"),
        ("IR", date(2020, 2, 28), "TT"),
        ("IR", date(2020, 3, 2), "IR"),
        ("GDI", date(2020, 2, 28), "IR"),
        ("FISV", date(2020, 1, 2), "FISV"),
        ("FI", date(2024, 1, 2), "FISV"),
        ("FI", date(2019, 1, 2), "FI"),
        ("GOOG", date(2012, 1, 3), "GOOG"),
        ("AAPL", date(2012, 1, 3), "AAPL"),
    ],
)
def test_a_symbol_resolves_to_the_newest_name_of_what_bore_it_on_the_date(symbol: str, on: date, name: str) -> None:
    assert resolve(symbol, on) == name


def test_a_name_given_back_and_forth_ends() -> None:
    renames = Renames([Rename(old="A", new="B", effective=day(1)), Rename(old="B", new="A", effective=day(2))])
    assert [renames.resolve("A", day(n)) for n in (0, 1, 2)] == ["A", "A", "A"]
    assert [renames.resolve("B", day(n)) for n in (1, 2)] == ["A", "B"]
    assert renames.spans("A") == []
    assert [(s.owner, s.stop) for s in renames.spans("B")] == [("A", day(2))]


def test_former_names_come_latest_first() -> None:
    assert listed().former("DOC") == ["PEAK", "HCP"]
    assert listed().former("AAPL") == []


def test_more_renames_make_a_set_of_its_own_and_known_ones_change_nothing() -> None:
    more = listed().plus([Rename(old="OLD", new="META", effective=day(0))])
    assert more.resolve("OLD", day(-1)) == "META"
    assert listed().resolve("OLD", day(-1)) == "OLD"
    assert more.token != listed().token
    assert listed().plus([Rename(old="FB", new="META", effective=date(2022, 6, 10))]) is listed()
    assert listed().plus([Rename(old="X", new="X", effective=day(0))]) is listed()


def test_the_packaged_list_is_in_order_without_repeats_and_in_canonical_symbols() -> None:
    with LIST.open(newline="", encoding="utf-8") as file:
        renames = parse(csv.DictReader(file))
    assert [r.effective for r in renames] == sorted(r.effective for r in renames)
    assert len({(r.old, r.effective) for r in renames}) == len(renames) >= 50
    assert all(canonical(s) == s for r in renames for s in (r.old, r.new))
    assert all(r.old != r.new and r.effective.weekday() < 5 for r in renames)


def test_index_membership_ends_and_begins_where_the_list_says(shared_data: Path) -> None:
    path = shared_data / "data" / "universe" / "sp500_ticker_start_end_to_2025.csv"
    with path.open(encoding="utf-8") as file:
        spells = list(csv.DictReader(file))
    ended = {(r["ticker"], r["end_date"]) for r in spells}
    begun = {(r["ticker"], r["start_date"]) for r in spells}
    with LIST.open(newline="", encoding="utf-8") as file:
        renames = parse(csv.DictReader(file))
    agree = [r for r in renames if (r.old, str(r.effective)) in ended and (r.new, str(r.effective)) in begun]
    assert len(agree) >= 20, "independent of the list, the membership file dates most of these"
