"""Becomes a PostgreSQL program that dies with its parent: a script of its own, run before anything else is loaded.

    python -I -S launch_postgres.py PARENT_PID SIGNAL ACCOUNT PROGRAM [ARGUMENT...]

ACCOUNT is `self`, `namespace` (PostgreSQL refuses uid 0; in a fresh user namespace without a uid map the process no longer
is uid 0, yet still owns the files of the user who started it) or `UID:GID`. SIGNAL is what the kernel sends to the program
when the thread that forked it ends. Exit code 77: the account cannot be taken on here.
"""

import ctypes
import os
import signal
import sys
from typing import NoReturn

CLONE_NEWUSER = 0x10000000
PR_SET_PDEATHSIG = 1
ACCOUNT_DENIED = 77
PARENT_GONE = 78


def take_account(account: str, libc: ctypes.CDLL) -> None:
    """Become `account` for good. Raises OSError where the kernel or the container forbids it."""
    if account == "namespace":
        if libc.unshare(CLONE_NEWUSER) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"unshare(CLONE_NEWUSER): {os.strerror(number)}")
    elif account != "self":
        uid, gid = (int(part) for part in account.split(":"))
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)


def main(arguments: list[str]) -> NoReturn:
    """Take on the account, tie the life to the parent's, and exec the program."""
    parent, death_signal, account, program = int(arguments[0]), int(arguments[1]), arguments[2], arguments[3:]
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.umask(0o077)
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        take_account(account, libc)
    except OSError as error:
        sys.stderr.write(f"the account {account!r} was refused: {error}\n")
        sys.exit(ACCOUNT_DENIED)
    # After the change of credentials, which would clear it; and before the look at the parent, which may be gone already.
    libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(PARENT_GONE)
    os.execv(program[0], program)  # noqa: S606  this script exists to become the program


if __name__ == "__main__":
    main(sys.argv[1:])
