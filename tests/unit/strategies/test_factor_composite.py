"""The factor composite, on small worlds whose ranks can be counted on the fingers."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from strategies.base import Targets
from strategies.catalog.factor_composite import run
from strategies.conformance.memory import STAMPS, MemoryWorld, prices

ASOF = datetime(2021, 3, 1, 13, 0, tzinfo=UTC)
FRIDAY = "2021-02-26"
NAN = float("nan")
ONLY = {"momentum": 0.0, "value": 0.0, "quality": 0.0, "low_volatility": 0.0}


def path(growth: float, swing: float = 0.01, last_month: float = 0.0) -> list[float]:
    """253 prices around 100 that grow by `growth` before the last month and by `last_month` in it, and swing from day to day."""
    level = [1.0 + growth * min(day / 231, 1.0) + last_month * max(day - 231, 0) / 21 for day in range(253)]
    return [100.0 * (1.0 + (swing if day % 2 else 0.0)) * level[day] for day in range(253)]


def figures(reports: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """Reports of the year 2020 by symbol and concept."""
    rows = []
    for symbol, told in reports.items():
        for concept, value in told.items():
            start = date(2020, 1, 1) if concept in ("net_income", "operating_cash_flow") else None
            cells = {"symbol": symbol, "cik": symbol, "concept": concept, "value": value, "period_start": start, "form": "10-K"}
            cells |= {"unit": "shares" if concept == "shares_outstanding" else "USD", "period_end": date(2020, 12, 31)}
            stamps = {"row_key": f"{symbol}/{concept}", "event_at": ASOF - timedelta(days=60), "known_at": ASOF - timedelta(days=20)}
            rows.append({**cells, "filed": date(2021, 2, 8), **stamps})
    return pd.DataFrame(rows) if rows else nothing()


def nothing() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype="object" if name == "row_key" else "datetime64[us, UTC]") for name in STAMPS})


def world(
    paths: Mapping[str, Sequence[float]],
    reports: Mapping[str, Mapping[str, float]] | None = None,
    sectors: Mapping[str, str] | None = None,
    **parts: Any,
) -> MemoryWorld:
    closes = prices(paths, FRIDAY)
    members = {"sp500": [(symbol, ASOF - timedelta(days=1)) for symbol in paths], "sp400": [], "sp600": []}
    events = {"fundamentals": figures(reports or {}), "corporate_actions": nothing()}
    given = {"closes": closes, "adj_closes": closes, "members": members, "events": events, "sectors": dict(sectors or {})}
    return MemoryWorld(**{**given, **parts})


def want(of: MemoryWorld, **params: Any) -> Targets:
    return run(of.at(ASOF), **params)


FOUR = {"A": path(0.4), "B": path(0.3), "C": path(0.2), "D": path(0.1)}


def test_the_score_is_the_centred_rank_and_only_positive_ones_are_held() -> None:
    """Four names have the ranks 1, 3/4, 1/2, 1/4, whose mean is 5/8."""
    targets = want(world(FOUR), **ONLY | {"momentum": 2.0})
    assert targets.scores.to_dict() == pytest.approx({"A": 3 / 8, "B": 1 / 8})
    assert targets.weights.to_dict() == pytest.approx({"A": 0.1, "B": 0.1})


def test_momentum_leaves_the_last_month_out() -> None:
    paths = {"SOON": path(0.4, last_month=-0.3), "LATE": path(0.1, last_month=0.6)}
    assert list(want(world(paths), **ONLY | {"momentum": 1.0}).weights.index) == ["SOON"]


def test_low_volatility_prefers_the_quiet() -> None:
    paths = {"LOUD": path(0.4, swing=0.05), "QUIET": path(0.1, swing=0.01), "MILD": path(0.1, swing=0.02)}
    targets = want(world(paths), **ONLY | {"low_volatility": 1.0})
    assert targets.scores.to_dict() == pytest.approx({"QUIET": 1 / 3})


def report(income: float, equity: float, cash: float = 10.0, shares: float = 100.0) -> dict[str, float]:
    return {"net_income": income, "equity": equity, "operating_cash_flow": cash, "assets": 1000.0, "shares_outstanding": shares}


def test_value_is_the_mean_rank_of_earnings_and_book_to_price() -> None:
    """All cost the same. Earnings rank A, B, C and book C, A, B: centred 1/3, 0, -1/3 and 0, -1/3, 1/3."""
    reports = {"A": report(30.0, 200.0), "B": report(20.0, 100.0), "C": report(10.0, 300.0)}
    targets = want(world({name: path(0.1) for name in "ABC"}, reports), **ONLY | {"value": 1.0})
    assert targets.scores.to_dict() == pytest.approx({"A": 1 / 6})
    parts = {(row.dataset, row.row_key): row.contribution for row in targets.evidence.itertuples()}
    third = 1 / 6 / 2 / 3
    assert parts == pytest.approx(
        {
            ("fundamentals", "A/net_income"): third,
            ("fundamentals", "A/equity"): third,
            ("fundamentals", "A/shares_outstanding"): 2 * third,
            ("bars_daily", f"A@{FRIDAY}"): 2 * third,
        }
    )


def test_more_shares_at_the_same_price_make_a_company_dearer() -> None:
    reports = {"FEW": report(30.0, 200.0, shares=100.0), "MANY": report(30.0, 200.0, shares=200.0)}
    assert list(want(world({name: path(0.1) for name in reports}, reports), **ONLY | {"value": 1.0}).weights.index) == ["FEW"]


def test_quality_is_the_return_on_equity_and_the_cash_on_assets() -> None:
    """Return on equity 0.1, 0.2, 0.3; cash on assets 0.3, 0.02, 0.01: the mean of the centred ranks is 0, 0, 0 but for C's debts."""
    reports = {"A": report(10.0, 100.0, 300.0), "B": report(20.0, 100.0, 20.0), "C": report(30.0, -100.0, 10.0)}
    targets = want(world({name: path(0.1) for name in "ABC"}, reports), **ONLY | {"quality": 1.0})
    assert targets.scores.to_dict() == pytest.approx({"B": (1 / 4 + 0.0) / 2, "A": (-1 / 4 + 1 / 3) / 2})


