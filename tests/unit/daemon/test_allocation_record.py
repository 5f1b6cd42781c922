"""An allocation explains itself: from stored figures to one plain sentence per strategy, the rung, the regime and the cash."""

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from rich.console import Console

from daemon.allocation_record import cash_parts, explain, sleeve_why
from daemon.allocation_text import render
from daemon.allocation_verbs import printed

LIMITS = {"max_sleeve_frac": 0.25, "ramp_sessions": 10}
SLEEVE = {
    "planned": 0.31,
    "cap": 0.25,
    "ramp": 0.3,
    "ramp_session": 3,
    "ramp_sessions": 10,
    "capital": 0.075,
    "invested": 0.06,
    "excluded": None,
}


def why(rung: str = "full", **changes: Any) -> str:
    return sleeve_why(SLEEVE | changes, rung)


def test_a_capped_and_ramping_strategy_is_told_step_by_step() -> None:
    assert why() == (
        "risk parity to the blended budgets gives 31% of NAV, capped at 25%, 7.5% while ramping in (session 3 of 10); "
        "6% is invested, the rest is in cash"
    )


@pytest.mark.parametrize(
    ("rung", "changes", "sentence"),
    [
        (
            "full",
            {"planned": 0.2, "ramp": 1.0, "capital": 0.2},
            "risk parity to the blended budgets gives 20% of NAV and nothing cuts it; ",
        ),
        ("prior_only", {"ramp": 1.0, "capital": 0.25}, "risk parity without views gives 31% of NAV, capped at 25%; "),
        (
            "inverse_volatility",
            {"planned": 0.1, "ramp": 1.0, "capital": 0.1},
            "its inverse volatility gives 10% of NAV and nothing cuts it; ",
        ),
        ("equal", {"planned": 0.2, "ramp": 1.0, "capital": 0.2}, "an equal share gives 20% of NAV and nothing cuts it; "),
        ("previous", {"planned": 0.2, "ramp": 1.0, "capital": 0.2}, "it keeps the 20% of NAV that it had and nothing cuts it; "),
        ("previous", {"planned": 0.0, "capital": 0.0, "invested": 0.0}, "it had nothing to keep"),
        (
            "full",
            {"planned": 0.2, "ramp": 1.0, "capital": 0.2, "excluded": "short history: 7 of 20 sessions"},
            "not optimised (short history: 7 of 20 sessions): the equal share gives 20% of NAV and nothing cuts it; ",
        ),
        (
            "full",
            {"planned": 0.2, "ramp": 1.0, "capital": 0.12},
            "risk parity to the blended budgets gives 20% of NAV, the cap of turnover lets it go only as far as 12%; ",
        ),
        ("full", {"planned": None}, "7.5% of NAV; the record does not say what was planned"),
    ],
)
def test_each_way_to_come_by_capital_has_its_own_words(rung: str, changes: dict[str, Any], sentence: str) -> None:
    assert why(rung, **changes).startswith(sentence)


@pytest.mark.parametrize(
    ("capital", "invested", "end"),
    [
        (0.2, 0.2, "; all of it is invested"),
        (0.2, 0.0, "; all of it is in cash"),
        (0.2, 0.15, "; 15% is invested, the rest is in cash"),
        (0.2, 0.3, "; 30% is invested, more than its capital"),
        (0.0, 0.0, "gives nothing"),
    ],
)
def test_what_is_invested_is_told_beside_the_capital_and_not_at_all_without_either(capital: float, invested: float, end: str) -> None:
    assert why(planned=capital, capital=capital, invested=invested, ramp=1.0).endswith(end)


def test_a_regime_that_adds_less_than_is_shown_is_told_as_none() -> None:
    regime = {"delta": 0.0007, "probability": 0.0004, "source": "hmm", "model": "regime-1"}
    told = explain(cycle(regime=regime, regime_delta=0.0007), {})["regime_why"]
    assert told == "the past covariance is trusted as it is (hidden Markov model, turbulent with probability 0%, model regime-1)"


def test_cash_is_told_by_the_step_that_left_it_and_the_parts_sum_to_all_of_it() -> None:
    steps = [("planned", 1.0), ("sleeve", 0.8), ("ramp", 0.5), ("strategies", 0.55), ("symbol", 0.55), ("tail", 0.4)]
    parts = cash_parts([{"step": step, "gross": gross} for step, gross in steps])
    assert [(p["step"], pytest.approx(p["frac"])) for p in parts] == [("sleeve", 0.2), ("ramp", 0.3), ("strategies", -0.05), ("tail", 0.15)]
    assert sum(p["frac"] for p in parts) == pytest.approx(0.6)


