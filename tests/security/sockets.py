# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Servers on loopback for what no HTTP service does: each connection is played by a function."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

Play = Callable[[socket.socket], object]

BACKLOG_FILLERS = 8
SECONDS = 20  # after which a play must have ended by itself


@dataclass
class Server:
    """A listening server, and all that it was sent."""

    port: int
    received: bytes = b""
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v1"


@contextmanager
def serving(play: Play, *, certificate: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Play every connection, in a thread each, until the block is left."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(listener.getsockname()[1])

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _address = listener.accept()
                server.connections += 1
                threading.Thread(target=run, args=[connection], daemon=True).start()

    def run(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            play(certificate.wrap_socket(connection, server_side=True) if certificate else Recording(connection, server))

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


class Recording(socket.socket):
    """A connection that keeps what it receives."""

    def __init__(self, connection: socket.socket, server: Server) -> None:
        super().__init__(connection.family, connection.type, connection.proto, fileno=connection.detach())
        self._server = server

    def recv(self, size: int, flags: int = 0) -> bytes:
        received = super().recv(size, flags)
        self._server.received += received
        return received


def answering(answer: bytes) -> Play:
    """Send these bytes to each request, whatever it asks, and close."""

    def play(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer)

    return play


def trickling(beginning: bytes, piece: bytes, *, interval: float = 0.05) -> Play:
    """Send a beginning, then a piece again and again without end."""

    def play(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(beginning)
        for _turn in range(int(SECONDS / interval)):
            connection.sendall(piece)
            time.sleep(interval)

    return play


def silent(connection: socket.socket) -> None:
    """Take all that comes and say nothing."""
    connection.settimeout(SECONDS)
    while connection.recv(65536):
        pass


def read_request(connection: socket.socket) -> bytes:
    """Read a request without a body."""
    request = b""
    while b"\r\n\r\n" not in request and (received := connection.recv(65536)):
        request += received
    return request


@contextmanager
def unreachable_port() -> Iterator[int]:
    """Yield a port of every loopback address at which connections are neither taken nor refused, as behind a firewall.

    What fills its backlog is addressed to 127.0.0.2, so any connection to another address is a test's own.
    """
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("0.0.0.0", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _filler in range(BACKLOG_FILLERS):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.2", port))
        yield port


@contextmanager
def closed_port() -> Iterator[int]:
    """Yield a port at which nobody listens, and which nobody else is given meanwhile."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def tunnelling(connection: socket.socket) -> None:
    """Be a proxy: open the connection that is asked for, and carry whatever goes over it."""
    target = read_request(connection).split()[1].decode().rpartition(":")
    with socket.create_connection((target[0], int(target[2]))) as other:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        back = threading.Thread(target=_carry, args=[other, connection], daemon=True)
        back.start()
        _carry(connection, other)


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while received := source.recv(65536):
            target.sendall(received)
        target.shutdown(socket.SHUT_WR)


def echoing(answer: Callable[[str], bytes]) -> Play:
    """Answer with something that is made of the key that came along."""

    def play(connection: socket.socket) -> None:
        head = read_request(connection).decode("latin-1")
        key = next(line.partition(": ")[2] for line in head.splitlines() if line.lower().startswith("x-api-key:"))
        connection.sendall(answer(key))

    return play
