"""XML that cannot harm, and tables of pages as they really are."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrapers import markup
from scrapers.errors import SourceChanged


def texts(page: str) -> list[list[list[str]]]:
    return [[[cell.text for cell in row] for row in table.rows] for table in markup.html_tables(page, "page")]


@pytest.mark.parametrize(
    ("page", "tables"),
    [
        ("<table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr></table>", [[["A", "B"], ["1", "2"]]]),
        ("<TABLE><TR><TH>A<TH>B<TR><TD>1<TD>2</TABLE>", [[["A", "B"], ["1", "2"]]]),
        ("<table><td>no row</table>", [[["no row"]]]),
        ("<table><tr><td> a\n <b>b</b>c<br>d&nbsp;&amp;&#228; </td></tr></table>", [[["a bc d &ä"]]]),
        ("<table><tr><td title='x > y' data-x=\"<td>\">1</td></tr></table>", [[["1"]]]),
        ("<table><tr><td>out<table><tr><td>in</td></tr></table>side</td></tr></table>", [[["in"]], [["outside"]]]),
        ("<table><tr><td>a</td>between<td>b</td></tr></table>after", [[["a", "b"]]]),
        ("<table><tr></tr><tr><td>a</td></tr></table>", [[["a"]]]),
        ("<table><tr><td>1<!-- <td>2 --></td></tr></table>", [[["1"]]]),
        ("<table><tr><td>1<script>'<td>2'</script><style>td{}</style></td></tr></table>", [[["1"]]]),
        ("<table><tr><td>a < b, c <3</td></tr></table>", [[["a < b, c <3"]]]),
        ("<table><tr><td>never closed</body>", [[["never closed"]]]),
        ("</table></td><tr><td>no table", []),
        ("<![if !IE]><table><tr><td>1</td></tr></table><![endif]>", [[["1"]]]),
        ("<!DOCTYPE html><?xml?><table><tr><td>1</td></tr></table>", [[["1"]]]),
        ("<table><tr><td>1<!-- never closed</td></tr></table>", [[["1 never closed"]]]),
        ("", []),
    ],
)
def test_tables_are_read_as_browsers_show_them(page: str, tables: list[list[list[str]]]):
    assert texts(page) == tables


@pytest.mark.parametrize(
    ("tag", "links"),
    [
        ('<a class=x href="/a?b=1&amp;c=2">', ["/a?b=1&c=2"]),
        ("<A HREF='/a'>", ["/a"]),
        ("<a href=/a>", ["/a"]),
        ("<a data-href='/no'>", []),
        ("<a name=x>", []),
        ('<a href="">', []),
    ],
)
def test_links_of_a_cell_are_kept(tag: str, links: list[str]):
    (table,) = markup.html_tables(f"<table><tr><td>{tag}text</a></td></tr></table>", "page")
    assert table.rows[0][0].links == links
    assert table.header() == ["text"]


ROWS = "<tr><td>1</td></tr><tr><td>2</td></tr></table"


@pytest.mark.parametrize("length", range(len(ROWS) + 1))
def test_a_page_that_is_cut_off_inside_a_table_is_a_changed_source(length: int):
    page = f"<html><body><table>{ROWS[:length]}"
    with pytest.raises(SourceChanged, match="cut off"):
        markup.html_tables(page, "page")


@settings(deadline=None)
@given(st.text(st.sampled_from("<>/!-?\"'= &;atdrblescript\n")) | st.text())
def test_no_page_makes_reading_fail_in_any_other_way(page: str):
    try:
        markup.html_tables(page, "page")
    except SourceChanged as error:
        assert "cut off" in str(error)


PATTERNS = [
    "<!--",
    "<![",
    "<?",
    "</a",
    "</",
    "<a ",
    '<a href="',
    "<a '",
    "<td><a \"'",
    "<td>&amp;",
    "<script>",
    "<style",
    "<",
    "<a b=\"<a b='",
    "<td>x",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_time_for_a_page_grows_with_its_size_alone(pattern: str):
    page, begun = "<table>" + pattern * (600_000 // len(pattern)), time.perf_counter()
    try:
        markup.html_tables(page, "page")
    except SourceChanged as error:
        assert "page of more than" in str(error) or "cut off" in str(error)
    assert time.perf_counter() - begun < 4


def test_a_page_of_too_many_cells_is_refused():
    with pytest.raises(SourceChanged, match="table cells"):
        markup.html_tables("<table>" + "<td>" * (markup.MAX_CELLS + 1), "page")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"plain", b"<a>", b"<a></b>", b"\xff\xfe", b"<!DOCTYPE x><a/>", b'<!DOCTYPE x [<!ENTITY e "x">]><a>&e;</a>',
        b'<!DOCTYPE x SYSTEM "http://x.org/x.dtd"><a/>', b'<?xml version="1.0" encoding="no-such"?><a/>', b"<a>&undefined;</a>",
        b"<a>\x00</a>",
    ],
)  # fmt: skip
def test_what_is_not_plain_xml_is_a_changed_source(content: bytes):
    with pytest.raises(SourceChanged, match="page: the body is not plain XML"):
        markup.xml_of(content, "page")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "windows-1252"])
def test_xml_is_read_in_its_declared_encoding(encoding: str):
    content = f'<?xml version="1.0" encoding="{encoding}"?><a>Muñoz</a>'.encode(encoding)
    assert markup.xml_of(content, "page").text == "Muñoz"


def test_deep_xml_is_read_or_refused_and_nothing_breaks():
    levels = 200_000
    root = markup.xml_of(b"<a>" * levels + b"</a>" * levels, "page")
    assert sum(1 for _ in root.iter()) == levels


def test_xml_of_too_many_tags_is_refused_before_it_is_parsed():
    with pytest.raises(SourceChanged, match="tags"):
        markup.xml_of(b"<a>" + b"<b/>" * markup.MAX_ELEMENTS + b"</a>", "page")
