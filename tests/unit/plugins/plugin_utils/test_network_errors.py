# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Exceptions of requests and urllib3: who or what is to blame, and whether another try may help."""

from __future__ import annotations

import socket
import ssl

import pytest
import requests
from urllib3.exceptions import (
    IncompleteRead,
    MaxRetryError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from ansible_collections.phala.cloud.plugins.plugin_utils._api_errors import ApiError, UnavailableError
from ansible_collections.phala.cloud.plugins.plugin_utils._network_errors import network_error, too_slow
from ansible_collections.phala.cloud.plugins.plugin_utils._responses import TooSlowError
from ansible_collections.phala.cloud.plugins.plugin_utils._route import Route

URL = "https://service.example/api/v1/apps"
KEY = "phak_0123456789abcdef"
PROXY = Route(proxy="http://me:s3cr3t@proxy.example", proxy_source="HTTPS_PROXY", verify=True, verify_source="")
DIRECT = Route(proxy=None, proxy_source="", verify=True, verify_source="")
TOO_SLOW = "no complete response within 1.5 s. Check the network, raise timeout, or lower page_size."
CHECK = "Check api_url and the network."


class CertificateError(ValueError):
    """As urllib3 has it where it compares the names itself."""


def wrapped(reason: Exception) -> requests.ConnectionError:
    """Wrap an error as requests does."""
    return requests.ConnectionError(MaxRetryError(None, "/apps", reason))  # type: ignore[arg-type]


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


def refused_certificate(reason: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = reason
    return error


def error_for(error: Exception, route: Route = DIRECT) -> ApiError:
    return network_error(error, url=URL, timeout=1.5, route=route, mask=lambda text: text.replace(KEY, "***"))


PASSING = [
    (requests.Timeout(), TOO_SLOW),
    (requests.exceptions.ReadTimeout(), TOO_SLOW),
    (ReadTimeoutError(None, "/", "slow"), TOO_SLOW),  # type: ignore[arg-type]
    (requests.ConnectionError(ReadTimeoutError(None, "/", "slow")), TOO_SLOW),  # type: ignore[arg-type]
    (TimeoutError("timed out"), TOO_SLOW),
    (TimeoutError("timed out"), TOO_SLOW),
    (TooSlowError(), TOO_SLOW),
    (
        wrapped(caused(ProtocolError("aborted"), ConnectionResetError(104, "Connection reset by peer"))),
        f"the connection failed: Connection reset by peer. {CHECK}",
    ),
    (
        requests.ConnectionError(ProtocolError("Connection aborted.", ConnectionResetError(104, "reset"))),
        f"the connection failed: reset. {CHECK}",
    ),
    (
        wrapped(caused(ProtocolError("x"), ConnectionRefusedError(111, "Connection refused"))),
        f"the connection failed: Connection refused. {CHECK}",
    ),
    (ConnectionRefusedError(111, "Connection refused"), f"the connection failed: Connection refused. {CHECK}"),
    (
        caused(ProtocolError("broken"), IncompleteRead(3, 5)),
        f"the connection failed: IncompleteRead(3 bytes read, 5 more expected). {CHECK}",
    ),
    (OSError(), f"the connection failed: OSError. {CHECK}"),
    (OSError(101, "Network is unreachable."), f"the connection failed: Network is unreachable. {CHECK}"),
    (requests.ConnectionError(f"the key {KEY}\x1b"), f"the connection failed: the key ***?. {CHECK}"),
    (
        wrapped(ssl.SSLEOFError(8, "EOF occurred in violation of protocol")),
        f"the connection failed: EOF occurred in violation of protocol. {CHECK}",
    ),
    (
        wrapped(caused(ProtocolError("x"), socket.gaierror(-2, "Name or service not known"))),
        "the host name service.example was not found: Name or service not known. Check api_url, the network and DNS.",
    ),
]


@pytest.mark.parametrize(("error", "expected"), PASSING, ids=lambda value: repr(value)[:50])
def test_failure_that_may_pass(error: Exception, expected: str) -> None:
    made = error_for(error)
    assert str(made) == f"GET {URL}: {expected}"
    assert made.__class__ is UnavailableError
    assert (made.may_pass, made.retry_after, made.is_throttled) == (True, None, False)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (wrapped(SSLError(refused_certificate("certificate has expired"))), "certificate has expired"),
        (wrapped(SSLError(CertificateError("hostname 'x' doesn't match 'y'"))), "hostname 'x' doesn't match 'y'"),
        (requests.exceptions.SSLError(refused_certificate(f"{KEY}\n")), "***?"),
        (refused_certificate(""), "(1, 'certificate verify failed')"),
    ],
    ids=repr,
)
def test_certificate_that_is_refused_stays_so(error: Exception, reason: str) -> None:
    made = error_for(error)
    if "'certificate verify failed')" in reason:
        reason = str(error)
    assert str(made) == (
        f"GET {URL}: the certificate of service.example was not accepted: {reason}. If your own CA signs it, set ca_path."
    )
    assert made.__class__ is UnavailableError
    assert not made.may_pass


def test_tls_that_fails_stays_so() -> None:
    made = error_for(wrapped(SSLError(ssl.SSLError(1, "[SSL] wrong version number"))))
    assert (
        str(made)
        == f"GET {URL}: the TLS connection failed: [SSL] wrong version number. Check that the port of api_url is an https port."
    )
    assert made.__class__ is UnavailableError
    assert not made.may_pass


@pytest.mark.parametrize("kind", ["requests", "urllib3"])
def test_proxy_that_does_not_connect_is_named_without_its_password(kind: str) -> None:
    reason = ProxyError("Cannot connect to proxy.", OSError("Tunnel connection failed: 407 me:s3cr3t"))
    made = error_for(requests.exceptions.ProxyError(MaxRetryError(None, "/", reason)) if kind == "requests" else reason, PROXY)  # type: ignore[arg-type]
    assert str(made) == (
        f"GET {URL}: the proxy did not connect: Tunnel connection failed: 407 ***. Check HTTPS_PROXY and NO_PROXY."
    )
    assert made.__class__ is UnavailableError
    assert made.may_pass


def test_name_of_the_proxy_that_is_not_found_is_not_blamed_on_the_service() -> None:
    reason = ProxyError("Cannot connect to proxy.", caused(OSError(), socket.gaierror(-2, "Name or service not known")))
    assert "the proxy did not connect: Name or service not known. Check HTTPS_PROXY" in str(error_for(wrapped(reason), PROXY))


@pytest.mark.parametrize("seconds", [1, 2.5])
def test_time_limit_is_said(seconds: float) -> None:
    made = too_slow(URL, seconds)
    assert str(made) == (
        f"GET {URL}: no complete response within {seconds} s. Check the network, raise timeout, or lower page_size."
    )
    assert made.may_pass
