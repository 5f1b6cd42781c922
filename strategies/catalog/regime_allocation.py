"""Stocks, bonds, gold and cash by the regime of the market, at a volatility of ten percent a year.

A hidden Markov model of two states, trained on the returns of SPY and the VIX, gives the filtered probability that the market is turbulent
(Hamilton 1989, which uses no later day). The sleeve blends a mix for calm and one for turbulent markets by that probability, after Ang and
Bekaert, "How regimes affect asset allocation", Financial Analysts Journal 60 (2004), and is scaled down to the target volatility after
Moreira and Muir, "Volatility-managed portfolios", Journal of Finance 72 (2017); what is left stays in cash.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from risk.covariance import ledoit_wolf
from risk.errors import RiskError
from risk.regime import RegimeModel, volatility_ratio_delta
from strategies import signals
from strategies.base import DataView, Param, Strategy, Targets, no_targets, weekly
from strategies.regime_features import FILTER_SESSIONS, regime_features, why_unusable
from strategies.signals import Floats

MODEL = "market_regime"
VIX = "vix"
BARS = "bars_daily"
STOCKS, GOLD = "SPY", "GLD"
BONDS = ("IEF", "TLT")
"""The first of them that has its prices: seven to ten years, or more than twenty."""
SHORT, LONG = 21, 252
"""Sessions of recent and of usual volatility, where there is no model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turbulence:
    """How turbulent the market is, in [0, 1], the row that says so, and why the trained model does not; empty when it does."""

    probability: float
    dataset: str
    row_key: str
    why: str


def run(
    view: DataView,
    *,
    target_vol: float = 0.10,
    calm_stocks: float = 0.80,
    turbulent_stocks: float = 0.20,
    calm_gold: float = 0.10,
    turbulent_gold: float = 0.30,
    covariance_sessions: int = 126,
) -> Targets:
    """Targets blended from two mixes by the probability of turbulence, times min(1, target_vol / their volatility); bonds are the rest.

    The volatility is annual, of the blend over a Ledoit-Wolf covariance of `covariance_sessions` returns. A fund that lacks
    prices of the longest window (see `signals.unfit`) is skipped and its part stays in cash; without SPY, which tells the regime, nothing
    is held.
    """
    sessions = max(covariance_sessions, LONG) + 1
    window = signals.price_window(view, (STOCKS, *BONDS, GOLD), sessions)
    returns = signals.daily_returns(window.prices)
    moves = ~np.isnan(signals.annual_volatility(returns[-covariance_sessions:])) if window.symbols else np.empty(0, dtype=np.bool_)
    skipped = window.skipped | {window.symbols[i]: "its price never moves" for i in np.flatnonzero(~moves)}
    places = {window.symbols[i]: int(i) for i in np.flatnonzero(moves)}
    if STOCKS not in places:
        return no_targets(skipped)
    bonds = next((fund for fund in BONDS if fund in places), BONDS[0])
    found = turbulence(view, returns[:, places[STOCKS]], window.keys([STOCKS], -1)[0])
    skipped |= {MODEL: f"volatility ratio instead: {found.why}"} if found.why else {}
    funds = [fund for fund in (STOCKS, bonds, GOLD) if fund in places]
    calm = _mix(funds, calm_stocks, calm_gold)
    shift = found.probability * (_mix(funds, turbulent_stocks, turbulent_gold) - calm)
    scale = _exposure(returns[-covariance_sessions:, [places[fund] for fund in funds]], calm + shift, target_vol)
    weights = scale * (calm + shift)
    order = [i for i in signals.descending(funds, weights).tolist() if weights[i] > 0]
    names = [funds[i] for i in order]
    evidence = _evidence(names, window.keys(names, -1), found, scale * calm[order], scale * shift[order])
    return signals.targets(names, weights[order], weights[order], evidence, skipped)


