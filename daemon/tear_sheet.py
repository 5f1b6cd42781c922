"""A strategy on one page: what its replay amounts to, month by month, what it held and what it cost."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any, Final

import numpy as np
import pandas as pd

from daemon import report_tables as tables
from daemon.report_data import finite
from daemon.report_result import ReplayResult

TOP: Final = 5
INVESTED: Final = 0.01
"""Gross exposure above which a session counts as invested."""
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
FIGURES: Final[Mapping[str, tuple[str, str]]] = {
    "total_return": ("total return", "percent"),
    "cagr": ("CAGR", "percent"),
    "volatility": ("volatility", "percent"),
    "sharpe": ("Sharpe", "number"),
    "sortino": ("Sortino", "number"),
    "max_drawdown": ("max drawdown", "percent"),
}
OWN_FIGURES: Final[Mapping[str, tuple[str, str]]] = {
    "alpha": ("alpha, annual", "percent"),
    "beta": ("beta", "number"),
    "hit_rate": ("sessions with a gain", "percent"),
    "hit_rate_months": ("months with a gain", "percent"),
    "gross_mean": ("gross exposure, mean", "percent"),
    "net_mean": ("net exposure, mean", "percent"),
    "invested": ("sessions invested", "percent"),
    "names_mean": ("names held, mean", "number"),
    "turnover_annual": ("turnover a year, NAVs", "number"),
    "cost_annual_frac": ("costs a year", "percent"),
    "cost_usd": ("costs, USD", "number"),
}


def tear_sheet(result: ReplayResult, summary: Mapping[str, Any], weights: Mapping[date, Mapping[str, float]]) -> dict[str, Any]:
    """Plain values. summary: of `report.summarize`. weights: by session after its close, signed fractions of the book's NAV.

    hit_rate is the share of gains among the sessions on which something was earned or lost; `invested` the share of sessions with a
    gross exposure above INVESTED. What is undefined is None.
    """
    returns = tables.nav_returns(result.nav)
    years = tables.years(result.nav)
    moved = returns[returns != 0.0]
    months = [(f"{y.year}-{i + 1:02d}", m) for y in years for i, m in enumerate(y.months) if math.isfinite(m)]
    gross = result.nav["gross"].to_numpy(dtype=np.float64)
    named = ("sandbox", "start", "end", "sessions", "orders", "fills", "nav_start_usd", "nav_end_usd", "benchmark")
    figures = (*FIGURES, *(f"benchmark_{name}" for name in FIGURES), "alpha", "beta", "turnover_annual", "cost_usd", "cost_annual_frac")
    return {
        **{name: summary[name] for name in named},
        **{name: finite(float(summary[name])) for name in figures},
        "hit_rate": _share(moved.to_numpy() > 0.0),
        "hit_rate_months": _share(np.array([m > 0.0 for _, m in months if m])),
        "best_month": _month(max(months, key=lambda m: m[1], default=None)),
        "worst_month": _month(min(months, key=lambda m: m[1], default=None)),
        "gross_mean": finite(float(gross.mean())) if len(gross) else None,
        "net_mean": finite(float(result.nav["net"].to_numpy(dtype=np.float64).mean())) if len(gross) else None,
        "invested": _share(gross > INVESTED),
        "names_mean": _mean([sum(map(bool, held.values())) for held in weights.values()]),
        "years": [{**asdict(y), "months": [finite(m) for m in y.months], "benchmark": finite(y.benchmark)} for y in years],
        "holdings": top_holdings(weights),
        "violations": sum(result.invariants.values()),
    }


def top_holdings(weights: Mapping[date, Mapping[str, float]]) -> list[dict[str, Any]]:
    """By year how many names were held, and the TOP largest by mean absolute weight over its sessions, with their mean signed weight."""
    sums: dict[int, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    counts: dict[int, int] = defaultdict(int)
    for session, held in weights.items():
        counts[session.year] += 1
        for symbol, weight in held.items():
            if weight:
                sums[session.year][symbol].append(weight)
    return [{"year": year, "held": len(sums[year]), "top": _largest(sums[year], counts[year])} for year in sorted(counts)]


def _largest(held: Mapping[str, Sequence[float]], sessions: int) -> list[dict[str, Any]]:
    ranked = sorted(held, key=lambda symbol: (-sum(map(abs, held[symbol])), symbol))[:TOP]
    return [{"symbol": s, "weight_mean": sum(held[s]) / sessions, "sessions": len(held[s])} for s in ranked]


def text_lines(sheet: Mapping[str, Any]) -> Iterator[str]:
    """The page for a terminal of a hundred columns."""
    bench = sheet["benchmark"]
    yield f"{'':<24}{'strategy':>12}{bench:>12}"
    for key, (label, kind) in FIGURES.items():
        yield f"{label:<24}{_told(sheet[key], kind):>12}{_told(sheet[f'benchmark_{key}'], kind):>12}"
    for key, (label, kind) in OWN_FIGURES.items():
        yield f"{label:<24}{_told(sheet[key], kind):>12}"
    for key, label in (("best_month", "best month"), ("worst_month", "worst month")):
        found = sheet[key]
        yield f"{label:<24}" + (f"{_told(found['return'], 'percent'):>12}  {found['month']}" if found else f"{'-':>12}")
    yield ""
    yield f"{'':<6}" + "".join(f"{m:>6}" for m in MONTHS) + f"{'year':>7}{bench:>7}{'fall':>7}"
    for y in sheet["years"]:
        cells = "".join(f"{_told(m, 'short'):>6}" for m in y["months"])
        yield f"{y['year']:<6}{cells}" + "".join(f"{_told(y[k], 'short'):>7}" for k in ("own", "benchmark", "max_drawdown"))
    yield ""
    for year in sheet["holdings"]:
        held = ", ".join(f"{h['symbol']} {h['weight_mean']:.1%}" for h in year["top"]) or "nothing"
        yield f"{year['year']}  {year['held']} names, most of all {held}"


def _told(value: float | None, kind: str) -> str:
    if value is None:
        return "-"
    return {"percent": f"{value:.2%}", "short": f"{value * 100:.1f}", "number": f"{value:,.2f}"}[kind]


def _month(found: tuple[str, float] | None) -> dict[str, Any] | None:
    return None if found is None else {"month": found[0], "return": found[1]}


def _share(true: "np.ndarray[Any, Any]") -> float | None:
    return float(np.mean(true)) if len(true) else None


def _mean(values: Sequence[int]) -> float | None:
    return float(pd.Series(values, dtype="float64").mean()) if values else None
