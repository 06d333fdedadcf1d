# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client over a transport of its own, and over sockets where HTTP itself is the subject."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import certifi
import pytest
import requests
import urllib3
from ansible.release import __version__ as core_version
from requests.adapters import HTTPAdapter

from ansible_collections.phala.cloud.plugins.plugin_utils import _api, _patience, _refusals
from ansible_collections.phala.cloud.plugins.plugin_utils._api import ApiError, Client, Content, Response, UnavailableError
from ansible_collections.phala.cloud.plugins.plugin_utils._version import COLLECTION_VERSION
from ansible_collections.phala.cloud.tests.certificates import make_certificates, presenting
from ansible_collections.phala.cloud.tests.security.sockets import (
    Play,
    answering,
    closed_port,
    read_request,
    serving,
    silent,
    trickling,
)

KEY = "phak_0123456789abcdef"
URL = "https://service.example/api/v1"
APPS = f"{URL}/apps"
PAGE = {"dstack_apps": [{"name": "web"}], "total": 1}


@dataclass(frozen=True)
class Account:
    name: str = ""
    url: str = URL
    key: str = KEY
    key_source: str = "PHALA_CLOUD_API_KEY"


@dataclass(frozen=True)
class Settings:
    version: str = "2026-06-23"
    timeout: int = 5
    retries: int = 2
    verify: bool | str = True
    page_size: int = 100
    concurrency: int = 8


@dataclass(frozen=True)
class Reply:
    """What the transport responds to one request."""

    content: Any = field(default_factory=lambda: PAGE)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def reply_to(request: requests.PreparedRequest, reply: Reply) -> requests.Response:
    body = reply.content if isinstance(reply.content, bytes) else json.dumps(reply.content).encode()
    headers = {"Content-Type": "application/json", **reply.headers}
    raw = urllib3.HTTPResponse(body=io.BytesIO(body), headers=headers, status=reply.status, preload_content=False)
    return HTTPAdapter().build_response(request, raw)


class Transport:
    """Stand for the network: take requests, and give replies or raise errors in their order."""

    def __init__(self) -> None:
        self.replies: list[Reply | Exception] = []
        self.requests: list[requests.PreparedRequest] = []
        self.options: list[dict[str, Any]] = []
        self.times: list[float] = []

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        self.requests.append(request)
        self.options.append(options)
        self.times.append(time.monotonic())
        if not self.replies:
            return reply_to(request, Reply())
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        return reply_to(request, reply)


