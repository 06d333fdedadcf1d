# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bodies of responses: their size, their encoding and the JSON in them."""

from __future__ import annotations

import gzip
import io
import json
import time
import tracemalloc
import zlib
from typing import Any

import pytest
import requests
import urllib3

from ansible_collections.phala.cloud.plugins.plugin_utils import _responses
from ansible_collections.phala.cloud.plugins.plugin_utils._api_errors import ApiError
from ansible_collections.phala.cloud.plugins.plugin_utils._responses import (
    MAX_BODY_BYTES,
    TooSlowError,
    parse_json,
    read_body,
    seems_whole,
)

URL = "https://service.example/api/v1/apps"
KEY = "phak_0123456789abcdef"
KIBIBYTE = b"0123456789abcdef" * 64


def mask(text: str) -> str:
    return text.replace(KEY, "***")


def response(body: bytes, **headers: str) -> requests.Response:
    """Return a response as requests makes it, with the body still to be read."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    made = requests.Response()
    made.url = URL
    made.headers.update(named)
    made.raw = urllib3.HTTPResponse(body=io.BytesIO(body), headers=named, preload_content=False)
    return made


def read(body: bytes, *, seconds: float = 60, **headers: str) -> bytes:
    return read_body(response(body, **headers), deadline=time.monotonic() + seconds, mask=mask)


# Reading


@pytest.mark.parametrize(
    "encoding", [{}, {"content_encoding": ""}, {"content_encoding": "identity"}, {"content_encoding": " Identity "}]
)
@pytest.mark.parametrize("body", [b"", b"{}", KIBIBYTE * 1000])
def test_plain_body_is_read(encoding: dict[str, Any], body: bytes) -> None:
    assert read(body, **encoding) == body


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip"])
@pytest.mark.parametrize("body", [b"", b"{}", KIBIBYTE * 1000, b"\0" * 10_000_000], ids=len)
def test_gzip_is_unpacked(encoding: str, body: bytes) -> None:
    assert read(gzip.compress(body, mtime=0), content_encoding=encoding) == body


def test_gzip_of_several_members_is_one_body() -> None:
    members = [b"[1,", b" 2,", b"", KIBIBYTE * 100, b"3]"]
    assert read(b"".join(map(gzip.compress, members)), content_encoding="gzip") == b"".join(members)


@pytest.mark.parametrize("size", [1, 7, 100])
def test_gzip_may_arrive_in_small_pieces(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_responses, "CHUNK_BYTES", size)
    assert read(gzip.compress(KIBIBYTE, mtime=0) + gzip.compress(b"end", mtime=0), content_encoding="gzip") == KIBIBYTE + b"end"


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"plain", "it cannot be unpacked"),
        (gzip.compress(KIBIBYTE, mtime=0)[:-8] + b"12345678", "it cannot be unpacked"),
        (gzip.compress(KIBIBYTE, mtime=0)[:-1], "its end is missing"),
        (gzip.compress(KIBIBYTE, mtime=0)[:12], "its end is missing"),
        (b"", "its end is missing"),
        (gzip.compress(KIBIBYTE, mtime=0) + b"more", "it cannot be unpacked"),
        (zlib.compress(KIBIBYTE), "it cannot be unpacked"),
    ],
)
def test_broken_gzip_may_pass(body: bytes, fault: str) -> None:
    with pytest.raises(ApiError) as raised:
        read(body, content_encoding="gzip")
    assert str(raised.value) == f"GET {URL}: the response is broken gzip ({fault}). Run the command again."
    assert raised.value.may_pass
    assert raised.value.retry_after is None


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "compress", "gzip, gzip", "gzip,br", "gzip, deflate", "x-own"])
def test_other_encoding_is_refused_unread(encoding: str) -> None:
    raw = response(b"body", content_encoding=encoding)
    with pytest.raises(ApiError) as raised:
        read_body(raw, deadline=time.monotonic() + 60, mask=mask)
    assert str(raised.value) == (
        f"GET {URL}: the response is encoded as {encoding}, but the plugin requests gzip, so a server in between changed it."
        " Check api_url and the proxy settings."
    )
    assert not raised.value.may_pass
    assert raw.raw.read(decode_content=False) == b"body"


def test_encoding_is_shown_without_the_key() -> None:
    with pytest.raises(ApiError, match=r"encoded as gzip \*\*\*\?,"):
        read(b"", content_encoding=f"gzip {KEY}\x1b")


TOO_LARGE = f"GET {URL}: the response is larger than 64 MiB, so it is not from the service. Check api_url."


def test_body_of_the_largest_size_is_read() -> None:
    assert len(read(gzip.compress(b" " * MAX_BODY_BYTES, 1, mtime=0), content_encoding="gzip")) == MAX_BODY_BYTES == 67_108_864


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_larger_body_is_refused(encoding: str) -> None:
    body = b" " * (MAX_BODY_BYTES + 1)
    with pytest.raises(ApiError) as raised:
        read(gzip.compress(body, 1, mtime=0) if encoding == "gzip" else body, content_encoding=encoding)
    assert str(raised.value) == TOO_LARGE
    assert not raised.value.may_pass


def test_gzip_bomb_takes_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_responses, "MAX_BODY_BYTES", 2**20)
    bomb = gzip.compress(b" " * 2**24, mtime=0) * 16  # 256 MiB
    tracemalloc.start()
    try:
        with pytest.raises(ApiError, match="larger than 1 MiB"):
            read(bomb, content_encoding="gzip")
        assert tracemalloc.get_traced_memory()[1] < 5 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_body_that_is_too_slow_is_left(encoding: str) -> None:
    with pytest.raises(TooSlowError):
        read(gzip.compress(b"{}", mtime=0), seconds=-1, content_encoding=encoding)


def test_body_shorter_than_its_length_is_an_error() -> None:
    with pytest.raises(urllib3.exceptions.ProtocolError):
        read(b"{}", content_length="10")


# JSON


def parse(text: str | bytes, content_type: str = "application/json") -> tuple[Any, tuple[str, ...]]:
    body = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return parse_json(body, url=URL, content_type=content_type, mask=mask)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "null",
        "12",
        '"text"',
        '{"a": [1, -2.5, true, null, "é\\u00e9\\ud83d\\ude00\\ud800\\u0000"], "b": {"c": {}}}',
        "1e5",
        " [] \n",
    ],
)
def test_json_is_parsed(text: str) -> None:
    content = json.loads(text)
    assert parse(text) == (content, ())
    assert type(parse(text)[0]) is type(content)


def test_last_of_equal_names_counts() -> None:
    assert parse('{"a": 1, "a": 2}') == ({"a": 2}, ())


@pytest.mark.parametrize("kind", ["application/json", "text/html", ""])
def test_kind_of_content_does_not_matter_where_it_is_json(kind: str) -> None:
    assert parse("[1]", kind) == ([1], ())


@pytest.mark.parametrize("number", [0, -1, 2**53, 2**63 - 1, -(2**63), 2**63, 2**64 - 1, 10**18, 10**19, -(10**18)])
def test_integer_of_64_bits_is_kept(number: int) -> None:
    assert parse(f"[{number}]") == ([number], ())


@pytest.mark.parametrize(
    "number",
    [2**64, -(2**63) - 1, 10**20, -(10**20), "9" * 5000, "-" + "9" * 100_000, "1e999", "-1e400", "9" * 400 + ".0"],
    ids=lambda n: str(n)[:9],
)
def test_number_beyond_64_bits_is_null_with_a_warning(number: Any) -> None:
    assert parse(f'{{"a": {number}, "b": 1}}') == (
        {"a": None, "b": 1},
        (f"GET {URL}: the number that begins with {str(number)[:20]} does not fit 64 bits, so it is null in the inventory",),
    )


def test_many_numbers_beyond_64_bits_are_one_warning() -> None:
    assert parse(f"[{10**30}, 1, 1e999, {10**40}]") == (
        [None, 1, None, None],
        (
            f"GET {URL}: the number that begins with 10000000000000000000 does not fit 64 bits, so it is null in the"
            " inventory (2 more)",
        ),
    )


def test_two_numbers_beyond_64_bits_are_counted() -> None:
    (warning,) = parse(f"[{10**30}, {10**30}]")[1]
    assert warning.endswith("(1 more)")


@pytest.mark.parametrize("text", ["1.5", "0.1", "1e308", "-1e-999", "123456789012345678901234567890.5"])
def test_float_is_kept(text: str) -> None:
    assert parse(f"[{text}]") == ([float(text)], ())


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "JSONDecodeError, 0 bytes"),
        (b"{", "JSONDecodeError, 1 bytes"),
        (b"[NaN]", "ValueError, 5 bytes"),
        (b"[Infinity]", "ValueError, 10 bytes"),
        (b"[-Infinity]", "ValueError, 11 bytes"),
        (b'["\xff"]', "UnicodeDecodeError, 5 bytes"),
        (b"\xef\xbb\xbf[]", "JSONDecodeError, 5 bytes"),
        ("[]".encode("utf-16"), "UnicodeDecodeError, 6 bytes"),
        (b"[" * 200_000, "RecursionError, 200000 bytes"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_broken_json_may_pass(body: bytes, error: str) -> None:
    with pytest.raises(ApiError) as raised:
        parse(body, "application/problem+JSON; charset=utf-8")
    assert str(raised.value) == f"GET {URL}: the response is broken JSON ({error}). Run the command again."
    assert raised.value.may_pass


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", True),
        ('{"name": "ä"}\n'.encode(), True),
        (b"", False),
        (b'{"name": "', False),
        (b'{"name": "\xff"}', False),
        (b"<html></html>", False),
    ],
)
def test_whole_body_ends_like_an_object(body: bytes, expected: bool) -> None:
    assert seems_whole(body) is expected


@pytest.mark.parametrize(
    ("kind", "shown"), [("text/html", "text/html"), ("", "of no content type"), (f"text/{KEY}\x1b", "text/***?")]
)
def test_other_content_is_from_something_in_between(kind: str, shown: str) -> None:
    with pytest.raises(ApiError) as raised:
        parse("<html>", kind)
    assert str(raised.value) == (
        f"GET {URL}: the response is {shown}, not JSON. A server in between responded, such as a proxy or a login page. Check"
        " api_url and the proxy settings."
    )
    assert not raised.value.may_pass
