"""The report of a replay as one HTML file: no script, no network, readable in light, dark and print."""

import math
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from daemon import report_tables as tables
from daemon.dashboard.charts import Series, bar_chart, line_chart, stacked_chart
from daemon.dashboard.figures import chance, money, number, percent, signed
from daemon.dashboard.risk_view import KINDS, effect, is_sure, scenario_name
from daemon.report_result import ReplayResult
from daemon.report_risk import risk_parts

_HERE: Final = Path(__file__).parent
_STYLE: Final = "".join(
    path.read_text("utf-8") for path in (_HERE / "dashboard" / "static" / "base.css", _HERE / "report_templates" / "report.css")
)
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def render(result: ReplayResult, summary: Mapping[str, Any]) -> str:
    """The page as HTML text; `summary` is that of `report.summarize`."""
    return _TEMPLATE.render(
        r=result,
        f=summary,
        style=Markup(_STYLE),
        months=MONTHS,
        years=tables.years(result.nav),
        sleeves=tables.sleeves(result.sleeve_returns, result.capital, result.sleeve_nav),
        rungs=tables.rungs(result.allocations),
        limits=tables.limits(result.allocations),
        bound_count=int((result.allocations["n_bound"] > 0).sum()) if "n_bound" in result.allocations else 0,
        statuses=tables.statuses(result.orders),
        coverage=_coverage(result.coverage),
        coverage_mean=_coverage_mean(result.coverage),
        violations=sum(summary["invariants"].values()),
        **_charts(result, str(summary["benchmark"])),
        **risk_parts(result),
    )


def _charts(result: ReplayResult, benchmark: str) -> dict[str, Markup]:
    nav = result.nav.set_axis(tables.sessions_of(result.nav), axis=0)
    days = [stamp.date() for stamp in nav.index]
    own, level = nav["nav_usd"].astype("float64"), nav["benchmark"].astype("float64")
    rebased = level / level.dropna().iloc[0] * own[level.first_valid_index()] if level.notna().any() else level
    pair = [_series("Portfolio", own, "c0"), _series(benchmark, rebased, "c1")]
    falls = [_series("Portfolio", tables.drawdown(own), "bad"), _series(benchmark, tables.drawdown(level), "c1")]
    exposure = [_series("Gross", nav["gross"], "c0"), _series("Net", nav["net"], "c1")]
    cost = [_series("Costs so far", nav["cost_usd"].cumsum(), "c0")]
    turnover = tables.monthly_sum(nav["turnover"].astype("float64"))
    return {
        "equity_chart": line_chart(days, pair, _dollars, label="Value of the portfolio and of the benchmark", height=340, log=True),
        "drawdown_chart": line_chart(days, falls, _percents, label="Drawdown", height=190, fill=True),
        "exposure_chart": line_chart(days, exposure, _percents, label="Gross and net exposure", height=190),
        "cost_chart": line_chart(days, cost, _dollars, label="Costs since the start", height=190, fill=True),
        "turnover_chart": bar_chart(_days(turnover), _series("Turnover", turnover, "c0"), _percents, label="Turnover by month", height=190),
        "risk_chart": _risk_chart(result.allocations),
        "capital_chart": _capital_chart(result.capital),
        "sleeve_chart": _sleeve_chart(result.sleeve_nav),
    }


def _risk_chart(allocations: pd.DataFrame) -> Markup:
    if allocations.empty:
        return line_chart([], [], _percents, label="Value at risk of the target portfolio")
    dated = allocations.set_index(pd.DatetimeIndex(pd.to_datetime(allocations["session"]))).sort_index()
    pair = [_series("CVaR 95", dated["cvar95"], "bad"), _series("VaR 95", dated["var95"], "c0")]
    return line_chart(_days(dated), pair, lambda value: percent(value, 1), label="Value at risk of the target portfolio", height=190)


def _capital_chart(capital: pd.DataFrame) -> Markup:
    dated = capital.set_axis(tables.sessions_of(capital), axis=0)
    series = [_series(str(name), dated[name], f"s{rank % 9}") for rank, name in enumerate(dated.columns)]
    cash = (1.0 - dated.fillna(0.0).sum(axis=1)).clip(lower=0.0)
    return stacked_chart(_days(dated), [*series, _series("cash", cash, "cash")], _percents, label="Capital by sleeve", height=260, top=1.0)


def _sleeve_chart(sleeve_nav: pd.DataFrame) -> Markup:
    dated = sleeve_nav.set_axis(tables.sessions_of(sleeve_nav), axis=0)
    series = [_series(str(name), dated[name], f"s{rank % 9}") for rank, name in enumerate(dated.columns)]
    return line_chart(_days(dated), series, _dollars, label="NAV by sleeve", height=260)


def _series(name: str, values: pd.Series, css: str) -> Series:
    return Series(name=name, values=values.to_numpy(dtype=np.float64), css=css)


def _days(frame: pd.Series | pd.DataFrame) -> list[date]:
    return [stamp.date() for stamp in pd.DatetimeIndex(frame.index)]


def _coverage(coverage: Mapping[int, Mapping[str, float]]) -> list[tuple[int, float, float, float]]:
    rows = ((int(year), row["members"], row["with_prices"], row["fraction"]) for year, row in coverage.items())
    return sorted((year, float(members), float(priced), float(share)) for year, members, priced, share in rows)


def _coverage_mean(coverage: Mapping[int, Mapping[str, float]]) -> float:
    return sum(float(row["fraction"]) for row in coverage.values()) / len(coverage) if coverage else math.nan


def shade(value: float) -> str:
    """The heat class of a monthly return: up1..up4, dn1..dn4 by 1, 3 and 6 per cent; empty for the unknown."""
    if not math.isfinite(value):
        return ""
    depth = 1 + sum(abs(value) >= edge for edge in (0.01, 0.03, 0.06))
    return f"{'up' if value >= 0 else 'dn'}{depth}"


def _dollars(value: float) -> str:
    return money(value, 0)


def _percents(value: float) -> str:
    return percent(value, 0 if abs(value * 100 - round(value * 100)) < 1e-9 else 1)


def _long_date(value: date) -> str:
    return f"{value.day} {value:%B %Y}"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader([_HERE / "report_templates", _HERE / "dashboard" / "templates"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(money=money, number=number, percent=percent, signed=signed, chance=chance, shade=shade)
    environment.filters.update(long_date=_long_date, day=date.isoformat, effect=effect, scenario_name=scenario_name, is_sure=is_sure)
    environment.globals["kinds"] = KINDS
    return environment


_TEMPLATE: Final = _environment().get_template("report.html")
