"""Small PDF files with real text, the same bytes for the same lines."""

import zlib
from collections.abc import Sequence

LEADING, TOP, LEFT, SIZE = 12, 760, 40, 9


def pdf_of(pages: Sequence[Sequence[str]]) -> bytes:
    """A PDF with one page for each sequence of lines, top to bottom, in one Latin-1 font; NULs stay in the text."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number, lines in enumerate(pages):
        content = zlib.compress(_content(lines))
        font = "/Resources << /Font << /F1 3 0 R >> >>"
        page = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] {font} /Contents {5 + 2 * number} 0 R >>"
        objects.append(page.encode())
        objects.append(f"<< /Length {len(content)} /Filter /FlateDecode >>\nstream\n".encode() + content + b"\nendstream")
    return _file(objects)


def _content(lines: Sequence[str]) -> bytes:
    at = [(LEFT, TOP - LEADING * place, _literal(line)) for place, line in enumerate(lines)]
    drawn = [b"BT /F1 %d Tf 1 0 0 1 %d %d Tm (%s) Tj ET" % (SIZE, *each) for each in at]
    return b"\n".join(drawn)


def _literal(text: str) -> bytes:
    escaped = text.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)").encode("latin-1", errors="replace")
    return escaped.replace(b"\x00", b"\\000")


def _file(objects: Sequence[bytes]) -> bytes:
    """Objects, their places, and the trailer."""
    out, places = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"), list[int]()
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)