@pytest.fixture
def transport(monkeypatch: pytest.MonkeyPatch) -> Transport:
    transport = Transport()
    monkeypatch.setattr(HTTPAdapter, "send", lambda _adapter, request, **options: transport.send(request, **options))
    return transport


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a hundredth of the usual times, and never use the proxies of this machine."""
    monkeypatch.setattr(_patience, "BACKOFF_FACTOR", 0.005)
    monkeypatch.setattr(_patience, "JITTER", 0.005)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


def mask(text: str) -> str:
    return text.replace(KEY, "***")


def make_client(*, account: Account | None = None, say: Callable[[str], Any] = str, **settings: Any) -> Client:
    return Client(account or Account(), Settings(**settings), mask, say)  # type: ignore[arg-type]


def get(**settings: Any) -> Response:
    return make_client(**settings).get("/apps")


def read(client: Client | None = None, **settings: Any) -> Content:
    client = client or make_client(**settings)
    return client.read(client.get("/apps"))


def failure(**settings: Any) -> ApiError:
    with pytest.raises(ApiError) as raised:
        read(**settings)
    # ansible-core shows the causes of an error, and those of other packages may show the key.
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    return raised.value


# Requests and responses


def test_connections_are_closed_with_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    close = Mock()
    monkeypatch.setattr(HTTPAdapter, "close", close)
    with make_client():
        close.assert_not_called()
    close.assert_called_once()


def test_request_is_what_the_service_describes(transport: Transport) -> None:
    response = make_client().get("/apps", [("status", "running"), ("status", "a b&c"), ("page", "1")])
    (request,) = transport.requests
    assert request.method == "GET"
    assert request.url == f"{APPS}?status=running&status=a+b%26c&page=1" == response.url
    assert dict(request.headers) == {
        "Accept": "application/json",
        "Accept-Encoding": "gzip",
        "User-Agent": f"phala.cloud/{COLLECTION_VERSION} (ansible-core/{core_version})",
        "X-API-Key": KEY,
        "X-Phala-Version": "2026-06-23",
    }
    assert transport.options == [{"stream": True, "timeout": 5, "verify": True, "proxies": {}}]


@pytest.mark.usefixtures("transport")
def test_response_is_what_was_sent() -> None:
    response = get()
    assert (response.body, response.content_type) == (json.dumps(PAGE).encode(), "application/json")
    assert response.digest == hashlib.sha256(response.body).digest()
    assert response.retries == ()
    assert 0 < response.seconds < 5


@pytest.mark.usefixtures("transport")
def test_content_is_plain_json() -> None:
    assert read() == Content(PAGE, ())


def test_url_is_built_without_a_request(transport: Transport) -> None:
    client = make_client(account=Account(url="HTTPS://Service.example/api/v1"))
    assert client.url("/apps") == APPS
    assert client.url("/apps", [("node", "prod 7")]) == f"{APPS}?node=prod+7"
    assert make_client(account=Account(url="https://service.example")).url("/apps") == "https://service.example/apps"
    assert transport.requests == []


def test_digest_is_of_the_unpacked_bytes(transport: Transport) -> None:
    body = json.dumps(PAGE).encode()
    transport.replies = [Reply(gzip.compress(body), headers={"Content-Encoding": "gzip"})]
    response = get()
    assert (response.body, response.digest) == (body, hashlib.sha256(body).digest())


def test_number_that_does_not_fit_is_reported(transport: Transport) -> None:
    transport.replies = [Reply({"total": 10**30})]
    client = make_client()
    content = client.read(client.get("/apps", [("search", KEY)]))
    assert content.value == {"total": None}
    (fault,) = content.faults
    assert fault.startswith(f"GET {APPS}?search=***: the number that begins with 1000")


def test_key_in_a_response_is_masked(transport: Transport) -> None:
    transport.replies = [Reply({"name": f"x {KEY}", KEY: [KEY]}), Reply(b'["\\u0070hak_0123456789abcdef"]')]
    assert read().value == {"name": "x ***", "***": ["***"]}
    assert read().value == ["***"]


def test_certificates_are_chosen_by_the_settings(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urllib3, "disable_warnings", lambda *_kinds: None)
    for verify in (True, False, certifi.where()):
        get(verify=verify)
    assert [options["verify"] for options in transport.options] == [True, False, certifi.where()]


def test_proxy_is_that_of_the_environment(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    get()
    get(account=Account(url="HTTP://127.0.0.1/"))
    assert [options["proxies"] for options in transport.options] == [{"https": "http://proxy.example:3128"}, {}]


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [("HTTPS_PROXY", ":::::", "HTTPS_PROXY: the URL of the proxy is invalid"), ("HTTPS_PROXY", "ftp://x", "HTTPS_PROXY: ")],
)
def test_local_mistake_is_said_before_the_first_request(
    transport: Transport, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)
    error = failure()
    assert str(error).startswith(message)
    assert error.__class__ is ApiError
    assert transport.requests == []


def test_missing_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_api, "library_problem", lambda: "requests is missing")
    with pytest.raises(ApiError, match=r"^requests is missing$"):
        make_client()


# Failures


def test_failure_names_the_account_and_hides_the_key(transport: Transport) -> None:
    transport.replies = [Reply({"detail": f"no {KEY}"}, 400)]
    error = failure(account=Account(name="prod"))
    assert str(error).startswith(f"account 'prod': 400 from {APPS}: the service refused the request (the service says: no ***). ")
    assert error.__class__ is ApiError


def test_key_in_a_url_is_masked_in_every_message(transport: Transport) -> None:
    transport.replies = [Reply(status=503), Reply(status=404)]
    with pytest.raises(ApiError) as raised:
        make_client().get("/apps", [("search", KEY)])
    assert KEY not in str(raised.value)
    assert "search=***" in str(raised.value)


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_tries_are_counted(transport: Transport, retries: int) -> None:
    transport.replies = [Reply(status=503)] * 9
    error = failure(retries=retries)
    tried = f" The plugin tried {retries + 1} times." if retries else ""
    assert str(error) == f"503 from {APPS}: the service is not available now. Try again later.{tried}"
    assert error.__class__ is UnavailableError
    assert len(transport.requests) == retries + 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=429),
        Reply(status=429, headers={"Retry-After": "soon"}),
        Reply(status=500),
        requests.Timeout(),
        requests.ConnectionError("reset"),
        Reply(b"{"),
        Reply(b"plain", headers={"Content-Encoding": "gzip"}),
        Reply(b"{}", headers={"Content-Length": "10"}),
    ],
    ids=str,
)
def test_fault_that_passes_is_survived_and_noted(transport: Transport, reply: Reply | Exception) -> None:
    transport.replies = [reply]
    client = make_client(retries=1)
    response = client.get("/apps")
    assert client.read(response).value == PAGE
    assert [line for line in response.retries if APPS in line] == list(response.retries)
    assert len(response.retries) == 1
    assert len(transport.requests) == 2


@pytest.mark.parametrize(
    "reply",
    [
        *(Reply(status=status) for status in (302, 400, 401, 403, 404, 422)),
        *(Reply(b"", status=status) for status in (204, 304)),
        Reply(b"<html>", headers={"Content-Type": "text/html"}),
        Reply(b"{nothing}"),
        Reply(headers={"Content-Encoding": "br"}),
        Reply(status=429, headers={"Retry-After": "31"}),
    ],
    ids=str,
)
def test_fault_that_stays_is_not_tried_again(transport: Transport, reply: Reply | Exception) -> None:
    transport.replies = [reply]
    assert "tried" not in str(failure(retries=4))
    assert len(transport.requests) == 1


def test_refused_key_is_named_with_its_source(transport: Transport) -> None:
    transport.replies = [Reply(status=401)]
    assert "PHALA_CLOUD_API_KEY" in str(failure())


def test_retries_are_masked(transport: Transport) -> None:
    transport.replies = [Reply({"message": KEY}, 503)]
    response = make_client().get("/apps", [("search", KEY)])
    assert response.retries == (
        f"503 from {APPS}?search=***: the service is not available now (the service says: ***). Try again later.",
    )


@pytest.mark.usefixtures("transport")
def test_deep_content_with_the_key_is_a_broken_response(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_body: bytes, _content: Any) -> Any:
        raise RecursionError

    monkeypatch.setattr(_api, "masking", lambda _key, _mask: fail)
    assert str(failure()) == f"GET {APPS}: the response is nested too deeply. Check api_url."


# Patience


def test_retry_after_is_kept(transport: Transport) -> None:
    transport.replies = [Reply(status=429, headers={"Retry-After": "1"})]
    get()
    first, second = transport.times
    assert 1 <= second - first < 3


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read each ``Retry-After`` as hundredths of a second."""
    monkeypatch.setattr(_refusals, "read_retry_after", lambda headers: int(headers.get("Retry-After", 0)) / 100 or None)


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("arrives", [True, False])
def test_honoured_retry_after_uses_no_retry_while_responses_arrive(
    transport: Transport, monkeypatch: pytest.MonkeyPatch, arrives: bool
) -> None:
    client = make_client(retries=1)

    def send(_adapter: HTTPAdapter, request: requests.PreparedRequest, **_options: Any) -> requests.Response:
        transport.requests.append(request)
        if str(request.url).endswith("/other"):
            return reply_to(request, Reply())
        if arrives:
            client.get("/other")
        return reply_to(request, Reply(status=429 if len(transport.requests) < 10 else 200, headers={"Retry-After": "1"}))

    monkeypatch.setattr(HTTPAdapter, "send", send)
    if arrives:
        assert len(client.get("/apps").retries) == 4
    else:
        with pytest.raises(UnavailableError, match=r"The plugin tried 2 times\.$"):
            client.get("/apps")


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("status", [429, 503])
def test_pause_stops_all_requests_of_the_run(transport: Transport, status: int) -> None:
    transport.replies = [Reply(status=status, headers={"Retry-After": "30"})]
    client = make_client()
    first = threading.Thread(target=client.get, args=["/apps"])
    first.start()
    while transport.replies:
        time.sleep(0.001)
    time.sleep(0.02)
    others = [threading.Thread(target=client.get, args=["/apps"]) for _other in range(8)]
    for other in others:
        other.start()
    for thread in (first, *others):
        thread.join(10)
    assert len(transport.times) == 10
    assert min(transport.times[1:]) - transport.times[0] >= 0.3


