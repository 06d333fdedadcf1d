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


def tls_context(route: Route) -> ssl.SSLContext:
    """Return a TLS context with the certificates, which take longer to read than a connection takes.

    :raises ApiError: when a file of this machine keeps TLS from working
    """
    try:
        context = urllib3.util.ssl_.create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED if route.verify else ssl.CERT_NONE)
    except OSError as error:  # the only file that this opens
        key_log = os.environ.get("SSLKEYLOGFILE")
        raise ApiError(f"SSLKEYLOGFILE: {key_log} cannot be written ({error.strerror}). Correct or unset the variable.") from None
    if route.verify:
        path = requests.utils.DEFAULT_CA_BUNDLE_PATH if route.verify is True else route.verify
        try:
            _load_certificates(context, path)
        except OSError as error:  # ssl.SSLError is one, too
            raise ApiError(
                f"{route.verify_source or 'requests'}: {path} cannot be used ({error.strerror or error}). Set it to a file of PEM"
                " certificates that you can read, or to a folder of them."
            ) from None
    return context


def _load_certificates(context: ssl.SSLContext, path: str) -> None:
    if os.path.isdir(path):
        os.listdir(path)  # which OpenSSL does later, and without an error
        context.load_verify_locations(capath=path)
    else:
        context.load_verify_locations(path)


def make_adapter(url: str, route: Route, **options: Any) -> HTTPAdapter:
    """Return an adapter of requests whose TLS connections share a context, except through a proxy that speaks TLS itself.

    :raises ApiError: when a file of this machine keeps TLS from working
    """
    context = tls_context(route) if urlsplit(url).scheme == "https" else None
    if context is None or (route.proxy or "").lower().startswith("https:"):
        return requests.adapters.HTTPAdapter(**options)

    class Adapter(requests.adapters.HTTPAdapter):  # here, because requests may be missing when this module is imported
        def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
            super().init_poolmanager(*arguments, ssl_context=context, **options)

        def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
            return super().proxy_manager_for(proxy, ssl_context=context, **options)

        def cert_verify(self, conn: Any, *_settings: Any) -> None:
            conn.ca_certs = conn.ca_cert_dir = None  # all that counts is in the context

    return Adapter(**options)
