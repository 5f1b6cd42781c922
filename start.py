#!/usr/bin/env python3
"""allocd: the command line. Without a verb it means `run`."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  the one line that an older Python must still be able to read
    sys.exit("allocd needs Python 3.11 or newer, this is %d.%d; on Ubuntu 22.04: apt install python3.11 python3.11-venv" % sys.version_info[:2])

import config  # noqa: E402  first of all: it fixes the thread counts of the numeric libraries

from daemon.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(config.load))
