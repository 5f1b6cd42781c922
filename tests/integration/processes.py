"""Processes that are no children of ours."""

import os
import select


def ended(pid: int, within_s: float = 10.0) -> bool:
    """Whether the process ends in time (awaited through a pidfd)."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], within_s)[0])
    finally:
        os.close(handle)
