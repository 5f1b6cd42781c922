"""The dashboard: a glance tells whether all is well, and nothing from outside can change the page."""

import json
import math
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from daemon.dashboard.charts import Series, line_chart, stacked_chart
from daemon.dashboard.figures import money, number, percent, signed
from daemon.dashboard.page import render, verdict
from daemon.dashboard.snapshot import CycleRow, Snapshot, as_json

AT = datetime(2026, 3, 4, 14, 35, tzinfo=UTC)
HOSTILE = "\"'><script>alert(1)</script><b onmouseover=x>"

EMPTY = Snapshot(at=AT, mode="PAPER", sandbox=False, version="0.1.0", started_at=AT, ready=False, halted=False)


def cycle(text: str = "full") -> CycleRow:
    return CycleRow(
        cycle_id=text, at=AT, session=AT.date(), rung=text, orders=14, notional_usd=18_422.0, turnover=0.172, var95=0.0134, bound=[text]
    )


def full(text: str = "plain") -> Snapshot:
    """A snapshot in which every text that comes from elsewhere is `text`."""
    return Snapshot(
        at=AT,
        mode="PAPER",
        sandbox=True,
        version=text,
        started_at=AT - timedelta(days=3),
        ready=True,
        halted=False,
        nav_usd=101_284.17,
        cash_usd=2_211.4,
        day_return=0.0031,
        return_total=0.0128,
        drawdown=-0.0123,
        gross=0.97,
        benchmark=text,
        nav_history=[(date(2026, 3, day), 100_000.0 + day, 480.0 + day if day > 1 else None) for day in range(1, 5)],
        sleeves=[
            {
                "name": text,
                "state": text,
                "reason": text,
                "capital_frac": 0.25,
                "nav_usd": 25_000.0,
                "return_total": None,
                "last_evaluated": None,
                "next_due": date(2026, 3, 9),
                "positions": 20,
            }
        ],
        positions=[{"symbol": text, "qty": 12.5, "price": 101.2, "market_value_usd": 1_265.0, "weight": 0.0125, "sleeves": [text]}],
        last_cycle=cycle(text),
        orders=[
            {
                "client_order_id": text,
                "at": AT,
                "symbol": text,
                "side": text,
                "qty": 1.0,
                "status": text,
                "filled_qty": 0.0,
                "filled_avg_price": None,
            }
        ],
        datasets=[{"name": text, "rows": 95_221, "latest": AT, "fresh": True}],
        jobs=[{"name": text, "last": AT - timedelta(minutes=35), "outcome": text, "next": AT + timedelta(hours=6)}],
        components={text: (True, text)},
    )


def test_hostile_text_is_shown_as_text_wherever_it_comes_from() -> None:
    page = render(full(HOSTILE))
    assert "<script" not in page
    assert "<b " not in page
    assert page.count("&lt;script&gt;") >= 12


def test_a_hostile_reason_for_a_halt_is_text_too() -> None:
    assert "<script" not in render(replace(EMPTY, halted=True, halt_reason=HOSTILE))


def test_the_page_needs_no_script_no_style_attribute_and_no_other_file() -> None:
    page = render(full())
    assert "<script" not in page
    assert not re.search(r"<[^>]+\s(style|on\w+|src)=", page)
    assert re.findall(r'href="([^",]*),', page) == ["data:image/svg+xml"]
    assert page.count("<link") == 1


def test_the_page_refreshes_itself() -> None:
    assert '<meta http-equiv="refresh" content="5">' in render(full())


def test_the_sandbox_is_announced_first_and_only_there() -> None:
    assert re.search(r'<body>\s*<div class="banner"[^>]*>SANDBOX · SYNTHETIC', render(full()))
    assert "Synthetic" not in render(replace(full(), sandbox=False))


def test_a_sleeve_that_does_not_simply_trade_is_marked_with_its_state_and_the_reason() -> None:
    marks = {"paused": "warn", "retired": "mute", "waiting": "warn", "held": "warn", "failed": "bad", "not enabled": "mute"}
    for state, css in marks.items():
        page = render(replace(full(), sleeves=[{**full().sleeves[0], "state": state, "reason": "as they say"}]))
        assert f'<span class="tag {css}" title="as they say">{state}</span>' in page
    for state in ("active", ""):
        assert 'class="tag' not in render(replace(full(), sleeves=[{**full().sleeves[0], "state": state}]))


def test_live_trading_is_marked() -> None:
    assert '<span class="mode live">LIVE</span>' in render(replace(full(), mode="LIVE"))


def test_an_empty_snapshot_makes_a_page_without_invented_figures() -> None:
    page = render(EMPTY)
    assert "No positions." in page
    assert "nothing to draw yet" in page
    assert not re.search(r"\bnan\b|None", page)
    assert "$0" not in page


