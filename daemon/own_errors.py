"""What can go wrong with an operator's own strategy.

StrategyError
└── OwnStrategyFailed    its sleeve keeps its last targets; the message begins with a verb, the strategy is named around it
    ├── Failed           its own code raised something: mend the file
    ├── TooSlow          it was not done in its time, its process was killed; it is left alone for a while
    ├── Crashed          its process ended: exit, segmentation fault, out of memory
    ├── Unintelligible   what it sent cannot be read
    └── BadAnswer        what it declares or wants breaks a rule; the message says which

Stopped                  the daemon is stopping: no failure of the strategy, so nothing may be decided from it
"""

from strategies.errors import StrategyError

MOST_SAID = 500


def writable(text: str) -> str:
    """Foreign text as the log and the record take it: without NUL and halves of characters."""
    return text.replace("\0", "?").encode("utf-8", "replace").decode("utf-8")


class OwnStrategyFailed(StrategyError):
    """An own strategy gave no targets; its sleeve keeps its last ones."""

    def __init__(self, text: str) -> None:
        super().__init__(writable(text)[:MOST_SAID])


class Failed(OwnStrategyFailed):
    """The strategy's own code raised something."""


class TooSlow(OwnStrategyFailed):
    """The strategy was not done in its time."""


class Crashed(OwnStrategyFailed):
    """The strategy's process ended."""


class Unintelligible(OwnStrategyFailed):
    """The strategy's process sent what cannot be read."""


class BadAnswer(OwnStrategyFailed):
    """What the strategy declares or wants breaks a rule."""


class Stopped(BaseException):
    """The daemon is stopping. Not an Exception, so that it is not contained as a failure of the strategy."""
