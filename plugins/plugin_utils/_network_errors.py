# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Turn the exceptions of requests and urllib3 into errors that say what to do."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from ansible_collections.phala.cloud.plugins.plugin_utils._api_errors import Mask, UnavailableError, safe_text
from ansible_collections.phala.cloud.plugins.plugin_utils._libraries import requests, urllib3
from ansible_collections.phala.cloud.plugins.plugin_utils._responses import TooSlowError
from ansible_collections.phala.cloud.plugins.plugin_utils._route import Route


def too_slow(url: str, seconds: float) -> UnavailableError:
    """Return the error for a request that did not end in time."""
    return UnavailableError(
        f"GET {url}: no complete response within {seconds:g} s. Check the network, raise timeout, or lower page_size.",
        may_pass=True,
    )


def network_error(error: Exception, *, url: str, timeout: float, route: Route, mask: Mask) -> UnavailableError:
    """Return the error for a request without a response."""
    causes = list(_causes(error))
    reason = safe_text(route.without_password(_reason(causes[-1])), mask)
    host = urlsplit(url).hostname

    def is_from(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if refused := _certificate_fault(causes):
        return UnavailableError(
            f"GET {url}: the certificate of {host} was not accepted: {safe_text(refused, mask)}. If your own CA signs it, set"
            " ca_path."
        )
    if is_from(requests.Timeout, urllib3.exceptions.ReadTimeoutError, TimeoutError, TooSlowError):
        return too_slow(url, timeout)
    if is_from(requests.exceptions.ProxyError, urllib3.exceptions.ProxyError):
        return UnavailableError(
            f"GET {url}: the proxy did not connect: {reason}. Check {route.proxy_source} and NO_PROXY.", may_pass=True
        )
    if unknown := next((cause for cause in causes if isinstance(cause, socket.gaierror)), None):
        return UnavailableError(
            f"GET {url}: the host name {host} was not found: {_reason(unknown)}. Check api_url, the network and DNS.",
            may_pass=True,
        )
    if any(isinstance(cause, ssl.SSLError) and "EOF" not in str(cause) for cause in causes):
        return UnavailableError(
            f"GET {url}: the TLS connection failed: {reason}. Check that the port of api_url is an https port."
        )
    return UnavailableError(f"GET {url}: the connection failed: {reason}. Check api_url and the network.", may_pass=True)


def _certificate_fault(causes: Sequence[BaseException]) -> str:
    """Return why a certificate was refused: by OpenSSL, or by urllib3, which compares the name itself in some versions."""
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError) or type(cause).__name__ == "CertificateError":
            return getattr(cause, "verify_message", "") or str(cause)
    return ""


def _reason(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).rstrip(".")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it was made from, from the outside in; requests and urllib3 wrap in three ways."""
    while error is not None and not isinstance(error, TypeError):  # urllib3 before 2 tries an argument that Python 3 lacks
        yield error
        wrapped = (getattr(error, "reason", None), *error.args)
        inner = next((value for value in wrapped if isinstance(value, BaseException)), None)
        error = inner or error.__cause__ or error.__context__
