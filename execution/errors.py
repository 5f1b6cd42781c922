"""What can go wrong between us and the broker; the class says what to do next.

ExecutionError
├── Refused            a rule of ours says no before anything was sent: fix the order
├── BrokerError
│   ├── Rejected       the broker answered no: final for this order
│   ├── UnknownOutcome the order may or may not exist: look it up by client_order_id, never send again
│   ├── Unreachable    nothing was changed at the broker: try again later
│   ├── Unauthorized   wrong keys: a person must act
│   └── RateLimited    wait `retry_after_s`
├── LiveTradingGuard   a base URL that is neither the paper host nor loopback: a person must act
└── LedgerError        an entry that does not balance or a fill that fits no order: stop that symbol
"""


class ExecutionError(Exception):
    """Base of everything in this layer."""


class Refused(ExecutionError):
    """A local rule refused the order before it was sent."""


class BrokerError(ExecutionError):
    """The broker, or the way to it, failed."""


class Rejected(BrokerError):
    """The broker refused the order. `code` and `status` are the broker's own."""

    def __init__(self, message: str, *, status: int = 0, code: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class UnknownOutcome(BrokerError):
    """The order may or may not have arrived: look it up, never send it again blindly."""


class Unreachable(BrokerError):
    """The broker did not answer a question that changes nothing; ask again later."""


class Unauthorized(BrokerError):
    """The broker refused our keys."""


class RateLimited(BrokerError):
    """The broker asked us to wait."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class LiveTradingGuard(ExecutionError):
    """A base URL that is neither Alpaca's paper host nor loopback."""


class LedgerError(ExecutionError):
    """An entry that does not balance, or a fill that fits no order."""
