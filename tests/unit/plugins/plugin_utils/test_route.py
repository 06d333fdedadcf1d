# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""URL, proxy and certificates as this machine sets them up."""

from __future__ import annotations

import os
import ssl
import subprocess
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import certifi
import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import InsecureRequestWarning

from ansible_collections.phala.cloud.plugins.plugin_utils._addresses import with_lower_case_host
from ansible_collections.phala.cloud.plugins.plugin_utils._api_errors import ApiError, UnavailableError
from ansible_collections.phala.cloud.plugins.plugin_utils._route import Route, check_proxy, find_route, make_adapter, tls_context
from ansible_collections.phala.cloud.tests.certificates import Certificates, make_certificates, presenting
from ansible_collections.phala.cloud.tests.security.sockets import Play, answering, serving, tunnelling

URL = "https://service.example/api/v1"
KEY = "phak_0123456789abcdef"
ADVICE = (
    "Write it as http://host:port or http://user:password@host:port. In the password, write the characters # / ? [ ] @ as"
    " %23 %2F %3F %5B %5D %40."
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what this machine sets."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSLKEYLOGFILE"):
            monkeypatch.delenv(name)


def mask(text: str) -> str:
    return text.replace(KEY, "***")


def route(proxy: str | None = None, *, verify: bool | str = True, verify_source: str = "") -> Route:
    return Route(proxy=proxy, proxy_source="HTTPS_PROXY" if proxy else "", verify=verify, verify_source=verify_source)


# URLs


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        (URL, URL),
        ("HTTP://127.0.0.1:8080/Api", "http://127.0.0.1:8080/Api"),
        ("HttpS://Service.EXAMPLE/API/v1", "https://service.example/API/v1"),
        ("http://[::1]:80/x", "http://[::1]:80/x"),
        ("http://[::FFFF]/x", "http://[::ffff]/x"),
        ("https://service.example.", "https://service.example."),
        ("https://bücher.example/x", "https://bücher.example/x"),
    ],
)
def test_scheme_and_host_become_small_letters(url: str, checked: str) -> None:
    assert with_lower_case_host(url) == checked


# The route


def test_route_without_settings() -> None:
    assert find_route(URL, True) == Route(proxy=None, proxy_source="", verify=True, verify_source="")
    assert find_route(URL, False) == Route(proxy=None, proxy_source="", verify=False, verify_source="")
    assert find_route(URL, "/ca.pem") == Route(proxy=None, proxy_source="", verify="/ca.pem", verify_source="ca_path")


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "Https_Proxy", "all_proxy", "ALL_PROXY"])
def test_variable_of_the_proxy_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://proxy.example:3128")
    assert find_route(URL, True) == Route(proxy="http://proxy.example:3128", proxy_source=name, verify=True, verify_source="")


def test_proxy_of_the_system_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests.utils, "getproxies", lambda: {"https": "http://proxy.example"})
    assert find_route(URL, True) == Route(
        proxy="http://proxy.example", proxy_source="the settings of this system", verify=True, verify_source=""
    )


def test_variable_that_counts_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "http://all.example")
    monkeypatch.setenv("HTTPS_PROXY", "http://large.example")
    found = find_route(URL, True)
    assert (found.proxy, found.proxy_source) == ("http://large.example", "HTTPS_PROXY")
    monkeypatch.setenv("https_proxy", "http://small.example")
    found = find_route(URL, True)
    assert (found.proxy, found.proxy_source) == ("http://small.example", "https_proxy")


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "https_proxy"])
def test_plain_http_has_no_proxy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "http://proxy.example:3128")
    assert find_route(with_lower_case_host("HTTP://127.0.0.1:1/"), True) == route()


@pytest.mark.parametrize("host", ["service.example", "SERVICE.example", ".example", "*"])
def test_exceptions_from_the_proxy_are_heeded(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", host)
    assert find_route(with_lower_case_host("https://Service.example/"), True) == route()


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_variable_of_the_certificates_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "/bundle.pem")
    assert find_route(URL, True) == route(verify="/bundle.pem", verify_source=name)
    assert find_route(URL, "/ca.pem") == route(verify="/ca.pem", verify_source="ca_path")
    assert find_route(URL, False) == route(verify=False)


def test_bundle_of_requests_takes_precedence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURL_CA_BUNDLE", "/curl.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/requests.pem")
    assert find_route(URL, True) == route(verify="/requests.pem", verify_source="REQUESTS_CA_BUNDLE")


def test_route_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        route().proxy = "http://proxy.example"  # type: ignore[misc]


def test_route_is_shown_without_the_proxy() -> None:
    assert "secret" not in repr(route("http://me:secret@proxy.example"))


