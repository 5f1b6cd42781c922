"""The portfolio that a plan of capital leads to: the sleeves' targets added up, under every limit, as far as one decision may move."""

import math
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from risk import limits as caps
from risk.base import Bound, RiskLimits, Step
from risk.capital import CapitalPlan
from risk.errors import BadInput
from risk.history import complete_returns
from risk.inputs import BoolArray, FloatArray, IntArray, numbers
from risk.limit_check import breaches
from risk.turnover import ROUNDING, Way

Names = tuple[str, ...]
_SHARES = tuple(i / 20 for i in range(20, -1, -1))
"""Of the farthest that turnover alone would let a decision go. Between two portfolios the VaR may be higher than at both, and
scaling it down is turnover too; the first share at which both caps hold is taken, and the last one is no step at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A portfolio for one plan: fractions of NAV by sleeve, by sleeve and asset, and by asset."""

    capital: FloatArray
    rows: FloatArray
    weights: FloatArray
    figures: caps.Figures
    moved: float
    allowed: float
    bound: tuple[Bound, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The inputs as arrays. sleeve_caps: (n_sleeves,), at most `max_sleeve_frac`; targets, held: (n_sleeves, n_assets); held_by_all:
    (n_assets,), None where it was not given; history: daily returns (n_sessions, n_assets) of what is wanted or held, complete."""

    names: Names
    limits: RiskLimits
    assets: caps.Assets
    history: FloatArray
    targets: FloatArray
    ramp: FloatArray
    sleeve_caps: FloatArray
    held: FloatArray
    held_by_all: FloatArray | None
    previous_capital: FloatArray | None
    drawdown_frac: float

    @property
    def scale(self) -> float:
        """What the drawdown leaves of the portfolio and of the cap on gross exposure."""
        return caps.drawdown_scale(self.drawdown_frac, self.limits)

    def portfolio(self, plan: CapitalPlan) -> Draft:
        """The plan's capital in the sleeves' targets, under every limit."""
        capital, bounds, steps = _sleeve_capital(plan, self.names, self.sleeve_caps, self.ramp)
        rows = capital[:, None] * self.targets
        net = rows.sum(axis=0)
        steps += (Step(step="strategies", gross=float(np.abs(net).sum())),)
        capped, asset_bounds, asset_steps = caps.cap_assets(net, self.assets, self.limits)
        weights, risk_bounds, figures, risk_steps = caps.cap_risk(capped, self.history, self.limits, self.scale)
        draft = Draft(
            capital=capital,
            rows=caps.share_out(rows, net, weights),
            weights=weights,
            figures=figures,
            moved=math.nan,
            allowed=math.inf,
            bound=bounds + asset_bounds + risk_bounds,
            steps=steps + asset_steps + risk_steps,
        )
        return draft if self.held_by_all is None else self._slowed(draft, self.held_by_all)

    def broken(self, draft: Draft) -> list[str]:
        """The limits that a finished portfolio breaks."""
        return breaches(
            draft.weights,
            draft.rows,
            draft.capital,
            assets=self.assets,
            history=self.history,
            limits=self.limits,
            sleeve_caps=self.sleeve_caps,
            scale=self.scale,
            target_gross=np.abs(self.targets).sum(axis=1),
            moved=0.0 if math.isnan(draft.moved) else draft.moved,
            allowed=draft.allowed + ROUNDING,
        )

    def in_cash(self) -> Draft:
        """Nothing held: what every limit allows."""
        nothing = np.zeros(len(self.assets.symbols))
        return Draft(
            capital=np.zeros(len(self.names)),
            rows=np.zeros_like(self.targets),
            weights=nothing,
            figures=caps.NOTHING_HELD,
            moved=math.nan if self.held_by_all is None else float(np.abs(self.held_by_all).sum()),
            allowed=math.inf,
            bound=(),
            steps=(Step(step="planned", gross=0.0),),
        )

    def _slowed(self, draft: Draft, held_by_all: FloatArray) -> Draft:
        """The draft as far as the cap on turnover lets it go from what is held."""
        most = self.limits.max_turnover_frac
        wanted = float(np.abs(draft.weights - held_by_all).sum())
        if wanted <= most + ROUNDING:
            return replace(draft, moved=wanted, allowed=most, steps=(*draft.steps, _step("turnover", draft.weights)))
        rows, bounds = self._lawful()
        way = Way(held=held_by_all, start=rows.sum(axis=0), target=draft.weights)
        farthest = way.farthest(most)
        for share in _SHARES:
            fraction = share * farthest
            weights, factor = self._measured(way.at(fraction))
            if way.turnover(weights) <= way.allowed(most) + ROUNDING:
                break
        reached = way.turnover(weights)
        told = {(b.limit, b.subject) for b in draft.bound}
        bound = (*draft.bound, *(b for b in bounds if (b.limit, b.subject) not in told))
        return replace(
            draft,
            capital=self._capital_at(fraction, rows, draft.capital),
            rows=factor * (rows + fraction * (draft.rows - rows)),
            weights=weights,
            figures=caps.figures(weights, self.history),
            moved=reached,
            allowed=way.allowed(most),
            bound=(*bound, Bound(limit="turnover", subject="portfolio", before=wanted, after=reached)),
            steps=(*draft.steps, _step("turnover", weights)),
        )

    def _lawful(self) -> tuple[FloatArray, tuple[Bound, ...]]:
        """What the sleeves hold, by sleeve and asset, less what the other limits force them to sell."""
        reach = self.sleeve_caps * np.maximum(np.abs(self.targets).sum(axis=1), 1.0)
        gross = np.abs(self.held).sum(axis=1)
        rows = self.held * np.divide(reach, gross, out=np.ones_like(gross), where=gross > reach)[:, None]
        bounds = [_sleeve_bound(self.names[i], gross[i], reach[i]) for i in np.flatnonzero(gross > reach).tolist()]
        net = rows.sum(axis=0)
        lower = replace(self.limits, max_gross_frac=self.limits.max_gross_frac * self.scale)
        weights, asset_bounds, _ = caps.cap_assets(net, self.assets, lower)
        weights, risk_bounds, _, _ = caps.cap_risk(weights, self.history, self.limits)
        return caps.share_out(rows, net, weights), (*bounds, *asset_bounds, *risk_bounds)

    def _measured(self, weights: FloatArray) -> tuple[FloatArray, float]:
        """Weights between two lawful portfolios, and the factor that was needed: historical VaR alone is not convex."""
        after, *_ = caps.cap_risk(weights, self.history, self.limits)
        gross = float(np.abs(weights).sum())
        return after, float(np.abs(after).sum()) / gross if gross else 1.0

    def _capital_at(self, fraction: float, rows: FloatArray, capital: FloatArray) -> FloatArray:
        """Capital moves as the positions do: by `fraction`, from what the sleeves had or still hold, to what was decided."""
        had = np.abs(rows).sum(axis=1)
        if self.previous_capital is not None:
            had = np.maximum(had, np.nan_to_num(self.previous_capital, nan=0.0, posinf=0.0, neginf=0.0))
        had = np.minimum(had, self.sleeve_caps)
        had = had / max(1.0, float(had.sum()))
        mixed: FloatArray = had + fraction * (capital - had)
        return mixed


def complete_history(asset_returns: pd.DataFrame, symbols: Names, chosen: BoolArray) -> tuple[FloatArray, dict[str, str]]:
    """Complete returns (n_sessions, n_assets) of the chosen symbols, and what was filled; the other columns are zero."""
    used = np.flatnonzero(chosen)
    columns = positions(asset_returns.columns, tuple(symbols[i] for i in used), "asset_returns")
    known = np.full((len(asset_returns), len(used)), math.nan)
    known[:, columns >= 0] = numbers(asset_returns, "asset_returns")[:, columns[columns >= 0]]
    complete, notes = complete_returns(known, [symbols[i] for i in used])
    if len(used) == len(symbols):
        return complete, notes
    history = np.zeros((len(complete), len(symbols)))
    history[:, used] = complete
    return history, notes


def _sleeve_capital(
    plan: CapitalPlan, names: Names, sleeve_caps: FloatArray, ramp: FloatArray
) -> tuple[FloatArray, tuple[Bound, ...], tuple[Step, ...]]:
    """Planned shares (n_sleeves,) under the cap per sleeve and the ramp; the previous capital has been ramped before."""
    capped = np.minimum(plan.share, sleeve_caps)
    capital = np.minimum(capped, sleeve_caps * ramp) if plan.rung == "previous" else capped * ramp
    bounds = [_sleeve_bound(names[i], plan.share[i], capped[i]) for i in np.flatnonzero(plan.share > capped).tolist()]
    bounds += [
        Bound(limit="ramp", subject=names[i], before=float(capped[i]), after=float(capital[i])) for i in np.flatnonzero(capped > capital)
    ]
    steps = (_step("planned", plan.share), _step("sleeve", capped), _step("ramp", capital))
    return capital, tuple(bounds), steps


def _sleeve_bound(name: str, before: float, after: float) -> Bound:
    return Bound(limit="sleeve", subject=name, before=float(before), after=float(after))


def _step(step: str, amounts: FloatArray) -> Step:
    return Step(step=step, gross=float(np.abs(amounts).sum()))


def positions(index: pd.Index, names: Names, name: str) -> IntArray:
    """Where each of `names` stands in `index`, -1 where it does not."""
    labels = index.tolist()
    place = {label: i for i, label in enumerate(labels)}
    if len(place) != len(labels):
        raise BadInput(f"{name} holds a label twice")
    return np.array([place.get(label, -1) for label in names], dtype=np.int64)
