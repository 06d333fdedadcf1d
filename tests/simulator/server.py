# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stand-in as a server of its own, in a thread of this process."""

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

BACKLOG: Final = 512
SECONDS_TO_START: Final = 30
SECONDS_TO_STOP: Final = 5


class Simulator(Service):
    """Serve while the `with` block lasts, on a free loopback port unless told another; options are the service's.

    With `certfile` and `keyfile` the server speaks TLS.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        certfile: str | Path | None = None,
        keyfile: str | Path | None = None,
        **service: Any,
    ) -> None:
        super().__init__(**service)
        self.host = host
        self.port = port
        self._config = _configure(_application(self), certfile=certfile, keyfile=keyfile)
        self._server: PromptServer | None = None
        self._thread: threading.Thread | None = None

    @property
    def origin(self) -> str:
        """Return scheme, host and port."""
        scheme = "https" if self._config.is_ssl else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"

    @property
    def url(self) -> str:
        """Return what a client takes for `PHALA_CLOUD_API_PREFIX`."""
        return f"{self.origin}/api/v1"

    def __enter__(self) -> Simulator:
        listener = _listen(self.host, self.port)
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
        """Break every connection, also those on which a fault would go on for ever."""
        if self._server is not None:
            self._server.hang_up()


class PromptServer(uvicorn.Server):
    """uvicorn's server, without its ten looks a second for the end and its patience with those that hang."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None

    def wait_until_ready(self) -> None:
        if not self._ready.wait(SECONDS_TO_START):
            raise TimeoutError("the simulator did not start")

    def stop(self) -> None:
        """End the server, from any thread."""
        if self._loop is not None and self._over is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._over.set)

    def hang_up(self) -> None:
        """Break all connections, from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._abort_connections)

    @override
    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        await self.on_tick(0)
        self._ready.set()
        while not self._over.is_set():
            await self._wait_a_second(self._over)

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

    async def _wait_a_second(self, over: asyncio.Event) -> None:
        """Wait for the end; meanwhile the `Date` header wants to be renewed."""
        try:
            await asyncio.wait_for(over.wait(), timeout=1)
        except asyncio.TimeoutError:
            await self.on_tick(0)


def _listen(host: str, port: int) -> socket.socket:
    """Listen without Nagle's algorithm: asyncio leaves it on for such sockets, and each answer would take 40 ms."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _application(service: Service) -> Application:
    application = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    application.state.service = service
    application.include_router(routes.router)
    application.include_router(cvms.router)
    return Gate(application, service)


def _configure(application: Application, *, certfile: str | Path | None, keyfile: str | Path | None) -> uvicorn.Config:
    """Load the configuration at once, so that a bad certificate is the caller's exception and not the thread's."""
    config = uvicorn.Config(
        application,
        http=OpenProtocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        ssl_certfile=certfile,
        ssl_keyfile=None if keyfile is None else str(keyfile),
    )
    config.load()
    return config
