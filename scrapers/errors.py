"""What can go wrong while collecting data; the class says what to do next.

ScrapeError
├── SourceUnavailable   timeouts, 5xx, resets: retried, then the run fails and is tried at the next occurrence
│   └── CircuitOpen     the source failed so often that it is left alone for a while; nothing was asked
├── SourceRefused       401 or 403: keys or plan; a person must act
├── SourceChanged       a page of unexpected shape: raw body kept, earlier data stays in force; a person must act
├── Blocked             our own guard refused the address, or a body that is too large or unpacks too far
├── NotRecorded         recorded answers were asked for one that is not among them: the record is incomplete or the parser asks otherwise
└── BadFile             an import file that is not in any known shape: says which shapes are
"""

from typing import Literal

BlockReason = Literal["address", "private", "redirects", "size", "ratio"]
"""Why the guard refused: an address off the list, a name that leads to a private address, too many redirects, a body beyond its limits."""


class ScrapeError(Exception):
    """Collecting data failed."""


class SourceUnavailable(ScrapeError):
    """The source did not answer usefully in time; worth trying again later."""


class CircuitOpen(SourceUnavailable):
    """The source failed so often that it is left alone for a while; nothing was asked."""


class SourceRefused(ScrapeError):
    """The source refused our key or plan."""


class SourceChanged(ScrapeError):
    """A page of unexpected shape; nothing of it was stored."""


class Blocked(ScrapeError):
    """Our own guard refused the address or the body."""

    def __init__(self, message: str, reason: BlockReason = "address") -> None:
        super().__init__(message)
        self.reason: BlockReason = reason


class NotRecorded(ScrapeError):
    """A request that is not among the recorded ones."""


class BadFile(ScrapeError):
    """A file that is not in any of the shapes that the dataset can import."""
