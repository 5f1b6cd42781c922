"""Direct indexing, on an index of eight: what is tracked, what is left out, and what taxes change."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from strategies.base import Targets
from strategies.catalog.direct_index import run
from strategies.conformance.memory import STAMPS, MemoryWorld, prices

ASOF = datetime(2021, 2, 1, 13, 0, tzinfo=UTC)
FRIDAY = "2021-01-29"
EIGHT = tuple("ABCDEFGH")
SHARES = dict(zip(EIGHT, (30.0, 20.0, 15.0, 10.0, 9.0, 7.0, 5.0, 4.0), strict=True))
"""They sum to 100, and every price is 50: B's fifth of the index is its 20 shares."""
Lot = tuple[str, str, float, float]


def paths(names: Iterable[str] = EIGHT) -> dict[str, list[float]]:
    """253 prices that share a market, the last one 50."""
    rng = np.random.default_rng(3)
    market = rng.normal(0.0, 0.01, (252, 1))
    listed = list(names)
    levels = np.vstack([np.ones(len(listed)), np.cumprod(1.0 + market + rng.normal(0.0, 0.01, (252, len(listed))), axis=0)])
    return dict(zip(listed, (50.0 * levels / levels[-1]).T.tolist(), strict=True))


def nothing() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype="object" if name == "row_key" else "datetime64[us, UTC]") for name in STAMPS})


def reports(shares: Mapping[str, float], ciks: Mapping[str, str] | None = None) -> pd.DataFrame:
    rows = [
        {
            "row_key": f"{symbol}/shares",
            "symbol": symbol,
            "cik": (ciks or {}).get(symbol, symbol),
            "concept": "shares_outstanding",
            "unit": "shares",
            "period_start": None,
            "period_end": date(2020, 12, 31),
            "value": count,
            "form": "10-K",
            "filed": date(2021, 1, 20),
            "event_at": ASOF - timedelta(days=32),
            "known_at": ASOF - timedelta(days=11),
        }
        for symbol, count in shares.items()
    ]
    return pd.DataFrame(rows) if rows else nothing()


def world(
    of: Mapping[str, Sequence[float]] | None = None, shares: Mapping[str, float] | None = None, end: str = FRIDAY, **parts: Any
) -> MemoryWorld:
    closes = prices(of or paths(), end)
    members = [(symbol, ASOF - timedelta(days=500)) for symbol in closes.columns if symbol != "SPY"]
    events = {"fundamentals": reports(SHARES if shares is None else shares), "corporate_actions": nothing()}
    given = {"closes": closes, "adj_closes": closes, "members": {"sp500": members}, "events": events, "sectors": {}}
    return MemoryWorld(**{**given, **parts})


def want(of: MemoryWorld, at: datetime = ASOF, **params: Any) -> Targets:
    return run(of.at(at), **{"max_weight": 1.0, **params})


def owning(lots: Sequence[Lot], weights: Mapping[str, float] | None = None, **parts: Any) -> MemoryWorld:
    """A sleeve of 10,000 USD with these lots (symbol, day, fraction of the sleeve, basis as a fraction of their value)."""
    held = dict(weights or {})
    for symbol, _, part, _ in lots:
        held[symbol] = held.get(symbol, 0.0) + part
    rest = 1.0 - sum(held.values())
    held["ELSEWHERE"] = rest
    holdings = pd.DataFrame({"qty": [200.0 * part for part in held.values()], "market_value_usd": [10_000.0 * w for w in held.values()]})
    holdings.index = pd.Index(list(held), dtype=object)
    frame = pd.DataFrame(
        {
            "symbol": [lot[0] for lot in lots],
            "acquired_at": [datetime.fromisoformat(f"{lot[1]}T14:30:00+00:00") for lot in lots],
            "qty": [200.0 * lot[2] for lot in lots],
            "basis_usd": [10_000.0 * lot[2] * lot[3] for lot in lots],
        }
    )
    return world(**{"holdings": holdings, "lots": frame, **parts})


