"""What can go wrong inside a strategy.

StrategyError
├── UnknownParameter     a parameter name that the strategy does not declare: fix the settings
├── BadParameter         a parameter value outside its bounds: fix the settings
└── NotEnoughData        too little history to decide: the sleeve holds its last targets
"""


class StrategyError(Exception):
    """A strategy could not produce targets."""


class UnknownParameter(StrategyError):
    """A parameter name that the strategy does not declare."""


class BadParameter(StrategyError):
    """A parameter value outside its bounds."""


class NotEnoughData(StrategyError):
    """Too little history to decide; the sleeve keeps its last targets."""
