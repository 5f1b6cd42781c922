"""Reading bulk files by what they contain, never by what they are called: gzip, JSON, Parquet or CSV."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from scrapers import documents
from scrapers.errors import BadFile, SourceChanged

if TYPE_CHECKING:
    import pyarrow as pa

GZIP_MAGIC = b"\x1f\x8b"
PARQUET_MAGIC = b"PAR1"
MAX_BYTES = 2 * 1024**3


def read(path: Path) -> bytes:
    """The file's content, gunzipped when it is gzip; BadFile when it cannot be read or exceeds 2 GB unpacked."""
    try:
        content = path.read_bytes()
        if content[:2] == GZIP_MAGIC:
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as unpacked:
                content = unpacked.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadFile(f"{path.name}: cannot be read ({type(error).__name__}: {error})") from error
    if len(content) > MAX_BYTES:
        raise BadFile(f"{path.name}: more than {MAX_BYTES} bytes")
    return content


def is_parquet(content: bytes) -> bool:
    """Whether the bytes begin like a Parquet file."""
    return content[:4] == PARQUET_MAGIC


def is_json(content: bytes) -> bool:
    """Whether the first printable character opens a JSON array or object."""
    return content[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"[", b"{")


def json_of(content: bytes, name: str) -> Any:
    """The JSON document, read as an answer of a service is; BadFile when it is not one."""
    try:
        return documents.json_of(content, name)
    except SourceChanged as error:
        raise BadFile(f"{name}: looks like JSON but does not parse ({str(error).removeprefix(f'{name}: ')})") from error


def csv_rows(content: bytes, name: str) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """Header (stripped names) and the numbered records of a CSV text; blank lines are left out. BadFile when it is binary."""
    text = content.decode("utf-8-sig", errors="replace")
    if "\x00" in text[:4096]:
        raise BadFile(f"{name}: binary content, neither CSV, JSON, Parquet nor gzip")
    reader = csv.reader(io.StringIO(text, newline=""))
    header = next(_records(reader, name), (0, []))[1]
    return [column.strip() for column in header], _records(reader, name)


def _records(reader: Any, name: str) -> Iterator[tuple[int, list[str]]]:
    try:
        for record in reader:
            if any(cell.strip() for cell in record):
                yield reader.line_num, record
    except csv.Error as error:
        raise BadFile(f"{name}: line {reader.line_num} is not CSV ({error})") from error


def arrow_table(content: bytes, name: str) -> "pa.Table":
    """A Parquet or CSV file as an Arrow table; CSV columns stay text, so that a bad cell costs a row and not the file."""
    import pyarrow as pa
    import pyarrow.csv as pacsv
    import pyarrow.parquet as pq

    try:
        if is_parquet(content):
            return pq.read_table(pa.BufferReader(content))
        header, _ = csv_rows(content, name)
        if not header:
            return pa.table({})
        body = content.decode("utf-8-sig", errors="replace").encode()
        convert = pacsv.ConvertOptions(column_types={column: pa.string() for column in header}, strings_can_be_null=False)
        return pacsv.read_csv(pa.BufferReader(body), convert_options=convert)
    except (pa.ArrowException, OSError) as error:
        raise BadFile(f"{name}: does not parse ({str(error)[:300]})") from error


def unknown_shape(name: str, found: object, known: dict[str, str]) -> NoReturn:
    """Raise BadFile saying what was found and which shapes the dataset can import."""
    shapes = "; ".join(f"{shape}: {columns}" for shape, columns in known.items())
    raise BadFile(f"{name}: found {found}; known shapes are {shapes}")
