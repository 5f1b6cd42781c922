"""DC insider scores: the page by its headings, and a score of our own that never knows the future."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from scrapers import insider_score
from scrapers.errors import BadFile
from scrapers.insider_score import Inputs, scores
from scrapers.sources import dc_insider_scores as insider

ASOF = datetime(2026, 1, 5, 12, tzinfo=UTC)
NOBODY = object()
EMPTY = Inputs(congress=None, lobbying=None, contracts=None)


def told(records: list[dict]) -> insider_score.Rows:
    """Rows that hand everything over whatever is asked, so that the score itself must look at the times."""
    return lambda since, asof: pd.DataFrame(records)


def trade(symbol: str, member: str, transaction: str = "purchase", days: int = 5, **other: object) -> dict:
    known_at = ASOF - timedelta(days=days)
    return {"symbol": symbol, "member": member, "transaction": transaction, "asset_type": "Stock", "known_at": known_at, **other}


def spent(symbol: str, usd: float | None, days: int, **other: object) -> dict:
    return {"symbol": symbol, "amount_usd": usd, "known_at": ASOF - timedelta(days=days), **other}


def of_congress(*trades: dict) -> dict[str, float]:
    return scores(Inputs(congress=told(list(trades)), lobbying=None, contracts=None), ASOF)


def test_without_rows_there_are_no_scores():
    assert scores(EMPTY, ASOF) == {}
    nothing = told([])
    assert scores(Inputs(congress=nothing, lobbying=nothing, contracts=nothing), ASOF) == {}
    assert list(insider.compute(NOBODY, ASOF - timedelta(days=30), ASOF, {"backfill": True})) == []


def test_scores_lie_between_0_and_100_and_fifty_is_indifferent():
    found = of_congress(
        *(trade("BUY", f"Synthetic {n}") for n in range(400)), trade("SELL", "Synthetic 1", "sale_full"), trade("EVEN", "Synthetic 1"),
        trade("EVEN", "Synthetic 2", "sale"),
    )  # fmt: skip
    assert all(0.0 <= score <= 100.0 for score in found.values())
    assert found["EVEN"] == 50.0
    assert found["BUY"] > 50.0 > found["SELL"]


def test_members_count_once_a_side_whatever_the_size_and_number_of_their_trades():
    one = of_congress(trade("A", "Synthetic 1"), trade("B", "Synthetic 1", "sale"))
    many = of_congress(*[trade("A", "Synthetic 1", amount_low_usd=1e6)] * 9, trade("B", "Synthetic 1", "sale"))
    assert many == one


def test_a_member_whose_name_two_origins_write_differently_counts_once():
    base = [trade("A", "Susan Synthetic"), trade("B", "Synthetic 1", "sale"), trade("B", "Synthetic 2", "sale")]
    assert of_congress(*base, trade("A", "SUSAN M. SYNTHETIC, Jr.")) == of_congress(*base)
    assert of_congress(*base, trade("A", "Rick Synthetic")) != of_congress(*base)


def test_an_amendment_does_not_make_an_old_trade_a_new_one():
    base = [trade("A", "Synthetic 1"), trade("B", "Synthetic 1", "sale")]
    # 90 days before 5 January 2026, 07:00 New York, is 7 October, 08:00: what the 7th told of is public from the 8th on
    assert of_congress(*base, trade("A", "Synthetic 2", disclosure_date=date(2025, 10, 6))) == of_congress(*base)
    assert of_congress(*base, trade("A", "Synthetic 2", disclosure_date=date(2025, 10, 7))) != of_congress(*base)


def test_more_buyers_give_a_higher_score():
    found = of_congress(trade("A", "Synthetic 1"), trade("B", "Synthetic 1"), trade("B", "Synthetic 2"), trade("C", "Synthetic 1", "sale"))
    assert found["B"] > found["A"] > found["C"]


@pytest.mark.parametrize(
    "other", [{"days": -1}, {"days": 0.0}, {"days": 90}, {"asset_type": "Stock Option"}, {"transaction": "exchange"}, {"symbol": None}]
)
def test_what_is_not_yet_known_too_old_or_no_trade_in_stock_does_not_count(other: dict):
    base = of_congress(trade("A", "Synthetic 1"))
    found = of_congress(
        trade("A", "Synthetic 1"), {**trade("B", "Synthetic 2"), **trade(**({"symbol": "B", "member": "Synthetic 2"} | other))}
    )
    counted = other == {"days": 0.0}
    assert ("B" in found) is counted
    assert counted or found == base


def test_growing_lobbying_raises_and_shrinking_lowers():
    lobbying = told([spent("UP", 900_000.0, 20), spent("UP", 100_000.0, 200), spent("DOWN", 100_000.0, 20), spent("DOWN", 900_000.0, 200)])
    found = scores(Inputs(congress=None, lobbying=lobbying, contracts=None), ASOF)
    assert found["UP"] > 50.0 > found["DOWN"]
    assert found["UP"] + found["DOWN"] == pytest.approx(100.0, abs=1e-3)


def test_a_companys_own_report_of_a_quarter_includes_what_it_paid_to_firms():
    quarter = {"period_year": 2025, "period": "third_quarter"}
    own = [spent("A", 500_000.0, 20, in_house=True, **quarter), spent("B", 100.0, 20, in_house=False, **quarter)]
    both = [*own, spent("A", 200_000.0, 20, in_house=False, **quarter)]
    first, second = (scores(Inputs(congress=None, lobbying=told(rows), contracts=None), ASOF) for rows in (own, both))
    assert first == second


def test_contracts_count_awards_alone_and_no_de_obligations():
    rows = [spent("A", 5e6, 10, period="award"), spent("B", 5e6, 10, period="quarter"), spent("A", -9e9, 10, period="award")]
    rows += [spent("C", 5e6, 200, period="award"), spent("C", None, 10, period="award")]
    found = scores(Inputs(congress=None, lobbying=None, contracts=told(rows)), ASOF)
    assert set(found) == {"A", "C"}
    assert found["A"] > 50.0 > found["C"]


def test_a_frame_without_the_columns_is_no_input():
    odd = told([{"symbol": "A", "known_at": ASOF}])
    assert scores(Inputs(congress=odd, lobbying=odd, contracts=odd), ASOF) == {}


def test_only_the_companies_asked_for_are_scored():
    trades = told([trade("A", "Synthetic 1"), trade("B", "Synthetic 2", "sale")])
    assert set(scores(Inputs(congress=trades, lobbying=None, contracts=None), ASOF, {"B"})) == {"B"}


def test_the_past_is_scored_on_mondays_on_what_was_known_then():
    trades = told([trade("A", "Synthetic 1", days=20), trade("B", "Synthetic 2", days=3)])
    options = {"backfill": True, "rows:congress_trades": trades}
    rows = [row for batch in insider.compute(NOBODY, ASOF - timedelta(days=21), ASOF, options) for row in batch.rows.to_pylist()]
    assert [(row["score_date"], row["symbol"]) for row in rows] == [
        (date(2025, 12, 22), "A"),
        (date(2025, 12, 29), "A"),
        (date(2026, 1, 5), "A"),
        (date(2026, 1, 5), "B"),
    ]
    assert all(row["known_at"] == datetime.combine(row["score_date"], datetime.min.time(), UTC) + timedelta(hours=11) for row in rows)
    assert {row["origin"] for row in rows} == {"own"}


def test_live_scores_are_of_the_day_and_ranked():
    options = {"rows:congress_trades": told([trade("A", "Synthetic 1", "sale"), trade("B", "Synthetic 2")]), "symbols": ["A", "B"]}
    rows = [row for batch in insider.compute(NOBODY, ASOF - timedelta(days=3), ASOF, options) for row in batch.rows.to_pylist()]
    assert [(row["symbol"], row["rank"], row["score_date"], row["known_at"]) for row in rows] == [
        ("B", 1, date(2026, 1, 5), None),
        ("A", 2, date(2026, 1, 5), None),
    ]


PAGE = Path(__file__).parent / "payloads/quiver_insider_page/normal/page.html"


def test_a_saved_page_is_dated_by_its_name(tmp_path: Path):
    path = tmp_path / "dcinsider 2026-01-06.html"
    path.write_bytes(PAGE.read_bytes())
    rows = [row for batch in insider.load([path]) for row in batch.rows.to_pylist()]
    assert [(row["symbol"], row["known_at"]) for row in rows] == [
        ("LMT", datetime(2026, 1, 7, 5, tzinfo=UTC)),
        ("BRK.B", datetime(2026, 1, 7, 5, tzinfo=UTC)),
    ]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("page.html", PAGE.read_bytes(), "file's name"),
        ("2026-01-06.html", b"<html>nothing</html>", "no table"),
        ("2026-01-06.html", b"<table><tr><th>x</th></tr></table></html>", "headings"),
    ],
)
def test_a_file_of_another_shape_is_refused_saying_what_was_found(tmp_path: Path, name: str, content: bytes, says: str):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BadFile, match=says):
        list(insider.load([path]))
