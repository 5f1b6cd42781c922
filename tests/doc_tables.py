"""The tables of the documents, as the code has them: `.venv/bin/python -m tests.doc_tables` writes them anew.

A table's last column may be written by hand; it stays with its row when the table is made again, and must not be empty.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

import typer
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from config import CHECKOUT, Settings, variable
from daemon.api import create_app
from daemon.cli import app
from daemon.log_events import EVENTS
from daemon.metric_catalogue import CATALOGUE
from scrapers import DATASETS
from strategies import CATALOG
from strategies.base import Param, Rebalance

PACKAGES = ("risk", "strategies", "scrapers", "execution", "daemon")
Row = tuple[str, ...]
Documents = Mapping[str, str]
HAND = "by hand"


@cache
def sources() -> dict[str, ast.Module]:
    """Every module of the program by path, parsed."""
    paths = [
        CHECKOUT / "start.py",
        CHECKOUT / "config.py",
        *(p for package in PACKAGES for p in sorted((CHECKOUT / package).rglob("*.py"))),
    ]
    return {p.relative_to(CHECKOUT).as_posix(): ast.parse(p.read_text(encoding="utf-8")) for p in paths}


def documents() -> dict[str, str]:
    """README and docs by path."""
    paths = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
    return {p.relative_to(CHECKOUT).as_posix(): p.read_text(encoding="utf-8") for p in paths}


def code(text: str) -> str:
    """Text as inline code."""
    return f"`{text}`" if text else ""


# What the tables hold.


def modules() -> Iterator[Row]:
    """Path and purpose of each module; a bare package marker is left out."""
    for path, tree in sources().items():
        if not path.endswith("__init__.py") or len(tree.body) > 1:
            yield code(path), (ast.get_docstring(tree) or "").split("\n\n")[0].replace("\n", " ")


def settings() -> Iterator[Row]:
    """Variable, accepted values, default and meaning of each setting."""
    for name, field in Settings.model_fields.items():
        yield code(variable(name)), accepted(field), code(default_of(field)), field.description or ""


def accepted(field: FieldInfo) -> str:
    """The values that a setting takes, in words."""
    kind: Any = field.annotation
    if SecretStr in get_args(kind):
        return "secret text"
    if get_origin(kind) is Literal:
        return ", ".join(get_args(kind))
    words = {"int": "whole number", "float": "number", "Decimal": "amount", "Path": "path", "str": "text", "date": "YYYY-MM-DD"}
    name = getattr(kind, "__name__", "")
    lists = "names" if str in get_args(kind) else "whole numbers with commas"
    text = {"tuple": lists, "dict": "JSON"}.get(name, words.get(name, name))
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [f"{sign} {getattr(m, key)}" for m in field.metadata for key, sign in signs.items() if hasattr(m, key)]
    return " ".join([text, *(bounds if name in ("int", "float", "Decimal") else [])])


def default_of(field: FieldInfo) -> str:
    """A setting's default as one would write it; nothing when it is not set."""
    if field.default is None or field.default == ():
        return ""
    if isinstance(field.default, Path):
        return field.default.relative_to(CHECKOUT).as_posix()
    if isinstance(field.default, tuple):
        return ",".join(map(str, field.default))
    return str(field.default)


def metrics() -> Iterator[Row]:
    """Name, type, labels, whether any code feeds it, and help of each metric family."""
    fed = {
        n.value
        for path, tree in sources().items()
        if path != "daemon/metric_catalogue.py"
        for n in ast.walk(tree)
        if isinstance(n, ast.Constant)
    }
    for family in CATALOGUE.values():
        labels = "; ".join(name if values is None else f"{name}: {', '.join(values)}" for name, values in family.labels.items())
        yield (
            code(family.name),
            family.kind,
            labels,
            "yes" if family.name in fed or family.name == "allocd_build_info" else "no",
            family.help,
        )


