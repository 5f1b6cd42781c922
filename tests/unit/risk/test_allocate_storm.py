"""Whatever is sick about returns, covariances, assets or settings: an allocation comes out, lawful, with its rung on record."""

import numpy as np
import pandas as pd
import pytest

from risk import limits as caps
from risk.allocate import allocate
from risk.base import RiskLimits
from tests.unit.risk.allocate_storm import RUNGS, SICKNESSES, broken, market, sick_problem, storm


@pytest.mark.parametrize("sickness", SICKNESSES, ids=lambda s: s.__name__)
def test_each_sickness_alone_ends_on_its_rung_and_breaks_no_limit(sickness) -> None:
    reached = set()
    for seed in range(4):
        rng = np.random.default_rng(seed)
        inputs = market(rng, int(rng.integers(2, 9)))
        sickness(rng, inputs)
        result = allocate(**inputs)
        assert broken(result, inputs) == []
        reached.add(result.rung)
    assert reached <= SICKNESSES[sickness], "a rung that this sickness is not known to lead to"


def test_a_storm_of_200_mixed_sicknesses_breaks_no_limit_and_reaches_every_rung() -> None:
    rungs, failures = storm(range(200))
    assert failures == 0
    assert set(rungs) == set(RUNGS)
    assert sum(rungs.values()) == 200


def test_the_storm_notices_a_portfolio_that_breaks_a_limit() -> None:
    """The judge is not blind: results that were tampered with are found out, limit by limit."""
    inputs = market(np.random.default_rng(5), 4)
    inputs["limits"] = RiskLimits(max_symbol_frac=0.05, max_sector_frac=0.15, max_gross_frac=0.3, max_sleeve_frac=0.25)
    result = allocate(**inputs)
    assert broken(result, inputs) == []
    tighter = {
        "symbol": RiskLimits(max_symbol_frac=0.001),
        "sector": RiskLimits(max_sector_frac=0.001),
        "gross": RiskLimits(max_gross_frac=0.001),
        "sleeve": RiskLimits(max_sleeve_frac=0.001),
        "VaR": RiskLimits(max_var95_frac=1e-6),
        "CVaR": RiskLimits(max_cvar95_frac=1e-6),
        "volatility": RiskLimits(target_volatility_frac=1e-6),
        "participation": RiskLimits(max_adv_frac=1e-12),
    }
    for name, limits in tighter.items():
        assert any(problem.startswith(name) for problem in broken(result, inputs | {"limits": limits})), name


@pytest.mark.parametrize("seed", range(3))
def test_the_same_problem_gives_the_same_allocation_bit_for_bit(seed: int) -> None:
    first, second = (allocate(**sick_problem(seed)[0]) for _ in range(2))
    assert first.sleeve_weights.to_numpy().tobytes() == second.sleeve_weights.to_numpy().tobytes()
    assert (first.rung, first.rung_reason) == (second.rung, second.rung_reason)


BROKEN_CAPS = {
    "cap_symbols": RiskLimits(max_symbol_frac=0.001, max_fund_frac=0.001, max_sector_frac=9.0),
    "cap_participation": RiskLimits(max_symbol_frac=1.0, max_adv_frac=1e-12),
    "cap_sectors": RiskLimits(max_sector_frac=0.0001),
    "cap_gross": RiskLimits(max_gross_frac=0.005),
}


@pytest.mark.parametrize("cap", BROKEN_CAPS)
def test_a_cap_that_fails_to_cap_leads_to_cash_never_to_a_broken_limit(monkeypatch: pytest.MonkeyPatch, cap: str) -> None:
    """Every limit is checked again on the finished portfolio: a defect in a cap costs the portfolio, not the limit."""
    inputs = market(np.random.default_rng(3), 5) | {"limits": BROKEN_CAPS[cap]}
    inputs["previous_capital"] = pd.Series(0.2, index=inputs["sleeve_returns"].columns)
    assert (allocate(**inputs).weights != 0).any()
    monkeypatch.setattr(caps, "_CAPS", tuple((n, f) if f.__name__ != cap else (n, lambda w, *_: (w, ())) for n, f in caps._CAPS))
    _assert_all_cash(inputs)


def test_a_tail_that_is_not_capped_leads_to_cash_too(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = market(np.random.default_rng(3), 5) | {"limits": RiskLimits(max_var95_frac=1e-4)}
    inputs["previous_capital"] = pd.Series(0.2, index=inputs["sleeve_returns"].columns)
    monkeypatch.setattr(caps, "_down_to", lambda value, cap: 1.0)
    _assert_all_cash(inputs)


def _assert_all_cash(inputs) -> None:
    result = allocate(**inputs)
    assert (result.weights == 0).all() and result.capital.sum() == 0.0
    assert result.rung == "previous" and result.rung_reason.endswith("; all cash")
    assert all(f"{rung}: " in result.rung_reason for rung in RUNGS) and "over" in result.rung_reason
    assert broken(result, inputs) == []
