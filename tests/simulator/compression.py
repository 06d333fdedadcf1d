# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compress the body of a response, piece by piece."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

GZIP_WINDOW: Final = 31


class Compressor(NamedTuple):
    compress: Callable[[bytes], bytes]
    finish: Callable[[], bytes]


def compressed(pieces: Iterable[bytes], encodings: Sequence[str]) -> Iterable[bytes]:
    """Apply each encoding in turn: "gzip", "zstd" or "br"."""
    for encoding in encodings:
        pieces = _compressed(pieces, COMPRESSORS[encoding]())
    return pieces


def encoding_header(encodings: Sequence[str]) -> dict[str, str]:
    return {"content-encoding": ", ".join(encodings)} if encodings else {}


def _compressed(pieces: Iterable[bytes], compressor: Compressor) -> Iterator[bytes]:
    for piece in pieces:
        yield compressor.compress(piece)
    yield compressor.finish()


def _gzip() -> Compressor:
    stream = zlib.compressobj(wbits=GZIP_WINDOW)
    return Compressor(stream.compress, stream.flush)


def _zstd() -> Compressor:
    import zstandard

    stream = zstandard.ZstdCompressor().compressobj()
    return Compressor(stream.compress, stream.flush)


def _br() -> Compressor:
    import brotli

    stream = brotli.Compressor(quality=5)
    return Compressor(stream.process, stream.finish)


COMPRESSORS: Final[Mapping[str, Callable[[], Compressor]]] = {"gzip": _gzip, "zstd": _zstd, "br": _br}