def test_failure_of_one_request_does_not_stop_the_others(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_patience, "BACKOFF_FACTOR", 5)
    transport.replies = [Reply(status=503), Reply(status=503)]
    client = make_client()

    def fetch() -> None:
        with pytest.raises(ApiError):
            client.get("/apps")

    first = threading.Thread(target=fetch)
    first.start()
    while len(transport.requests) < 2:
        time.sleep(0.001)
    started = time.monotonic()
    client.get("/apps")
    assert time.monotonic() - started < 2
    client.stop()
    first.join(5)


def test_stopped_client_waits_and_asks_no_more(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_patience, "BACKOFF_FACTOR", 20)
    transport.replies = [Reply(status=503), Reply(status=503)]
    client = make_client()
    errors: list[str] = []

    def fetch() -> None:
        try:
            client.get("/apps")
        except ApiError as error:
            errors.append(str(error))

    thread = threading.Thread(target=fetch)
    thread.start()
    while len(transport.requests) < 2:
        time.sleep(0.001)
    client.stop()
    thread.join(5)
    with pytest.raises(ApiError, match=r"stopped, because another request failed$"):
        client.get("/apps")
    assert errors == [f"{URL}: stopped, because another request failed"]
    assert len(transport.requests) == 2


# A line about a long wait


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the lines that are said, which come after a third of a second here."""
    monkeypatch.setattr(_patience, "NOTICE_SECONDS", 0.33)
    return []


@pytest.mark.usefixtures("short_pauses")
def test_long_pause_is_said_once(transport: Transport, said: list[str]) -> None:
    transport.replies = [Reply(status=429, headers={"Retry-After": "40"})] * 2
    make_client(account=Account(name="prod"), say=said.append).get("/apps", [("search", KEY)])
    assert said == [
        f"account 'prod': {URL}: still waiting after 30 s for GET {APPS}?search=***, because the service asked for fewer requests"
    ]


def test_long_backoff_is_said(transport: Transport, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_patience, "BACKOFF_FACTOR", 0.4)
    transport.replies = [requests.ConnectionError("reset")] * 2
    make_client(say=said.append).get("/apps")
    assert said == [
        f"{URL}: still waiting after 30 s to try again: GET {APPS}: the connection failed: reset. Check api_url and the network."
    ]


def test_long_response_is_said(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def send(_adapter: HTTPAdapter, request: requests.PreparedRequest, **_options: Any) -> requests.Response:
        time.sleep(0.8)
        return reply_to(request, Reply())

    monkeypatch.setattr(HTTPAdapter, "send", send)
    make_client(say=said.append).get("/apps")
    assert said == [f"{URL}: still waiting after 30 s for the response to GET {APPS}"]


@pytest.mark.usefixtures("transport")
def test_long_run_without_waits_says_what_it_waits_for_next(said: list[str]) -> None:
    client = make_client(say=said.append)
    time.sleep(0.4)
    client.get("/apps")
    client.get("/apps")
    assert set(said) <= {f"{URL}: still waiting after 30 s for the response to GET {APPS}"}
    assert len(said) <= 1


def test_short_wait_is_not_said(transport: Transport) -> None:
    said: list[str] = []
    transport.replies = [Reply(status=503)] * 2
    make_client(say=said.append).get("/apps")
    assert said == []


# HTTP over sockets


def local(port: int) -> Account:
    return Account(url=f"http://127.0.0.1:{port}/api/v1")


GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "play",
    [
        silent,
        trickling(GOOD + b"X-Long: ", b"x"),
        trickling(GOOD + b"\r\n", b" "),
        trickling(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["silence", "a header", "a body", "interim responses"],
)
def test_timeout_is_for_the_request_as_a_whole(play: Play) -> None:
    started = time.monotonic()
    with serving(play) as server:
        error = failure(account=local(server.port), timeout=1, retries=0)
    assert 0.9 < time.monotonic() - started < 3
    assert "no complete response within 1 s" in str(error)
    assert error.__class__ is UnavailableError


def test_name_that_is_looked_up_forever_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def hang(*_arguments: Any) -> None:
        over.wait(20)
        raise socket.gaierror(socket.EAI_AGAIN, "later")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    assert "no complete response within 1 s" in str(failure(timeout=1, retries=0))
    over.set()


def test_silence_ends_in_time_without_threads() -> None:
    with serving(silent) as server:
        client = make_client(account=local(server.port), timeout=1, retries=0)
        client._calls = NoThreads()  # type: ignore[assignment]
        with pytest.raises(UnavailableError, match="no complete response within 1 s"):
            client.get("/apps")


class NoThreads:
    """Run calls where no thread can be started."""

    def run(self, call: Callable[[], Any], **_options: Any) -> Any:
        return call()


def test_connection_is_used_again() -> None:
    body = json.dumps(PAGE).encode()
    reply = GOOD + f"Content-Length: {len(body)}\r\n\r\n".encode() + body

    def play(connection: socket.socket) -> None:
        while read_request(connection):
            connection.sendall(reply)

    with serving(play) as server:
        client = make_client(account=local(server.port))
        for _request in range(3):
            assert read(client).value == PAGE
        assert server.connections == 1


def test_redirect_is_not_followed_and_cookies_are_not_kept() -> None:
    reply = b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    with serving(answering(reply)) as server:
        client = make_client(account=local(server.port))
        for _request in range(2):
            with pytest.raises(ApiError, match="does not follow redirects"):
                client.get("/apps")
    assert server.received.count(b"GET /api/v1/apps HTTP/1.1") == 2
    assert b"elsewhere" not in server.received
    assert b"Cookie" not in server.received


def test_refused_connection_is_said() -> None:
    with closed_port() as port:
        error = failure(account=local(port), retries=0)
    assert str(error) == (
        f"GET http://127.0.0.1:{port}/api/v1/apps: the connection failed: Connection refused. Check api_url and the network."
    )


def test_proxy_never_sees_plain_http_in_capitals(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answering(GOOD + b"\r\n{}")) as server, serving(answering(b"")) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert read(account=Account(url=f"HTTP://LOCALHOST:{server.port}/api/v1")).value == {}
        assert (server.connections, proxy.connections) == (1, 0)


@pytest.mark.parametrize("bundle", ["missing.pem", "empty.pem"])
def test_bundle_that_cannot_be_used_is_a_local_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle: str) -> None:
    (tmp_path / "empty.pem").touch()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / bundle))
    with serving(silent) as server:
        error = failure(account=Account(url=f"https://127.0.0.1:{server.port}/"))
    assert str(error).startswith(f"REQUESTS_CA_BUNDLE: {tmp_path / bundle} cannot be used (")
    assert error.__class__ is ApiError


def test_key_log_in_a_missing_folder_is_a_local_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "missing" / "log"))
    with serving(silent) as server:
        error = failure(account=Account(url=f"https://127.0.0.1:{server.port}/"), timeout=1, verify=False)
    assert str(error).startswith(f"SSLKEYLOGFILE: {tmp_path}/missing/log cannot be written (No such file or directory)")


def test_headers_that_cannot_be_read_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with serving(answering(f"HTTP/1.1 200 OK\r\n{KEY}\r\n: x\r\n\r\n{{}}".encode())) as server:
        get(account=local(server.port), retries=0)
    assert KEY not in caplog.text
    logging.getLogger("urllib3.connection").warning("others may log")
    assert "others may log" in caplog.text


# TLS


def test_certificate_of_the_ca_is_accepted(tmp_path: Path) -> None:
    certificates = make_certificates(tmp_path, "127.0.0.1")
    with serving(answering(GOOD + b"\r\n[1]"), certificate=presenting(certificates.good)) as server:
        account = Account(url=f"https://127.0.0.1:{server.port}/api/v1")
        assert read(account=account, verify=str(certificates.ca)).value == [1]


@pytest.mark.parametrize(
    ("name", "is_known", "reason"),
    [
        ("127.0.0.2", True, "127.0.0.1"),
        ("localhost", True, "127.0.0.1"),
        ("127.0.0.1", False, "certificate"),
    ],
)
def test_other_certificate_is_refused(tmp_path: Path, name: str, is_known: bool, reason: str) -> None:
    certificates = make_certificates(tmp_path, name)
    with serving(answering(GOOD + b"\r\n[1]"), certificate=presenting(certificates.good)) as server:
        account = Account(url=f"https://127.0.0.1:{server.port}/api/v1")
        error = failure(account=account, verify=str(certificates.ca) if is_known else True)
    assert str(error).startswith(f"GET {account.url}/apps: the certificate of 127.0.0.1 was not accepted: ")
    assert reason in str(error).partition("not accepted: ")[2]
    assert str(error).endswith(". If your own CA signs it, set ca_path.")
    assert error.__class__ is UnavailableError


def test_plain_http_port_is_said() -> None:
    with serving(lambda connection: connection.sendall(b"HTTP/1.1 400 No\r\n\r\n")) as server:
        error = failure(account=Account(url=f"https://127.0.0.1:{server.port}/"), timeout=2, retries=0)
    assert str(error).startswith(f"GET https://127.0.0.1:{server.port}/apps: the TLS connection failed: ")
    assert str(error).endswith(". Check that the port of api_url is an https port.")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407 Proxy Authentication Required"),
        (b"HTTP/1.1 403 No\r\n\r\n", "403 No"),
    ],
)
def test_proxy_that_refuses_is_said_without_its_password(monkeypatch: pytest.MonkeyPatch, reply: bytes, reason: str) -> None:
    with serving(answering(reply)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:s3cr3t@127.0.0.1:{proxy.port}")
        error = failure(retries=0)
        assert proxy.received.startswith(b"CONNECT service.example:443 HTTP/1")
        assert KEY.encode() not in proxy.received
    assert str(error) == (
        f"GET {APPS}: the proxy did not connect: Tunnel connection failed: {reason}. Check HTTPS_PROXY and NO_PROXY."
    )
    assert error.__class__ is UnavailableError
