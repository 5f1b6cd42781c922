"""The layers, doors and habits of the design hold in every module; and each check fails on a module that breaks it."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
LAYERS = {
    "risk": {"risk"},
    "strategies": {"strategies", "risk"},
    "scrapers": {"scrapers"},
    "execution": {"execution"},
    "config": {"risk", "strategies", "scrapers", "execution"},
    "daemon": {"daemon", "config", "risk", "strategies", "scrapers", "execution"},
    "start": {"daemon", "config", "risk", "strategies", "scrapers", "execution"},
}
FIRST_PARTY = set(LAYERS)
DOORS = {
    "httpx": ("scrapers/http.py", "scrapers/wire.py"),
    "httpcore": ("scrapers/wire.py", "scrapers/egress.py"),
    "alpaca": ("execution/alpaca.py",),
    "psycopg": ("daemon/store/",),
    "psycopg_pool": ("daemon/store/",),
    "duckdb": ("daemon/store/",),
    "apscheduler": ("daemon/schedule.py",),
    "prometheus_client": ("daemon/metrics.py",),
    "exchange_calendars": ("daemon/calendar.py",),
    "dotenv": ("config.py",),
}
ENVIRONMENT_DOOR = "config.py"
WALL_CLOCK_DOOR = "daemon/clock.py"
WALL_CLOCK = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "time.time",
    "time.time_ns",
    "Timestamp.now",
    "Timestamp.today",
}
# Where a statement must be put together, and why no parameter can do it.
COMPOSED_SQL = {
    "daemon/store/postgres_cluster.py": "single-user mode, before there is a server, reads statements and takes no parameters",
    "daemon/store/segments.py": "a list of columns cannot be a parameter; the names are those of a declared row type",
}
BROAD_EXCEPT_DOOR = "daemon/jobs.py"
SHAPELESS = {"utils", "helpers", "common", "manager", "util", "helper", "misc"}
MOST_LINES = 400
SQL = re.compile(
    r"""\s*(SELECT\s.+\sFROM\s|INSERT\s+INTO\s|UPDATE\s+[\w.?"]+\s+SET\s|DELETE\s+FROM\s|COPY\s.+\s(TO|FROM)\s
        |(CREATE|DROP|ALTER)\s+(TABLE|SCHEMA|DATABASE|VIEW|ROLE|INDEX)\s)""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)


Check = Callable[[str, str, ast.Module], Iterator[str]]


def modules() -> dict[str, str]:
    """Source by path, relative to the checkout, of every module that ships."""
    roots = [CHECKOUT / name for name in FIRST_PARTY]
    files = [file for root in roots for file in ([root.with_suffix(".py")] if not root.is_dir() else sorted(root.rglob("*.py")))]
    return {str(file.relative_to(CHECKOUT)): file.read_text(encoding="utf-8") for file in files if file.is_file()}


def package(path: str) -> str:
    return path.removesuffix(".py").split("/")[0]


