"""XML without entities, and the tables of HTML pages: what a scraper reads when a service has no JSON."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scrapers.errors import SourceChanged

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MAX_CELLS = 500_000
MAX_ELEMENTS = 2_000_000
"""Tags of an XML document: a tree takes some hundred bytes for each."""
MAX_TAG = 65_536
MAX_BROKEN_TAGS = 1_000
"""Tags that do not end within MAX_TAG characters; each costs time in proportion to that."""
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9:-]*+)((?:[^<>\"']|\"[^\"]*\"|'[^']*')*+)>")
_LOOSE_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9:-]*+)([^<>]*+)>")
_LINK = re.compile(r"(?:^|[\s\"'])href\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))", re.IGNORECASE)
_SILENT = {name: re.compile(rf"</{name}[^>]*>", re.IGNORECASE) for name in ("script", "style")}
_BREAKS = frozenset(("br", "p", "div", "li"))


@dataclass(slots=True)
class Cell:
    """A table cell: its text with white space collapsed, and the targets of the links in it."""

    text: str = ""
    links: list[str] = field(default_factory=list)


@dataclass(slots=True)
class HtmlTable:
    """A table as rows of cells, heading row included, nested tables apart. `spans` are not resolved: cells stand as written."""

    rows: list[list[Cell]] = field(default_factory=list)

    def header(self) -> list[str]:
        """Texts of the first row; empty without one."""
        return [cell.text for cell in self.rows[0]] if self.rows else []


def xml_of(content: bytes, name: str) -> "Element":
    """The root element; SourceChanged for anything that is not XML, that declares a document type or entities, or is beyond
    MAX_ELEMENTS tags.
    """
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    if content.count(b"<") > MAX_ELEMENTS:
        raise SourceChanged(f"{name}: an XML document of more than {MAX_ELEMENTS} tags")
    try:
        root: Element = fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise SourceChanged(f"{name}: the body is not plain XML ({type(error).__name__}: {str(error)[:200]})") from error
    return root


def html_tables(text: str, name: str) -> list[HtmlTable]:
    """Every table of a page, in order of their end. Scripts, styles and comments are left out.

    SourceChanged for a page that is cut off inside a table, whose missing rows would look withdrawn; and beyond MAX_CELLS cells or
    MAX_BROKEN_TAGS broken tags, so that no page takes more than seconds.
    """
    reader = _Tables(name)
    for words, closing, tag, attributes in _tokens(text, name):
        reader.words(words)
        if closing:
            reader.end(tag)
        elif tag:
            reader.begin(tag, attributes)
    reader.finish()
    return reader.tables


def _tokens(text: str, name: str) -> Iterator[tuple[str, bool, str, str]]:
    """The page as (text before the tag, whether it is a closing one, tag, its attributes); the last has no tag."""
    at = begin = broken = 0
    ends = _Ends(text)
    while (at := text.find("<", at)) >= 0:
        if text.startswith(("<!", "<?"), at):
            mark = "-->" if text.startswith("<!--", at) else ">"
            yield text[begin:at], False, "", ""
            at = begin = ends.after(mark, at) or at + len(mark) + 1
            continue
        found = _TAG.match(text, at, at + MAX_TAG) or _LOOSE_TAG.match(text, at, at + MAX_TAG)
        if found is None:
            broken += text[at + 1 : at + 2].isalpha() or text.startswith("</", at)
            if broken > MAX_BROKEN_TAGS:
                raise SourceChanged(f"{name}: a page of more than {MAX_BROKEN_TAGS} broken tags")
            at += 1
            continue
        tag = found[2].lower()
        yield text[begin:at], bool(found[1]), tag, found[3]
        at = begin = (ends.after_element(tag, found.end()) if tag in _SILENT and not found[1] else 0) or found.end()
    yield text[begin:], False, "", ""


class _Ends:
    """Where comments and silent elements end; what was sought in vain once is not sought again, so that all searches are one pass."""

    def __init__(self, text: str) -> None:
        self._text, self._absent = text, set[str]()

    def after(self, mark: str, at: int) -> int:
        """The place behind the next mark, or 0."""
        place = -1 if mark in self._absent else self._text.find(mark, at)
        if place < 0:
            self._absent.add(mark)
        return place + len(mark) if place >= 0 else 0

    def after_element(self, tag: str, at: int) -> int:
        """The place behind the element's closing tag, or 0."""
        found = None if tag in self._absent else _SILENT[tag].search(self._text, at)
        if found is None:
            self._absent.add(tag)
        return found.end() if found else 0


@dataclass(slots=True)
class _Open:
    """A table that has not ended: its cell that has not, and that cell's text so far."""

    table: HtmlTable = field(default_factory=HtmlTable)
    cell: Cell | None = None
    parts: list[str] = field(default_factory=list)

    def close_cell(self) -> None:
        if self.cell is not None:
            self.cell.text = " ".join(html.unescape("".join(self.parts)).split())
        self.cell, self.parts = None, []


class _Tables:
    def __init__(self, name: str) -> None:
        self.tables: list[HtmlTable] = []
        self._name, self._open, self._cells, self._complete = name, list[_Open](), 0, False

    def begin(self, tag: str, attributes: str) -> None:
        if tag == "table":
            self._count()
            self._open.append(_Open())
        elif not self._open:
            return
        elif tag == "tr":
            self._open[-1].close_cell()
            self._open[-1].table.rows.append([])
        elif tag in ("td", "th"):
            self._begin_cell()
        elif tag == "a" and (cell := self._open[-1].cell) is not None:
            found = _LINK.search(attributes)
            target = html.unescape(found[1] or found[2] or found[3] or "") if found else ""
            cell.links += [target] if target else []
        elif tag in _BREAKS:
            self.words(" ")

    def end(self, tag: str) -> None:
        self._complete = self._complete or tag in ("body", "html")
        if not self._open:
            return
        if tag in ("td", "th"):
            self._open[-1].close_cell()
        elif tag == "table":
            self._end_table()

    def words(self, text: str) -> None:
        if text and self._open and self._open[-1].cell is not None:
            self._open[-1].parts.append(text)

    def finish(self) -> None:
        if self._open and not self._complete:
            raise SourceChanged(f"{self._name}: the page is cut off inside a table")
        while self._open:
            self._end_table()

    def _begin_cell(self) -> None:
        self._count()
        table = self._open[-1]
        table.close_cell()
        if not table.table.rows:
            table.table.rows.append([])
        table.cell = Cell()
        table.table.rows[-1].append(table.cell)

    def _count(self) -> None:
        self._cells += 1
        if self._cells > MAX_CELLS:
            raise SourceChanged(f"{self._name}: a page of more than {MAX_CELLS} table cells")

    def _end_table(self) -> None:
        ended = self._open.pop()
        ended.close_cell()
        ended.table.rows = [row for row in ended.table.rows if row]
        self.tables.append(ended.table)
