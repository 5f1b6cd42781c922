"""Tickers, amounts, names and dates as disclosures and lists really write them."""

from datetime import UTC, date, datetime

import pytest

from scrapers import disclosures, symbols, times

ANCHOR = '<a href="https://finance.yahoo.com/q?s={0}" target="_blank">{0}</a>'


@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("AAPL", "AAPL"),
        (" aapl ", "AAPL"),
        ("AlGM", "ALGM"),
        ("BRK-B", "BRK.B"),
        ("BRK/B", "BRK.B"),
        ("BRK.B", "BRK.B"),
        ("brk b", "BRK.B"),
        ("CWEN.A", "CWEN.A"),
        ("BAC$K", "BAC.PRK"),
        ("BAC-PK", "BAC.PRK"),
        ("BAC.PRK", "BAC.PRK"),
        ("XLS-WI", "XLS.WI"),
        ("VFC.VI", None),
        ("WXA.F", None),
        ("35G.SG", None),
        ("^MWE", None),
        ("SPY160219P00180000", None),
        ("FNRVGX", None),
        ("Broadcom Inc.", None),
        ("--", None),
        ("", None),
    ],
)
def test_a_symbol_has_one_canonical_form_or_none(text: str, symbol: str | None):
    assert symbols.canonical(text) == symbol


def test_a_preferred_share_is_never_the_common_stock():
    assert symbols.canonical("BAC$K") != "BAC"
    assert disclosures.ticker("BAC$K", "purchase").note == "preferred"


@pytest.mark.parametrize(
    ("cell", "symbol", "note"),
    [
        (ANCHOR.format("PENN"), "PENN", ""),
        ("--", None, "no_ticker"),
        ("", None, "no_ticker"),
        (None, None, "no_ticker"),
        ("N/A", None, "no_ticker"),
        ("VFC.VI", None, "foreign_listing"),
        ("SPY160219P00180000", None, "option_contract"),
        ("^RGP", None, "index"),
        ("BPHSPX", None, "unrecognised"),
        ("TWTR - DEFUNCT", "TWTR", ""),
        ("twtr DEFUNCT ", "TWTR", ""),
        ("BRK-B|BRK.B", "BRK.B", ""),
        ("A\x00APL\u200b", "AAPL", ""),
    ],
)
def test_a_ticker_cell_gives_a_symbol_or_says_why_not(cell: object, symbol: str | None, note: str):
    found = disclosures.ticker(cell, "purchase")
    assert (found.symbol, found.note) == (symbol, note)


def test_an_exchange_names_what_was_given_and_what_was_received():
    cell = f"{ANCHOR.format('DD')}            <br>      {ANCHOR.format('IFF')}"
    found = disclosures.ticker(cell, "exchange")
    assert (found.symbol, found.received, found.text) == ("DD", "IFF", "DD IFF")
    given_without_ticker = disclosures.ticker(f"-- <br> {ANCHOR.format('TFC')}", "exchange")
    assert (given_without_ticker.symbol, given_without_ticker.received) == (None, "TFC")