@pytest.mark.parametrize(
    ("proxy", "text", "expected"),
    [
        ("http://alice:s3cr3t@proxy.example", "alice:s3cr3t failed, s3cr3t too", "*** failed, *** too"),
        ("http://alice:s3%23cr3t@proxy.example", "s3%23cr3t and s3#cr3t and alice:s3#cr3t", "*** and *** and ***"),
        ("http://alice:p@ss@proxy.example", "p@ss", "***"),
        ("http://alice:s3:cr3t@proxy.example", "s3:cr3t", "***"),
        ("http://me:ab@proxy.example", "about me:ab", "about ***"),
        ("http://me:@proxy.example", "me: no", "*** no"),
        ("http://proxy.example", "proxy.example", "proxy.example"),
        ("alice:s3cr3t@proxy.example", "s3cr3t", "***"),
        (None, "text", "text"),
    ],
)
def test_login_of_the_proxy_is_masked(proxy: str | None, text: str, expected: str) -> None:
    assert route(proxy).without_password(text) == expected


# Proxies


@pytest.mark.parametrize(
    "proxy",
    [
        None,
        "http://proxy.example",
        "http://proxy.example:3128/",
        "proxy.example:3128",
        "HTTP://proxy.example:3128",
        "https://alice:s3cr3t%23@proxy.example:3128",
        "http://alice:p@ss@proxy.example:3128",
        "http://127.0.0.1:3128",
        "http://[::1]:3128",
        *(f"{scheme}://proxy.example" for scheme in ("socks4", "socks4a", "socks5", "socks5h")),
    ],
)
def test_good_proxy_passes(proxy: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests.adapters, "SOCKSProxyManager", lambda *_arguments, **_options: None)
    check_proxy(route(proxy), HTTPAdapter())


@pytest.mark.parametrize(
    ("proxy", "reason"),
    [
        ("http://alice:s3cr3t#9@proxy.example:3128", "its user or password has a character that ends the host"),
        ("http://alice:s3/cr3t@proxy.example:3128", "its user or password has a character that ends the host"),
        ("http://alice:12/34@proxy.example:3128", "its user or password has a character that ends the host"),
        ("http://alice:s3?cr3t@proxy.example:3128", "its user or password has a character that ends the host"),
        ("alice:s3/cr3t@proxy.example:3128", "its user or password has a character that ends the host"),
        ("http://alice:s3cr3t9@proxy.example:99999", "it is not a URL"),
        ("http://alice:s3cr3t9@proxy.example:port", "it is not a URL"),
        ("http://alice:s3[cr3t9@proxy.example:3128", "it is not a URL"),
        (":::::", "it is not a URL"),
        ("http://", "it has no host"),
        ("http://alice:s3cr3t@", "it has no host"),
        ("ftp://alice:s3cr3t@proxy.example", "its scheme is unknown"),
        ("sock5://proxy.example", "its scheme is unknown"),
    ],
)
def test_proxy_that_cannot_be_used_is_named_without_its_password(proxy: str, reason: str) -> None:
    with pytest.raises(ApiError) as raised:
        check_proxy(route(proxy), HTTPAdapter())
    assert str(raised.value) == f"HTTPS_PROXY: the URL of the proxy is invalid: {reason}. {ADVICE}"
    assert not isinstance(raised.value, UnavailableError)
    assert not raised.value.may_pass


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4", "SOCKS5"])
def test_socks_proxy_without_its_package_is_said(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def lack(*_arguments: Any, **_options: Any) -> None:
        raise requests.exceptions.InvalidSchema("Missing dependencies for SOCKS support.")

    monkeypatch.setattr(requests.adapters, "SOCKSProxyManager", lack)
    with pytest.raises(ApiError) as raised:
        check_proxy(route(f"{scheme}://alice:s3cr3t@127.0.0.1:9"), HTTPAdapter())
    message = str(raised.value)
    assert message.startswith("HTTPS_PROXY: a SOCKS proxy needs the Python package PySocks. Install it for ")
    assert "'requests[socks]'" in message
    assert "s3cr3t" not in message
    assert raised.value.__class__ is ApiError


# Files that TLS needs


def fault(made: Route) -> str:
    with pytest.raises(ApiError) as raised:
        tls_context(made)
    assert raised.value.__class__ is ApiError
    return str(raised.value)


@pytest.mark.parametrize("verify", [True, certifi.where()])
def test_certificates_are_checked_with_a_bundle(verify: bool | str) -> None:
    context = tls_context(route(verify=verify))
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.get_ca_certs()


def test_certificates_are_checked_with_a_folder(tmp_path: Path) -> None:
    assert tls_context(route(verify=str(tmp_path), verify_source="ca_path")).verify_mode == ssl.CERT_REQUIRED


def test_certificates_are_not_checked_if_they_need_not_be() -> None:
    assert tls_context(route(verify=False)).verify_mode == ssl.CERT_NONE


def test_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.pem"
    assert fault(route(verify=str(path), verify_source="REQUESTS_CA_BUNDLE")) == (
        f"REQUESTS_CA_BUNDLE: {path} cannot be used (No such file or directory). Set it to a file of PEM certificates that you"
        " can read, or to a folder of them."
    )


def test_missing_bundle_of_requests_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests.utils, "DEFAULT_CA_BUNDLE_PATH", "/none.pem")
    assert fault(route()).startswith("requests: /none.pem cannot be used (No such file or directory).")


