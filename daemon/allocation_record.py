"""Why every strategy has the capital it has: the newest recorded allocation, explained from its stored figures alone."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from daemon.store.postgres import Database

FIGURES = ("var95", "cvar95", "volatility", "gross", "turnover")
GIVES: Mapping[str, str] = {
    "full": "risk parity to the blended budgets gives",
    "prior_only": "risk parity without views gives",
    "inverse_volatility": "its inverse volatility gives",
    "equal": "an equal share gives",
}
STEPS: Mapping[str, str] = {
    "planned": "capital that no strategy was planned to have",
    "sleeve": "cap per strategy",
    "ramp": "ramping in",
    "strategies": "cash that the strategies themselves want",
    "symbol": "caps per stock and per fund",
    "adv": "cap by average daily volume",
    "sector": "cap per sector",
    "gross": "cap of gross exposure",
    "target_volatility": "target volatility",
    "tail": "caps of VaR and CVaR",
    "drawdown": "drawdown",
    "turnover": "cap of turnover",
}
"""What each step of the allocation is called where it left something in cash."""
BY_SYMBOL = frozenset({"symbol", "fund", "adv"})
"""Limits of one symbol: there may be dozens, so that they are told after those that matter to the whole account."""
FOREVER = date(9999, 12, 31)
REGIME_SOURCES: Mapping[str, str] = {"hmm": "hidden Markov model"}
PLAIN_DELTA = 0.005
"""A regime that adds less to the risk is told as none: it would be told as 1.00 times."""
SMALL = 5e-6
"""Below this fraction of NAV two figures are told as the same."""


def newest(db: Database, until: date | None = None) -> dict[str, Any] | None:
    """The newest allocation of a session up to `until`, explained; None before the first. Only a few rows are read."""
    row = db.row("allocation_newest", until=until or FOREVER)
    if row is None:
        return None
    invested: dict[str, float] = {}
    for weight in db.rows("verify_sleeve_weights", cycle_id=row["cycle_id"]):
        invested[weight["sleeve"]] = invested.get(weight["sleeve"], 0.0) + abs(weight["weight"])
    return explain(row, invested)


def explain(cycle: Mapping[str, Any], invested: Mapping[str, float]) -> dict[str, Any]:
    """The explanation of a stored cycle that has an allocation, as plain JSON values; fractions are of NAV, null is "not used".

    cycle: the row with its `input` and `allocation`. invested: gross weight by sleeve after every limit. Older records lack some
    figures; what is derived from them is null.
    """
    told, given = cycle["allocation"], cycle["input"]
    limits = given["options"]["limits"]
    return {
        "cycle_id": cycle["cycle_id"],
        "session": cycle["session"].isoformat(),
        "at": cycle["at"].isoformat(),
        "code_version": given["code_version"],
        "reason": told["reason"],
        "nav_usd": told["nav_usd"],
        "state": given["state"],
        "rung": told["rung"],
        "rung_why": _rung_why(told),
        "rungs_failed": [part for part in told["rung_reason"].split("; ") if part],
        "regime": told.get("regime"),
        "regime_delta": told["regime_delta"],
        "regime_why": regime_why(told.get("regime"), told["regime_delta"]),
        "drawdown_frac": told.get("drawdown_frac"),
        "limits": limits,
        "sleeves": [_sleeve(s, told, limits, invested) for s in given["sleeves"]],
        "bound": sorted((dict(b) for b in told["bound"]), key=lambda b: b["limit"] in BY_SYMBOL),
        **{name: told.get(name) for name in FIGURES},
        "forecast": told.get("forecast"),
        "cash_frac": 1.0 - told["gross"],
        "cash_why": cash_parts(told.get("steps", ())),
        "notes": {**told["excluded"]},
        "repairs": list(told.get("repairs", ())),
    }


def cash_parts(steps: Any) -> list[dict[str, Any]]:
    """What each step of an allocation left in cash, in the order of the steps: from all of NAV down to the gross that is invested.

    A negative part is a step after which more is invested: strategies that want leverage, positions that may not be sold at once.
    """
    parts, before = [], 1.0
    for step in steps:
        left = before - step["gross"]
        if abs(left) > SMALL:
            parts.append({"step": step["step"], "why": STEPS.get(step["step"], step["step"]), "frac": left})
        before = step["gross"]
    return parts


def _sleeve(given: Mapping[str, Any], told: Mapping[str, Any], limits: Mapping[str, Any], invested: Mapping[str, float]) -> dict[str, Any]:
    name, cycles = given["name"], given["cycles"]

    def figure(key: str) -> Any:
        return told.get(key, {}).get(name)

    sleeve = {
        "name": name,
        "prior": figure("prior"),
        "view": figure("views"),
        "confidence": figure("confidence"),
        "posterior": figure("posterior"),
        "optimizer_weight": figure("optimizer_weights"),
        "budget": figure("budgets"),
        "planned": figure("planned"),
        "cap": min(limits["max_sleeve_frac"], given.get("max_capital_frac", 1.0)),
        "ramp": figure("ramp"),
        "ramp_session": min(cycles + 1, limits["ramp_sessions"]),
        "ramp_sessions": limits["ramp_sessions"],
        "capital": figure("capital"),
        "invested": invested.get(name, 0.0),
        "excluded": told["excluded"].get(name),
    }
    return {**sleeve, "why": sleeve_why(sleeve, told["rung"])}


def sleeve_why(sleeve: Mapping[str, Any], rung: str) -> str:
    """One sentence: what the rung gave a strategy, what the cap and the ramp left of it, and how much of that is invested."""
    planned, capital = sleeve["planned"], sleeve["capital"]
    if planned is None:
        return f"{_percent(capital)} of NAV; the record does not say what was planned"
    parts = [_given(sleeve, rung)]
    now = min(planned, sleeve["cap"])
    if planned - now > SMALL:
        parts.append(f"capped at {_percent(now)}")
    now, ramped = now * sleeve["ramp"] if rung != "previous" else min(now, sleeve["cap"] * sleeve["ramp"]), now
    if ramped - now > SMALL:
        parts.append(f"{_percent(now)} while ramping in (session {sleeve['ramp_session']} of {sleeve['ramp_sessions']})")
    if abs(capital - now) > SMALL:
        parts.append(f"the cap of turnover lets it go only as far as {_percent(capital)}")
    if len(parts) == 1 and planned > SMALL:
        parts = [f"{parts[0]} and nothing cuts it"]
    return "; ".join([", ".join(parts), *_invested(sleeve["invested"], capital)])


def _invested(invested: float, capital: float) -> list[str]:
    """How much of its capital a strategy has in positions; nothing to say of a strategy without either."""
    if max(invested, capital) <= SMALL:
        return []
    if abs(invested - capital) <= SMALL:
        return ["all of it is invested"]
    if invested <= SMALL:
        return ["all of it is in cash"]
    rest = "the rest is in cash" if invested < capital else "more than its capital"
    return [f"{_percent(invested)} is invested, {rest}"]


def _given(sleeve: Mapping[str, Any], rung: str) -> str:
    nothing = sleeve["planned"] <= SMALL
    planned = "nothing" if nothing else f"{_percent(sleeve['planned'])} of NAV"
    if rung == "previous":
        return "it had nothing to keep" if nothing else f"it keeps the {planned} that it had"
    if sleeve["excluded"] and nothing:
        return f"not optimised ({sleeve['excluded']}), and it wants nothing: it gets nothing"
    if sleeve["excluded"] and rung != "equal":
        return f"not optimised ({sleeve['excluded']}): the equal share gives {planned}"
    return f"{GIVES.get(rung, rung)} {planned}"


def _rung_why(told: Mapping[str, Any]) -> str:
    if told["rung"] == "full":
        return "the highest rung: every step held"
    return f"the rungs above did not hold: {told['rung_reason']}"


def regime_why(regime: Mapping[str, Any] | None, delta: float | None) -> str:
    """How the market's regime weighs on the risk, and where that is known from. delta: what it adds, None where unknown."""
    if delta is None:
        return "the regime is unknown"
    trust = "the past covariance is trusted as it is" if abs(delta) < PLAIN_DELTA else f"the risk counts {1 + delta:.2f} times"
    if regime is None:
        return trust
    chance = "" if regime["probability"] is None else f", turbulent with probability {regime['probability']:.0%}"
    model = f", model {regime['model']}" if regime["model"] else ""
    return f"{trust} ({regime_source(regime['source'])}{chance}{model})"


def regime_source(source: str) -> str:
    """What the source of a regime is called; one that stood in for the model is told as it is recorded."""
    return REGIME_SOURCES.get(source, source)


def _percent(fraction: float | None) -> str:
    """A fraction in percent, with as many decimals as are worth telling."""
    return "unknown" if fraction is None else f"{round(100 * fraction, 2):g}%"
