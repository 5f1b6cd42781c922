"""Bytes to text and to JSON without trust: any encoding, bounded depth, and no number that is not finite."""

import codecs
import json
import re
from typing import Any, NoReturn

from scrapers.errors import SourceChanged

MAX_DEPTH = 100
"""Levels of a JSON document: the deepest of any known service has about ten."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CHARSETS = frozenset("ascii iso8859-1 iso8859-2 iso8859-15 cp1250 cp1251 cp1252 utf-8 utf-16 shift_jis euc_jp gb18030 gbk big5".split())
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)


def text_of(content: bytes, content_type: str = "") -> str:
    """The text of a body: by its byte-order mark, else as UTF-16 or UTF-32 by its zeros, else as UTF-8, else by the charset that
    `content_type` declares (services declare wrongly more often than they send valid UTF-8 by accident), else as UTF-8 with U+FFFD
    for what does not decode.
    """
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(encoding, errors="replace")
    if 0 in content[:4]:
        return content.decode(json.detect_encoding(content), errors="replace")
    for encoding in ("utf-8", _declared(content_type)):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            pass
    return content.decode("utf-8", errors="replace")


def _declared(content_type: str) -> str:
    found = _CHARSET.search(content_type)
    try:
        name = codecs.lookup(found[1]).name if found else "utf-8"
    except LookupError:
        return "utf-8"
    return name if name in _CHARSETS else "utf-8"


def json_of(content: bytes, name: str, content_type: str = "") -> Any:
    """The JSON document of a body. SourceChanged, naming `name`, for anything else, whatever its content type says, and for one that
    is nested beyond MAX_DEPTH or holds an infinite number or one of 300 digits.

    NaN, which JSON does not know and services written in Python send for a missing number, becomes None.
    """
    try:
        document = json.loads(text_of(content, content_type), parse_constant=_constant, parse_int=_integer, parse_float=_real)
        _bound_depth(document)
    except (ValueError, RecursionError) as error:
        what = str(error) if isinstance(error, _Refused) else type(error).__name__
        raise SourceChanged(f"{name}: the body is not JSON as we know it ({what}, {len(content)} bytes)") from error
    return document


class _Refused(ValueError):
    """Valid for the parser of the standard library, refused here."""


def _constant(word: str) -> None:
    if word != "NaN":
        raise _Refused(f"the number {word}")


def _integer(digits: str) -> int:
    return int(digits) if len(digits) <= 300 else _too_large(digits)


def _real(digits: str) -> float:
    value = float(digits)
    return value if abs(value) < float("inf") else _too_large(digits)


def _too_large(digits: str) -> NoReturn:
    raise _Refused(f"a number of {len(digits)} characters that begins with {digits[:20]}")


def _bound_depth(document: Any) -> None:
    """Raise for too deep a document: level by level, so that neither the stack nor the time grows beyond the size of the document."""
    level = [document]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else container if isinstance(container, list) else ())
            if isinstance(item, dict | list)
        ]
        if not level:
            return
    raise _Refused(f"more than {MAX_DEPTH} levels")