def test_a_name_without_reports_is_neutral_in_what_they_tell() -> None:
    """A is the cheapest of three; of D nothing is reported, and its momentum is the best of four."""
    reports = {"A": report(30.0, 300.0), "B": report(20.0, 200.0), "C": report(10.0, 100.0)}
    paths = {"A": path(0.1), "B": path(0.2), "C": path(0.3), "D": path(0.4)}
    targets = want(world(paths, reports), **ONLY | {"value": 1.0, "momentum": 1.0})
    assert targets.scores["D"] == pytest.approx((3 / 8 + 0.0) / 2)
    assert "fundamentals" not in set(targets.evidence.loc[targets.evidence["symbol"] == "D", "dataset"])


def test_a_factor_known_of_fewer_than_half_of_the_names_is_left_out_and_said() -> None:
    targets = want(world(FOUR, {"D": report(30.0, 300.0)}), **ONLY | {"value": 3.0, "momentum": 1.0})
    assert targets.scores.to_dict() == pytest.approx({"A": 3 / 8, "B": 1 / 8})
    assert targets.skipped["value"] == "known of 1 of 4 names, fewer than half: the factor is left out"


def test_no_more_of_a_sector_than_its_cap_is_held() -> None:
    paths = {name: path(0.5 - 0.05 * place) for place, name in enumerate("ABCDEFGH")}
    sectors = dict.fromkeys("ABC", "Energy") | dict.fromkeys("DEFGH", "Utilities")
    targets = want(world(paths, sectors=sectors), top=5, max_sector_frac=0.4, **ONLY | {"momentum": 1.0})
    assert list(targets.weights.index) == ["A", "B", "D"]
    assert targets.skipped["C"] == "2 names of the sector Energy are held already"


def test_sectors_are_filtered_and_misspelt_ones_named() -> None:
    sectors = {"A": "Energy", "B": "Utilities", "C": "Energy"}
    momentum = ONLY | {"momentum": 1.0}
    assert list(want(world(FOUR, sectors=sectors), include_sectors="energy", **momentum).weights.index) == ["A"]
    targets = want(world(FOUR, sectors=sectors), exclude_sectors="Energy; Enrgy", **momentum)
    assert targets.skipped == {
        "A": "the sector Energy is filtered out",
        "C": "the sector Energy is filtered out",
        "D": "its sector is not known, and sectors are filtered",
        "Enrgy": "no company is known to be in a sector of this name",
        "sp400": "no members of the index are known",
        "sp600": "no members of the index are known",
    }


def test_a_name_must_trade_enough_for_the_capital() -> None:
    """30 names share 3 million; at most 1 % of the median day is 10 million a day, and A trades less than a tenth of that."""
    closes = prices(FOUR, FRIDAY)
    volumes = closes * 0.0 + 200_000.0
    volumes["A"] = 9_000.0
    targets = want(world(FOUR, volumes=volumes), capital_usd=3e6, **ONLY | {"momentum": 1.0})
    assert "less than 10,000,000 USD" in targets.skipped["A"]
    assert list(want(world(FOUR, volumes=volumes), capital_usd=1e5, **ONLY | {"momentum": 1.0}).weights.index) == ["A", "B"]


def test_a_cheap_share_is_not_held() -> None:
    paths = FOUR | {"PENNY": [price * 0.01 for price in path(0.9)]}
    assert "below 5.00 USD" in want(world(paths)).skipped["PENNY"]


def test_the_risk_level_moves_the_weight_of_low_volatility_and_the_cash() -> None:
    """Momentum and calm disagree about two names: at the low level calm counts two thirds, at the high level nothing."""
    paths = {"FAST": path(0.4, swing=0.05), "CALM": path(0.1, swing=0.01)}
    both = ONLY | {"momentum": 1.0, "low_volatility": 1.0}
    low, high = (want(world(paths), risk_level=level, top=5, **both) for level in ("low", "high"))
    assert low.scores.to_dict() == pytest.approx({"CALM": 2 / 3 * 1 / 4 - 1 / 3 * 1 / 4})
    assert low.weights.to_dict() == pytest.approx({"CALM": 0.7 / 5})
    assert high.scores.to_dict() == pytest.approx({"FAST": 1 / 4})
    assert high.weights.to_dict() == pytest.approx({"FAST": 1 / 5})


def test_indices_that_were_never_imported_say_so() -> None:
    indices = ("sp500", "sp400", "sp600")
    targets = want(world(FOUR, members={index: [] for index in indices}))
    assert targets.skipped == dict.fromkeys(indices, "no members of the index are known")
