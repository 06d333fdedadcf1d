# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What goes wrong below HTTP: names, addresses, TLS, and servers that speak something else or never end."""

from __future__ import annotations

import contextlib
import errno
import gzip
import re
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final
from unittest.mock import patch

import pytest

from ansible_collections.phala.cloud.tests.certificates import Certificates, presenting
from ansible_collections.phala.cloud.tests.loading import Loaded
from ansible_collections.phala.cloud.tests.simulator import Simulator, make_fleet

from .project import KEY, Project
from .sockets import SECONDS, Play, answering, closed_port, serving, silent, trickling, unreachable_port

SLACK: Final = 3.0  # seconds that a busy machine may add to a time limit of one second; without the limit it would be 8 or more
GOOD_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ANYTHING: Final = "the response is invalid|broken JSON|the connection failed"
TOO_SLOW: Final = "no complete response within 1 s. Check the network, raise timeout, or lower page_size."
BROKEN: Final = "the connection failed: .*. Check api_url and the network."


def assert_said(outcome: Loaded, pattern: str) -> None:
    assert re.search(pattern, outcome.assert_nothing().message), outcome.message
    assert outcome.seconds <= 1 + SLACK
    assert not any("Traceback" in text for text in outcome.displayed)


def test_refused(project: Project) -> None:
    with closed_port() as port:
        assert_said(project.read(api_url=f"http://127.0.0.1:{port}/api/v1"), "Connection refused. Check api_url and the network.")


def test_refused_a_while(project: Project, simulator: Simulator) -> None:
    with closed_port() as port:
        outcome = project.read(api_url=f"http://127.0.0.1:{port}/api/v1", retries=1)
    assert_said(outcome, r"Connection refused.* The plugin tried 2 times")
    assert not simulator.requests


@pytest.mark.slow
def test_an_address_that_never_answers(project: Project) -> None:
    with unreachable_port() as port:
        assert_said(project.read(api_url=f"http://127.0.0.1:{port}/api/v1", timeout=1), TOO_SLOW)


def resolving(result: Callable[[str, int], Any]) -> Any:
    """Let every name of this process be looked up by a function."""
    return patch.object(socket, "getaddrinfo", lambda host, port, *_rest, **_options: result(host, port))


def test_a_name_with_many_dead_addresses(project: Project) -> None:
    """Each address would get the whole timeout to connect in."""
    addresses = [f"127.0.0.{number}" for number in range(1, 9)]
    with unreachable_port() as port:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]
        with resolving(lambda _host, _port: found):
            assert_said(project.read(api_url=f"https://api.example.org:{port}/api/v1", timeout=1), TOO_SLOW)


def test_a_name_with_dead_addresses_and_a_live_one(project: Project, simulator: Simulator) -> None:
    with closed_port() as closed:
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in (closed, closed, simulator.port)]
        with resolving(lambda _host, _port: found):
            assert len(project.read(api_url=f"http://localhost:{simulator.port}/api/v1").assert_whole().hosts) == 14


@pytest.mark.parametrize("code", ["EAI_NONAME", "EAI_AGAIN", "EAI_FAIL"])
def test_a_name_that_is_not_found(project: Project, code: str) -> None:
    number = getattr(socket, code)

    def fail(_host: str, _port: int) -> None:
        raise socket.gaierror(number, "Name or service not known")

    with resolving(fail):
        outcome = project.read(api_url="https://api.example.org/api/v1")
    assert_said(
        outcome, "the host name api.example.org was not found: Name or service not known. Check api_url, the network and DNS."
    )


def test_a_name_that_is_looked_up_for_ever(project: Project) -> None:
    over = threading.Event()

    def hang(_host: str, _port: int) -> None:
        over.wait(SECONDS)
        raise socket.gaierror(socket.EAI_AGAIN, "later")

    with resolving(hang):
        assert_said(project.read(api_url="https://api.example.org/api/v1", timeout=1), TOO_SLOW)
    over.set()


@pytest.mark.parametrize("code", [errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.EMFILE])
def test_no_way_there(project: Project, code: int) -> None:
    def fail(_host: str, _port: int) -> None:
        raise OSError(code, "No way")

    with resolving(fail):
        assert_said(project.read(api_url="https://api.example.org/api/v1"), "No way. Check api_url and the network.")


# TLS