def events() -> Iterator[Row]:
    """Event, levels and modules of every log call with a literal name."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for path, tree in sources().items():
        for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call) and n.args and isinstance(n.args[0], ast.Constant)):
            level = call.func.attr if isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", "") == "log" else ""
            if isinstance(call.func, ast.Name) and call.func.id == "emit":
                level = "info or warning"
            if level and isinstance(name := call.args[0].value, str):  # type: ignore[attr-defined]
                levels, paths = found.setdefault(name, (set(), set()))
                levels.add("error" if level == "exception" else level)
                paths.add(path)
    logging = "daemon/logging.py"
    own = {n.value for n in ast.walk(sources()[logging]) if isinstance(n, ast.Constant) and n.value in EVENTS}
    found.update({name: ({"as given"}, {logging}) for name in own})
    for name, (levels, paths) in sorted(found.items()):
        yield code(name), ", ".join(sorted(levels)), ", ".join(code(p) for p in sorted(paths)), HAND


def tables() -> Iterator[Row]:
    """Tables of the trading record."""
    for path in sorted((CHECKOUT / "daemon/store/sql/migrations").glob("*.sql")):
        for name in re.findall(r"CREATE TABLE (\w+)", path.read_text(encoding="utf-8")):
            yield code(name), HAND


def datasets() -> Iterator[Row]:
    """One row per dataset."""
    for d in DATASETS.values():
        silence = f"{d.max_silence.days} days" if d.max_silence else "any"
        overlap = f"{d.overlap.total_seconds() / 86_400:g} days"
        yield d.name, d.description, ", ".join(d.key), code(d.schedule), overlap, silence, "yes" if d.snapshot else "", d.known


def data_sources() -> Iterator[Row]:
    """One row per source of a dataset, first choices first."""
    for d in DATASETS.values():
        for s in sorted(d.sources, key=lambda source: source.rank):
            choice = ("first choice", "fall-back")[min(s.rank, 1)] + (", optional" if s.optional else "")
            hosts = ", ".join(dict.fromkeys(urlsplit(url).hostname or "" for url in s.urls))
            rate = f"{s.rate.requests} per {s.rate.per_s:g} s ({s.rate.group})"
            needs = ", ".join(code(variable(name)) for name in s.needs) or "nothing"
            yield d.name, code(s.name), choice, hosts, rate, needs, "yes" if s.history else "from the first fetch on"


def dataset_columns() -> Iterator[Row]:
    """The columns of each dataset's row, and what its class says of them."""
    for d in DATASETS.values():
        told = (inspect.getdoc(d.row) or "").replace("\n", " ").replace("|", "\\|")
        yield d.name, ", ".join(code(f.name) for f in fields(d.row)), told


def shapes() -> Iterator[Row]:
    """What can be imported into each dataset."""
    for name, d in DATASETS.items():
        known = getattr(importlib.import_module(f"scrapers.sources.{name}"), "SHAPES", {}) if d.load else {"none: collected only": ""}
        for shape, columns in known.items():
            yield name, shape, code(columns)


def rejects() -> Iterator[Row]:
    """Reasons for which a record is refused, and by which modules; what they mean is written by hand."""
    found: dict[str, set[str]] = {}
    for path, tree in sources().items():
        if path.startswith("scrapers/") and "/twin/" not in path:
            for reason in _reasons(tree):
                found.setdefault(reason, set()).add(Path(path).stem)
    for reason in sorted(found):
        yield code(reason), ", ".join(sorted(found[reason])), HAND


