# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Record each request, and delay, answer or disturb it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from email.utils import formatdate
from typing import TypeVar
from urllib.parse import parse_qsl

from .faults.base import Alteration, Answer, Delay, Disturbance, Fault, Occasion, Rearrangement, Reply, Stream
from .service import Recorded, Service
from .transport import Message, Receive, Scope, Send, Wire

Answered = TypeVar("Answered", Reply, Stream)
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Gate:
    """An ASGI application in front of the service's own one."""

    def __init__(self, application: Application, service: Service) -> None:
        self._application = application
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._service.under_way():
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = self._record(scope)
        self._service.change_fleet(request)
        if self._service.blocks(request):
            await self._send(send, self._service.blocked.answer(Occasion(request.id, request.page, turn=0)))
            return
        wire = Wire(scope, receive)
        fault, turn = self._service.rules.next(request) or (None, 0)
        time_to_respond = asyncio.get_running_loop().time() + self._delay(fault)
        occasion = Occasion(request_id=request.id, page=request.page, turn=turn)
        if isinstance(fault, Answer):
            status, headers, pieces = fault.answer(occasion)
            if await _still_there(wire, until=time_to_respond):
                await self._send(send, Stream(status, {"x-request-id": occasion.request_id, **headers}, pieces))
            return
        reply = _altered(await self._ask(scope, receive, fault, request_id=request.id), fault, occasion)
        if not await _still_there(wire, until=time_to_respond):
            return
        if isinstance(fault, Disturbance):
            await fault.play(wire, _dated(reply))
        else:
            await self._send(send, Stream(reply.status, reply.headers, [reply.body]))

    async def _send(self, send: Send, stream: Stream) -> None:
        """Send a response piece by piece, so that a huge body is never in memory as a whole."""
        await send(_start(stream.status, _dated(stream).headers))
        for piece in stream.pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _record(self, scope: Scope) -> Recorded:
        return self._service.record(
            method=scope["method"],
            path=scope["path"],
            query=parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True),
            headers={name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        )

    def _delay(self, fault: Fault | None) -> float:
        return self._service.delay + (fault.seconds if isinstance(fault, Delay) else 0.0)

    async def _ask(self, scope: Scope, receive: Receive, fault: Fault | None, *, request_id: str) -> Reply:
        """Return the service's response, with the request id in its header."""
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        scope["state"]["rearrangements"] = [fault] if isinstance(fault, Rearrangement) else []
        await self._application(scope, receive, keep)
        head, *body = messages
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in head["headers"]}
        return Reply(
            status=head["status"],
            headers={**headers, "x-request-id": request_id},
            body=b"".join(message.get("body", b"") for message in body),
        )


async def _still_there(wire: Wire, *, until: float) -> bool:
    """Wait until a time of the event loop's clock, and return whether the client is still connected."""
    seconds = until - asyncio.get_running_loop().time()
    if seconds <= 0:
        return True
    try:
        await asyncio.wait_for(wire.gone(), timeout=seconds)
    except asyncio.TimeoutError:
        return True
    return False


def _dated(answer: Answered) -> Answered:
    """Add the date to a response."""
    return answer._replace(headers={"date": formatdate(usegmt=True), **answer.headers})


def _start(status: int, headers: Mapping[str, str]) -> Message:
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": encoded}


def _altered(reply: Reply, fault: Fault | None, occasion: Occasion) -> Reply:
    """Change the JSON of a good response. An error stays as it is."""
    if reply.status != 200 or not isinstance(fault, Alteration):
        return reply
    body = json.dumps(fault.alter(json.loads(reply.body), occasion)).encode()
    return Reply(reply.status, {**reply.headers, "content-length": str(len(body))}, body)