def test_without_wishes_the_index_itself_is_held() -> None:
    weights = want(world()).weights
    assert weights.to_dict() == pytest.approx({symbol: count / 100.0 for symbol, count in SHARES.items()})
    assert list(weights.index) == list(EIGHT)


def test_evidence_is_the_report_for_the_part_in_the_index_and_the_newest_bar_for_the_rest() -> None:
    targets = want(world(), exclude_tickers="a")
    parts = {(row.row_key, row.symbol): row.contribution for row in targets.evidence.itertuples()}
    assert parts["B/shares", "B"] == pytest.approx(0.20)
    assert parts[f"B@{FRIDAY}", "B"] == pytest.approx(targets.weights["B"] - 0.20)
    assert targets.skipped == {"A": "excluded by name"}


def test_the_twin_of_an_excluded_company_takes_its_place() -> None:
    of = paths()
    wobble = np.random.default_rng(8).normal(0.0, 1e-3, 253)
    of["H"] = (np.array(of["A"]) * (1.0 + wobble - wobble[-1])).tolist()
    weights = want(world(of), exclude_tickers="A").weights
    assert weights["H"] == pytest.approx(0.30 + 0.04, abs=0.04)
    assert weights["B"] == pytest.approx(0.20, abs=0.02)


def test_excluded_sectors_and_companies_whose_sector_is_unknown_are_not_held() -> None:
    sectors = dict.fromkeys("ABC", "Energy") | dict.fromkeys("DEFG", "Utilities")
    targets = want(world(sectors=sectors), exclude_sectors="energy")
    assert set(targets.weights.index) == set("DEFG")
    assert targets.weights.sum() == pytest.approx(1.0)
    assert targets.skipped["H"] == "its sector is not known, and sectors are filtered"


def test_where_too_few_capitalisations_are_known_the_fund_is_tracked() -> None:
    """SPY holds C and F alone, at equal weights a day."""
    of = paths()
    returns = [np.diff(of[name]) / np.array(of[name])[:-1] for name in "CF"]
    level = np.cumprod(1.0 + np.mean(returns, axis=0))
    of["SPY"] = [1.0, *level.tolist()]
    targets = want(world(of, shares={"A": 30.0}))
    assert list(targets.weights.index[:2]) in (["C", "F"], ["F", "C"])
    assert targets.weights[["C", "F"]].sum() > 0.8
    assert targets.skipped == {"capitalisation": "known of 1 of 8 members, fewer than 90%: the fund SPY is the benchmark"}
    assert set(targets.evidence["dataset"]) == {"bars_daily"}


def test_without_capitalisations_and_fund_all_members_count_alike() -> None:
    targets = want(world(shares={}))
    assert targets.weights.to_dict() == pytest.approx(dict.fromkeys(EIGHT, 1 / 8))
    assert targets.skipped["capitalisation"].endswith("SPY has no prices: members count alike")


def test_a_member_without_a_report_is_left_out_of_an_index_by_capitalisation() -> None:
    of = paths([*EIGHT, "I", "J"])
    targets = want(world(of, shares={**SHARES, "I": 10.0}))
    assert targets.skipped == {"J": "its shares outstanding are not known"}
    assert targets.weights["A"] == pytest.approx(30.0 / 110.0)


def test_two_classes_of_one_company_count_it_once() -> None:
    """A and B report the same 30 shares: the company has 30 of the 80."""
    shares = SHARES | {"B": 30.0}
    events = {"fundamentals": reports(shares, {"A": "one", "B": "one"}), "corporate_actions": nothing()}
    weights = want(world(events=events)).weights
    assert weights[["A", "B"]].tolist() == pytest.approx([15.0 / 80.0, 15.0 / 80.0])


def test_no_name_is_above_its_cap_and_too_few_names_leave_cash() -> None:
    assert want(world(), max_weight=0.2).weights.max() <= 0.2
    sectors = dict.fromkeys("ABCDEF", "Energy") | dict.fromkeys("GH", "Utilities")
    few = want(world(sectors=sectors), max_weight=0.3, exclude_sectors="Energy")
    assert few.weights.to_dict() == pytest.approx({"G": 0.3, "H": 0.3})


