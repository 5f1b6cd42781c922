"""Bodies: bounded in size, time and depth, and read whatever their encoding."""

import gzip
import json
import time
import tracemalloc
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrapers import bodies, documents
from scrapers.errors import Blocked, SourceChanged, SourceUnavailable
from scrapers.http import HttpOptions
from tests.unit.scrapers.scripted import BASE, RATE, Server, Slept, client

MB = 1024**2


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


PACKED = {"gzip": gzip.compress, "x-gzip": gzip.compress, "deflate": zlib.compress, "identity": bytes, "": bytes, "GZIP": gzip.compress}


def got(server: Server, slept: Slept, options: HttpOptions | None = None) -> bytes:
    with client(server, slept, options) as http:
        return http.get(f"{BASE}/x", source="s", rate=RATE).content


@pytest.mark.parametrize("encoding", PACKED)
def test_a_packed_body_is_unpacked(server: Server, slept: Slept, encoding: str):
    server.script = [(200, {"Content-Encoding": encoding} if encoding else {}, PACKED[encoding](b"a body"))]
    assert got(server, slept) == b"a body"
    assert server.asked[0][1]["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize(
    "body",
    [raw_deflate(b"plain"), gzip.compress(b"pl") + gzip.compress(b"ain"), gzip.compress(b"plain") + b"\0\0\0"],
    ids=["raw deflate", "two members", "trailing zeros"],
)
def test_bodies_packed_as_servers_really_do_are_unpacked(server: Server, slept: Slept, body: bytes):
    encoding = "gzip" if body[:1] == b"\x1f" else "deflate"
    server.script = [(200, {"Content-Encoding": encoding}, body)]
    assert got(server, slept) == b"plain"


@settings(deadline=None)
@given(st.binary(max_size=3000), st.lists(st.integers(1, 400), max_size=20), st.sampled_from(["gzip", "deflate"]))
def test_pieces_of_any_size_make_the_same_body(body: bytes, sizes: list[int], encoding: str):
    packed, pieces = PACKED[encoding](body), []
    for size in [*sizes, len(packed)]:
        pieces.append(packed[:size])
        packed = packed[size:]
    pieces.append(packed)
    assert bodies.read(pieces, encoding, 10_000, "x") == body


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "compress"])
def test_a_body_packed_as_nobody_asked_is_a_changed_source(server: Server, slept: Slept, encoding: str):
    server.script = [(200, {"Content-Encoding": encoding}, b"x")]
    with pytest.raises(SourceChanged, match="not asked for"):
        got(server, slept)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_body_that_is_not_packed_as_it_says_is_a_changed_source(server: Server, slept: Slept, encoding: str):
    server.script = [(200, {"Content-Encoding": encoding}, b"<html>" * 9)]
    with pytest.raises(SourceChanged, match="does not unpack"):
        got(server, slept)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_packed_body_that_is_cut_off_is_fetched_again(server: Server, slept: Slept, encoding: str):
    body = PACKED[encoding](b"a longer body" * 20)
    server.script = [(200, {"Content-Encoding": encoding}, body[:-6]), (200, {"Content-Encoding": encoding}, body)]
    assert got(server, slept) == b"a longer body" * 20


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_is_refused_without_taking_memory(server: Server, slept: Slept, encoding: str):
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS + (16 if encoding == "gzip" else 0))
    bomb = b"".join([packer.compress(bytes(MB)) for _ in range(300)]) + packer.flush()
    server.script = [(200, {"Content-Encoding": encoding}, bomb)]
    tracemalloc.start()
    try:
        with pytest.raises(Blocked, match="unpacks more than") as caught:
            got(server, slept, HttpOptions(body_limit_bytes=512 * MB))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.reason == "ratio"
    assert peak < 20 * MB


def test_a_body_beyond_the_limit_is_refused_before_it_was_read_whole(server: Server, slept: Slept):
    server.script = [(200, {}, bytes(3 * MB))]
    with pytest.raises(Blocked, match="exceeds 100000 bytes") as caught:
        got(server, slept)
    assert caught.value.reason == "size"


def test_many_empty_members_of_a_packed_body_end(server: Server, slept: Slept):
    server.script = [(200, {"Content-Encoding": "gzip"}, gzip.compress(b"") * 4000 + gzip.compress(b"never reached"))]
    begun = time.perf_counter()
    assert got(server, slept, HttpOptions()) == b""
    assert time.perf_counter() - begun < 5


def drip(head: bytes, drop: bytes) -> Any:
    def write(out: Any) -> None:
        out.write(head)
        for _ in range(200):
            out.write(drop)
            out.flush()
            time.sleep(0.05)

    return write