def test_unknown_numbers_are_dashes() -> None:
    page = render(replace(full(), nav_usd=math.nan, day_return=None))
    assert "<dt>Net asset value</dt><dd>–</dd>" in page
    assert "<dt>Today</dt><dd>–</dd>" in page


GOOD = {"components": {"postgres": (True, "")}, "ready": True}


@pytest.mark.parametrize(
    ("changes", "grade", "says"),
    [
        ({}, "good", "All is well"),
        ({"halted": True, "halt_reason": "odd fills"}, "bad", "odd fills"),
        ({"components": {"broker": (False, "timeout")}}, "bad", "broker"),
        ({"ready": False}, "warn", "Starting"),
        ({"jobs": [{"name": "cycle", "last": AT, "outcome": "failed", "next": None}]}, "warn", "cycle"),
        ({"datasets": [{"name": "vix", "rows": 1, "latest": None, "fresh": False}]}, "warn", "vix"),
    ],
)
def test_the_verdict_names_the_worst_that_is_wrong(changes: dict[str, Any], grade: str, says: str) -> None:
    found, sentence = verdict(replace(EMPTY, **{**GOOD, **changes}))
    assert found == grade
    assert says in sentence


def test_a_halt_outweighs_everything_else() -> None:
    worst = replace(EMPTY, halted=True, halt_reason="drawdown", components={"broker": (False, "")})
    assert verdict(worst) == ("bad", "Trading is halted: drawdown")


def test_the_snapshot_becomes_strict_json() -> None:
    found = as_json(replace(full(), gross=math.nan))
    text = json.dumps(found, allow_nan=False)
    assert found["gross"] is None
    assert found["at"] == "2026-03-04T14:35:00+00:00"
    assert found["nav_history"][0] == ["2026-03-01", 100_001.0, None]
    assert '"session": "2026-03-04"' in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (number(1234.5), "1,234.50"),
        (number(-0.001), "0.00"),
        (number(-1.5, 1), "−1.5"),
        (number(None), "–"),
        (number(math.inf), "–"),
        (money(-3.0), "−$3.00"),
        (money(1e6, 0), "$1,000,000"),
        (percent(0.1234), "12.3%"),
        (percent(math.nan), "–"),
        (signed(0.0031), "+0.31%"),
        (signed(-0.0031), "−0.31%"),
        (signed(0.000001), "0.00%"),
    ],
)
def test_figures_are_written_one_way(text: str, expected: str) -> None:
    assert text == expected


DAYS = [date(2014, 1, 1) + timedelta(days=number) for number in range(2_000)]


def drawn(values: list[float], **options: Any) -> list[tuple[float, float]]:
    """The corners of the first curve of a chart, in plot coordinates."""
    series = [Series(name="a", values=np.array(values), css="c0")]
    chart = line_chart(DAYS[: len(values)], series, str, label="a", height=148, **options)
    (path,) = re.findall(r'<path class="line c0" d="M([^"]*)"', chart)
    return [(float(x), float(y)) for x, y in (corner.split(",") for corner in path.replace("L", "").split())]


def test_a_line_runs_from_edge_to_edge_and_higher_values_are_higher() -> None:
    corners = drawn([1.0, 3.0, 2.0])
    assert [x for x, _ in corners] == [0.0, 500.0, 1000.0]
    assert corners[1][1] < corners[2][1] < corners[0][1]


def test_on_a_log_axis_equal_ratios_have_equal_heights() -> None:
    (_, first), (_, second), (_, third) = drawn([1.0, 10.0, 100.0], log=True)
    assert first - second == pytest.approx(second - third, abs=0.11)


def test_thinning_a_long_line_keeps_its_single_deepest_day() -> None:
    values = [1.0] * 2_000
    values[1_234] = 0.0
    corners = drawn(values)
    lowest = max(corners, key=lambda corner: corner[1])
    assert len(corners) <= 710
    assert lowest[0] == pytest.approx(1_234 / 1_999 * 1_000, abs=0.1)


def test_gaps_and_constants_draw_without_a_warning() -> None:
    assert len(drawn([math.nan, 1.0, 1.0, math.nan])) == 2
    assert "nothing to draw" in line_chart(DAYS[:2], [Series(name="a", values=np.array([math.nan] * 2), css="c0")], str, label="a")


def test_shares_are_stacked_to_their_sum() -> None:
    halves = [Series(name=name, values=np.array([0.5, 0.5]), css=name) for name in ("s0", "s1")]
    chart = stacked_chart(DAYS[:2], halves, str, label="shares", height=148, top=1.0)
    tops = [float(y) for y in re.findall(r'class="layer s\d" d="M0\.0,([\d.]+)', chart)]
    assert tops == [50.0, 0.0]
