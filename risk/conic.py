"""The one door to the outside solvers: Clarabel and OSQP for quadratic programs, HiGHS for linear ones; exactly optimal or refused."""

from collections.abc import Callable
from dataclasses import dataclass

import clarabel
import numpy as np
from scipy import sparse

from risk.errors import Infeasible
from risk.inputs import FloatArray
from risk.program import Program

# The second try is for problems whose conditioning does not allow the first.
_TOLERANCES = (1e-11, 1e-8)
_SECONDS = 5.0
"""Outer bound of one attempt. The iteration limits, which are the same on every machine, come first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a solver said: x (n,) and the charges (m,) of the rows where its status is exactly optimal, else None; the status."""

    x: FloatArray | None
    charges: FloatArray
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearProgram:
    """Minimise cost'x where rows x <= limits, budget'x = total and lower <= x <= upper, which may be infinite."""

    cost: FloatArray
    rows: sparse.csc_matrix
    limits: FloatArray
    budget: FloatArray
    total: float
    lower: FloatArray
    upper: FloatArray


def clarabel_answer(program: Program) -> Answer:
    """Solve by Clarabel's interior point method. Raises Infeasible where it proves that no x satisfies the constraints."""
    count, bounds = len(program.limits), sparse.identity(program.size, format="csc")
    constraints = sparse.vstack([np.ones((1, program.size)), program.rows, bounds, -bounds], format="csc")
    sides = np.concatenate([[program.total], program.limits, program.upper, -program.lower])
    upper = sparse.triu(sparse.csc_matrix(program.quadratic), format="csc")
    return _clarabel(upper, -program.linear, constraints, sides, count)


def osqp_answer(program: Program) -> Answer:
    """Solve by OSQP's operator splitting with polishing. Raises Infeasible where it proves that no x satisfies the constraints."""
    count = len(program.limits)
    constraints = sparse.vstack([np.ones((1, program.size)), program.rows, sparse.identity(program.size)], format="csc")
    low = np.concatenate([[program.total], np.full(count, -np.inf), program.lower])
    high = np.concatenate([[program.total], program.limits, program.upper])
    import osqp  # the solver of last resort, which most processes never need

    solver = osqp.OSQP()
    solver.setup(
        sparse.triu(sparse.csc_matrix(program.quadratic), format="csc"),
        -program.linear,
        constraints,
        low,
        high,
        verbose=False,
        polishing=True,
        eps_abs=1e-9,
        eps_rel=1e-9,
        max_iter=20_000,
        time_limit=_SECONDS,
        adaptive_rho_interval=50,
    )
    result = solver.solve(raise_error=False)
    status = str(result.info.status)
    if status == "primal infeasible":
        raise Infeasible("no portfolio satisfies the constraints together")
    if status != "solved":
        return Answer(x=None, charges=np.zeros(count), status=status)
    return Answer(x=np.array(result.x), charges=np.array(result.y)[1 : 1 + count], status=status)


def highs_linear(program: LinearProgram) -> Answer:
    """Solve a linear program by HiGHS' dual simplex method. Raises Infeasible where it proves that no x satisfies the constraints."""
    from scipy import optimize  # slow to import, and for linear programs alone

    result = optimize.linprog(
        program.cost,
        A_ub=program.rows,
        b_ub=program.limits,
        A_eq=program.budget[None, :],
        b_eq=[program.total],
        bounds=np.column_stack([program.lower, program.upper]),
        method="highs-ds",
        options={"time_limit": _SECONDS, "primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    if result.status == 2:
        raise Infeasible("no portfolio satisfies the constraints together")
    if result.status != 0:
        return Answer(x=None, charges=np.zeros(len(program.limits)), status=str(result.message))
    return Answer(x=np.array(result.x), charges=-np.array(result.ineqlin.marginals), status="optimal")


def clarabel_linear(program: LinearProgram, *, quadratic: FloatArray | None = None) -> Answer:
    """Solve a linear program by Clarabel's interior point method. Raises Infeasible as `clarabel_answer`.

    quadratic (k, k): also minimise x'Qx / 2 over the first k variables.
    """
    identity = sparse.identity(len(program.cost), format="csr")
    above, below = np.isfinite(program.upper), np.isfinite(program.lower)
    constraints = sparse.vstack([program.budget[None, :], program.rows, identity[above], -identity[below]], format="csc")
    sides = np.concatenate([[program.total], program.limits, program.upper[above], -program.lower[below]])
    curved = np.zeros((0, 0)) if quadratic is None else quadratic
    rest = len(program.cost) - len(curved)
    upper = sparse.block_diag([sparse.triu(sparse.csc_matrix(curved)), sparse.csc_matrix((rest, rest))], format="csc")
    return _clarabel(upper, program.cost, constraints, sides, len(program.limits))


def _clarabel(quadratic: sparse.csc_matrix, cost: FloatArray, constraints: sparse.csc_matrix, sides: FloatArray, rows: int) -> Answer:
    """The first side is met with equality, the others bound from above; the first `rows` of those are the program's own."""
    cones = [clarabel.ZeroConeT(1), clarabel.NonnegativeConeT(len(sides) - 1)]
    status = "not started"
    for tolerance in _TOLERANCES:
        solution = clarabel.DefaultSolver(quadratic, cost, constraints, sides, cones, _clarabel_settings(tolerance)).solve()
        status = str(solution.status)
        if status == "Solved":
            return Answer(x=np.array(solution.x), charges=np.array(solution.z)[1 : 1 + rows], status=status)
        if status == "PrimalInfeasible":
            raise Infeasible("no portfolio satisfies the constraints together")
    return Answer(x=None, charges=np.zeros(rows), status=status)


def _clarabel_settings(tolerance: float) -> clarabel.DefaultSettings:
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.max_threads = 1
    settings.max_iter = 200
    settings.time_limit = _SECONDS
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = tolerance
    return settings


LINEAR_SOLVERS: dict[str, Callable[[LinearProgram], Answer]] = {"HiGHS": highs_linear, "Clarabel": clarabel_linear}
SOLVERS: dict[str, Callable[[Program], Answer]] = {"Clarabel": clarabel_answer, "OSQP": osqp_answer}
