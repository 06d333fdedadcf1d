# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import zlib

import brotli
import pytest
import requests
import zstandard

from ansible_collections.phala.cloud.tests.simulator import Simulator
from ansible_collections.phala.cloud.tests.simulator.faults import Html, HugeBody, Truncate

from .conftest import Get

UNPACK = {
    "gzip": lambda body: zlib.decompress(body, wbits=31),
    "zstd": lambda body: zstandard.ZstdDecompressor().decompressobj().decompress(body),
    "br": brotli.decompress,
}


def _raw(simulator: Simulator) -> tuple[str | None, bytes]:
    """Return the encoding and the body as they are sent."""
    headers = {"X-API-Key": simulator.api_key, "Accept-Encoding": "identity"}
    with requests.get(f"{simulator.url}/apps", headers=headers, timeout=5, stream=True) as response:
        return response.headers.get("Content-Encoding"), response.raw.read(decode_content=False)


def _unpack(body: bytes, encodings: list[str]) -> bytes:
    for encoding in reversed(encodings):
        body = UNPACK[encoding](body)
    return body


@pytest.mark.parametrize("encodings", [["gzip"], ["gzip", "gzip"], ["zstd"], ["br"], ["br", "gzip"]], ids="+".join)
def test_responses_are_compressed_in_any_encoding(simulator: Simulator, encodings: list[str]) -> None:
    plain = _raw(simulator)
    simulator.encodings = encodings
    header, body = _raw(simulator)
    assert (plain[0], header) == (None, ", ".join(encodings))
    assert _unpack(body, encodings) == plain[1]


@pytest.mark.parametrize("encodings", [["gzip", "gzip"], ["zstd"], ["br"]], ids="+".join)
def test_huge_body_is_small_on_the_wire(simulator: Simulator, encodings: list[str]) -> None:
    simulator.encodings = encodings
    simulator.misbehave(HugeBody(8))
    dummy, body = _raw(simulator)
    assert len(body) < 2048
    assert len(_unpack(body, encodings)) > 8 * 1024 * 1024


def test_errors_and_broken_connections_are_compressed_too(simulator: Simulator, get: Get) -> None:
    simulator.encodings = ["gzip"]
    simulator.misbehave(Html(503), Truncate())
    assert get().text.startswith("<!DOCTYPE html>")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        get()