def cycle(**changes: Any) -> dict[str, Any]:
    """A stored cycle with two strategies, one of them without a track record."""

    def both(a: float | None, b: float | None) -> dict[str, float | None]:
        return {"alpha": a, "beta[x]": b}

    allocation = {
        "reason": "due: alpha", "nav_usd": "100000.50", "capital": both(0.25, 0.05), "planned": both(0.5, 0.5), "ramp": both(1.0, 0.2),
        "prior": both(0.04, None), "views": both(0.06, None), "confidence": both(0.5, None), "posterior": both(0.05, None),
        "optimizer_weights": both(1.0, 0.0), "budgets": both(1.0, 0.0), "weights": {"AAA": 0.05}, "var95": 0.01, "cvar95": 0.015,
        "volatility": 0.12, "gross": 0.2, "turnover": 0.1, "regime_delta": 0.5, "drawdown_frac": 0.02, "rung": "full", "rung_reason": "",
        "bound": [{"limit": "symbol", "subject": "AAA", "before": 0.1, "after": 0.05}], "repairs": [],
        "steps": [{"step": "planned", "gross": 1.0}, {"step": "sleeve", "gross": 0.5}, {"step": "ramp", "gross": 0.3},
                  {"step": "strategies", "gross": 0.3}, {"step": "symbol", "gross": 0.2}],
        "excluded": {"beta[x]": "short history: 3 of 20 sessions"},
        "regime": {"delta": 0.5, "probability": 0.8, "source": "hmm", "model": "regime-1"},
        "forecast": {"var95": 0.009, "cvar95": 0.014, "var99": 0.02, "volatility": 0.006, "n_sessions": 252},
    }  # fmt: skip
    given = {
        "options": {"limits": LIMITS}, "code_version": "v", "state": "ACTIVE",
        "sleeves": [{"name": "alpha", "cycles": 30}, {"name": "beta[x]", "cycles": 1}],
    }  # fmt: skip
    return {
        "cycle_id": "20240214", "session": date(2024, 2, 14), "at": datetime(2024, 2, 14, 14, tzinfo=UTC),
        "input": given, "allocation": allocation | changes,
    }  # fmt: skip


def text(told: dict[str, Any]) -> str:
    console = Console(width=240, color_system=None)
    with console.capture() as captured:
        console.print(render(told))
    return captured.get()


def test_the_explanation_is_strict_json_with_every_figure_of_every_strategy() -> None:
    told = json.loads(json.dumps(explain(cycle(), {"alpha": 0.2}), allow_nan=False))
    alpha, beta = told["sleeves"]
    assert alpha == {
        "name": "alpha", "prior": 0.04, "view": 0.06, "confidence": 0.5, "posterior": 0.05, "optimizer_weight": 1.0, "budget": 1.0,
        "planned": 0.5, "cap": 0.25, "ramp": 1.0, "ramp_session": 10, "ramp_sessions": 10, "capital": 0.25, "invested": 0.2,
        "excluded": None,
        "why": "risk parity to the blended budgets gives 50% of NAV, capped at 25%; 20% is invested, the rest is in cash",
    }  # fmt: skip
    assert beta["why"] == (
        "not optimised (short history: 3 of 20 sessions): the equal share gives 50% of NAV, capped at 25%, "
        "5% while ramping in (session 2 of 10); all of it is in cash"
    )
    assert told["cash_frac"] == 0.8 and sum(p["frac"] for p in told["cash_why"]) == pytest.approx(0.8)
    assert told["rung_why"] == "the highest rung: every step held"
    assert told["regime_why"] == "the risk counts 1.50 times (hidden Markov model, turbulent with probability 80%, model regime-1)"


def test_a_lower_rung_says_what_broke_each_one_above_it() -> None:
    told = explain(cycle(rung="equal", rung_reason="full: BadInput: no track record; prior_only: BadInput: none"), {})
    assert told["rungs_failed"] == ["full: BadInput: no track record", "prior_only: BadInput: none"]
    assert "no track record" in text(told)


