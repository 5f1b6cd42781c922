"""What a replay amounts to: figures against the benchmark, files to keep, and a page to read."""

import csv
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd

from daemon.report_page import render
from daemon.report_result import ReplayResult
from daemon.report_risk import tail_figures
from daemon.report_tables import benchmark_returns, nav_returns, years_between
from risk.performance import alpha, beta, max_drawdown, sharpe_ratio, sortino_ratio

__all__ = ["ReplayResult", "csv_text", "summarize", "write"]

PERIODS_PER_YEAR: Final = 252
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def summarize(result: ReplayResult) -> dict[str, Any]:
    """The figures of a replay by name.

    Returns are after costs. `cagr` is by calendar time (365.25 days a year) from the first to the last mark; Sharpe (no risk-free rate),
    Sortino (over the deviation of losses), volatility, beta and alpha are annual over daily returns at 252 a year; drawdowns are signed
    returns; `turnover_annual` is traded notional (both sides) over NAV per year. What is undefined is NaN.
    """
    nav = result.nav
    returns, benchmark = nav_returns(nav), benchmark_returns(nav)
    both = pd.concat([returns, benchmark], axis=1, keys=["own", "benchmark"]).dropna()
    years = years_between(nav)
    cost = float(nav["cost_usd"].sum())
    return {
        "sandbox": result.sandbox,
        "start": result.start.isoformat(),
        "end": result.end.isoformat(),
        "sessions": len(nav),
        "cycles": result.cycles,
        "orders": len(result.orders),
        "fills": result.fills,
        "nav_start_usd": _first(nav["nav_usd"]),
        "nav_end_usd": _last(nav["nav_usd"]),
        **_figures(nav["nav_usd"], returns, years),
        "turnover_annual": float(nav["turnover"].sum()) / years if years > 0 else math.nan,
        "cost_usd": cost,
        "cost_annual_frac": cost / float(nav["nav_usd"].mean()) / years if years > 0 else math.nan,
        "benchmark": result.benchmark,
        **{f"benchmark_{name}": value for name, value in _figures(nav["benchmark"].dropna(), benchmark, years).items()},
        "beta": beta(both["own"], both["benchmark"]) if len(both) > 1 else math.nan,
        "alpha": alpha(both["own"], both["benchmark"]) if len(both) > 1 else math.nan,
        **tail_figures(result.tail),
        "decision_hash": result.decision_hash,
        "invariants": dict(result.invariants),
        "elapsed_s": result.elapsed_s,
    }


def write(result: ReplayResult, directory: Path) -> dict[str, Any]:
    """Write nav.csv, orders.csv, report.html and, last of all, summary.json into `directory`; returns the summary.

    Each file replaces its predecessor at once, so that a summary.json that exists belongs to files that are complete.
    """
    summary = summarize(result)
    directory.mkdir(parents=True, exist_ok=True)
    _replace(directory / "nav.csv", csv_text(result.nav.rename_axis("session").reset_index()))
    _replace(directory / "orders.csv", csv_text(result.orders))
    _replace(directory / "report.html", render(result, summary))
    _replace(directory / "summary.json", json.dumps(_plain(summary), indent=2) + "\n")
    return summary


def csv_text(frame: pd.DataFrame) -> str:
    """The frame as CSV without its index. Text that a spreadsheet would run as a formula gets a leading apostrophe."""
    rows = [map(str, frame.columns), *(map(_cell, row) for row in frame.itertuples(index=False, name=None))]
    lines = _Lines()
    csv.writer(lines, lineterminator="\n").writerows(rows)
    return "".join(lines.parts)


class _Lines:
    def __init__(self) -> None:
        self.parts: list[str] = []

    def write(self, text: str) -> None:
        self.parts.append(text)


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        text = value.replace("\r", " ")
        return f"'{text}" if value.startswith(_FORMULA) else text
    if isinstance(value, pd.Timestamp):
        return value.date().isoformat() if value == value.normalize() else value.isoformat()
    return "" if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)) else value


def _figures(levels: pd.Series, returns: pd.Series, years: float) -> dict[str, float]:
    growth = _last(levels) / _first(levels) if len(levels) > 1 else math.nan
    known = returns.dropna()
    enough = len(known) > 1
    return {
        "total_return": growth - 1.0,
        "cagr": growth ** (1.0 / years) - 1.0 if years > 0 and growth > 0 else math.nan,
        "volatility": float(known.std(ddof=1)) * math.sqrt(PERIODS_PER_YEAR) if enough else math.nan,
        "sharpe": sharpe_ratio(known) if enough else math.nan,
        "sortino": sortino_ratio(known) if enough else math.nan,
        "max_drawdown": max_drawdown(known) if len(known) else math.nan,
    }


def _first(levels: pd.Series) -> float:
    return float(levels.iloc[0]) if len(levels) else math.nan


def _last(levels: pd.Series) -> float:
    return float(levels.iloc[-1]) if len(levels) else math.nan


def _plain(value: Any) -> Any:
    """JSON's own types: null for what is not finite, numpy scalars as numbers."""
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(text, encoding="utf-8", newline="")
    beside.replace(path)
