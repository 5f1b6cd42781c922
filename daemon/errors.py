"""What can go wrong in the hub; the class says what to do next, `exit_code` what the process returns.

DaemonError
├── WrongUsage            a name or option that does not exist (2)
├── StartRefused          configuration or environment that a person must mend (78)
├── InstanceRunning       another allocd owns this state directory (75)
├── DependencyFailed      PostgreSQL, broker or sandbox gave up during start (69)
├── PermissionsWrong      files, keys or tokens that are refused (77)
├── DaemonNotReachable    a command that needs the running daemon found none (4)
├── RefusedByState        halted, market closed, or a guard (5)
└── DiskFull              the state directory cannot take what must be recorded (69)
"""


class DaemonError(Exception):
    """Something that ends a command or the process with one clear line."""

    exit_code = 1


class WrongUsage(DaemonError):
    """A name or option that does not exist."""

    exit_code = 2


class StartRefused(DaemonError):
    """Configuration or environment that a person must mend."""

    exit_code = 78


class InstanceRunning(DaemonError):
    """Another allocd owns this state directory."""

    exit_code = 75


class DependencyFailed(DaemonError):
    """A dependency gave up during start."""

    exit_code = 69


class PermissionsWrong(DaemonError):
    """Files, keys or tokens that are refused."""

    exit_code = 77


class DaemonNotReachable(DaemonError):
    """A command that needs the running daemon found none."""

    exit_code = 4


class RefusedByState(DaemonError):
    """The state of the daemon or the market forbids it."""

    exit_code = 5


class DiskFull(DaemonError):
    """The state directory has no room for what must be recorded."""

    exit_code = 69
