"""XML without entities, and the tables of HTML pages: what a scraper reads when a service has no JSON."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from scrapers.errors import SourceChanged

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MAX_CELLS = 500_000


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
    """The root element; SourceChanged for anything that is not XML, or that declares a document type or entities."""
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        root: Element = fromstring(content, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise SourceChanged(f"{name}: the body is not plain XML ({type(error).__name__}: {str(error)[:200]})") from error
    return root


def html_tables(text: str, name: str) -> list[HtmlTable]:
    """Every table of a page, in order of their end. Scripts and styles are left out; SourceChanged beyond MAX_CELLS cells."""
    reader = _Tables(name)
    reader.feed(text)
    reader.close()
    return reader.tables


class _Tables(HTMLParser):
    def __init__(self, name: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[HtmlTable] = []
        self._name, self._open, self._cells = name, list[HtmlTable](), 0
        self._cell: list[Cell | None] = []
        self._muted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "style"):
            self._muted += 1
        elif tag == "table":
            self._open.append(HtmlTable())
            self._cell.append(None)
        elif self._open and tag == "tr":
            self._open[-1].rows.append([])
            self._cell[-1] = None
        elif self._open and tag in ("td", "th"):
            self._begin_cell()
        elif self._open and tag == "a" and (cell := self._cell[-1]) is not None:
            cell.links += [value for key, value in attrs if key == "href" and value]
        elif tag in ("br", "p", "div", "li"):
            self.handle_data(" ")

    def _begin_cell(self) -> None:
        self._cells += 1
        if self._cells > MAX_CELLS:
            raise SourceChanged(f"{self._name}: a page of more than {MAX_CELLS} table cells")
        if not self._open[-1].rows:
            self._open[-1].rows.append([])
        cell = Cell()
        self._open[-1].rows[-1].append(cell)
        self._cell[-1] = cell

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style"):
            self._muted = max(self._muted - 1, 0)
        elif tag in ("td", "th") and self._cell:
            self._cell[-1] = None
        elif tag == "table" and self._open:
            self._finish()

    def handle_data(self, data: str) -> None:
        if self._cell and not self._muted and (cell := self._cell[-1]) is not None:
            cell.text += data

    def close(self) -> None:
        super().close()
        while self._open:
            self._finish()

    def _finish(self) -> None:
        table = self._open.pop()
        self._cell.pop()
        table.rows = [row for row in table.rows if row]
        for row in table.rows:
            for cell in row:
                cell.text = " ".join(cell.text.split())
        self.tables.append(table)