def test_the_heaviest_names_are_held_and_those_of_last_time_have_precedence() -> None:
    assert set(want(world(), max_names=4).weights.index) == set("ABCD")
    assert set(want(world(previous={"E": 0.1, "F": 0.1, "G": 0.1}), max_names=4).weights.index) == set("ABEF")


def test_short_term_gains_are_deferred_within_the_band() -> None:
    """B is a fifth of the index; half of the sleeve is B with a young gain, of which the band keeps two hundredths."""
    weights = want(owning([("B", "2020-11-02", 0.5, 0.5)]), defer_band=0.02).weights
    assert weights["B"] == pytest.approx(0.22)
    assert weights.sum() == pytest.approx(1.0)


def test_a_young_gain_within_the_band_is_not_sold_at_all() -> None:
    assert want(owning([("B", "2020-11-02", 0.21, 0.5)]), defer_band=0.02).weights["B"] == pytest.approx(0.21)


def test_old_gains_and_young_losses_are_not_deferred() -> None:
    """At the default, losses of a tenth are realised: a loss of five hundredths is neither realised nor deferred."""
    for lot in (("B", "2020-01-31", 0.5, 0.5), ("B", "2020-11-02", 0.5, 1.05)):
        assert want(owning([lot]), defer_band=0.02).weights["B"] == pytest.approx(0.20)


def test_a_deferred_gain_is_sold_when_the_client_excludes_the_company() -> None:
    assert "B" not in want(owning([("B", "2020-11-02", 0.5, 0.5)]), exclude_tickers="B").weights


def test_a_name_with_a_young_gain_is_kept_where_the_heaviest_would_be() -> None:
    weights = want(owning([("H", "2020-11-02", 0.1, 0.5)]), max_names=4, defer_band=0.01).weights
    assert set(weights.index) == set("ABCH")


def test_losses_are_realised_and_the_rest_of_the_index_takes_over() -> None:
    targets = want(owning([("B", "2020-11-02", 0.2, 1.25)]))
    assert targets.skipped["B"] == "sold to realise a loss of 20.0%"
    assert "B" not in targets.weights and targets.weights.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("params", [{"harvest_loss_frac": 0.21}, {"harvest_loss_frac": 1.0}])
def test_smaller_losses_are_not_realised(params: dict[str, float]) -> None:
    assert want(owning([("B", "2020-11-02", 0.2, 1.25)]), **params).weights["B"] == pytest.approx(0.20)


def test_a_loss_is_not_realised_within_thirty_days_of_a_purchase() -> None:
    """30 days before the first of February is the second of January."""
    for day, held in (("2021-01-02", True), ("2021-01-01", False)):
        lots = [("B", "2020-11-02", 0.1, 1.25), ("B", day, 0.1, 1.25)]
        assert ("B" in want(owning(lots)).weights) is held


def test_what_may_have_been_sold_within_thirty_days_is_not_bought_back() -> None:
    """From the first of February to the first of March are 28 days, from the first of January to that of February 31."""
    previous = {symbol: 0.1 for symbol in EIGHT if symbol not in "BC"}
    lots = [("A", "2020-01-06", 0.3, 0.9), ("C", "2020-01-06", 0.15, 0.9)]
    march = want(owning(lots, previous=previous, end="2021-02-26"), at=datetime(2021, 3, 1, 13, 0, tzinfo=UTC))
    assert "B" not in march.weights and "C" in march.weights
    assert march.skipped["B"] == "may have been sold at a loss within 30 days: it was neither held nor wanted"
    assert want(owning(lots, previous=previous)).weights["B"] == pytest.approx(0.20)


def test_an_index_that_was_never_imported_says_so() -> None:
    assert want(world(members={"sp500": []})).skipped == {"sp500": "no members of the index are known"}