def test_the_text_has_every_strategy_the_limits_that_bound_and_where_the_cash_comes_from() -> None:
    shown = text(explain(cycle(), {"alpha": 0.2}))
    for part in (
        "Allocation of session 2024-02-14, decided 2024-02-14 14:00: due: alpha", "NAV 100,000.50 USD", "Rung full",
        "alpha: risk parity to the blended budgets gives 50% of NAV, capped at 25%", "beta[x]: not optimised", "Drawdown 2.0%",
        "symbol", "AAA", "10.00%", "5.00%", "VaR 95% 1.00%", "volatility a year 12.00%",
        "Forecast for the session after its orders: VaR 95% 0.90%, VaR 99% 2.00%, CVaR 95% 1.40%, from 252 sessions",
        "Not invested: 80.00% of NAV (cap per strategy 50.00%, ramping in 20.00%, caps per stock and per fund 10.00%)",
    ):  # fmt: skip
        assert part in shown, part


def test_a_record_of_before_the_newer_figures_is_still_explained() -> None:
    row = cycle()
    for name in ("planned", "ramp", "steps", "volatility", "turnover", "regime", "forecast", "repairs", "drawdown_frac"):
        del row["allocation"][name]
    told = explain(row, {"alpha": 0.2})
    assert told["sleeves"][0]["why"] == "25% of NAV; the record does not say what was planned"
    assert "Not invested: 80.00% of NAV\n" in text(told).replace(" \n", "\n")


def test_many_bound_limits_are_shown_in_part_and_the_rest_is_counted() -> None:
    many = [{"limit": "symbol", "subject": f"S{i}", "before": 0.1, "after": 0.05} for i in range(25)]
    shown = text(explain(cycle(bound=many), {}))
    assert "S19" in shown and "S20" not in shown and "5 more, see --json" in shown


def test_limits_of_single_symbols_are_told_after_those_of_the_whole_account() -> None:
    bound = [{"limit": limit, "subject": "x", "before": 0.1, "after": 0.05} for limit in ("sleeve", "symbol", "adv", "tail", "turnover")]
    assert [b["limit"] for b in explain(cycle(bound=bound), {})["bound"]] == ["sleeve", "tail", "turnover", "symbol", "adv"]


def test_a_turnover_beyond_its_cap_says_that_other_limits_forced_it() -> None:
    limits = {"limits": LIMITS | {"max_turnover_frac": 0.05}}
    row = cycle()
    row["input"]["options"] = limits
    assert "turnover 10.00%, beyond its cap of 5.00% because other limits forced sales" in text(explain(row, {}))
    row["input"]["options"] = {"limits": LIMITS | {"max_turnover_frac": 0.1}}
    assert "beyond its cap" not in text(explain(row, {}))


def test_tables_fit_a_terminal_of_eighty_columns_with_every_figure() -> None:
    row = cycle()
    for figures in row["allocation"].values():
        if isinstance(figures, dict) and "alpha" in figures:
            figures["sector_risk_parity_momentum"] = figures.pop("alpha")
    row["input"]["sleeves"][0]["name"] = "sector_risk_parity_momentum"
    console = Console(width=80, color_system=None)
    with console.capture() as captured:
        console.print(render(explain(row, {})))
    lines = [line.split() for line in captured.get().splitlines()]
    assert ["sector_risk_parity_momentum", "4.00%", "6.00%", "50.00%", "5.00%", "100.00%"] in lines
    assert ["sector_risk_parity_momentum", "100.00%", "50.00%", "25.00%", "100.00%", "25.00%"] in lines


def test_the_verb_says_when_there_is_no_allocation_yet_and_else_prints_it_whole(capsys: pytest.CaptureFixture[str]) -> None:
    printed(None, until=None, as_json=False, is_sandbox=True)
    assert capsys.readouterr().out == "SANDBOX SYNTHETIC\nno allocation yet: the first cycle with a due strategy makes one\n"
    printed(None, until=date(2024, 2, 1), as_json=False, is_sandbox=False)
    assert capsys.readouterr().out == "no allocation of a session up to 2024-02-01\n"
    printed(None, until=None, as_json=True, is_sandbox=False)
    assert json.loads(capsys.readouterr().out) == {"sandbox": False, "allocation": None}
    told = explain(cycle(), {"alpha": 0.2})
    printed(told, until=None, as_json=True, is_sandbox=True)
    assert json.loads(capsys.readouterr().out) == {"sandbox": True, "allocation": told}
    printed(told, until=None, as_json=False, is_sandbox=False)
    assert "beta[x]: not optimised" in capsys.readouterr().out
