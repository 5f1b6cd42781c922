#!/usr/bin/env python3
"""allocd: the command line. Without a verb it means `run`. This file stays readable by any Python 3.6 or newer."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  this line is for those that still have an older one
    sys.exit(
        f"allocd needs Python 3.11 or newer, this is {sys.version_info[0]}.{sys.version_info[1]}; "
        "on Ubuntu 22.04: apt install python3.11 python3.11-venv"
    )

try:
    import config
    from daemon.cli import main
except ModuleNotFoundError as missing:
    sys.exit(
        f"allocd: {missing.name} is not installed for {sys.executable}: use `make run`, or `make venv` and then .venv/bin/python start.py"
    )

if __name__ == "__main__":
    sys.exit(main(config.load))