def _reasons(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        called = (getattr(node.func, "attr", "") or getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""
        named = called in ("reject", "rejected", "refused", "Reject", "Unusable", "_Refused", "Refused", "_reject", "refusal")
        spots: list[ast.expr | None] = list(node.args[:1]) if named else []  # type: ignore[attr-defined]
        if named:
            spots += [k.value for k in node.keywords if k.arg == "reason"]  # type: ignore[attr-defined]
        if isinstance(node, ast.FunctionDef) and node.name == "_faults":
            spots += [key for n in ast.walk(node) if isinstance(n, ast.Dict) for key in n.keys]
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            spots.append(node.value)
        branches = [b for s in spots for b in ((s.body, s.orelse) if isinstance(s, ast.IfExp) else (s,))]
        yield from (
            b.value for b in branches if isinstance(b, ast.Constant) and isinstance(b.value, str) and re.fullmatch("[a-z_]+", b.value)
        )


def strategy_rows() -> Iterator[Row]:
    """One row per strategy."""
    for s in CATALOG.values():
        yield s.name, _due(s.rebalance), ", ".join(s.needs), str(s.lookback_sessions), str(len(s.funds) or "–"), s.description


def _due(rule: Rebalance) -> str:
    return f"{rule.kind} {rule.on}".strip()


def parameters() -> Iterator[Row]:
    """One row per parameter of a strategy."""
    for s in CATALOG.values():
        for name, param in s.params.items():
            yield s.name, code(name), code(str(param.default)), _bounds(param), param.meaning


def _bounds(param: Param) -> str:
    if isinstance(param.default, str):
        return ", ".join(param.choices) or "names, with `; ` between them"
    return f"{param.low:g} to {param.high:g}"


@cache
def verbs() -> dict[str, Any]:
    """Every verb of the command line by the words that call it."""
    found: dict[str, Any] = {}
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        found[name] = command
        found.update({f"{name} {sub}": inner for sub, inner in getattr(command, "commands", {}).items()})
    return found


def verb_rows() -> Iterator[Row]:
    """Verb, arguments and options, help, and its exit codes by hand."""
    for name, command in verbs().items():
        parts = [
            ("/".join([*p.opts, *p.secondary_opts]) if p.param_type_name == "option" else p.name.rstrip("_").upper())
            for p in command.params
        ]
        yield code(name), " ".join(code(p) for p in parts), (command.help or "").split("\n")[0], HAND


def endpoints() -> Iterator[Row]:
    """Every route that the daemon serves."""
    routes = create_app(None, hosts=[]).routes  # type: ignore[arg-type]
    for path in sorted({r.path for r in routes if hasattr(r, "path")}):
        yield code(path), HAND


@dataclass(frozen=True)
class Table:
    """A table of a document: where it stands, its columns and the function that makes its rows."""

    document: str
    columns: Row
    rows: Callable[[], Iterator[Row]]


TABLES = {
    "modules": Table("docs/architecture.md", ("file", "what it is for"), modules),
    "tables": Table("docs/architecture.md", ("table", "holds"), tables),
    "settings": Table("docs/operations.md", ("variable", "value", "default", "meaning"), settings),
    "metrics": Table("docs/operations.md", ("metric", "type", "labels", "fed", "meaning"), metrics),
    "events": Table("docs/operations.md", ("event", "level", "from", "what it tells"), events),
    "verbs": Table("docs/operations.md", ("verb", "arguments and options", "what it does", "exit codes"), verb_rows),
    "endpoints": Table("docs/operations.md", ("path", "answer"), endpoints),
    "datasets": Table(
        "docs/data.md", ("dataset", "rows", "key", "collected", "overlap", "silence allowed", "deletions seen", "known at"), datasets
    ),
    "sources": Table("docs/data.md", ("dataset", "source", "choice", "hosts", "limit", "needs", "history"), data_sources),
    "columns": Table("docs/data.md", ("dataset", "columns of a row", "meaning"), dataset_columns),
    "shapes": Table("docs/data.md", ("dataset", "shape", "columns"), shapes),
    "rejects": Table("docs/data.md", ("reason", "from", "meaning"), rejects),
    "strategies": Table(
        "docs/strategies.md", ("strategy", "due", "reads", "sessions asked for", "funds", "rule in one line"), strategy_rows
    ),
    "parameters": Table("docs/strategies.md", ("strategy", "parameter", "default", "accepted", "meaning"), parameters),
}


def marked(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- table {name} -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def _cells(line: str) -> Row:
    return tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1])


def written(name: str, text: str) -> list[Row]:
    """The rows of a table as the document has them, without the two lines of its head."""
    found = marked(name).search(text)
    assert found, f"{TABLES[name].document} has no table {name}"
    return [_cells(line) for line in found[2].strip().splitlines()[2:]]


def wanted(name: str, text: str) -> list[Row]:
    """The rows as the code has them, what is written by hand taken from the document."""
    hand = {row[0]: row[-1] for row in written(name, text)}
    rows = [tuple(cell.replace("|", "\\|") for cell in row) for row in TABLES[name].rows()]
    return [(*row[:-1], hand.get(row[0], "")) if row[-1] == HAND else row for row in rows]


def table_problems(name: str, docs: Documents) -> list[str]:
    """Rows that are missing, too many or different, and hand-written cells that are empty."""
    text = docs[TABLES[name].document]
    have, want = written(name, text), wanted(name, text)
    wrong = [f"missing or different: {row[0]}" for row in want if row not in have]
    wrong += [f"not in the code: {row[0]}" for row in have if row not in want]
    wrong += [f"order: {name}"] if not wrong and have != want else []
    return wrong + [f"nothing is said of {row[0]}" for row in want if not row[-1] and name != "shapes"]


def make_tables() -> None:
    """Write every table as the code has it."""
    for name, table in TABLES.items():
        path = CHECKOUT / table.document
        text = path.read_text(encoding="utf-8")
        head = f"| {' | '.join(table.columns)} |\n|{'---|' * len(table.columns)}\n"
        body = "".join(f"| {' | '.join(row)} |\n" for row in wanted(name, text))
        path.write_text(marked(name).sub(lambda m, new=head + body: m[1] + new + m[3], text), encoding="utf-8")  # type: ignore[misc]


if __name__ == "__main__":
    make_tables()
