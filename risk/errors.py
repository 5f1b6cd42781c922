"""What can go wrong in the mathematics. Every error names the asset or input and the cause.

RiskError
├── BadInput        NaN, shapes that do not fit, duplicates: fix the caller
├── NotPSD          a covariance that is not positive semidefinite: repair it or drop the asset
├── Infeasible      constraints that no portfolio satisfies: relax the named one
└── NotSolved       the solver stopped short of optimal: the fallback ladder takes over
"""


class RiskError(Exception):
    """A calculation was refused or failed."""


class BadInput(RiskError):
    """NaN, duplicated labels, or shapes that do not fit."""


class NotPSD(RiskError):
    """A covariance matrix that is not positive semidefinite."""


class Infeasible(RiskError):
    """No portfolio satisfies the constraints."""


class NotSolved(RiskError):
    """The solver stopped short of an optimal solution."""
