# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
import time

import pytest
import requests

from ansible_collections.phala.cloud.tests.simulator import Simulator
from ansible_collections.phala.cloud.tests.simulator.faults import Close, Fault, Hang, Reset, Trickle, Truncate, WrongLength

from .conftest import Get


def _raw(simulator: Simulator, *, seconds: float = 0.3) -> tuple[bytes, str]:
    """Return what comes over the wire, and how it ends: closed, reset, or still open after so long."""
    request = f"GET /api/v1/apps HTTP/1.1\r\nHost: x\r\nX-API-Key: {simulator.api_key}\r\n\r\n"
    received = b""
    with socket.create_connection(("127.0.0.1", simulator.port)) as client:
        client.sendall(request.encode())
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            client.settimeout(left)
            try:
                piece = client.recv(65536)
            except ConnectionResetError:
                return received, "reset"
            except TimeoutError:
                break
            if not piece:
                return received, "closed"
            received += piece
    return received, "open"


def _split(received: bytes) -> tuple[int, bytes]:
    """Return the promised length and the body."""
    head, dummy, body = received.partition(b"\r\n\r\n")
    (length,) = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    return int(length), body


def test_reset_before_the_answer(simulator: Simulator) -> None:
    simulator.misbehave(Reset())
    assert _raw(simulator) == (b"", "reset")


def test_reset_in_the_middle_of_the_body(simulator: Simulator) -> None:
    simulator.misbehave(Reset(after=100))
    received, end = _raw(simulator)
    length, body = _split(received)
    assert (len(body), end) == (100, "reset")
    assert length > 100


def test_close_without_an_answer(simulator: Simulator) -> None:
    simulator.misbehave(Close())
    assert _raw(simulator) == (b"", "closed")


@pytest.mark.parametrize("after", [None, 0, 50])
def test_truncated_body_is_closed_early(simulator: Simulator, after: int | None) -> None:
    simulator.misbehave(Truncate(after))
    received, end = _raw(simulator)
    length, body = _split(received)
    assert (len(body), end) == (length // 2 if after is None else after, "closed")


@pytest.mark.parametrize("by", [-10, 10])
def test_wrong_content_length(simulator: Simulator, by: int) -> None:
    simulator.misbehave(WrongLength(by))
    received, end = _raw(simulator)
    length, body = _split(received)
    assert (length - len(body), end) == (by, "closed")
    assert body.endswith(b"}")


def test_hang_before_the_head(simulator: Simulator) -> None:
    simulator.misbehave(Hang())
    assert _raw(simulator) == (b"", "open")


def test_hang_after_the_head(simulator: Simulator) -> None:
    simulator.misbehave(Hang(head=True))
    received, end = _raw(simulator)
    assert received.startswith(b"HTTP/1.1 200")
    assert (_split(received)[1], end) == (b"", "open")


def test_trickle_comes_byte_by_byte_and_never_ends(simulator: Simulator) -> None:
    simulator.misbehave(Trickle(0.02))
    received, end = _raw(simulator, seconds=0.5)
    dummy, dummy, body = received.partition(b"\r\n\r\n")
    assert end == "open"
    assert set(body) == {ord(" ")}
    assert 5 < len(body) <= 26


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Reset(), requests.exceptions.ConnectionError),
        (Reset(after=10), requests.exceptions.ChunkedEncodingError),
        (Close(), requests.exceptions.ConnectionError),
        (Truncate(), requests.exceptions.ChunkedEncodingError),
        (WrongLength(10), requests.exceptions.ChunkedEncodingError),
        (WrongLength(-10), requests.exceptions.JSONDecodeError),
    ],
    ids=str,
)
def test_fault_as_requests_sees_it(get: Get, simulator: Simulator, fault: Fault, error: type[Exception]) -> None:
    simulator.misbehave(fault)
    with pytest.raises(error):
        get().json()
    assert get().status_code == 200


def test_hanging_request_does_not_hold_up_others(simulator: Simulator, get: Get) -> None:
    simulator.misbehave(Hang())
    with socket.create_connection(("127.0.0.1", simulator.port)) as client:
        client.sendall(b"GET /api/v1/apps HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(0.05)
        assert get().status_code == 200
