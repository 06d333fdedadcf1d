# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults that replace the service's response."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Literal

from typing_extensions import override

from .base import Answer, Occasion, Stream

GZIP_WINDOW: Final = 31
MEBIBYTE: Final = 1024 * 1024
PADDING: Final = b" " * MEBIBYTE
EMPTY_LIST: Final = b'{"dstack_apps":[],"page":1,"page_size":20,"total":0,"total_pages":0}'
NOT_UTF8: Final = b'{"dstack_apps":[{"app_id":"\xff\xfe\x80\xc3"}],"page":1,"page_size":20,"total":1,"total_pages":1}'
HTML_PAGE: Final = "<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>\n"


@dataclass(frozen=True)
class Body(Answer):
    """Respond with exactly these bytes."""

    content: bytes
    content_type: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)

    @override
    def answer(self, occasion: Occasion) -> Stream:
        length = {"content-length": str(len(self.content))}
        return Stream(self.status, {"content-type": self.content_type, **length, **self.headers}, [self.content])


@dataclass(frozen=True)
class Status(Answer):
    """Respond with an error in one of the service's forms.

    `style` is the place of `message`: "detail" for `{"detail": message}`, where `message` may be any JSON value;
    "message" for an object with code, message and request id; "nested" for the same object in `detail`. The object
    also has `details`, `suggestions` and `links` if they are set. `retry_after` may be any text.
    """

    status: int
    message: Any = None
    retry_after: str | int | None = None
    error_code: str = "ERR-99-001"
    style: Literal["detail", "message", "nested"] = "detail"
    details: Any = None
    suggestions: Any = None
    links: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @override
    def answer(self, occasion: Occasion) -> Stream:
        content = self._content(occasion)
        retry = {} if self.retry_after is None else {"retry-after": str(self.retry_after)}
        return Body(content, status=self.status, headers={**retry, **self.headers}).answer(occasion)

    def _content(self, occasion: Occasion) -> bytes:
        if self.status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            return b""
        message = _phrase(self.status) if self.message is None else self.message
        if self.style == "detail":
            return json.dumps({"detail": message}).encode()
        more = {"details": self.details, "suggestions": self.suggestions, "links": self.links}
        body = {
            "error_code": self.error_code,
            "message": message,
            **{name: value for name, value in more.items() if value is not None},
            "request_id": occasion.request_id,
        }
        return json.dumps({"detail": body} if self.style == "nested" else body).encode()


@dataclass(frozen=True)
class Redirect(Answer):
    """Redirect the client."""

    location: str
    status: int = 302

    @override
    def answer(self, occasion: Occasion) -> Stream:
        return Stream(self.status, {"location": self.location, "content-length": "0"}, [])


@dataclass(frozen=True)
class Html(Answer):
    """Respond with a web page, as a proxy does."""

    status: int = 200
    title: str | None = None

    @override
    def answer(self, occasion: Occasion) -> Stream:
        page = HTML_PAGE.format(title=self.title or _phrase(self.status))
        return Body(page.encode(), "text/html; charset=utf-8", self.status).answer(occasion)


@dataclass(frozen=True)
class Blocked(Answer):
    """Respond as the proxy in front of the service does to a user agent that it blocks, in plain text or HTML."""

    html: bool = False

    @override
    def answer(self, occasion: Occasion) -> Stream:
        page = HTML_PAGE.format(title="Access denied | error code: 1010") if self.html else "error code: 1010"
        content_type = "text/html; charset=UTF-8" if self.html else "text/plain; charset=UTF-8"
        return Body(page.encode(), content_type, HTTPStatus.FORBIDDEN).answer(occasion)


@dataclass(frozen=True)
class InvalidUtf8(Answer):
    """Respond with JSON that is not UTF-8."""

    status: int = 200

    @override
    def answer(self, occasion: Occasion) -> Stream:
        return Body(NOT_UTF8, status=self.status).answer(occasion)


@dataclass(frozen=True)
class HugeBody(Answer):
    """Respond with an empty list after so many MiB of spaces. With `gzip`, it has a thousandth of the size on the wire."""

    mebibytes: int = 64
    gzip: bool = False

    @override
    def answer(self, occasion: Occasion) -> Stream:
        headers = {"content-type": "application/json"}
        if self.gzip:
            return Stream(200, {**headers, "content-encoding": "gzip"}, _gzipped(self._plain()))
        return Stream(200, headers, self._plain())

    def _plain(self) -> Iterator[bytes]:
        for dummy in range(self.mebibytes):
            yield PADDING
        yield EMPTY_LIST


def _gzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    stream = zlib.compressobj(wbits=GZIP_WINDOW)
    yield from map(stream.compress, pieces)
    yield stream.flush()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown status"
