# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A TLS gateway on loopback that, like the platform's, routes by server name to the SSH server of a CVM.

It keeps the order of dstack's gateway, because the order decides what a user sees: the server name is read before the
handshake, a name without a route is closed without an answer, and a CVM that does not answer is closed after the
handshake.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import ssl
import threading
from collections.abc import Coroutine, Iterable, Iterator
from pathlib import Path

Address = tuple[str, int]


class Gateway:
    """Route `<id>-<port>.<domain>` to a backend, and an id with several backends to each in turn.

    With `idle_limit`, in seconds, a new connection on which nothing comes or goes for so long is closed.
    """

    def __init__(self, certificate: Path) -> None:
        self.certificate = certificate
        self.port = 0
        self.idle_limit: float | None = None
        self.asked: list[str] = []
        self._routes: dict[str, Iterator[Address]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateway", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Gateway:
        self._thread.start()
        self.open()
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def route(self, name: str, backends: Iterable[Address]) -> None:
        """Send the connections that ask for a name to these backends."""
        self._routes[name] = itertools.cycle(list(backends))

    def open(self) -> None:
        """Listen, unless it does, on the same port each time."""
        if self._tasks:
            return
        listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self._wait_for(self._start(self._accept(listener)))

    def close(self) -> None:
        """Refuse new connections and end the open ones."""
        self._wait_for(self._stop())

    def _wait_for(self, coroutine: Coroutine[object, object, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout=10)

    async def _start(self, coroutine: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _stop(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, listener: socket.socket) -> None:
        with listener:
            while True:
                client, dummy = await self._loop.sock_accept(listener)
                await self._start(self._serve(client))

    async def _serve(self, client: socket.socket) -> None:
        with contextlib.ExitStack() as owned, contextlib.suppress(OSError):
            owned.enter_context(client)
            name = await _read_server_name(client, self._context())
            self.asked.append(name)
            if backends := self._routes.get(name):
                owned.pop_all()  # The TLS transport closes the connection from here on.
                reader, writer = await _accept_tls(client, self._context())
                with contextlib.closing(writer):
                    await _bridge(reader, writer, next(backends), self.idle_limit)

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        return context


async def _read_server_name(client: socket.socket, context: ssl.SSLContext) -> str:
    """Read the name out of the first message, and leave the message there for the handshake."""
    names: list[str] = []
    context.sni_callback = lambda _session, name, _context: names.append(name or "")
    hello = ssl.MemoryBIO()
    hello.write(await _peek(client))
    with contextlib.suppress(ssl.SSLError):
        context.wrap_bio(hello, ssl.MemoryBIO(), server_side=True).do_handshake()
    return "".join(names)


async def _peek(client: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(client, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(client)
    return client.recv(65536, socket.MSG_PEEK)


async def _accept_tls(client: socket.socket, context: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Take the server's part of a handshake on a connection that is accepted already."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, dummy = await loop.connect_accepted_socket(lambda: protocol, client, ssl=context)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _bridge(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, backend: Address, idle_limit: float | None) -> None:
    """Carry bytes both ways until one side ends, or nothing comes for the limit."""
    backend_reader, backend_writer = await asyncio.open_connection(*backend)
    activity = asyncio.Event()
    with contextlib.closing(backend_writer):
        tasks = [
            asyncio.create_task(_pump(reader, backend_writer, activity)),
            asyncio.create_task(_pump(backend_reader, writer, activity)),
        ]
        if idle_limit is not None:
            tasks.append(asyncio.create_task(_wait_for_silence(activity, idle_limit)))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, activity: asyncio.Event) -> None:
    while chunk := await source.read(65536):
        activity.set()
        sink.write(chunk)
        await sink.drain()


async def _wait_for_silence(activity: asyncio.Event, seconds: float) -> None:
    """Return when there was no activity for so long."""
    with contextlib.suppress(asyncio.TimeoutError):
        while True:
            activity.clear()
            await asyncio.wait_for(activity.wait(), seconds)
