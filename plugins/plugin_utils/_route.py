# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way to the service as this machine sets it up: URL, proxy and certificates, and the mistakes in them."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ansible_collections.phala.cloud.plugins.plugin_utils._api_errors import ApiError
from ansible_collections.phala.cloud.plugins.plugin_utils._libraries import install_advice, requests, urllib3

if TYPE_CHECKING:
    from requests.adapters import HTTPAdapter

PROXY_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
SHORTEST_PASSWORD = 3  # characters; a shorter one may be part of any word


@dataclass(frozen=True)
class Route:
    """How to reach the service.

    ``proxy`` is the URL of the proxy and may contain its password; ``verify`` is what requests takes. ``proxy_source`` and
    ``verify_source`` name the variable or option that they come from, and are empty without one.
    """

    proxy: str | None = field(repr=False)
    proxy_source: str
    verify: bool | str
    verify_source: str

    def without_password(self, text: str) -> str:
        """Return the text without the user and password of the proxy."""
        login, at, _host = (self.proxy or "").rpartition("//")[2].rpartition("@")
        password = login.partition(":")[2]
        for secret in (login, unquote(login), password, unquote(password)):
            if at and len(secret) >= SHORTEST_PASSWORD:
                text = text.replace(secret, "***")
        return text


def find_route(url: str, verify: bool | str) -> Route:
    """Read the way to a URL from the environment, as requests does.

    :param verify: whether to check certificates, or the path of the certificates to check with
    """
    merged: dict[str, Any] = {}
    merged.update(requests.Session().merge_environment_settings(url, {}, True, verify, None))
    # Plain http goes to this machine alone, and a proxy would see the key.
    proxy = requests.utils.select_proxy(url, merged["proxies"]) if urlsplit(url).scheme == "https" else None
    if verify is True and isinstance(merged["verify"], str):
        verify_source = _first_variable("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    else:
        verify_source = "ca_path" if isinstance(verify, str) else ""
    return Route(
        proxy=proxy,
        proxy_source=_proxy_source(merged["proxies"]) if proxy else "",
        verify=merged["verify"],
        verify_source=verify_source,
    )


def _proxy_source(proxies: Mapping[str, str]) -> str:
    """Return the name of the variable with the proxy for https; the names in small letters take precedence."""
    name = "https_proxy" if proxies.get("https") else "all_proxy"
    return _first_variable(name, name.upper(), *(other for other in os.environ if other.lower() == name))


def _first_variable(*names: str) -> str:
    return next((name for name in names if os.environ.get(name)), "the settings of this system")


def check_proxy(route: Route, adapter: HTTPAdapter) -> None:
    """Check the proxy without connecting to it.

    :raises ApiError: when it cannot be used
    """
    if not route.proxy:
        return
    scheme, is_complete, rest = route.proxy.partition("://")
    url = route.proxy if is_complete else f"http://{route.proxy}"
    authority = re.split("[/?#]", rest if is_complete else scheme, maxsplit=1)[0]
    if is_complete and scheme.lower() not in PROXY_SCHEMES:
        raise _unusable_proxy(route, "its scheme is unknown")
    if "@" in url and "@" not in authority:
        raise _unusable_proxy(route, "its user or password has a character that ends the host")
    try:
        urlsplit(url)
        host = urllib3.util.parse_url(url).host
    except ValueError:
        raise _unusable_proxy(route, "it is not a URL") from None  # the cause shows the password, and ansible-core shows causes
    if not host:
        raise _unusable_proxy(route, "it has no host")
    try:
        adapter.proxy_manager_for(url)
    except requests.exceptions.InvalidSchema:
        advice = install_advice("requests[socks]")
        raise ApiError(f"{route.proxy_source}: a SOCKS proxy needs the Python package PySocks. {advice}") from None


def _unusable_proxy(route: Route, reason: str) -> ApiError:
    """Return the error without any part of the URL: where it is wrong, its password may be anywhere."""
    return ApiError(
        f"{route.proxy_source}: the URL of the proxy is invalid: {reason}. Write it as http://host:port or"
        " http://user:password@host:port. In the password, write the characters # / ? [ ] @ as %23 %2F %3F %5B %5D %40."
    )


def tls_fault(route: Route) -> str | None:
    """Return which file of this machine keeps TLS from working, and what to do; None if none does.

    This is asked after a connection has failed, because reading the certificates takes time.
    """
    try:
        if isinstance(route.verify, str):
            _load_certificates(route.verify)
    except OSError as error:  # ssl.SSLError is one, too
        return (
            f"{route.verify_source}: {route.verify} cannot be used ({error.strerror or error}). Set it to a file of PEM"
            " certificates that you can read, or to a folder of them."
        )
    key_log = os.environ.get("SSLKEYLOGFILE")
    try:
        if key_log:
            with open(key_log, "ab"):
                pass
    except OSError as error:
        return f"SSLKEYLOGFILE: {key_log} cannot be written ({error.strerror}). Correct or unset the variable."
    return None


def _load_certificates(path: str) -> None:
    if os.path.isdir(path):
        os.listdir(path)
    else:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
