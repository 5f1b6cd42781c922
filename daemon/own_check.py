"""What `start.py check` says of an operator's own strategies: each file, each check of the conformance suite, and what is left out."""

from collections.abc import Iterator, Sequence
from typing import Any

from daemon.errors import StartRefused
from daemon.own_strategies import CheckResult, Found


def lines(found: Found, results: Sequence[CheckResult]) -> Iterator[str]:
    """A line per file and a line per strategy and check."""
    for refused in found.refused:
        yield f"own strategy {refused.name or '-'}: LEFT OUT, {refused}"
    for name, own in found.own.items():
        yield f"own strategy {name}: {own.path}, sha256 {own.sha256[:16]}"
        for result in results:
            if result.strategy == name:
                yield f"  {name}: {result.check.replace('_', ' ')}: {'NOT KEPT, ' + result.said if result.said else 'kept'}"


def as_json(found: Found, results: Sequence[CheckResult]) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "strategies": {
            name: {
                "path": str(own.path),
                "sha256": own.sha256,
                "checks": [{"check": r.check, "kept": not r.said, "said": r.said} for r in results if r.strategy == name],
            }
            for name, own in found.own.items()
        },
        "left_out": [{"name": refused.name, "path": str(refused.path), "reason": refused.reason} for refused in found.refused],
    }


def refuse(found: Found, results: Sequence[CheckResult]) -> None:
    """Raise StartRefused where a file is left out or a check is not kept."""
    broken = [result for result in results if result.said]
    if found.refused or broken:
        counts = f"{len(found.refused)} left out, {len(broken)} of {len(results)} checks not kept"
        raise StartRefused(f"own strategies: {counts}; each is named above with its reason")
