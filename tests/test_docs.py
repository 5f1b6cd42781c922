"""The documents say what the code says. Tables between markers are made from it: `.venv/bin/python -m tests.test_docs` makes them anew.

A table's last column may be written by hand; it stays with its row when the table is made again, and must not be empty.
"""

import ast
import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import typer
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from config import CHECKOUT, TEST_VARIABLES, Settings, variable
from daemon.api import create_app
from daemon.cli import app
from daemon.errors import DaemonError
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
    paths = [CHECKOUT / "start.py", CHECKOUT / "config.py", *(p for package in PACKAGES for p in sorted((CHECKOUT / package).rglob("*.py")))]
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
    text = {"tuple": "names", "dict": "JSON"}.get(name, words.get(name, name))
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [f"{sign} {getattr(m, key)}" for m in field.metadata for key, sign in signs.items() if hasattr(m, key)]
    return " ".join([text, *(bounds if name in ("int", "float", "Decimal") else [])])


def default_of(field: FieldInfo) -> str:
    """A setting's default as one would write it; nothing when it is not set."""
    if field.default is None or field.default == ():
        return ""
    if isinstance(field.default, Path):
        return field.default.relative_to(CHECKOUT).as_posix()
    return str(field.default)


def metrics() -> Iterator[Row]:
    """Name, type, labels, whether any code feeds it, and help of each metric family."""
    fed = {n.value for path, tree in sources().items() if path != "daemon/metric_catalogue.py" for n in ast.walk(tree) if isinstance(n, ast.Constant)}
    for family in CATALOGUE.values():
        labels = "; ".join(name if values is None else f"{name}: {', '.join(values)}" for name, values in family.labels.items())
        yield code(family.name), family.kind, labels, "yes" if family.name in fed or family.name == "allocd_build_info" else "no", family.help


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
    for name, (levels, paths) in sorted(found.items()):
        yield code(name), ", ".join(sorted(levels)), ", ".join(code(p) for p in sorted(paths)), HAND


def tables() -> Iterator[Row]:
    """Tables of the trading record."""
    for path in sorted((CHECKOUT / "daemon/store/sql/migrations").glob("*.sql")):
        for name in re.findall(r"CREATE TABLE (\w+)", path.read_text(encoding="utf-8")):
            yield code(name), HAND


def datasets() -> Iterator[Row]:
    """One row per dataset; when its rows become known is written by hand."""
    for d in DATASETS.values():
        rate = f"{d.rate.requests} per {d.rate.per_s:g} s ({d.rate.group})"
        yield d.name, d.description, ", ".join(d.key), d.source_url, code(d.schedule), rate, f"{d.overlap.days} days", HAND


def dataset_columns() -> Iterator[Row]:
    """The columns of each dataset's row."""
    for d in DATASETS.values():
        yield d.name, ", ".join(code(f.name) for f in fields(d.row))


def shapes() -> Iterator[Row]:
    """What can be imported into each dataset."""
    for name, d in DATASETS.items():
        known = getattr(importlib.import_module(f"scrapers.sources.{name}"), "SHAPES", {}) if d.load else {"none: collected only": ""}
        for shape, columns in known.items():
            yield name, shape, code(columns)


def rejects() -> Iterator[Row]:
    """Reasons for which each dataset refuses a record; what they mean is written by hand."""
    for name in DATASETS:
        paths = [f"scrapers/sources/{name}.py"] + (["scrapers/bar_frames.py"] if name == "bars_daily" else [])
        found = {reason for path in paths for reason in _reasons(sources()[path])}
        for reason in sorted(found):
            yield f"{name}: {code(reason)}", HAND


