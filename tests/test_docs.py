"""The documents say what the code says, and each check fails on a document that does not.

Where a table is out of date: `.venv/bin/python -m tests.doc_tables` writes it anew.
"""

import ast
import re
from collections.abc import Callable

import pytest

from config import CHECKOUT, TEST_VARIABLES, Settings, variable
from daemon.errors import DaemonError
from scrapers import DATASETS
from strategies import CATALOG
from tests.doc_tables import TABLES, Documents, documents, marked, sources, table_problems, verbs, written


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
            if found is None or "NAME" in span:
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
    kinds: list[type[DaemonError]] = [DaemonError, *DaemonError.__subclasses__()]
    found = {kind.exit_code for kind in kinds} | {0, 3}
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
    assert table_problems(name, documents()) == [], "make the tables anew: .venv/bin/python -m tests.doc_tables"


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_lost_or_gained_a_row_is_noticed(name: str) -> None:
    docs = documents()
    place = TABLES[name].document
    found = marked(name).search(docs[place])
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
