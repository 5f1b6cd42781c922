"""The report of a replay: figures by hand, files that are complete, a page that stands alone."""

import csv
import io
import json
import math
import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from daemon import report_tables as tables
from daemon.report import ReplayResult, csv_text, summarize, write
from daemon.report_page import render, shade

SLEEVES = ["congress_aggregate", "volatility_scaled_momentum"]


def nav_frame(nav: list[float], benchmark: list[float], sessions: pd.DatetimeIndex) -> pd.DataFrame:
    n = len(nav)
    return pd.DataFrame(
        {
            "nav_usd": nav,
            "cash_usd": [1_000.0] * n,
            "gross": [0.97] * n,
            "net": [0.95] * n,
            "turnover": [0.10] * n,
            "cost_usd": [2.0] * n,
            "benchmark": benchmark,
        },
        index=sessions,
    )


def result_of(nav: pd.DataFrame, **changes: object) -> ReplayResult:
    n = len(nav)
    sessions = [stamp.date() for stamp in nav.index]
    orders = pd.DataFrame(
        {
            "session": sessions,
            "client_order_id": [f"c-{number}" for number in range(n)],
            "symbol": "AAPL",
            "side": "buy",
            "qty": 1.5,
            "type": "market",
            "status": ["filled"] * (n - 1) + ["rejected"],
            "filled_qty": 1.5,
            "filled_avg_price": [100.0] * (n - 1) + [math.nan],
            "decision_price": 99.5,
            "cost_usd": 0.03,
        }
    )
    allocations = pd.DataFrame(
        {
            "session": sessions,
            "rung": ["equal"] + ["full"] * (n - 1),
            "var95": 0.012,
            "cvar95": 0.018,
            "gross": 0.97,
            "regime_delta": 0.1,
            "n_bound": [2] + [0] * (n - 1),
        }
    )
    base = ReplayResult(
        sandbox=False,
        start=sessions[0],
        end=sessions[-1],
        nav=nav,
        sleeve_nav=pd.DataFrame(40_000.0, index=nav.index, columns=SLEEVES),
        capital=pd.DataFrame(0.25, index=nav.index, columns=SLEEVES),
        orders=orders,
        allocations=allocations,
        sleeve_returns=pd.DataFrame(np.linspace(-0.01, 0.012, 2 * n).reshape(n, 2), index=nav.index, columns=SLEEVES),
        coverage={2014: {"members": 500.0, "with_prices": 450.0, "fraction": 0.9}},
        close_only_symbols=["DIG"],
        notes=["Prices end in March."],
        settings={"kappa": 0.25},
        decision_hash="ab" * 32,
        invariants={"sleeves_sum_to_account": 0},
        elapsed_s=12.5,
        cycles=n,
        fills=n - 1,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


@pytest.fixture
def result() -> ReplayResult:
    rng = np.random.default_rng(11)
    sessions = pd.bdate_range("2014-11-03", "2016-02-26")
    nav, benchmark = (start * np.cumprod(1 + rng.normal(0.0005, 0.01, len(sessions))) for start in (100_000.0, 200.0))
    return result_of(nav_frame(nav.tolist(), benchmark.tolist(), sessions))


def test_figures_of_four_marks_match_those_worked_out_by_hand() -> None:
    """NAV 100, 110, 99, 121 over exactly two years of 365.25 days less half a day; the benchmark doubles."""
    sessions = pd.DatetimeIndex(["2014-01-02", "2014-06-02", "2015-01-02", "2016-01-02"])
    figures = summarize(result_of(nav_frame([100.0, 110.0, 99.0, 121.0], [50.0, 60.0, 80.0, 100.0], sessions)))
    years = 730 / 365.25
    returns = [0.10, -0.10, 121 / 99 - 1]
    mean = sum(returns) / 3
    deviation = math.sqrt(sum((r - mean) ** 2 for r in returns) / 2)
    assert figures["nav_start_usd"] == 100.0
    assert figures["nav_end_usd"] == 121.0
    assert figures["total_return"] == pytest.approx(0.21)
    assert figures["cagr"] == pytest.approx(1.21 ** (1 / years) - 1)
    assert figures["benchmark_cagr"] == pytest.approx(2 ** (1 / years) - 1)
    assert figures["max_drawdown"] == pytest.approx(-0.10)
    assert figures["benchmark_max_drawdown"] == 0.0
    assert figures["volatility"] == pytest.approx(deviation * math.sqrt(252))
    assert figures["sharpe"] == pytest.approx(mean / deviation * math.sqrt(252))
    assert figures["turnover_annual"] == pytest.approx(0.4 / years)
    assert figures["cost_usd"] == 8.0
    assert figures["cost_annual_frac"] == pytest.approx(8.0 / 107.5 / years)


def test_a_portfolio_that_is_the_benchmark_has_beta_one_and_alpha_zero() -> None:
    sessions = pd.bdate_range("2014-01-02", periods=60)
    level = 100 * np.cumprod(1 + np.random.default_rng(2).normal(0, 0.01, 60))
    figures = summarize(result_of(nav_frame((level * 7).tolist(), level.tolist(), sessions)))
    assert figures["beta"] == pytest.approx(1.0)
    assert figures["alpha"] == pytest.approx(0.0, abs=1e-12)


def test_without_a_benchmark_its_figures_are_unknown_and_ours_are_not() -> None:
    sessions = pd.bdate_range("2014-01-02", periods=4)
    result = result_of(nav_frame([100.0, 101.0, 100.5, 102.0], [math.nan] * 4, sessions))
    figures = summarize(result)
    assert all(math.isnan(figures[name]) for name in ("benchmark_cagr", "benchmark_sharpe", "benchmark_max_drawdown", "beta", "alpha"))
    assert math.isfinite(figures["sharpe"])
    assert "against" not in render(result, figures)


@pytest.mark.parametrize("marks", [1, 2])
def test_a_replay_of_one_or_two_sessions_still_makes_a_report(marks: int, tmp_path: Path) -> None:
    sessions = pd.bdate_range("2014-01-02", periods=marks)
    write(result_of(nav_frame([100.0] * marks, [50.0] * marks, sessions)), tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert summary["sharpe"] is None
    assert summary["sessions"] == marks


def test_a_replay_that_never_decided_anything_still_makes_a_report(tmp_path: Path) -> None:
    sessions = pd.bdate_range("2014-01-02", periods=3)
    nothing = pd.DataFrame()
    marks = nav_frame([100.0] * 3, [50.0] * 3, sessions)
    idle = result_of(marks, orders=nothing, allocations=nothing, capital=nothing, sleeve_nav=nothing, sleeve_returns=nothing, cycles=0)
    write(idle, tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text("utf-8"))["orders"] == 0


def test_returns_of_less_than_a_year_are_not_annualised_in_the_headline() -> None:
    sessions = pd.bdate_range("2014-01-02", periods=20)
    result = result_of(nav_frame([100.0] * 19 + [105.0], [50.0] * 19 + [51.0], sessions))
    page = render(result, summarize(result))
    assert "+5.0% after costs, against +2.0% for SPY" in page


def test_the_summary_file_is_strict_json_with_the_promised_names(result: ReplayResult, tmp_path: Path) -> None:
    write(result, tmp_path)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    summary = json.loads((tmp_path / "summary.json").read_text("utf-8"), parse_constant=refuse)
    promised = (
        "sessions cycles orders fills nav_start_usd nav_end_usd cagr sharpe max_drawdown turnover_annual decision_hash invariants elapsed_s"
    )
    assert set(promised.split()) <= summary.keys()
    assert summary["invariants"] == {"sleeves_sum_to_account": 0}
    assert summary["decision_hash"] == "ab" * 32


def test_writing_leaves_exactly_four_files_and_twice_gives_the_same_bytes(result: ReplayResult, tmp_path: Path) -> None:
    write(result, tmp_path / "one")
    first = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    write(result, tmp_path / "one")
    assert set(first) == {"summary.json", "orders.csv", "nav.csv", "report.html"}
    assert {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()} == first


def test_nav_csv_gives_back_the_numbers_that_went_in(result: ReplayResult, tmp_path: Path) -> None:
    write(result, tmp_path)
    read = pd.read_csv(tmp_path / "nav.csv", parse_dates=["session"], index_col="session")
    np.testing.assert_array_equal(read["nav_usd"], result.nav["nav_usd"])
    assert list(read.index) == list(result.nav.index)


def test_orders_csv_has_a_row_per_order_with_plain_dates_and_empty_unknowns(result: ReplayResult, tmp_path: Path) -> None:
    write(result, tmp_path)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "orders.csv").read_text("utf-8"))))
    assert len(rows) == len(result.orders)
    assert rows[0]["session"] == "2014-11-03"
    assert rows[-1]["filled_avg_price"] == ""


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_text_that_a_spreadsheet_would_run_is_quoted(text: str) -> None:
    (_, row) = csv.reader(io.StringIO(csv_text(pd.DataFrame({"symbol": [text], "qty": [-1.5]})), newline=""))
    assert row == ["'" + text.replace("\r", " "), "-1.5"]