def _reasons(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        named = isinstance(node, ast.Call) and (getattr(node.func, "attr", "") == "reject" or getattr(node.func, "id", "") == "_Refused")
        spots: list[ast.expr | None] = list(node.args[:1]) if named else []  # type: ignore[attr-defined]
        if isinstance(node, ast.FunctionDef) and node.name == "_faults":
            spots += [key for n in ast.walk(node) if isinstance(n, ast.Dict) for key in n.keys]
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
            spots.append(node.value)
        branches = [b for s in spots for b in ((s.body, s.orelse) if isinstance(s, ast.IfExp) else (s,))]
        yield from (b.value for b in branches if isinstance(b, ast.Constant) and isinstance(b.value, str) and re.fullmatch("[a-z_]+", b.value))


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
    return ", ".join(param.choices) if param.choices else f"{param.low:g} to {param.high:g}"


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
        parts = [("/".join([*p.opts, *p.secondary_opts]) if p.param_type_name == "option" else p.name.rstrip("_").upper()) for p in command.params]
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
    "datasets": Table("docs/data.md", ("dataset", "rows", "key", "source", "collected", "limit", "overlap", "known at"), datasets),
    "columns": Table("docs/data.md", ("dataset", "columns of a row"), dataset_columns),
    "shapes": Table("docs/data.md", ("dataset", "shape", "columns"), shapes),
    "rejects": Table("docs/data.md", ("reason", "meaning"), rejects),
    "strategies": Table("docs/strategies.md", ("strategy", "due", "reads", "sessions asked for", "funds", "rule in one line"), strategy_rows),
    "parameters": Table("docs/strategies.md", ("strategy", "parameter", "default", "accepted", "meaning"), parameters),
}


def _marked(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- table {name} -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def _cells(line: str) -> Row:
    return tuple(cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1])


def written(name: str, text: str) -> list[Row]:
    """The rows of a table as the document has them, without the two lines of its head."""
    found = _marked(name).search(text)
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


# What is checked beside the tables.


