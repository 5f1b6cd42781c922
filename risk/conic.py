"""The one door to the conic solver: convex quadratic and linear programs over equalities and inequalities."""

import clarabel
import numpy as np
from scipy import sparse

from risk.errors import Infeasible, NotSolved
from risk.inputs import FloatArray

# The second try is for problems whose conditioning does not allow the first.
_TOLERANCES = (1e-11, 1e-8)


def minimise(
    quadratic: FloatArray | sparse.csc_matrix,
    linear: FloatArray,
    *,
    equal: tuple[FloatArray | sparse.csc_matrix, FloatArray],
    at_most: tuple[FloatArray | sparse.csc_matrix, FloatArray],
) -> FloatArray:
    """The x (n,) that minimises x'Px / 2 + q'x where A x = b for `equal` and A x <= b for `at_most`.

    quadratic (n, n) is PSD, of which the upper triangle is read; scale the problem to numbers near 1.
    Raises Infeasible where no x satisfies the constraints, NotSolved where the solver stopped short of the optimum.
    """
    upper = sparse.triu(sparse.csc_matrix(quadratic), format="csc")
    constraints = sparse.vstack([sparse.csc_matrix(equal[0]), sparse.csc_matrix(at_most[0])], format="csc")
    bounds = np.concatenate([equal[1], at_most[1]])
    cones = [clarabel.ZeroConeT(len(equal[1])), clarabel.NonnegativeConeT(len(at_most[1]))]
    status = "not started"
    for tolerance in _TOLERANCES:
        solution = clarabel.DefaultSolver(upper, linear, constraints, bounds, cones, _settings(tolerance)).solve()
        status = str(solution.status)
        if status == "Solved":
            return np.asarray(solution.x, dtype=np.float64)
        if status in ("PrimalInfeasible", "AlmostPrimalInfeasible"):
            raise Infeasible("no portfolio satisfies the constraints together")
    raise NotSolved(f"the solver stopped with status {status}")


def _settings(tolerance: float) -> clarabel.DefaultSettings:
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = tolerance
    return settings
