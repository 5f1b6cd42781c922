"""A whole decision over 500 assets and 1,260 days: covariance, Black-Litterman, min-max, risk parity, tail caps, order planning.

The peer is the same chain in scikit-learn, PyPortfolioOpt and cvxpy with Clarabel, with orders counted in plain Python. Both
must name the same orders: quantities of whole cents' worth of shares, from a book that holds nothing.
"""

import time
from collections.abc import Callable
from decimal import Decimal

import cvxpy as cp
import numpy as np
import pandas as pd
from pypfopt.black_litterman import BlackLittermanModel
from sklearn.covariance import LedoitWolf

from benchmarks.market import factor_returns
from benchmarks.side_by_side import compare, report
from execution.planning import PlanningOptions, SleeveState, plan
from risk.black_litterman import implied_returns, omega_proportional, posterior
from risk.covariance import ledoit_wolf
from risk.optimize import min_max
from risk.risk_parity import risk_parity
from risk.var import historical_cvar, historical_var

GAMMA, TAU, KAPPA, CAP = 3.0, 0.05, 0.25, 0.03
MAX_VAR, MAX_CVAR = 0.01, 0.014
NAV = Decimal(1_000_000)
DECIMALS = 2
RETURNS = factor_returns(11)
NAMES = list(RETURNS.columns)
PRICES = {name: Decimal(20 + i % 180) for i, name in enumerate(NAMES)}
VIEWS_OF = np.random.default_rng(3).choice(len(NAMES), (10, 2), replace=False)
P = np.zeros((10, len(NAMES)))
P[np.arange(10), VIEWS_OF[:, 0]], P[np.arange(10), VIEWS_OF[:, 1]] = 1.0, -1.0
Q = np.linspace(-0.03, 0.05, 10)
EQUAL = pd.Series(1.0 / len(NAMES), index=NAMES)
LIMIT_MS = 100.0


def ours() -> dict[str, Decimal]:
    """Signed order quantities by symbol."""
    cov = ledoit_wolf(RETURNS)
    pi = implied_returns(cov, EQUAL, 2 * GAMMA)
    mu, _ = posterior(cov, pi, P, Q, omega_proportional(cov, P, TAU), TAU)
    best = min_max(mu, cov, risk_aversion=GAMMA, max_weight=CAP)
    weights = risk_parity(cov, KAPPA / len(best) + (1.0 - KAPPA) * best)
    combined = RETURNS.to_numpy() @ weights.to_numpy()
    factor = min(1.0, MAX_VAR / historical_var(combined, 0.95), MAX_CVAR / historical_cvar(combined, 0.95))
    planned = plan(
        cycle_id="bench",
        sleeves={"treasury": SleeveState(cash=NAV, positions={}), "one": SleeveState(cash=Decimal(0), positions={})},
        sleeve_weights={"one": (weights * factor).to_dict()},
        capital={"one": 1.0},
        nav=NAV,
        prices=PRICES,
        options=PlanningOptions(qty_decimals=DECIMALS, band_frac=0.0, min_notional_usd=Decimal(1)),
    )
    return {order.request.symbol: order.request.qty for order in planned.orders}


def theirs() -> dict[str, Decimal]:
    """The same by the peers."""
    values = RETURNS.to_numpy()
    cov = pd.DataFrame(252 * LedoitWolf().fit(values).covariance_, index=NAMES, columns=NAMES)
    pi = 2 * GAMMA * cov @ EQUAL
    model = BlackLittermanModel(cov, pi=pi, P=P, Q=Q, tau=TAU)
    mu = model.bl_returns().to_numpy()
    model.bl_cov()
    root = np.linalg.cholesky(cov.to_numpy())
    w = cp.Variable(len(NAMES))
    scale = 100.0  # an unscaled objective of this size is solved inaccurately
    problem = cp.Problem(cp.Maximize(scale * (mu @ w - GAMMA * cp.sum_squares(root.T @ w))), [cp.sum(w) == 1, w >= 0, w <= CAP])
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
    budgets = KAPPA / len(NAMES) + (1.0 - KAPPA) * np.maximum(w.value, 0.0)
    x = cp.Variable(len(NAMES))
    correlation_root = root / np.sqrt(np.diagonal(cov))[:, None]
    parity = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(correlation_root.T @ x) - (budgets / budgets.sum()) @ cp.log(x)))
    parity.solve(solver=cp.CLARABEL, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
    weights = x.value / np.sqrt(np.diagonal(cov))
    weights /= weights.sum()
    combined = values @ weights
    var = -np.quantile(combined, 0.05)
    cvar = -combined[combined <= -var].mean()
    factor = min(1.0, MAX_VAR / var, MAX_CVAR / cvar)
    step = Decimal(1).scaleb(-DECIMALS)
    wanted = {
        name: (Decimal(float(weight)) * NAV / PRICES[name]).quantize(step, "ROUND_DOWN")
        for name, weight in zip(NAMES, weights * factor, strict=True)
    }
    return {name: qty for name, qty in wanted.items() if qty * PRICES[name] >= 1}


def wall_ms(work: Callable[[], object], repeats: int = 9) -> float:
    """Median wall time of one call."""
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return float(np.median(times)) * 1e3


def main() -> None:
    """Check that both name the same orders, then compare."""
    own, peer = ours(), theirs()
    gap = max(abs(float(own.get(name, 0) - peer.get(name, 0)) * float(PRICES[name])) for name in own.keys() | peer.keys())
    assert gap <= 3 * 10**-DECIMALS * 200, f"an order differs by {gap:.2f} USD"
    row = compare(
        "decision of 500 assets, end to end",
        "sklearn + PyPortfolioOpt + cvxpy",
        ours,
        theirs,
        at_least=20,
        equality=f"orders equal to {gap:.2f} USD of 1,000,000",
    )
    elapsed = wall_ms(ours)
    print(f"wall time of ours: {elapsed:.1f} ms (at most {LIMIT_MS:.0f} ms)")
    assert elapsed < LIMIT_MS, elapsed
    report([row])


if __name__ == "__main__":
    main()