@pytest.mark.parametrize(
    ("head", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    ],
)
def test_an_answer_that_drips_is_given_up_after_the_whole_time_although_every_read_was_in_time(
    server: Server, slept: Slept, head: bytes, drop: bytes
):
    server.raw = drip(head, drop)
    begun = time.perf_counter()
    with pytest.raises(SourceUnavailable, match="ReadTimeout"):
        got(server, slept, HttpOptions(attempts=1, read_timeout_s=5.0, total_timeout_s=0.4))
    assert 0.3 < time.perf_counter() - begun < 2


def test_headers_beyond_their_limit_are_refused(server: Server, slept: Slept):
    server.raw = lambda out: out.write(b"HTTP/1.1 200 OK\r\nX-Large: " + b"x" * 300_000 + b"\r\n\r\n")
    with pytest.raises(SourceUnavailable, match="ProtocolError"):
        got(server, slept, HttpOptions(attempts=1))


def test_a_connection_that_breaks_off_is_tried_again(server: Server, slept: Slept):
    server.raw = lambda out: out.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf")
    with pytest.raises(SourceUnavailable, match="ProtocolError"):
        got(server, slept)
    assert len(server.asked) == 4


# What a body says.


@pytest.mark.parametrize(
    ("content", "content_type", "text"),
    [
        ("Muñoz".encode(), "", "Muñoz"),
        (b"\xef\xbb\xbfMu\xc3\xb1oz", "text/plain; charset=latin-1", "Muñoz"),
        ("Muñoz".encode(), "text/html; charset=ISO-8859-1", "Muñoz"),
        ("Muñoz".encode("latin-1"), "text/html; charset=ISO-8859-1", "Muñoz"),
        ("“x”".encode("cp1252"), 'text/csv; charset="windows-1252"', "“x”"),
        ("Muñoz".encode("latin-1"), "", "Mu�oz"),
        ("Muñoz".encode("latin-1"), "text/plain; charset=no-such-thing", "Mu�oz"),
        ("Muñoz".encode("latin-1"), "text/plain; charset=base64", "Mu�oz"),
        ("Muñoz".encode("utf-16"), "text/plain; charset=utf-8", "Muñoz"),
        ("Muñoz".encode("utf-16-le"), "", "Muñoz"),
        ("Muñoz".encode("utf-16-be"), "", "Muñoz"),
        ("Muñoz".encode("utf-32"), "", "Muñoz"),
        (b"", "", ""),
    ],
)
def test_text_is_read_by_mark_then_as_utf8_then_as_declared(content: bytes, content_type: str, text: str):
    assert documents.text_of(content, content_type) == text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_json_is_read_in_every_encoding_of_unicode(encoding: str):
    assert documents.json_of('{"name": "Muñoz"}'.encode(encoding), "x") == {"name": "Muñoz"}


@settings(deadline=None)
@given(st.binary(max_size=200), st.text(max_size=60))
def test_no_bytes_make_reading_fail_in_any_other_way(content: bytes, content_type: str):
    assert isinstance(documents.text_of(content, content_type), str)
    try:
        documents.json_of(content, "x", content_type)
    except SourceChanged as error:
        assert "not JSON" in str(error)


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":['])
@pytest.mark.parametrize("levels", [101, 2_000, 500_000])
def test_a_document_that_is_too_deep_is_a_changed_source(opening: str, levels: int):
    closing = {"[": "]", '{"a":': "}", '[{"a":[': "]}]"}[opening]
    begun = time.perf_counter()
    with pytest.raises(SourceChanged):
        documents.json_of((opening * levels + "1" + closing * levels).encode(), "x")
    assert time.perf_counter() - begun < 2


def test_a_document_as_deep_as_allowed_is_read():
    found = documents.json_of(("[" * 100 + "]" * 100).encode(), "x")
    assert json.dumps(found) == "[" * 100 + "]" * 100


def test_a_wide_document_costs_time_in_proportion_to_its_size():
    content = json.dumps([[{"a": 1}] for _ in range(200_000)]).encode()
    begun = time.perf_counter()
    assert len(documents.json_of(content, "x")) == 200_000
    assert time.perf_counter() - begun < 5


@pytest.mark.parametrize("number", ["Infinity", "-Infinity", "1e999", "-1e999", "9" * 301, "9" * 5000, "1" * 400 + ".5"])
def test_no_number_that_is_not_finite_or_that_no_float_can_hold_reaches_a_parser(number: str):
    with pytest.raises(SourceChanged):
        documents.json_of(f'[{{"n": {number}}}]'.encode(), "x")


def test_nan_is_a_missing_number():
    assert documents.json_of(b'{"n": NaN, "m": [NaN, 1.5e2, 3]}', "x") == {"n": None, "m": [None, 150.0, 3]}


def test_words_that_look_like_unusual_numbers_change_nothing():
    content = b'{"NaN": "Infinity", "e": "3e999", "large": 12345678901234567890, "same": 1, "same": 2}'
    assert documents.json_of(content, "x") == {"NaN": "Infinity", "e": "3e999", "large": 12345678901234567890, "same": 2}
