"""What `start.py allocation` does: the newest allocation, and why each strategy has what it has."""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from config import Settings
from daemon.allocation_record import newest
from daemon.allocation_text import render
from daemon.verbs import OUT, opened

NONE_YET = "yet: the first cycle with a due strategy makes one"


def allocation(settings: Settings, until: date | None, as_json: bool, sandbox: bool | None) -> None:
    """Print the newest recorded allocation of a session up to `until`. Reads the record alone, beside a running daemon or without."""
    with opened(settings, sandbox) as (installation, is_sandbox):
        db = installation.database(pool_max=2)
        try:
            found = newest(db, until)
        finally:
            db.close()
    printed(found, until=until, as_json=as_json, is_sandbox=is_sandbox)


def printed(found: Mapping[str, Any] | None, *, until: date | None, as_json: bool, is_sandbox: bool) -> None:
    """An explained allocation on stdout, or that there is none yet; as JSON `allocation` is null then."""
    if as_json:
        print(json.dumps({"sandbox": is_sandbox, "allocation": found}, indent=2))
        return
    if is_sandbox:
        OUT.print("[yellow]SANDBOX SYNTHETIC[/yellow]")
    if found is None:
        OUT.print(f"no allocation {NONE_YET if until is None else f'of a session up to {until}'}")
        return
    OUT.print(render(found))
