"""Bodies read piece by piece: bounded in bytes, in what they unpack to, and in how far they unpack."""

import zlib
from collections.abc import Iterable, Iterator

from scrapers.errors import Blocked, SourceChanged

RATIO_LIMIT = 200
"""Unpacked bytes per received one. Tables of numbers and markup reach about 50; a bomb has a thousand."""
RATIO_FREE_BYTES = 4 * 1024**2
"""Below this the ratio does not matter."""
STEP_BYTES = 256 * 1024
MAX_MEMBERS = 1000
"""Gzip members of one body; servers send one."""
_GZIP, _ZLIB, _RAW = 16 + zlib.MAX_WBITS, zlib.MAX_WBITS, -zlib.MAX_WBITS


class CutOff(Exception):
    """A packed body that ends before its end."""


def read(pieces: Iterable[bytes], encoding: str, limit_bytes: int, name: str) -> bytes:
    """The whole body, unpacked. encoding: its Content-Encoding.

    Raises Blocked when it exceeds `limit_bytes` before or after unpacking, or unpacks more than RATIO_LIMIT times; CutOff when a packed
    body is incomplete; SourceChanged when it is packed in a way that was not asked for or does not unpack.
    """
    received, body = 0, bytearray()

    def counted() -> Iterator[bytes]:
        nonlocal received
        for piece in pieces:
            received += len(piece)
            yield piece

    for part in _unpacked(counted(), encoding, name):
        body += part
        if len(body) > limit_bytes or received > limit_bytes:
            raise Blocked(f"{name}: body exceeds {limit_bytes} bytes", "size")
        if len(body) > RATIO_FREE_BYTES and len(body) > RATIO_LIMIT * received:
            raise Blocked(f"{name}: body unpacks more than {RATIO_LIMIT} times", "ratio")
    return bytes(body)


def _unpacked(pieces: Iterable[bytes], encoding: str, name: str) -> Iterator[bytes]:
    packings = [word for word in encoding.lower().replace(" ", "").split(",") if word not in ("", "identity")]
    if not packings:
        yield from pieces
        return
    if packings not in (["gzip"], ["x-gzip"], ["deflate"]):
        raise SourceChanged(f"{name}: packed as {encoding[:40]}, which was not asked for")
    try:
        yield from _members(pieces) if packings[0] != "deflate" else _deflated(pieces)
    except zlib.error as error:
        raise SourceChanged(f"{name}: the packed body does not unpack") from error


def _members(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The members of a gzip body one after the other; whatever follows the last is left out."""
    unpacker, members = zlib.decompressobj(_GZIP), 0
    for piece in pieces:
        while piece:
            if unpacker.eof:
                if piece[0] != 0x1F or members == MAX_MEMBERS:
                    return
                unpacker, members = zlib.decompressobj(_GZIP), members + 1
            members = max(members, 1)
            yield from _drained(unpacker, piece)
            piece = unpacker.unused_data if unpacker.eof else b""
    if members and not unpacker.eof:
        raise CutOff


def _deflated(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A deflate body, with the zlib header that the standard asks for or without it."""
    unpacker = None
    for piece in pieces:
        if piece:
            unpacker = unpacker or zlib.decompressobj(_ZLIB if piece[0] & 0x0F == 8 and (len(piece) < 2 or _is_header(piece)) else _RAW)
            yield from _drained(unpacker, piece)
    if unpacker is not None and not unpacker.eof:
        raise CutOff


def _is_header(piece: bytes) -> bool:
    return (piece[0] * 256 + piece[1]) % 31 == 0


def _drained(unpacker: "zlib._Decompress", piece: bytes) -> Iterator[bytes]:
    """What a piece unpacks to, in steps, so that no piece takes more memory than one step."""
    part = unpacker.decompress(piece, STEP_BYTES)
    while part:
        yield part
        part = unpacker.decompress(unpacker.unconsumed_tail, STEP_BYTES) if len(part) == STEP_BYTES else b""
