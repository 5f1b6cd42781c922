"""The lists of listed companies, and what a link leads to."""

import pytest

from scrapers import wikipedia
from scrapers.base import Reject
from scrapers.errors import SourceChanged

URL = "https://en.wikipedia.org/wiki/List"


def page(header: list[str], *lines: list[str]) -> str:
    head = "".join(f"<th>{cell}</th>" for cell in header)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in line)}</tr>" for line in lines)
    return f"<table><tr><td>notice</td></tr></table><table class='wikitable'><tr>{head}</tr>{body}</table>"


@pytest.mark.parametrize(
    ("link", "title"),
    [
        ("/wiki/3M", "3M"),
        ("/wiki/AT%26T", "AT&T"),
        ("/wiki/Brown%E2%80%93Forman", "Brown–Forman"),
        ("/wiki/Yum!_Brands#History", "Yum!_Brands"),
        ("/wiki/Hewlett/Packard", "Hewlett/Packard"),
        ("./Apple_Inc.", "Apple_Inc."),
        ("https://en.wikipedia.org/wiki/Apple_Inc.", "Apple_Inc."),
        ("//en.wikipedia.org/wiki/Apple_Inc.", "Apple_Inc."),
        ("/w/index.php?title=Synthetic&action=edit&redlink=1", ""),
        ("/wiki/File:Logo.svg", ""),
        ("/wiki/Help:IPA", ""),
        ("/wiki/CSL:_Seqirus", "CSL:_Seqirus"),
        ("https://www.nyse.com/quote/XNYS:MMM", ""),
        ("#cite_note-1", ""),
        ("http://[broken", ""),
        ("", ""),
    ],
)
def test_a_link_leads_to_an_article_or_elsewhere(link: str, title: str):
    assert wikipedia.article(link) == title


@pytest.mark.parametrize(
    "header",
    [
        ["Symbol", "Security", "GICS Sector", "GICS Sub-Industry"],
        ["Ticker symbol", "Company", "GICS Sector[1]", "GICS Sub Industry"],
        ["TICKER", "Company name", "Sector", "Sub-sector"],
    ],
)
def test_columns_are_found_by_how_their_headings_begin(header: list[str]):
    text = page(header, ["brk-b", '<a href="/wiki/Berkshire_Hathaway">Berkshire</a>', "Financials", "Insurance"])
    assert wikipedia.companies(text, URL) == [
        wikipedia.ListedCompany(
            symbol="BRK.B", name="Berkshire", article="Berkshire_Hathaway", sector="Financials", sub_industry="Insurance"
        )
    ]


def test_a_line_that_is_no_company_is_a_reject_beside_the_others():
    good = ["MMM", "3M"]
    found = wikipedia.companies(page(["Symbol", "Security"], good, ["--", "x"], ["ABC"], good, ["ABC", ""], good, good), URL)
    assert [item.reason if isinstance(item, Reject) else item.symbol for item in found] == [
        "MMM", "bad_symbol", "ragged_record", "repeated_symbol", "no_name", "repeated_symbol", "repeated_symbol",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<p>Service unavailable</p>",
        page(["Name", "Security"], ["x", "y"]),
        page(["Symbol", "Security"]),
        page(["Symbol", "Security"], ["--", "x"], ["--", "y"], ["MMM", "3M"]),
    ],
)
def test_a_page_without_a_list_is_a_changed_source(text: str):
    with pytest.raises(SourceChanged):
        wikipedia.companies(text, URL)
