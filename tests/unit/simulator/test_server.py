# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.phala.cloud.tests.simulator import Simulator
from ansible_collections.phala.cloud.tests.simulator.faults import Hang, Reset


def test_start_is_quick() -> None:
    start = time.monotonic()
    with Simulator() as simulator:
        started = time.monotonic() - start
        assert simulator.url == f"http://127.0.0.1:{simulator.port}/api/v1"
    assert started < 0.5


def test_stop_is_quick_even_with_requests_that_hang_or_wait() -> None:
    with Simulator() as simulator:
        simulator.misbehave(Hang())
        simulator.delay = 0.01
        clients = [_unfinished_request(simulator) for dummy in range(3)]
        _until(lambda: len(simulator.requests) == 3)
        simulator.delay = 60
        clients.append(_unfinished_request(simulator))
        _until(lambda: len(simulator.requests) == 4)
        start = time.monotonic()
    assert time.monotonic() - start < 0.5
    for client in clients:
        client.close()


def test_port_is_closed_afterwards_and_can_be_had_again() -> None:
    with Simulator() as first:
        port = first.port
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
        pass
    with Simulator(port=port) as second:
        assert second.port == port


def test_no_thread_is_left_behind() -> None:
    before = set(threading.enumerate())
    with Simulator():
        pass
    assert set(threading.enumerate()) <= before


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make a self-signed certificate for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    builder = x509.CertificateBuilder(subject_name=name, issuer_name=name, public_key=key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now)
    builder = builder.not_valid_after(now + datetime.timedelta(hours=1))
    signed = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False).sign(key, hashes.SHA256())
    certfile, keyfile = folder / "certificate.pem", folder / "key.pem"
    certfile.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    keyfile.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certfile, keyfile


@pytest.fixture
def secure(certificate: tuple[Path, Path]) -> Iterator[Simulator]:
    with Simulator(certfile=certificate[0], keyfile=certificate[1]) as simulator:
        yield simulator


def test_tls_is_spoken_with_the_given_certificate(secure: Simulator, certificate: tuple[Path, Path]) -> None:
    headers = {"X-API-Key": secure.api_key}
    assert secure.url.startswith("https://")
    assert requests.get(f"{secure.url}/apps", headers=headers, verify=str(certificate[0]), timeout=5).status_code == 200
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{secure.url}/apps", headers=headers, timeout=5)


def test_reset_goes_past_tls(secure: Simulator) -> None:
    secure.misbehave(Reset())
    with socket.create_connection(("127.0.0.1", secure.port)) as client:
        _ask_over_tls(client)
        with pytest.raises(ConnectionResetError):
            _read_to_the_end(client)


def test_bad_certificate_is_the_callers_exception(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Simulator(certfile=tmp_path / "none.pem", keyfile=tmp_path / "none.key")


def _unfinished_request(simulator: Simulator) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", simulator.port))
    client.sendall(b"GET /api/v1/apps HTTP/1.1\r\nHost: x\r\n\r\n")
    return client


def _until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 5
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    assert condition()


def _read_to_the_end(client: socket.socket) -> None:
    while client.recv(65536):
        pass


def _ask_over_tls(client: socket.socket) -> None:
    """Send a request over a TLS session in memory, which leaves the naked connection in the caller's hands."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    session = context.wrap_bio(incoming, outgoing)
    while not _shaken_hands(session):
        client.sendall(outgoing.read())
        incoming.write(client.recv(65536))
    session.write(b"GET /api/v1/apps HTTP/1.1\r\nHost: x\r\n\r\n")
    client.sendall(outgoing.read())


def _shaken_hands(session: ssl.SSLObject) -> bool:
    try:
        session.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True