def imports(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    """Every absolute import as (statement, dotted name); `from a import b` gives a.b, which may be a module or a name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node, f"{'.' * node.level}{node.module or ''}.{alias.name}") for alias in node.names)


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a chain of attributes, else an empty string at its root."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def keeps_the_layers(path: str, source: str, tree: ast.Module) -> Iterator[str]:
    """A package imports only the packages below it, and by absolute names."""
    for node, name in imports(tree):
        top = name.split(".")[0]
        if not top:
            yield f"{path}:{node.lineno} imports relatively"
        elif top in FIRST_PARTY and top not in LAYERS[package(path)]:
            yield f"{path}:{node.lineno} {package(path)} must not import {top}"
        elif top in ("tests", "benchmarks"):
            yield f"{path}:{node.lineno} the product must not import {top}"


def config_takes_option_types_only(path: str, source: str, tree: ast.Module) -> Iterator[str]:
    """config.py imports nothing first-party but the option types of `base` modules."""
    for node, name in imports(tree) if path == "config.py" else ():
        if name.split(".")[0] in FIRST_PARTY and name.split(".")[1] != "base":
            yield f"{path}:{node.lineno} config.py imports {name}, which is no option type of a base module"


def libraries_come_in_by_their_door(path: str, source: str, tree: ast.Module) -> Iterator[str]:
    """Each outside library with a door is imported there alone."""
    for node, name in imports(tree):
        doors = DOORS.get(name.split(".")[0], (path,))
        if not path.startswith(doors):
            yield f"{path}:{node.lineno} {name.split('.')[0]} comes in only through {', '.join(doors)}"


def the_environment_is_read_in_config(path: str, source: str, tree: ast.Module) -> Iterator[str]:
    """os.environ and os.getenv appear in config.py alone."""
    if path == ENVIRONMENT_DOOR:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and dotted(node) in ("os.environ", "os.getenv", "os.environb", "os.putenv"):
            yield f"{path}:{node.lineno} reads the environment; only {ENVIRONMENT_DOOR} may"
    for node, name in imports(tree):
        if name in ("os.environ", "os.getenv", "os.environb"):
            yield f"{path}:{node.lineno} reads the environment; only {ENVIRONMENT_DOOR} may"


def the_wall_clock_is_read_in_clock(path: str, source: str, tree: ast.Module) -> Iterator[str]:
    """The present is asked for in daemon/clock.py alone; durations (monotonic, perf_counter) are free."""
    if path == WALL_CLOCK_DOOR:
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ".".join(dotted(node).split(".")[-2:]) in WALL_CLOCK:
            yield f"{path}:{node.lineno} asks the wall clock; only {WALL_CLOCK_DOOR} may"
    for node, name in imports(tree):
        if name in ("time.time", "time.time_ns"):
            yield f"{path}:{node.lineno} asks the wall clock; only {WALL_CLOCK_DOOR} may"


def first_party_imports_stand_at_the_top(path: str, source: str, tree: ast.Module) -> Iterator[str]:
    """No function imports a module of ours."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node, name in imports(function):
                if name.split(".")[0] in FIRST_PARTY:
                    yield f"{path}:{node.lineno} {function.name} imports {name} inside a function"


def catches_what_it_names(path: str, source: str, tree: ast.Module) -> Iterator[str]:
    """No broad except outside daemon/jobs.py, unless it only tidies up and raises again."""
    for node in ast.walk(tree) if path != BROAD_EXCEPT_DOOR else ():
        if isinstance(node, ast.ExceptHandler) and not _raises_again(node):
            caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            if any(kind is None or dotted(kind) in ("Exception", "BaseException") for kind in caught):
                yield f"{path}:{node.lineno} catches everything; only {BROAD_EXCEPT_DOOR} may"


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None and not any(isinstance(node, ast.Return) for node in ast.walk(handler))


def files_stay_short(path: str, source: str, tree: ast.Module) -> Iterator[str]:
    """No file is longer than the cap."""
    if (lines := source.count("\n")) > MOST_LINES:
        yield f"{path} has {lines} lines, more than {MOST_LINES}"


def modules_are_named_for_a_subject(path: str, source: str, tree: ast.Module) -> Iterator[str]:
    """No module or folder is called utils and the like."""
    for part in path.removesuffix(".py").split("/"):
        if SHAPELESS & set(part.split("_")):
            yield f"{path} is not named for a subject"


def sql_is_not_put_together(path: str, source: str, tree: ast.Module) -> Iterator[str]:
    """No SQL is built with f-strings, %, + or format. (psycopg.sql composes identifiers safely and passes.)"""
    for node in ast.walk(tree) if path not in COMPOSED_SQL else ():
        if SQL.match(_built_text(node)):
            yield f"{path}:{node.lineno} builds SQL from strings; SQL lives in .sql files and takes parameters"  # type: ignore[attr-defined]


def _built_text(node: ast.AST) -> str:
    """The text of a string that is put together at run time, with `?` for what is put in; else nothing."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "?" for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod | ast.Add):
        return _constant(node.left)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return _constant(node.func.value)
    return ""


def _constant(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def cycles(sources: dict[str, str]) -> list[list[str]]:
    """Groups of modules that import each other, directly or in a ring. Imports for type checkers alone do not count."""
    names = {path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in sources}
    graph = {name: _needed(ast.parse(sources[path]), names) - {name} for name, path in names.items()}
    reach = {name: _reachable(graph, name) for name in graph}
    rings = {tuple(sorted(other for other in reach[name] if name in reach[other])) for name in graph if name in reach[name]}
    return [list(ring) for ring in sorted(rings)]


def _needed(tree: ast.Module, names: dict[str, str]) -> set[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and dotted(node.test).endswith("TYPE_CHECKING"):
            node.body = []
    found = set()
    for _, name in imports(tree):
        found.add(next((known for known in (name, name.rpartition(".")[0]) if known in names), ""))
    return found - {""}


def _reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    frontier = set(graph[start])
    while frontier:
        seen |= frontier
        frontier = {further for name in frontier for further in graph[name]} - seen
    return seen


MODULES = modules()
# By check: modules that break it (path, source), and modules close by that do not.
CHECKS: dict[Check, tuple[list[tuple[str, str]], list[tuple[str, str]]]] = {
    keeps_the_layers: (
        [
            ("risk/x.py", "import strategies.base"),
            ("strategies/x.py", "from daemon import clock"),
            ("scrapers/x.py", "import config"),
            ("execution/x.py", "if True:\n    from scrapers.http import Http"),
            ("daemon/x.py", "from tests.conftest import need"),
            ("daemon/x.py", "from . import clock"),
            ("daemon/x.py", "import start"),
        ],
        [("strategies/x.py", "import risk.base"), ("daemon/x.py", "from execution.base import Order"), ("risk/x.py", "import numpy")],
    ),
    config_takes_option_types_only: (
        [("config.py", "from risk.allocate import allocate")],
        [("config.py", "from risk.base import RiskLimits"), ("daemon/x.py", "from risk.allocate import allocate")],
    ),
    libraries_come_in_by_their_door: (
        [
            ("scrapers/sources/x.py", "import httpx"),
            ("execution/wire.py", "from alpaca.trading.client import TradingClient"),
            ("daemon/jobs.py", "import psycopg"),
            ("strategies/x.py", "def f():\n    import duckdb"),
            ("daemon/clock.py", "import apscheduler.events"),
            ("daemon/api.py", "from prometheus_client import Counter"),
        ],
        [("scrapers/http.py", "import httpx"), ("daemon/store/view.py", "import duckdb"), ("daemon/api.py", "import fastapi")],
    ),
    the_environment_is_read_in_config: (
        [
            ("daemon/x.py", "import os\nos.environ['A']"),
            ("scrapers/x.py", "import os\nos.getenv('A')"),
            ("start.py", "from os import environ"),
        ],
        [("config.py", "import os\nos.environ['A']"), ("daemon/x.py", "import os\nos.replace('a', 'b')")],
    ),
    the_wall_clock_is_read_in_clock: (
        [
            ("daemon/x.py", "from datetime import datetime, UTC\ndatetime.now(UTC)"),
            ("risk/x.py", "import datetime\nat = datetime.datetime.utcnow"),
            ("strategies/x.py", "import pandas as pd\npd.Timestamp.now()"),
            ("execution/x.py", "import time\ntime.time()"),
            ("scrapers/x.py", "from time import time"),
            ("scrapers/x.py", "from datetime import date\ndate.today()"),
        ],
        [
            ("daemon/clock.py", "from datetime import datetime, UTC\ndatetime.now(UTC)"),
            ("daemon/x.py", "import time\ntime.monotonic()\nclock.now()\nself.clock.now()"),
        ],
    ),
    first_party_imports_stand_at_the_top: (
        [("daemon/x.py", "def f():\n    from risk import var"), ("daemon/x.py", "class A:\n    async def f(self):\n        import config")],
        [("risk/x.py", "def f():\n    import scipy"), ("daemon/x.py", "import config")],
    ),
    catches_what_it_names: (
        [
            ("daemon/x.py", "try:\n    pass\nexcept Exception:\n    pass"),
            ("risk/x.py", "try:\n    pass\nexcept:\n    pass"),
            ("risk/x.py", "try:\n    pass\nexcept (ValueError, BaseException):\n    pass"),
            ("risk/x.py", "def f():\n    try:\n        pass\n    except Exception:\n        if a:\n            return\n        raise"),
        ],
        [
            ("risk/x.py", "try:\n    pass\nexcept BaseException:\n    tidy()\n    raise"),
            ("daemon/jobs.py", "try:\n    pass\nexcept Exception:\n    pass"),
            ("risk/x.py", "try:\n    pass\nexcept ValueError:\n    pass"),
        ],
    ),
    files_stay_short: ([("risk/x.py", "a = 1\n" * 401)], [("risk/x.py", "a = 1\n" * 400)]),
    modules_are_named_for_a_subject: (
        [("risk/utils.py", ""), ("daemon/helpers/x.py", ""), ("daemon/order_manager.py", ""), ("scrapers/common.py", "")],
        [("risk/covariance.py", ""), ("daemon/store/postgres.py", "")],
    ),
    sql_is_not_put_together: (
        [
            ("daemon/x.py", 'f"SELECT * FROM {table} WHERE a = 1"'),
            ("daemon/x.py", 'f"\\n  insert into {table} values (1)"'),
            ("daemon/x.py", '"DELETE FROM orders WHERE id = %s" % x'),
            ("daemon/x.py", '"UPDATE orders SET a = " + x'),
            ("daemon/x.py", '"DROP TABLE {}".format(x)'),
        ],
        [
            ("daemon/x.py", 'f"select {name} or remove it"'),
            ("daemon/x.py", 'f"Update {name}: set it again"'),
            ("daemon/x.py", 'db.execute("SELECT 1 FROM a")'),
            ("daemon/x.py", 'sql.SQL("DROP TABLE {}").format(sql.Identifier(x))'),
        ],
    ),
}


def findings(check: Check, sources: list[tuple[str, str]]) -> list[str]:
    return [finding for path, source in sources for finding in check(path, source, ast.parse(source))]


def named(check: Check) -> str:
    return check.__name__


@pytest.mark.parametrize("check", CHECKS, ids=named)
def test_every_module_keeps_the_rule(check):
    assert findings(check, list(MODULES.items())) == []


@pytest.mark.parametrize("check", CHECKS, ids=named)
def test_the_check_finds_each_module_that_breaks_the_rule_and_leaves_its_neighbours_alone(check):
    broken, sound = CHECKS[check]
    assert [module for module in broken if not findings(check, [module])] == []
    assert findings(check, sound) == []


def test_no_modules_import_each_other_in_a_ring():
    assert cycles(MODULES) == []


def test_a_ring_of_imports_is_found_and_a_chain_is_not():
    ring = {"risk/a.py": "from risk import b", "risk/b.py": "import risk.c", "risk/c.py": "def f():\n    from risk.a import x"}
    assert cycles(ring) == [["risk.a", "risk.b", "risk.c"]]
    typed = {**ring, "risk/c.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from risk.a import x"}
    assert cycles(typed) == []


def test_the_walk_sees_the_whole_product():
    packages = {package(path) for path in MODULES}
    assert {"risk", "strategies", "scrapers", "execution", "daemon", "config"} <= packages
    assert len(MODULES) > 50
