"""What can go wrong inside a strategy.

StrategyError
├── UnknownParameter     a parameter name that the strategy does not declare: fix the settings
├── BadParameter         a parameter value outside its bounds: fix the settings
├── BadTargets           targets that break the contract: the sleeve keeps its last ones
├── NotEnoughData        too little history to decide: the sleeve holds its last targets
└── NotConforming        it breaks a promise that every strategy keeps: its author must mend it
"""


class StrategyError(Exception):
    """A strategy could not produce targets."""


class UnknownParameter(StrategyError):
    """A parameter name that the strategy does not declare."""


class BadParameter(StrategyError):
    """A parameter value outside its bounds."""


class NotEnoughData(StrategyError):
    """Too little history to decide; the sleeve keeps its last targets."""


class BadTargets(StrategyError):
    """What a strategy gave are no valid targets; the sleeve keeps its last ones."""


class NotConforming(StrategyError):
    """A strategy breaks a promise that every strategy keeps; the text tells its author which one and where."""