@pytest.mark.parametrize("cell", ["CRDA CRDB", "MSFT|AAPL", f"{ANCHOR.format('DD')}<br>{ANCHOR.format('IFF')}", "A, B"])
def test_two_tickers_in_one_purchase_are_refused(cell: str):
    with pytest.raises(disclosures.TwoTickers):
        disclosures.ticker(cell, "purchase")


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("$1,001 - $15,000", 1001.0, 15000.0),
        ("$1,000 - $15,000", 1000.0, 15000.0),
        ("$25,000,001 - $50,000,000", 25_000_001.0, 50_000_000.0),
        ("$1,001 -", 1001.0, 15000.0),
        ("$15,001 -", 15001.0, 50000.0),
        ("$2,000 -", 2000.0, None),
        ("$1,000,000 +", 1_000_000.0, None),
        ("$50,000,000 +", 50_000_000.0, None),
        ("Over $50,000,000", 50_000_000.0, None),
        ("50000001.0", 50_000_000.0, None),
        (50_000_000, 50_000_000.0, None),
        ("Spouse/DC Over $1,000,000", 1_000_000.0, None),
        ("$15.00", 15.0, 15.0),
        ("1001.0", 1001.0, 15000.0),
        (500001.0, 500_001.0, 1_000_000.0),
        (250001, 250_001.0, 500_000.0),
        ("1234.56", 1234.56, 1234.56),
        ("$15,000 - $1,001", None, None),
        ("Unknown", None, None),
        ("N/A", None, None),
        ("", None, None),
        (None, None, None),
        (True, None, None),
        (float("nan"), None, None),
    ],
)
def test_an_amount_gives_the_bounds_of_its_bracket(text: object, low: float | None, high: float | None):
    assert disclosures.amount(text) == (low, high)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Hon. Susie Lee", "Susie Lee"),
        ("The Honorable James Banks", "James Banks"),
        ("None Marie Newman", "Marie Newman"),
        ("Hon. Donald Sternoff Honorable Beyer", "Donald Sternoff Beyer"),
        ("Gardner, Cory", "Cory Gardner"),
        ("SUSAN M COLLINS", "Susan M Collins"),
        ("David A Perdue , Jr", "David A Perdue, Jr"),
        ("Jerry Moran,", "Jerry Moran"),
        ("BETO O'ROURKE", "Beto O'Rourke"),
        ("ROBERT P CASEY III", "Robert P Casey III"),
        ("  Tina\tSmith ", "Tina Smith"),
    ],
)
def test_a_members_name_reads_first_name_first(text: str, name: str):
    assert disclosures.member(text) == name


@pytest.mark.parametrize(
    ("text", "code"),
    [("Alaska", "AK"), ("CA11", "CA"), ("wv", "WV"), ("West Virginia", "WV"), ("Synthetic State", "Synthetic State"), (None, "")],
)
def test_a_state_is_its_postal_code(text: object, code: str):
    assert disclosures.state(text) == code


def test_markup_entities_and_control_characters_leave_a_description():
    text = 'W.L. Gore &amp; Associates <div class="text-muted"><em>Rate:</em>&nbsp;1.7%<br>\x07\u202e Matures</div>'
    assert disclosures.plain(text) == "W.L. Gore & Associates Rate: 1.7% Matures"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Purchase", "purchase"),
        ("purchase", "purchase"),
        ("Sale", "sale"),
        ("Sale (Full)", "sale_full"),
        ("sale_partial", "sale_partial"),
        ("S (partial)", "sale_partial"),
        ("Exchange", "exchange"),
        ("Gift", None),
        ("", None),
        (None, None),
    ],
)
def test_transaction_words_map_to_a_closed_vocabulary(text: object, kind: str | None):
    assert disclosures.transaction(text) == kind


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2021-03-10", date(2021, 3, 10)),
        ("2021-03-10T05:00:00Z", date(2021, 3, 10)),
        ("2021-03-10 00:00:00", date(2021, 3, 10)),
        ("03/10/2021", date(2021, 3, 10)),
        ("1/7/2021", date(2021, 1, 7)),
        ("20210310", date(2021, 3, 10)),
        ("0009-06-09", None),
        ("20221-11-18", None),
        ("2021-02-30", None),
        ("13/45/2021", None),
        ("", None),
        (None, None),
        (20210310, None),
    ],
)
def test_a_date_is_read_only_when_it_can_be_one(text: object, day: date | None):
    assert times.parse_date(text) == day


def test_a_date_without_a_time_becomes_known_at_midnight_new_york_of_the_next_day_across_daylight_saving():
    assert times.day_after(date(2021, 3, 10)) == datetime(2021, 3, 11, 5, 0, tzinfo=UTC)
    assert times.day_after(date(2021, 3, 14)) == datetime(2021, 3, 15, 4, 0, tzinfo=UTC)