def test_file_that_is_not_a_certificate_is_named(tmp_path: Path) -> None:
    path = tmp_path / "no.pem"
    path.write_text("no certificate")
    text = fault(route(verify=str(path), verify_source="ca_path"))
    assert text.startswith(f"ca_path: {path} cannot be used (")
    assert "certificate" in text.partition(")")[0].lower()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("is_folder", [False, True])
def test_unreadable_certificates_are_named(tmp_path: Path, is_folder: bool) -> None:
    path = tmp_path / "ca"
    path.mkdir() if is_folder else path.touch()
    path.chmod(0)
    assert "Permission denied" in fault(route(verify=str(path), verify_source="ca_path"))


def test_key_log_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "log"))
    tls_context(route())
    path = tmp_path / "missing" / "log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(path))
    assert fault(route()) == (
        f"SSLKEYLOGFILE: {path} cannot be written (No such file or directory). Correct or unset the variable."
    )


# Connections


URL_OF_SERVER = "https://127.0.0.1:{}/"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"), "127.0.0.1", "localhost")


@pytest.fixture
def answer() -> Play:
    return answering(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[1]")


def ask(adapter: HTTPAdapter, made: Route, port: int) -> Any:
    request = requests.Request("GET", URL_OF_SERVER.format(port)).prepare()
    return adapter.send(request, timeout=5, verify=made.verify, proxies={"https": made.proxy} if made.proxy else {}).json()


@pytest.mark.parametrize("is_folder", [False, True])
def test_connections_share_what_was_read(answer: Play, certificates: Certificates, tmp_path: Path, is_folder: bool) -> None:
    copy = tmp_path / "ca.pem"
    copy.write_bytes(certificates.ca.read_bytes())
    if is_folder:
        subprocess.run(["openssl", "rehash", tmp_path], check=True)
    made = route(verify=str(tmp_path if is_folder else copy))
    with serving(answer, certificate=presenting(certificates.good)) as server:
        adapter = make_adapter(URL_OF_SERVER.format(server.port), made)
        if not is_folder:
            copy.unlink()
        assert [ask(adapter, made, server.port) for _connection in range(2)] == [[1], [1]]
        assert server.connections == 2


@pytest.mark.parametrize("name", ["untrusted", "other_name", "expired"])
def test_certificate_is_refused_unless_none_is_checked(answer: Play, certificates: Certificates, name: str) -> None:
    with serving(answer, certificate=presenting(getattr(certificates, name))) as server:
        url = URL_OF_SERVER.format(server.port)
        checked, unchecked = route(verify=str(certificates.ca)), route(verify=False)
        with pytest.raises(requests.exceptions.SSLError, match=r"CERTIFICATE_VERIFY_FAILED|doesn't match"):
            ask(make_adapter(url, checked), checked, server.port)
        with pytest.warns(InsecureRequestWarning):
            assert ask(make_adapter(url, unchecked), unchecked, server.port) == [1]


@pytest.mark.parametrize("scheme", ["http", "https", "HTTPS"])
@pytest.mark.parametrize("of_proxy", ["good", "other_name"])
@pytest.mark.parametrize("of_server", ["good", "other_name"])
def test_certificates_are_checked_through_a_proxy(
    answer: Play, certificates: Certificates, scheme: str, of_proxy: str, of_server: str
) -> None:
    """A proxy of plain HTTP presents no certificate."""
    shown = presenting(getattr(certificates, of_proxy)) if scheme.lower() == "https" else None
    with (
        serving(answer, certificate=presenting(getattr(certificates, of_server))) as server,
        serving(tunnelling, certificate=shown) as proxy,
    ):
        made = route(f"{scheme}://localhost:{proxy.port}", verify=str(certificates.ca))  # urllib3 1.26 needs a name here
        adapter = make_adapter(URL_OF_SERVER.format(server.port), made)
        if of_server == "good" and (of_proxy == "good" or not shown):
            assert ask(adapter, made, server.port) == [1]
        else:
            with pytest.raises((requests.exceptions.SSLError, requests.exceptions.ProxyError)):
                ask(adapter, made, server.port)
        is_tunnel_open = of_proxy == "good" or not shown
        assert (server.connections, proxy.connections) == (int(is_tunnel_open), 1)


def test_certificates_are_not_read_for_plain_http() -> None:
    make_adapter("http://127.0.0.1:9/", route(verify="/none.pem"))
    with pytest.raises(ApiError):
        make_adapter("https://127.0.0.1:9/", route(verify="/none.pem"))