def test_months_compound_to_years_and_years_to_the_total(result: ReplayResult) -> None:
    rows = tables.years(result.nav)
    assert [row.year for row in rows] == [2014, 2015, 2016]
    for row in rows:
        assert math.prod(1 + month for month in row.months if math.isfinite(month)) == pytest.approx(1 + row.own)
    nav = result.nav["nav_usd"]
    assert math.prod(1 + row.own for row in rows) == pytest.approx(nav.iloc[-1] / nav.iloc[0])
    assert math.isnan(rows[0].months[0])


def test_a_month_is_the_ratio_of_its_last_mark_to_the_last_mark_before_it() -> None:
    sessions = pd.DatetimeIndex(["2014-01-30", "2014-01-31", "2014-02-03", "2014-02-28"])
    (year,) = tables.years(nav_frame([100.0, 102.0, 90.0, 153.0], [1.0, 1.0, 1.0, 2.0], sessions))
    assert year.months[:2] == (pytest.approx(0.02), pytest.approx(0.5))
    assert year.benchmark == pytest.approx(1.0)
    assert year.max_drawdown == pytest.approx(90 / 102 - 1)
    assert year.cost_usd == 8.0


def test_the_sleeve_table_takes_performance_from_the_shadow_book_and_capital_from_the_account() -> None:
    sessions = pd.bdate_range("2014-01-02", periods=252)
    returns = pd.DataFrame({"a": [0.001, -0.0005] * 126}, index=sessions)
    capital = pd.DataFrame({"a": np.linspace(0.1, 0.2, 252), "b": 0.05}, index=sessions)
    first, second = tables.sleeves(returns, capital, pd.DataFrame({"a": [500.0]}, index=sessions[:1]))
    assert first.annual_return == pytest.approx((1.001 * 0.9995) ** 126 - 1)
    assert first.capital_mean == pytest.approx(0.15)
    assert first.capital_now == pytest.approx(0.2)
    assert first.nav_usd == 500.0
    assert math.isnan(second.sharpe)


