# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults of the connection, with the service's response."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from typing_extensions import override

from ..transport import Wire, response_head
from .base import Disturbance, Reply


@dataclass(frozen=True)
class Reset(Disturbance):
    """Reset the connection: before the response, or after this many bytes of its body."""

    after: int | None = None

    @override
    async def play(self, wire: Wire, reply: Reply) -> None:
        if self.after is not None:
            wire.write(_head(reply, length=len(reply.body)) + reply.body[: self.after])
            await wire.drained()
        await wire.reset()


@dataclass(frozen=True)
class Close(Disturbance):
    """Close the connection without a response."""

    @override
    async def play(self, wire: Wire, reply: Reply) -> None:
        await wire.close()


@dataclass(frozen=True)
class Truncate(Disturbance):
    """Announce the whole body, send this many bytes of it (by default half of it) and close."""

    after: int | None = None

    @override
    async def play(self, wire: Wire, reply: Reply) -> None:
        after = len(reply.body) // 2 if self.after is None else self.after
        wire.write(_head(reply, length=len(reply.body)) + reply.body[:after])
        await wire.close()


@dataclass(frozen=True)
class WrongLength(Disturbance):
    """Send the whole body with a Content-Length that is wrong by this many bytes, and close."""

    by: int = -10

    @override
    async def play(self, wire: Wire, reply: Reply) -> None:
        wire.write(_head(reply, length=len(reply.body) + self.by) + reply.body)
        await wire.close()


@dataclass(frozen=True)
class Hang(Disturbance):
    """Never respond. With `head=True`, send the headers but never the body."""

    head: bool = False

    @override
    async def play(self, wire: Wire, reply: Reply) -> None:
        if self.head:
            wire.write(_head(reply, length=len(reply.body)))
        await wire.gone()


@dataclass(frozen=True)
class Trickle(Disturbance):
    """Send a body without end, one space every `interval` seconds."""

    interval: float = 0.05

    @override
    async def play(self, wire: Wire, reply: Reply) -> None:
        wire.write(response_head(reply.status, {"content-type": "application/json", "connection": "close"}))
        while wire.open:
            wire.write(b" ")
            await asyncio.sleep(self.interval)
        await wire.gone()


def _head(reply: Reply, *, length: int) -> bytes:
    headers = {name: value for name, value in reply.headers.items() if name != "content-length"}
    return response_head(reply.status, {**headers, "content-length": str(length), "connection": "close"})