def turbulence(view: DataView, stocks: Floats, bar: str) -> Turbulence:
    """The filtered probability of the most turbulent state by the newest model known, at the newest session with a return and a VIX.

    Without a model, without features of the last three sessions or with a model that cannot read them: how far the volatility of the last
    21 returns of `stocks` (n_sessions,) exceeds that of the last 252, as a fraction, at most 1 (twice as volatile as usual, or more), which
    the row `bar` stands for.
    """
    model, why = _model(view)
    if model is not None:
        features = regime_features(view, STOCKS, FILTER_SESSIONS)
        why = why_unusable(view, features)
        if not why:
            try:
                probability = float(model.filtered(features).to_numpy()[-1, -1])
            except RiskError as error:
                why = f"the model cannot read the features: {error}"
            else:
                return Turbulence(probability=probability, dataset=VIX, row_key=_vix_row(view, features.index[-1]), why="")
    ratio = volatility_ratio_delta(pd.Series(stocks), short=SHORT, long=LONG, max_delta=1.0)
    return Turbulence(probability=ratio, dataset=BARS, row_key=bar, why=why)


def _model(view: DataView) -> tuple[RegimeModel | None, str]:
    """The newest trained model, or why there is none that can be used."""
    found = view.artifact(MODEL)
    if found is None:
        return None, "no model is trained yet"
    params = found.get("params") if isinstance(found, Mapping) else None
    if not isinstance(params, Mapping):
        return None, "the trained model has no parameters"
    try:
        return RegimeModel(**{name: params[name] for name in ("startprob", "transmat", "means", "covars")}), ""
    except (RiskError, KeyError, TypeError, ValueError) as error:
        return None, f"the trained model cannot be used: {type(error).__name__}: {error}"


def _vix_row(view: DataView, session: pd.Timestamp) -> str:
    """Key of the VIX row of a session."""
    rows = view.events(VIX, session.tz_localize("UTC").to_pydatetime())
    at = pd.to_datetime(rows["session"], errors="coerce").to_numpy().astype("datetime64[D]")
    return str(min(rows["row_key"][at == np.datetime64(session.date(), "D")]))


def _mix(funds: list[str], stocks: float, gold: float) -> Floats:
    """Weights of the funds in a mix: stocks, gold of what stocks leave at most, and bonds for the rest."""
    gold = min(gold, 1.0 - stocks)
    part = {STOCKS: stocks, GOLD: gold}
    return np.array([part.get(fund, 1.0 - stocks - gold) for fund in funds])


def _exposure(returns: Floats, weights: Floats, target_vol: float) -> float:
    """min(1, target_vol / annual volatility of the weights over the shrunk covariance of returns (n_sessions, n_funds))."""
    cov = ledoit_wolf(pd.DataFrame(returns)).to_numpy(dtype=np.float64)
    realised = math.sqrt(float((cov * np.outer(weights, weights)).sum()))
    return min(1.0, target_vol / realised) if realised > 0 else 1.0


def _evidence(names: list[str], newest: list[str], found: Turbulence, calm: Floats, shift: Floats) -> pd.DataFrame:
    """The fund's newest bar carries its part of the calm mix, the row that tells the regime what turbulence moves."""
    if found.dataset == BARS:
        rows = [*newest, *[found.row_key] * len(names)]
        frame = signals.evidence_frame(BARS, rows, names * 2, np.concatenate([calm, shift]))
        return frame.groupby(["dataset", "row_key", "symbol"], sort=False)["contribution"].sum().reset_index()
    bars = signals.evidence_frame(BARS, newest, names, calm)
    return pd.concat([bars, signals.evidence_frame(VIX, [found.row_key] * len(names), names, shift)], ignore_index=True)


STRATEGY = Strategy(
    name="regime_allocation",
    run=run,
    needs=(BARS,),
    uses=(VIX,),
    rebalance=weekly("fri"),
    lookback_sessions=LONG + signals.RECENT_SESSIONS,
    params={
        "target_vol": Param(default=0.10, low=0.02, high=0.40, meaning="annual volatility above which the sleeve is scaled down"),
        "calm_stocks": Param(default=0.80, low=0.0, high=1.0, meaning="fraction in stocks in a calm market"),
        "turbulent_stocks": Param(default=0.20, low=0.0, high=1.0, meaning="fraction in stocks in a turbulent market"),
        "calm_gold": Param(default=0.10, low=0.0, high=1.0, meaning="fraction in gold in a calm market; bonds get the rest"),
        "turbulent_gold": Param(default=0.30, low=0.0, high=1.0, meaning="fraction in gold in a turbulent market; bonds get the rest"),
        "covariance_sessions": Param(default=126, low=63, high=252, meaning="sessions of daily returns behind the volatility"),
    },
    description="Stocks, bonds, gold and cash, blended by the filtered probability of a turbulent market, at 10 % volatility.",
    funds=(STOCKS, *BONDS, GOLD),
)