def test_limits_are_counted_once_per_allocation() -> None:
    allocations = pd.DataFrame({"rung": ["full", "full", "equal"], "bound": ["symbol var95 symbol", "symbol", ""]})
    assert tables.limits(allocations) == [("symbol", 2), ("var95", 1)]
    assert tables.rungs(allocations) == [("full", 2), ("equal", 1)]


@pytest.mark.parametrize(
    ("value", "css"), [(math.nan, ""), (0.0, "up1"), (0.02, "up2"), (0.03, "up3"), (0.2, "up4"), (-0.001, "dn1"), (-0.06, "dn4")]
)
def test_a_month_is_shaded_by_its_sign_and_size(value: float, css: str) -> None:
    assert shade(value) == css


class Outside(HTMLParser):
    """Collects what a page would load or run, and checks that its elements nest."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "iframe", "object", "embed", "img", "link"):
            self.found.append(tag)
        self.found += [f"{name}={value}" for name, value in attrs if name in ("src", "href", "style") or name.startswith("on")]
        if tag not in ("meta", "br", "rect", "line", "path", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


def test_the_page_stands_alone_and_is_small(result: ReplayResult) -> None:
    page = render(result, summarize(result))
    outside = Outside()
    outside.feed(page)
    assert outside.found == []
    assert outside.open == []
    assert "url(" not in page
    assert "http://" not in page.replace("http-equiv", "") and "https://" not in page
    assert len(page) < 1_500_000


def test_seven_years_stay_below_the_size_limit() -> None:
    rng = np.random.default_rng(4)
    sessions = pd.bdate_range("2014-01-02", periods=1_800)
    level = 100 * np.cumprod(1 + rng.normal(0, 0.01, len(sessions)))
    result = result_of(nav_frame(level.tolist(), level[::-1].tolist(), sessions))
    assert len(render(result, summarize(result))) < 1_500_000


def test_no_unknown_number_is_shown_as_nan(result: ReplayResult) -> None:
    body = re.sub(r"<style>.*?</style>", "", render(result, summarize(result)), flags=re.S)
    assert not re.search(r"\bnan\b|\binf\b|None", body)


def test_hostile_text_is_shown_as_text(result: ReplayResult) -> None:
    hostile = "<script>alert(1)</script>"
    columns = {SLEEVES[0]: hostile}
    changed = replace(
        result,
        notes=[hostile],
        close_only_symbols=[hostile],
        settings={hostile: hostile},
        invariants={hostile: 1},
        decision_hash=hostile,
        capital=result.capital.rename(columns=columns),
        sleeve_nav=result.sleeve_nav.rename(columns=columns),
        sleeve_returns=result.sleeve_returns.rename(columns=columns),
        orders=result.orders.assign(status=hostile),
        allocations=result.allocations.assign(rung=hostile, bound=hostile),
    )
    page = render(changed, summarize(changed))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_a_sandbox_says_so_before_anything_else_and_a_replay_of_real_data_does_not(result: ReplayResult) -> None:
    synthetic = replace(result, sandbox=True)
    assert re.search(r"<body>\s*<div class=\"banner\"[^>]*>SANDBOX · SYNTHETIC", render(synthetic, summarize(synthetic)))
    assert "Synthetic" not in render(result, summarize(result))


def test_the_page_owns_up_to_survivorship_bias_and_to_violations(result: ReplayResult) -> None:
    page = render(result, summarize(result))
    assert "survivorship bias" in page
    assert "90.0%" in page
    assert "No violation." in page
    broken = replace(result, invariants={"sleeves_sum_to_account": 3}, coverage={})
    page = render(broken, summarize(broken))
    assert "3 violations." in page
    assert "size of the survivorship bias is unknown" in page
    unchecked = replace(result, invariants={})
    assert "No invariant was checked." in render(unchecked, summarize(unchecked))


def test_sessions_may_be_plain_dates(result: ReplayResult) -> None:
    dates: list[date] = [stamp.date() for stamp in result.nav.index]
    plain = replace(
        result,
        nav=result.nav.set_axis(pd.Index(dates, dtype=object), axis=0),
        capital=result.capital.set_axis(pd.Index(dates, dtype=object), axis=0),
        sleeve_nav=result.sleeve_nav.set_axis(pd.Index(dates, dtype=object), axis=0),
    )
    assert summarize(plain) == summarize(result)
    assert render(plain, summarize(plain)) == render(result, summarize(result))