def _spans(text: str) -> list[str]:
    """Inline code and the lines of code blocks."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    plain = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return [*re.findall(r"`([^`\n]+)`", plain), *(line for block in blocks for line in block.splitlines())]


def broken_links(docs: Documents) -> list[str]:
    """Links to files or headings that are not there."""
    wrong = []
    for path, text in docs.items():
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" in target:
                continue
            name, _, anchor = target.partition("#")
            place = (CHECKOUT / path).parent / name if name else CHECKOUT / path
            key = place.resolve().relative_to(CHECKOUT).as_posix()
            known = {_anchor(h) for h in re.findall(r"^#+ (.+)$", docs.get(key, ""), re.MULTILINE)}
            if not place.exists() or (anchor and anchor not in known):
                wrong.append(f"{path}: {target}")
    return wrong


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def unknown_commands(docs: Documents) -> list[str]:
    """Verbs and options of start.py, and targets of make, that do not exist."""
    targets = set(re.findall(r"^([a-z]+):", (CHECKOUT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    wrong = []
    for path, text in docs.items():
        for span in _spans(text):
            wrong += [f"{path}: make {t}" for t in re.findall(r"^(?:\w+=\S+ )*make ([a-z]+)", span) if t not in targets]
            for call in re.findall(r"start\.py +([a-z][^#]*)", span):
                wrong += [f"{path}: {problem}" for problem in _call_problems(call.split())]
    return wrong


def _call_problems(words: list[str]) -> list[str]:
    name = " ".join(words[:2]) if " ".join(words[:2]) in verbs() else words[0]
    if name not in verbs():
        return [f"start.py {name}"]
    options = {o for p in verbs()[name].params for o in [*p.opts, *p.secondary_opts]}
    return [f"start.py {name} {w}" for w in words if w.startswith("--") and w.partition("=")[0] not in options]


def unknown_names(docs: Documents) -> list[str]:
    """Variables that are no settings, files that are not there, and `file: name` pairs whose name the file does not define."""
    known = {variable(name) for name in Settings.model_fields} | TEST_VARIABLES
    wrong = []
    for path, text in docs.items():
        wrong += [f"{path}: {name}" for name in re.findall(r"\bALLOCD_[A-Z_0-9]+\b", text) if name not in known]
        for span in _spans(text):
            found = re.fullmatch(r"((?:risk|strategies|scrapers|execution|daemon|tests)/[\w/]+\.\w+)(?:: ([\w., ]+))?", span)
            if found is None:
                continue
            place = CHECKOUT / found[1]
            body = place.read_text(encoding="utf-8") if place.is_file() else ""
            names = re.split(r"[,. ]+", found[2]) if found[2] else []
            wrong += [f"{path}: {span}"] if not body else []
            wrong += [f"{path}: {span}: no {n}" for n in names if not re.search(rf"^\s*(?:def |class )?{n}\b[(:= ]", body, re.MULTILINE)]
    return wrong


def exit_code_problems(docs: Documents) -> list[str]:
    """Exit codes that the code gives and the table lacks, or the reverse."""
    section = docs["docs/operations.md"].partition("\n## Exit codes\n")[2].partition("\n## ")[0]
    have = {int(n) for n in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)}
    found = {c.exit_code for c in (DaemonError, *DaemonError.__subclasses__())} | {0, 3}
    main = next(n for n in sources()["daemon/cli.py"].body if isinstance(n, ast.FunctionDef) and n.name == "main")
    found |= {n.value for n in ast.walk(main) if isinstance(n, ast.Constant) and type(n.value) is int}
    return [f"exit code {n}" for n in sorted(have ^ found)]


def missing_sections(docs: Documents) -> list[str]:
    """Datasets and strategies without a section of their own."""
    places = {"docs/data.md": DATASETS, "docs/strategies.md": CATALOG}
    return [f"{path}: {name}" for path, catalog in places.items() for name in catalog if f"\n### {name}\n" not in docs[path]]


CHECKS: dict[str, tuple[Callable[[Documents], list[str]], str, str]] = {
    "links": (broken_links, "docs/operations.md", "[gone](nowhere.md)"),
    "commands": (unknown_commands, "README.md", "`make nothing`, `start.py check --all`"),
    "names": (unknown_names, "docs/architecture.md", "`daemon/cycle.py: nothing` ALLOCD_NOTHING"),
    "exit codes": (exit_code_problems, "docs/operations.md", ""),
    "sections": (missing_sections, "docs/data.md", ""),
}


@pytest.mark.parametrize("name", TABLES)
def test_table_says_what_the_code_says(name: str) -> None:
    assert table_problems(name, documents()) == [], "make the tables anew: .venv/bin/python -m tests.test_docs"


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_lost_or_gained_a_row_is_noticed(name: str) -> None:
    docs = documents()
    place = TABLES[name].document
    found = _marked(name).search(docs[place])
    assert found
    lines = found[2].splitlines(keepends=True)
    shorter, longer = "".join(lines[:-1]), found[2] + "| " + " | ".join(["new"] * len(TABLES[name].columns)) + " |\n"
    for changed in (shorter, longer):
        assert table_problems(name, docs | {place: docs[place].replace(found[2], changed)})


def test_a_cell_left_empty_is_noticed() -> None:
    docs = documents()
    row = written("tables", docs["docs/architecture.md"])[0]
    spoilt = docs["docs/architecture.md"].replace(f"| {row[0]} | {row[1]} |", f"| {row[0]} |  |")
    assert table_problems("tables", docs | {"docs/architecture.md": spoilt}) == [f"nothing is said of {row[0]}"]


@pytest.mark.parametrize("name", CHECKS)
def test_documents_hold(name: str) -> None:
    assert CHECKS[name][0](documents()) == []


@pytest.mark.parametrize("name", CHECKS)
def test_each_check_fails_on_a_document_that_is_wrong(name: str) -> None:
    check, place, addition = CHECKS[name]
    docs = documents()
    spoilt = docs[place] + addition if addition else docs[place].replace("| 75 |", "| 76 |").replace("### vix", "### vox")
    assert check(docs | {place: spoilt})


def make_tables() -> None:
    """Write every table as the code has it."""
    for name, table in TABLES.items():
        path = CHECKOUT / table.document
        text = path.read_text(encoding="utf-8")
        head = f"| {' | '.join(table.columns)} |\n|{'---|' * len(table.columns)}\n"
        body = "".join(f"| {' | '.join(row)} |\n" for row in wanted(name, text))
        path.write_text(_marked(name).sub(lambda m, new=head + body: m[1] + new + m[3], text), encoding="utf-8")  # type: ignore[misc]


if __name__ == "__main__":
    make_tables()
