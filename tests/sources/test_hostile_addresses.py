"""Addresses inside answers that no parser takes: nothing is asked of them, and nothing crashes."""

import pytest

from scrapers import federal_register, lda, markup, senate_reports
from scrapers.errors import SourceChanged


def test_a_link_that_does_not_parse_asks_for_nothing():
    cell = markup.Cell(
        text="AAPL", links=["https://[broken/q?s=AAPL", "https://finance.example/q?s=MSFT", "https://finance.example/q?s=IBM"]
    )
    assert senate_reports._ticker(cell) == "MSFT|IBM"


@pytest.mark.parametrize("url", ["https://[broken/", "//["])
def test_a_next_page_that_does_not_parse_is_a_changed_source(url: str):
    with pytest.raises(SourceChanged):
        lda._params(url)
    with pytest.raises(SourceChanged):
        federal_register._next({"next_page_url": url})
