# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The HTTP server of the service, in a thread of this process."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from typing_extensions import override

from . import cvms, routes
from .gate import Application, Gate
from .service import Service
from .transport import OpenProtocol

__all__ = ["Simulator"]

HOST: Final = "127.0.0.1"
BACKLOG: Final = 512
SECONDS_TO_START: Final = 30
SECONDS_TO_STOP: Final = 5


class Simulator(Service):
    """Serve inside a `with` block, on a free loopback port unless `port` is set. Other options are those of `Service`.

    With `certfile` and `keyfile`, the server uses TLS.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        certfile: str | Path | None = None,
        keyfile: str | Path | None = None,
        **service: Any,
    ) -> None:
        super().__init__(**service)
        self.port = port
        self._config = _configure(_application(self), certfile=certfile, keyfile=keyfile)
        self._server: PromptServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def origin(self) -> str:
        """Return scheme, host and port."""
        scheme = "https" if self._config.is_ssl else "http"
        return f"{scheme}://{HOST}:{self.port}"

    @property
    def url(self) -> str:
        """Return the value for `PHALA_CLOUD_API_PREFIX`."""
        return f"{self.origin}/api/v1"

    def __enter__(self) -> Simulator:
        listener = _listen(self.port)
        self.port = listener.getsockname()[1]
        self._server = PromptServer(self._config)
        self._thread = threading.Thread(target=self._server.run, args=([listener],), name="simulator", daemon=True)
        self._thread.start()
        self._server.wait_until_ready()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._server is not None and self._thread is not None:
            self._server.stop()
            self._thread.join(SECONDS_TO_STOP)

    def hang_up(self) -> None:
        """Close every connection, also those on which a fault would continue."""
        if self._server is not None:
            self._server.hang_up()


class PromptServer(uvicorn.Server):
    """uvicorn's server, but it stops at once: it does not poll, and does not wait for requests that hang."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None

    def wait_until_ready(self) -> None:
        if not self._ready.wait(SECONDS_TO_START):
            raise TimeoutError("the simulator did not start")

    def stop(self) -> None:
        """Stop the server, from any thread."""
        if self._loop is not None and self._over is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._over.set)

    def hang_up(self) -> None:
        """Close all connections, from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._abort_connections)

    @override
    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        await self.on_tick(0)
        self._ready.set()
        await self._over.wait()

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        self._abort_connections()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=1)

    def _abort_connections(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def _listen(port: int) -> socket.socket:
    """Listen without Nagle's algorithm, which asyncio leaves on for such sockets and which adds 40 ms to each response."""
    listener = socket.create_server((HOST, port), backlog=BACKLOG)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _application(service: Service) -> Application:
    application = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    application.state.service = service
    application.include_router(routes.router)
    application.include_router(cvms.router)
    return Gate(application, service)


def _configure(application: Application, *, certfile: str | Path | None, keyfile: str | Path | None) -> uvicorn.Config:
    """Load the configuration now, so that a bad certificate raises in the caller and not in the thread."""
    config = uvicorn.Config(
        application,
        http=OpenProtocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        date_header=False,
        ssl_certfile=certfile,
        ssl_keyfile=None if keyfile is None else str(keyfile),
    )
    config.load()
    return config
