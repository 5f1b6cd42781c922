"""What can go wrong while collecting data; the class says what to do next.

ScrapeError
├── SourceUnavailable   timeouts, 5xx, resets: retried, then the run fails and is tried at the next occurrence
├── SourceRefused       401 or 403: keys or plan; a person must act
├── SourceChanged       a page of unexpected shape: raw body kept, earlier data stays in force; a person must act
├── Blocked             our own egress guard refused the address
└── BadFile             an import file that is not in any known shape: says which shapes are
"""


class ScrapeError(Exception):
    """Collecting data failed."""


class SourceUnavailable(ScrapeError):
    """The source did not answer usefully in time; worth trying again later."""


class SourceRefused(ScrapeError):
    """The source refused our key or plan."""


class SourceChanged(ScrapeError):
    """A page of unexpected shape; nothing of it was stored."""


class Blocked(ScrapeError):
    """The egress guard refused the address."""


class BadFile(ScrapeError):
    """A file that is not in any of the shapes that the dataset can import."""
