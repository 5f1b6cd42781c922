"""The named SQL statements of `sql/queries.sql`."""

from functools import cache
from pathlib import Path
from typing import Any, LiteralString

Row = dict[str, Any]
"""A row of a query, by column."""

SQL_DIR = Path(__file__).parent / "sql"


@cache
def all_queries() -> dict[str, LiteralString]:
    """Every named statement, by name.

    Raises ValueError when a name stands twice or a block is empty.
    """
    found: dict[str, LiteralString] = {}
    for block in (SQL_DIR / "queries.sql").read_text().split("-- name: ")[1:]:
        name, _, body = block.partition("\n")
        text = "\n".join(line for line in body.splitlines() if not line.startswith("--")).strip()
        if name.strip() in found or not text:
            raise ValueError(f"queries.sql: {name.strip()!r} is empty or stands twice")
        found[name.strip()] = text
    return found


def sql(name: str) -> LiteralString:
    """One named statement; KeyError when there is none."""
    return all_queries()[name]


def migrations() -> list[tuple[int, str, LiteralString]]:
    """Versioned migrations in order: (version, file name, text)."""
    files = sorted((SQL_DIR / "migrations").glob("[0-9]*.sql"))
    return [(int(f.name.split("_")[0]), f.name, f.read_text()) for f in files]
