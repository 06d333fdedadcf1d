# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Access to the connection of an ASGI request, for what ASGI cannot send."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class OpenProtocol(H11Protocol):
    """uvicorn's HTTP protocol, which also passes its transport to the application."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.app_state = {**self.app_state, "transport": transport}
        super().connection_made(transport)


class Wire:
    """The connection of one request. If you write to it, you must also close it."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._transport: asyncio.Transport = scope["state"]["transport"]
        self._receive = receive

    @property
    def open(self) -> bool:
        return not self._transport.is_closing()

    def write(self, content: bytes) -> None:
        self._transport.write(content)

    async def drained(self) -> None:
        """Wait until everything is written to the socket."""
        while self.open and self._transport.get_write_buffer_size():
            await asyncio.sleep(0.001)

    async def close(self) -> None:
        """Close the connection after everything is sent."""
        self._transport.close()
        await self.gone()

    async def reset(self) -> None:
        """Reset the connection with a RST, without the end of a TLS session."""
        connection = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self._transport.abort()
        await self.gone()

    async def gone(self) -> None:
        """Wait until either side has closed the connection."""
        while (await self._receive())["type"] != "http.disconnect":
            pass


def response_head(status: int, headers: dict[str, str]) -> bytes:
    """Return the status line and the headers of a response as bytes."""
    lines = [f"HTTP/1.1 {status} Simulated", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
