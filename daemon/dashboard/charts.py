"""Line, area, bar and tail charts as inline SVG: no script, no style attributes, text of constant size at any width.

The outer `svg` is as wide as its place and places text by percentages; the shapes sit in a nested `svg` that is stretched. Hovering a
strip shows a cursor and the values at that session. Colours come from the classes `c0`, `c1`, ... of the page's style sheet.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from markupsafe import Markup, escape

Floats = npt.NDArray[np.float64]
Format = Callable[[float], str]

_TOP, _BOTTOM, _WIDTH = 26, 22, 1000.0
_MAX_POINTS, _MAX_STRIPS = 700, 160
_GUTTERS = (36, 52, 66, 80)


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One curve: `values` by session, NaN where unknown; `css` is the colour class."""

    name: str
    values: Floats
    css: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Maps values to pixels from the top of the plot; `ticks` are values."""

    low: float
    high: float
    log: bool
    height: float
    ticks: tuple[float, ...]

    def y(self, value: float) -> float:
        """Pixels below the top of the plot."""
        low, high, at = (math.log(v) for v in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        return self.height * (high - at) / (high - low)


def line_chart(
    dates: Sequence[date], series: Sequence[Series], show: Format, *, label: str, height: int = 280, log: bool = False, fill: bool = False
) -> Markup:
    """Curves over time. `show` formats a value for axis and readout; `fill` shades between the first curve and zero (or the bottom)."""
    known = np.concatenate([one.values[np.isfinite(one.values)] for one in series]) if series else np.empty(0)
    if len(dates) < 2 or not known.size:
        return _nothing(label)
    scale = _scale(float(known.min()), float(known.max()), height, log=log, zero=fill and not log and float(known.max()) <= 0)
    x = _positions(dates)
    shapes = [_area(x, series[0], scale)] if fill else []
    shapes += [_curve(x, one, scale) for one in reversed(series)]
    return _frame(label, height, dates, x, scale, show, shapes, series)


def stacked_chart(
    dates: Sequence[date], series: Sequence[Series], show: Format, *, label: str, height: int = 280, top: float | None = None
) -> Markup:
    """Shares on top of each other, the first at the bottom; NaN counts as nothing."""
    if len(dates) < 2 or not series:
        return _nothing(label)
    layers = np.cumsum([np.nan_to_num(one.values) for one in series], axis=0)
    scale = _scale(0.0, max(float(layers.max()), top or 0.0, 1e-9), height, log=False, zero=True)
    x = _positions(dates)
    pick = _spread(len(dates), _MAX_POINTS)
    floor = np.zeros(len(dates))
    shapes = []
    for one, layer in zip(series, layers, strict=True):
        path = _points(x[pick], layer[pick], scale) + " L" + _points(x[pick][::-1], floor[pick][::-1], scale)[1:] + "Z"
        shapes.append(f'<path class="layer {one.css}" d="{path}"/>')
        floor = layer
    return _frame(label, height, dates, x, scale, show, shapes, series)


def bar_chart(dates: Sequence[date], one: Series, show: Format, *, label: str, height: int = 160) -> Markup:
    """One bar per date (the start of its period), from zero."""
    known = one.values[np.isfinite(one.values)]
    if len(dates) < 2 or not known.size:
        return _nothing(label)
    scale = _scale(min(0.0, float(known.min())), max(0.0, float(known.max())), height, log=False, zero=True)
    width = _WIDTH / len(dates)
    x: Floats = (np.arange(len(dates), dtype=np.float64) + 0.5) * width
    shapes = []
    for centre, value in zip(x, np.nan_to_num(one.values), strict=True):
        top, bottom = sorted((scale.y(value), scale.y(0.0)))
        left, tall = centre - 0.38 * width, bottom - top
        shapes.append(f'<rect class="bar {one.css}" x="{left:.1f}" y="{top:.1f}" width="{0.76 * width:.1f}" height="{tall:.1f}"/>')
    return _frame(label, height, dates, x, scale, show, shapes, [one])


def tail_chart(dates: Sequence[date], returns: Floats, var: Floats, show: Format, *, label: str, height: int = 220) -> Markup:
    """Returns as stems from zero above the line of -`var`, by session; a return below that line is an exception: drawn bad, with a dot.

    Both arrays are (n_sessions,), NaN where unknown; `var` is a positive loss.
    """
    known = np.concatenate([returns[np.isfinite(returns)], -var[np.isfinite(var)]])
    if len(dates) < 2 or not known.size:
        return _nothing(label)
    scale = _scale(float(known.min()), float(known.max()), height, log=False, zero=True)
    width = _WIDTH / len(dates)
    x: Floats = (np.arange(len(dates), dtype=np.float64) + 0.5) * width
    beyond = np.nan_to_num(returns) < -np.nan_to_num(var, nan=math.inf)
    normal, worse = np.where(beyond, math.nan, returns), np.where(beyond, returns, math.nan)
    floor = Series(name="-VaR", values=-var, css="c0")
    shapes = [
        _stems(x, normal, scale, "c1", max(0.66 * width, 1.0)),
        _stems(x, worse, scale, "bad", max(0.66 * width, 1.0)),
        _curve(x, floor, scale),
    ]
    dots = [
        f'<circle class="dot bad" cx="{at / 10:.2f}%" cy="{_TOP + scale.y(value):.1f}" r="3"/>'
        for at, value in zip(x[beyond].tolist(), returns[beyond].tolist(), strict=True)
    ]
    told = [Series(name="return", values=normal, css="c1"), Series(name="exception", values=worse, css="bad"), floor]
    return _frame(label, height, dates, x, scale, show, shapes, told, marks=dots)


def _stems(x: Floats, values: Floats, scale: Scale, css: str, width: float) -> str:
    """Upright strokes from zero; their width is stretched with the plot, so that any number of them fills the same share of it."""
    zero = scale.y(0.0)
    known = np.flatnonzero(np.isfinite(values))
    strokes = (f"M{at:.1f},{zero:.1f}V{scale.y(value):.1f}" for at, value in zip(x[known].tolist(), values[known].tolist(), strict=True))
    return f'<path class="stem {css}" stroke-width="{width:.2f}" d="{"".join(strokes)}"/>' if known.size else ""


def _nothing(label: str) -> Markup:
    return Markup('<p class="empty">{}: nothing to draw yet.</p>').format(label)


def _positions(dates: Sequence[date]) -> Floats:
    days = np.array([day.toordinal() for day in dates], dtype=np.float64)
    x: Floats = (days - days[0]) / max(days[-1] - days[0], 1.0) * _WIDTH
    return x


def _scale(low: float, high: float, height: int, *, log: bool, zero: bool) -> Scale:
    log = log and low > 0
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low <= 1e-12 * max(abs(high), abs(low), 1e-300):
        spare = abs(high) * 0.01 or 1.0
        low, high = low - spare, high + spare
    elif log:
        low, high = low / 1.03, high * 1.03
    elif not zero:
        spare = 0.05 * (high - low)
        low, high = low - spare, high + spare
    ticks = _log_ticks(low, high) if log else _ticks(low, high)
    return Scale(low=low, high=high, log=log, height=height - _TOP - _BOTTOM, ticks=ticks)


def _ticks(low: float, high: float, wanted: int = 4) -> tuple[float, ...]:
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * multiple for multiple in (1, 2, 2.5, 5, 10) if power * multiple >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(number * step for number in range(first, last + 1))


def _log_ticks(low: float, high: float) -> tuple[float, ...]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
        found = tuple(step * 10.0**decade for decade in decades for step in steps if low <= step * 10.0**decade <= high)
        if len(found) >= 4:
            return found
    return _ticks(low, high)


def _curve(x: Floats, one: Series, scale: Scale) -> str:
    pick = _extremes(one.values)
    return f'<path class="line {one.css}" d="{_points(x[pick], one.values[pick], scale)}"/>' if pick.size else ""


def _area(x: Floats, one: Series, scale: Scale) -> str:
    pick = _extremes(one.values)
    if not pick.size:
        return ""
    base = scale.y(min(max(0.0, scale.low), scale.high)) if not scale.log else scale.height
    first, last = x[pick[0]], x[pick[-1]]
    path = f"{_points(x[pick], one.values[pick], scale)} L{last:.1f},{base:.1f} L{first:.1f},{base:.1f}Z"
    return f'<path class="area {one.css}" d="{path}"/>'


def _points(x: Floats, values: Floats, scale: Scale) -> str:
    return "M" + " L".join(f"{at:.1f},{scale.y(value):.1f}" for at, value in zip(x.tolist(), values.tolist(), strict=True))


def _spread(count: int, most: int) -> npt.NDArray[np.intp]:
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.intp))


def _extremes(values: Floats) -> npt.NDArray[np.intp]:
    """Indices of the finite values, thinned to the lowest and highest of each stretch so that no peak or trough is lost."""
    finite = np.flatnonzero(np.isfinite(values))
    if finite.size <= _MAX_POINTS:
        return finite
    kept = {int(finite[0]), int(finite[-1])}
    for stretch in np.array_split(finite, _MAX_POINTS // 2):
        kept |= {int(stretch[values[stretch].argmin()]), int(stretch[values[stretch].argmax()])}
    return np.array(sorted(kept), dtype=np.intp)


def _frame(
    label: str,
    height: int,
    dates: Sequence[date],
    x: Floats,
    scale: Scale,
    show: Format,
    shapes: Sequence[str],
    series: Sequence[Series],
    marks: Sequence[str] = (),
) -> Markup:
    spots = [(tick, scale.y(tick)) for tick in scale.ticks]
    grid = [f'<line class="{"grid" if tick else "zero"}" x1="0" x2="1000" y1="{y:.1f}" y2="{y:.1f}"/>' for tick, y in spots]
    gutter = next(px for px in _GUTTERS if px >= 7 * max(len(show(tick)) for tick in scale.ticks or (0.0,)) or px == _GUTTERS[-1])
    parts = [
        f'<svg class="chart g{gutter}" width="100%" height="{height}" role="img" aria-label="{escape(label)}">',
        f'<svg y="{_TOP}" width="100%" height="{scale.height}" viewBox="0 0 1000 {scale.height}" preserveAspectRatio="none">',
        *grid,
        *shapes,
        "</svg>",
        *marks,
        *(f'<text class="yl" x="{-gutter}" y="{_TOP + y + 4:.1f}">{escape(show(tick))}</text>' for tick, y in spots),
        *_time_labels(dates, x, height),
        *_strips(dates, x, series, show, height),
        "</svg>",
    ]
    return Markup("".join(parts))


def _time_labels(dates: Sequence[date], x: Floats, height: int) -> list[str]:
    """Years over long spans, months over short ones, days over the shortest; at most eight, every other one spare."""
    days = (dates[-1] - dates[0]).days
    form = "%Y" if days > 700 else "%b %Y" if days > 60 else "%d %b"
    starts = [now for before, now in pairwise(range(len(dates))) if dates[before].strftime(form) != dates[now].strftime(form)]
    starts = starts[:: math.ceil(len(starts) / 8)] if starts else []
    spots = [(x[index] / 10, dates[index].strftime(form)) for index in starts]
    shown = [
        (f"xl{' first' if at < 3 else ''}{' spare' if rank % 2 and form != '%Y' else ''}", at, text)
        for rank, (at, text) in enumerate(spots)
    ]
    return [f'<text class="{css}" x="{at:.2f}%" y="{height - 6}">{text}</text>' for css, at, text in shown if at <= 97]


def _strips(dates: Sequence[date], x: Floats, series: Sequence[Series], show: Format, height: int) -> list[str]:
    picks = _spread(len(dates), _MAX_STRIPS)
    spots = x[picks] / 10
    edges = np.concatenate([[0.0], (spots[1:] + spots[:-1]) / 2, [100.0]])
    strips = []
    for index, at, left, right in zip(picks, spots, edges[:-1], edges[1:], strict=True):
        values = [(one.css, one.values[index]) for one in series]
        spans = "".join(f'<tspan class="{css}" dx="12">{escape(show(value))}</tspan>' for css, value in values if math.isfinite(value))
        strips.append(
            f'<g class="h"><rect x="{left:.2f}%" width="{right - left:.2f}%" height="{height}"/>'
            f'<line x1="{at:.2f}%" x2="{at:.2f}%" y1="{_TOP}" y2="{height - _BOTTOM}"/>'
            f'<text x="100%" y="14">{dates[index]:%d %b %Y}{spans}</text></g>'
        )
    return strips