@pytest.fixture
def secure(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[Simulator]:
    """Run a service that presents the certificate of the test's parameter."""
    file = getattr(certificates, request.param)
    with Simulator(fleet=make_fleet(cvms=3), api_key=KEY, certfile=file, keyfile=file) as simulator:
        yield simulator


@pytest.mark.parametrize("secure", ["good"], indirect=True)
def test_a_good_certificate(project: Project, secure: Simulator, certificates: Certificates) -> None:
    assert len(project.read(api_url=secure.url, ca_path=str(certificates.ca)).assert_whole().hosts) == 3


@pytest.mark.parametrize(
    ("secure", "reason"),
    [
        ("expired", "certificate has expired"),
        ("not_yet", "certificate is not yet valid"),
        ("other_name", "IP address mismatch|doesn't match"),
        ("untrusted", "unable to get (local )?issuer certificate|self-signed|unable to verify"),
    ],
    indirect=["secure"],
)
def test_a_certificate_that_is_refused(project: Project, secure: Simulator, certificates: Certificates, reason: str) -> None:
    outcome = project.read(api_url=secure.url, ca_path=str(certificates.ca), retries=3)
    assert_said(outcome, f"the certificate of 127.0.0.1 was not accepted: .*({reason}).*. If your own CA signs it, set ca_path.")
    assert not secure.requests
    assert "tried" not in outcome.message


@pytest.mark.parametrize("secure", ["untrusted"], indirect=True)
def test_a_certificate_that_is_not_checked(project: Project, secure: Simulator) -> None:
    assert len(project.read(api_url=secure.url, validate_certs=False).assert_whole().hosts) == 3


def test_plain_http_on_a_tls_port(project: Project, simulator: Simulator) -> None:
    outcome = project.read(api_url=simulator.url.replace("http:", "https:"), retries=3)
    assert_said(outcome, "the TLS connection failed: .*. Check that the port of api_url is an https port.")
    assert not simulator.requests


@pytest.mark.parametrize("secure", ["good"], indirect=True)
def test_tls_on_a_plain_http_port(project: Project, secure: Simulator) -> None:
    assert_said(project.read(api_url=secure.url.replace("https:", "http:")), BROKEN)
    assert not secure.requests


def test_a_tls_handshake_that_never_ends(project: Project) -> None:
    with serving(silent) as server:
        assert_said(project.read(api_url=server.url.replace("http:", "https:"), timeout=1), TOO_SLOW)


@pytest.mark.slow
def test_a_tls_handshake_that_trickles(project: Project) -> None:
    """The head of a TLS record of 16 KiB, and then a byte of it at a time: each comes in time."""
    with serving(trickling_at_once(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc", b"\x00")) as server:
        assert_said(
            project.read(api_url=server.url.replace("http:", "https:"), timeout=1), f"{TOO_SLOW}|the TLS connection failed"
        )


def test_a_tls_handshake_that_is_broken_off(project: Project) -> None:
    with serving(lambda connection: connection.recv(10)) as server:
        assert_said(project.read(api_url=server.url.replace("http:", "https:")), "connection|TLS")


def test_tls_that_is_too_old(project: Project, certificates: Certificates) -> None:
    context = presenting(certificates.good)
    with contextlib.suppress(ValueError):
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1
    with serving(answering(b""), certificate=context) as server:
        outcome = project.read(api_url=server.url.replace("http:", "https:"), ca_path=str(certificates.ca))
    assert_said(outcome, "the TLS connection failed: .*. Check that the port of api_url is an https port.")


# Servers that are none


def trickling_at_once(beginning: bytes, piece: bytes) -> Play:
    def play(connection: socket.socket) -> None:
        connection.sendall(beginning)
        for _turn in range(200):
            connection.sendall(piece)
            time.sleep(0.05)

    return play


ENDLESS: Final = {
    "silence": silent,
    "a status line": trickling(b"HTTP/1.1 200", b" "),
    "a header": trickling(GOOD_HEAD + b"X-Long: ", b"x"),
    "many headers": trickling(GOOD_HEAD, b"X: y\r\n", interval=0.2),
    "interim answers": trickling(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body": trickling(GOOD_HEAD + b"\r\n", b" "),
    "a long body": trickling(GOOD_HEAD + b"Content-Length: 1000000\r\n\r\n{", b" "),
    "chunks": trickling(GOOD_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "a chunk's size": trickling(GOOD_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "gzip": trickling(GOOD_HEAD + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x08\0\0\0\0\0\0", b"n"),
    "an error's body": trickling(b"HTTP/1.1 401 No\r\n\r\n", b" "),
    "a redirect's body": trickling(b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", b" "),
}


QUICK: Final = ("a header", "a body")


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=() if kind in QUICK else pytest.mark.slow) for kind in ENDLESS])
def test_an_answer_without_end_is_left_in_time(project: Project, kind: str) -> None:
    with serving(ENDLESS[kind]) as server:
        assert_said(project.read(api_url=server.url, timeout=1), TOO_SLOW)


ANSWERS: Final = {
    "nothing": (b"", BROKEN),
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n", BROKEN),
    "zeros": (b"\x00" * 1000, BROKEN),
    "noise": (bytes(range(256)) * 4, BROKEN),
    "a status that is none": (b"HTTP/1.1 abc OK\r\n\r\n", BROKEN),
    "a status too large": (b"HTTP/1.1 99999 OK\r\n\r\n", BROKEN),
    "an unheard-of status": (b"HTTP/1.1 799 OK\r\n\r\n", "799 from"),
    "a status line without end": (b"HTTP/1.1 200 " + b"x" * 100_000, BROKEN),
    "a header without end": (GOOD_HEAD + b"X: " + b"x" * 100_000, BROKEN),
    "a thousand headers": (GOOD_HEAD + b"X: y\r\n" * 1000 + b"\r\n{}", BROKEN),
    "a length that is none": (GOOD_HEAD + b"Content-Length: abc\r\n\r\n{}", ANYTHING),
    "a negative length": (GOOD_HEAD + b"Content-Length: -5\r\n\r\n{}", ANYTHING),
    "two lengths": (GOOD_HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", ANYTHING),
    "chunks that are none": (GOOD_HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", BROKEN),
    "a chunk broken off": (GOOD_HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\n{", BROKEN),
    "no blank line": (GOOD_HEAD, "broken JSON|connection"),
    "gzip broken off": (GOOD_HEAD + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08", r"broken gzip \(its end is missing\)"),
    "gzip of noise": (GOOD_HEAD + b"Content-Encoding: gzip\r\n\r\n" + b"noise" * 9, r"broken gzip \(it cannot be unpacked\)"),
    "an unknown encoding": (
        GOOD_HEAD + b"Content-Encoding: x-own\r\n\r\n\xff\xfe",
        "is encoded as x-own, but the plugin requests gzip",
    ),
    "HTTP of long ago": (b"HTTP/1.0 200 OK\r\n\r\n<html>", "no content type, not JSON"),
    "HTTP of tomorrow": (b"HTTP/2 200\r\n\r\n{}", "connection|not JSON|invalid"),
    "a changed protocol": (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "101 from|connection"),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_that_is_none_is_refused(project: Project, kind: str) -> None:
    answer, message = ANSWERS[kind]
    with serving(answering(answer)) as server:
        assert_said(project.read(api_url=server.url), message)


MEMORY: Final = 1_500_000  # KiB of address space, of which Python with Ansible takes a third


def bomb(encoding: str) -> bytes:
    """Return a gibibyte of blanks, packed as told; gzip's members can stand one after the other."""
    first, *further = encoding.split(", ")
    blanks = b" " * 2**24
    packed = gzip.compress(blanks) * 64 if first == "gzip" else zlib.compress(blanks * 16)
    for name in further:
        packed = gzip.compress(packed) if name == "gzip" else zlib.compress(packed)
    return packed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ("gzip", "larger than 64 MiB"),
        ("gzip, gzip", "is encoded as gzip, gzip"),
        ("deflate", "is encoded as deflate"),
        ("gzip, deflate, gzip", "is encoded as gzip, deflate, gzip"),
    ],
)
def test_a_bomb_takes_little_memory(project: Project, encoding: str, message: str) -> None:
    head = GOOD_HEAD + f"Content-Encoding: {encoding}\r\n\r\n".encode()
    with serving(answering(head + bomb(encoding))) as server:
        completed = project.run(
            "ansible-inventory",
            "-i",
            project.write(api_url=server.url, timeout=20),
            "--list",
            before=f"ulimit -v {MEMORY}",
        )
    assert "".join(message.split()) in "".join(completed.stderr.split()), completed.stderr[-1000:]
    assert "MemoryError" not in completed.printed
    assert "Traceback" not in completed.printed
