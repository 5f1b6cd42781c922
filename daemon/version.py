"""Which program this is."""

from pathlib import Path

VERSION = "0.1.0"


def revision(checkout: Path) -> str:
    """Short git revision of the checkout, or "unknown" outside one."""
    git = checkout / ".git"
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head[:10]
        ref = head.removeprefix("ref: ")
        if (git / ref).exists():
            return (git / ref).read_text().strip()[:10]
        packed = [line.split() for line in (git / "packed-refs").read_text().splitlines() if line.endswith(f" {ref}")]
        return packed[0][0][:10] if packed else "unknown"
    except OSError:
        return "unknown"
