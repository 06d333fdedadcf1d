# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An HTTP proxy for CONNECT, such as companies have, that leads wherever it is asked to, which is always loopback."""

from __future__ import annotations

import http.server
import select
import socket
import threading


class ConnectProxy(http.server.ThreadingHTTPServer):
    """Serve on a free port of loopback while the `with` block lasts, and remember what was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.port = int(self.server_address[1])
        self.asked: list[str] = []

    def __enter__(self) -> ConnectProxy:
        threading.Thread(target=self.serve_forever, name="proxy", daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    """Answer CONNECT, and nothing else."""

    server: ConnectProxy

    def do_CONNECT(self) -> None:
        self.server.asked.append(self.path)
        with socket.create_connection(("127.0.0.1", int(self.path.rpartition(":")[2]))) as target:
            self.send_response(200)
            self.end_headers()
            carry(self.connection, target)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: the tests look at what was asked for."""


def carry(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until one side ends."""
    sinks = {one: other, other: one}
    while True:
        for source in select.select(list(sinks), [], [])[0]:
            if not (chunk := source.recv(65536)):
                return
            sinks[source].sendall(chunk)
