# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the body of a response within limits, and the JSON in it."""

from __future__ import annotations

import json
import math
import time
import zlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from ansible_collections.phala.cloud.plugins.plugin_utils._api_errors import ApiError, Mask, safe_text

if TYPE_CHECKING:
    import requests

MAX_BODY_BYTES = 64 * 1024 * 1024  # unpacked; a full page of the largest apps is far below
CHUNK_BYTES = 64 * 1024
GZIP = 16 + zlib.MAX_WBITS  # with the header and the checksum of gzip
INTEGER_RANGE = range(-(2**63), 2**64)  # what a signed or an unsigned type of 64 bits holds
INTEGER_DIGITS = 20  # with the sign; longer ones are out of range, and Python is slow with thousands of digits


class TooSlowError(Exception):
    """The body did not arrive in time."""


def read_body(response: requests.Response, *, deadline: float, mask: Mask) -> bytes:
    """Return the body, unpacked if it is gzip.

    The pieces are read and unpacked here and not by urllib3, because the older versions unpack a piece as a whole, however
    large it becomes, and any number of layers.

    :param deadline: of :func:`time.monotonic`
    :raises ApiError: when the body is too large, or encoded in another way
    :raises TooSlowError: when the deadline has passed
    :raises urllib3.exceptions.HTTPError: when the connection fails
    """
    pieces: list[bytes] = []
    size = 0
    for piece in _unpacked(_pieces(response, deadline), response, mask):
        pieces.append(piece)
        size += len(piece)
        if size > MAX_BODY_BYTES:
            raise ApiError(
                f"GET {response.url}: the response is larger than {MAX_BODY_BYTES // 1024**2} MiB, so it is not from the"
                " service. Check api_url."
            )
    return b"".join(pieces)


def _pieces(response: requests.Response, deadline: float) -> Iterator[bytes]:
    """Yield the body as it comes over the network."""
    response.raw.enforce_content_length = True  # urllib3 before 2.0 returns half a body without an error
    for piece in response.raw.stream(CHUNK_BYTES, decode_content=False):
        yield piece
        if time.monotonic() > deadline:
            raise TooSlowError


def _unpacked(pieces: Iterator[bytes], response: requests.Response, mask: Mask) -> Iterator[bytes]:
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return pieces
    if encoding in ("gzip", "x-gzip"):
        return _gunzipped(pieces, lambda reason: _broken(response.url, f"gzip ({reason})"))
    raise ApiError(
        f"GET {response.url}: the response is encoded as {safe_text(encoding, mask)}, but the plugin requests gzip, so a server"
        " in between changed it. Check api_url and the proxy settings."
    )


def _gunzipped(pieces: Iterator[bytes], fault: Callable[[str], ApiError]) -> Iterator[bytes]:
    """Unpack gzip, which may consist of several members, in pieces of a limited size."""
    member = zlib.decompressobj(GZIP)
    try:
        for piece in pieces:
            packed = piece
            while packed:
                if member.eof:
                    member = zlib.decompressobj(GZIP)
                yield member.decompress(packed, CHUNK_BYTES)
                packed = member.unused_data if member.eof else member.unconsumed_tail
    except zlib.error as error:
        raise fault("it cannot be unpacked") from error
    if not member.eof:
        raise fault("its end is missing")


def _broken(url: str, what: str) -> ApiError:
    return ApiError(f"GET {url}: the response is broken {what}. Run the command again.", may_pass=True)


# JSON


def seems_whole(body: bytes) -> bool:
    """Tell whether a body can be a JSON object that was neither cut off nor garbled on the way; to parse it takes longer."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return body.rstrip().endswith(b"}")


def parse_json(body: bytes, *, url: str, content_type: str, mask: Mask) -> tuple[Any, tuple[str, ...]]:
    """Return the JSON value of a body, and a warning if numbers in it are replaced.

    A number that does not fit a type of 64 bits becomes null.

    :raises ApiError: when the body is not JSON
    """
    unfit: list[str] = []
    try:
        content = json.loads(
            body.decode(),
            parse_int=_integers(unfit),
            parse_float=_floats(unfit),
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError) as error:
        if "json" in content_type.lower():
            raise _broken(url, f"JSON ({type(error).__name__}, {len(body)} bytes)") from error
        raise ApiError(
            f"GET {url}: the response is {safe_text(content_type, mask) or 'of no content type'}, not JSON. A server in between"
            " responded, such as a proxy or a login page. Check api_url and the proxy settings."
        ) from error
    return content, tuple(_unfit_warnings(url, unfit))


def _integers(unfit: list[str]) -> Callable[[str], int | None]:
    def integer(text: str) -> int | None:
        if len(text) < INTEGER_DIGITS - 1:
            return int(text)
        if len(text) <= INTEGER_DIGITS and (number := int(text)) in INTEGER_RANGE:
            return number
        unfit.append(text[:INTEGER_DIGITS])
        return None

    return integer


def _floats(unfit: list[str]) -> Callable[[str], float | None]:
    def number(text: str) -> float | None:
        value = float(text)
        if math.isfinite(value):
            return value
        unfit.append(text[:INTEGER_DIGITS])
        return None

    return number


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _unfit_warnings(url: str, unfit: list[str]) -> Iterator[str]:
    if unfit:
        more = f" ({len(unfit) - 1} more)" if len(unfit) > 1 else ""
        yield f"GET {url}: the number that begins with {unfit[0]} does not fit 64 bits, so it is null in the inventory{more}"
