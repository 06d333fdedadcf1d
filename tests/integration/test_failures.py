# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What happens, and what is said, when the service or the way to it fails."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
import trustme

from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Simulator
from ansible_collections.phala.cloud.tests.simulator.faults import (
    MALFORMATIONS,
    Body,
    Close,
    Hang,
    Html,
    HugeBody,
    InvalidUtf8,
    Redirect,
    Remove,
    Replace,
    Reset,
    Status,
    Trickle,
    Truncate,
    WrongLength,
)

from .commands import Completed, squeeze
from .fleets import one_cvm
from .loading import Loaded

ONCE = {"retries": 0, "timeout": 20}
HASTY = {"retries": 0, "timeout": 1}


@pytest.fixture(autouse=True)
def fleet(simulator: Simulator) -> None:
    simulator.fleet = one_cvm()


def gaps(simulator: Simulator) -> list[float]:
    """Return the seconds between the requests."""
    return [later.at - earlier.at for earlier, later in itertools.pairwise(simulator.requests)]


# Messages


REFUSALS = [
    (Status(401), ["401 from", "the API key from PHALA_CLOUD_API_KEY was refused", "req-00000001", "Unauthorized"]),
    (Status(403, "Invalid key", style="message"), ["403 from", "PHALA_CLOUD_API_KEY was refused", "Invalid key", "req-00000001"]),
    (Status(403, "No access", style="message"), ["403 from", "No access", "req-00000001"]),
    (Status(404), ["404 from", "api_url", "/api/v1", "req-00000001"]),
    (
        Status(422, [{"loc": ["query", "region"], "msg": "Unknown region", "type": "value_error"}]),
        ["422 from", "query.region: Unknown region", "filters", "req-00000001"],
    ),
    (Status(422, "no list"), ["422 from", "no list"]),
    (Status(400), ["400 from", "refused the request"]),
    (Status(418), ["418 from"]),
    (Status(429), ["429 from", "too many requests", "try again later", "req-00000001"]),
    (Status(500), ["500 from", "is not available now", "try again later", "req-00000001"]),
    (Status(503, "Down for maintenance", style="message"), ["503 from", "Down for maintenance", "req-00000001"]),
    (Status(599), ["599 from", "is not available now"]),
    (Status(204), ["204 from"]),
    (Status(304), ["304 from"]),
    (Redirect("https://other.example.org/login"), ["302 from", "https://other.example.org/login", "not followed", "api_url"]),
    (Redirect("/api/v2", status=308), ["308 from", "/api/v2", "not followed"]),
    (Html(), ["text/html", "not JSON", "proxy"]),
    (Html(status=502), ["502 from", "is not available now"]),
    (Html(status=404), ["404 from"]),
    (Body(b"", content_type="text/plain"), ["text/plain", "not JSON"]),
    (Body(b"{}"), ["dstack_apps"]),
    (Body(b'{"dstack_apps": ['), ["broken JSON"]),
    (Body(b'{"dstack_apps": [], "page": 1, "page_size": 1, "total": NaN, "total_pages": 0}'), ["JSON"]),
    (Body(b"[" * 100_000), ["JSON"]),
    (InvalidUtf8(), ["JSON"]),
    (Reset(), ["connection failed", "check"]),
    (Close(), ["connection failed"]),
    (Truncate(), ["connection failed"]),
    (WrongLength(10), ["connection failed"]),
    (WrongLength(-10), ["JSON"]),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "words"), REFUSALS, ids=lambda value: str(value)[:40])
def test_fault_fails_the_source_and_says_what_came_back_and_what_to_do(
    fault: Any, words: list[str], simulator: Simulator, attempt: Callable[..., Loaded]
) -> None:
    simulator.misbehave(fault, times=None)
    loaded = attempt(ONCE)
    url = f"{simulator.url}/apps?page=1&page_size=100"
    assert [word for word in [url, *words] if word not in loaded.failures[0]] == []
    assert simulator.api_key not in " ".join(loaded.displayed)
    assert (loaded.hosts, loaded.groups) == ({}, {})
    assert len(simulator.requests) == 1


@pytest.mark.parametrize("fault", [Hang(), Hang(head=True), Trickle(0.05)], ids=str)
def test_answer_that_does_not_come_in_time_fails_the_source(
    fault: Any, simulator: Simulator, refusal: Callable[..., str]
) -> None:
    simulator.misbehave(fault, times=None)
    started = time.monotonic()
    reason = refusal(HASTY)
    assert 0.9 < time.monotonic() - started < 10
    words = (f"{simulator.url}/apps?page=1&page_size=100", "within 1 s", "timeout")
    assert [word for word in words if word not in reason] == []


def test_refused_key_says_where_it_is_written(
    simulator: Simulator, refusal: Callable[..., str], tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert f"the API key from api_key in {tmp_path / 'phala.yml'} was refused" in refusal({"api_key": "phak_wrong"})
    monkeypatch.delenv("PHALA_CLOUD_API_KEY")
    credentials = home / ".phala-cloud" / "credentials.json"
    credentials.parent.mkdir()
    credentials.write_text('{"schema_version": 1, "current_profile": "me", "profiles": {"me": {"token": "phak_wrong"}}}')
    assert f"the API key from profile 'me' of {credentials} was refused" in refusal({})
    assert {request.headers["x-api-key"] for request in simulator.requests} == {"phak_wrong"}


def test_filter_that_the_service_refuses_is_told_in_its_words(simulator: Simulator, refusal: Callable[..., str]) -> None:
    simulator.misbehave(Status(422, [{"loc": ["query", "node"], "msg": "no such node", "type": "value_error"}]))
    assert "query.node: no such node" in refusal({"filters": {"node": "x"}})


@pytest.mark.usefixtures("impatience")
@pytest.mark.parametrize("malformation", MALFORMATIONS, ids=str)
def test_malformed_answer_fails_the_source_or_harms_nobody(
    malformation: Any, simulator: Simulator, attempt: Callable[..., Loaded]
) -> None:
    simulator.misbehave(malformation, times=None)
    loaded = attempt({**ONCE, "page_size": 1})
    if loaded.failures:
        assert simulator.url in loaded.failures[0]
        assert "Traceback" not in loaded.failures[0]
        assert (loaded.hosts, loaded.groups) == ({}, {})
    else:
        assert len(loaded.groups["phala"]) == len(loaded.hosts) == 1


@pytest.mark.parametrize(
    "malformation",
    [
        Replace("", []),
        Replace("", None),
        Remove("dstack_apps"),
        Replace("dstack_apps", {}),
        Replace("dstack_apps.0", "text"),
        Replace("dstack_apps.*.cvms", "text"),
        Replace("dstack_apps.*.cvms.*", 12),
        Replace("total", None),
        Replace("total", -1),
        Replace("total", True),
        Replace("total_pages", "1"),
        Replace("page_size", 0),
        Replace("page", 99),
    ],
    ids=str,
)
def test_wrong_shape_is_never_an_empty_or_smaller_inventory(
    malformation: Any, simulator: Simulator, refusal: Callable[..., str]
) -> None:
    simulator.misbehave(malformation, times=None)
    assert simulator.url in refusal(ONCE)


def test_answer_without_end_fails_the_source(simulator: Simulator, refusal: Callable[..., str]) -> None:
    simulator.misbehave(HugeBody(65, gzip=True))
    assert "64 MiB" in refusal(ONCE)


def test_missing_requests_says_how_to_install_it(
    simulator: Simulator, write: Callable[..., Path], ansible_inventory: Callable[..., Completed], tmp_path: Path
) -> None:
    (tmp_path / "lacking").mkdir()
    write("raise ImportError('No module named requests')\n", name="lacking/requests.py")
    completed = ansible_inventory({}, "--list", env={"PYTHONPATH": str(tmp_path / "lacking")})
    for words in ("the Python package requests", "No module named requests", "install it for"):
        assert squeeze(words) in completed.said
    assert completed.json["all"] == {"children": ["ungrouped"]}
    assert simulator.requests == []


def test_terminal_is_not_steered_by_what_comes_back(simulator: Simulator, refusal: Callable[..., str]) -> None:
    simulator.misbehave(Status(400, "\x1b[2Jcleared\r\n" + "x" * 5000, headers={"x-request-id": "\x1b"}))
    reason = refusal(ONCE)
    assert "\x1b" not in reason
    assert "cleared" in reason
    assert len(reason) < 3000


# Retries


@pytest.mark.parametrize(
    "fault",
    [
        Status(429),
        Status(500),
        Status(502),
        Status(503),
        Status(504),
        Status(599),
        Reset(),
        Close(),
        Truncate(),
        Hang(),
        Trickle(0.05),
    ],
    ids=str,
)
def test_passing_fault_is_tried_again(fault: Any, simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.misbehave(fault)
    loaded = inventory({"timeout": 1, "retries": 1}, verbosity=2)
    assert list(loaded.hosts) == ["solo"]
    assert len(simulator.requests) == 2
    assert [line for line in loaded.displayed if "Tried again" in line and simulator.url in line]


@pytest.mark.parametrize(
    "fault", [Status(400), Status(401), Status(403), Status(404), Status(422), Redirect("/x"), Html(), Body(b"{}")], ids=str
)
def test_lasting_fault_is_not_tried_again(fault: Any, simulator: Simulator, refusal: Callable[..., str]) -> None:
    simulator.misbehave(fault)
    refusal({"retries": 3})
    assert len(simulator.requests) == 1


@pytest.mark.parametrize("retries", [0, 1, 2])
def test_retries_are_tries_after_the_first(retries: int, simulator: Simulator, refusal: Callable[..., str]) -> None:
    simulator.misbehave(Status(503), times=None)
    reason = refusal({"retries": retries})
    assert len(simulator.requests) == retries + 1
    assert (f"tried {retries + 1} times" in reason) == (retries > 0)


def test_pauses_grow(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.misbehave(Status(503), times=3)
    inventory({"retries": 3})
    first, second, third = gaps(simulator)
    assert first < 0.9 < second < third


@pytest.mark.parametrize("retry_after", [1, "01"])
def test_retry_after_is_honoured(retry_after: Any, simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.misbehave(Status(429, retry_after=retry_after))
    inventory({"retries": 1})
    (gap,) = gaps(simulator)
    assert 1 <= gap < 5


def test_retry_after_may_be_a_date(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.misbehave(Status(503, retry_after=formatdate(time.time() + 2, usegmt=True)))
    inventory({"retries": 1})
    (gap,) = gaps(simulator)
    assert 0.5 < gap < 5


@pytest.mark.parametrize(
    "retry_after", ["soon", "", "-5", "1.5s", "\N{LATIN SMALL LETTER E WITH ACUTE}", "Wed, 99 Foo 2026", "0"]
)
def test_retry_after_that_makes_no_sense_is_ignored(
    retry_after: str, simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.misbehave(Status(503, retry_after=retry_after))
    inventory({"retries": 1})
    (gap,) = gaps(simulator)
    assert gap < 0.9


def test_retry_after_in_the_past_is_no_pause(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.misbehave(Status(503, retry_after=formatdate(0, usegmt=True)))
    inventory({"retries": 1})
    assert gaps(simulator)[0] < 0.9


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    "retry_after", [31, 86400, "9" * 30, formatdate(time.time() + 3600, usegmt=True)], ids=["just", "a day", "for ever", "a date"]
)
def test_too_long_a_retry_after_fails_at_once_and_says_so(
    status: int, retry_after: Any, simulator: Simulator, refusal: Callable[..., str]
) -> None:
    simulator.misbehave(Status(status, retry_after=retry_after), times=None)
    started = time.monotonic()
    reason = refusal({"retries": 5})
    assert time.monotonic() - started < 5
    assert len(simulator.requests) == 1
    assert "asks to wait" in reason
    assert "30 s" in reason


def test_no_page_is_tried_again_after_another_has_failed(simulator: Simulator, refusal: Callable[..., str]) -> None:
    simulator.fleet = tuple(App(name=f"app-{number}", cvms=(Cvm(name=f"cvm-{number}"),)) for number in range(3))
    simulator.misbehave(Status(503), Status(404), page=2)
    simulator.misbehave(Status(503), times=None, page=3)
    assert "404 from" in refusal({"page_size": 1, "retries": 5})
    time.sleep(1.2)  # the third try of page 3 would come after a second
    assert [request.page for request in simulator.requests].count(3) <= 2


# The way to the service


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_refused_connection_is_told(refusal: Callable[..., str]) -> None:
    url = f"http://127.0.0.1:{closed_port()}/api/v1"
    reason = refusal({"api_url": url, **ONCE})
    assert [word for word in (url, "Connection refused", "api_url") if word not in reason] == []


def test_unknown_name_is_told(refusal: Callable[..., str]) -> None:
    reason = refusal({"api_url": "https://nowhere.invalid/api/v1", **ONCE})
    assert [word for word in ("nowhere.invalid was not found", "DNS", "api_url") if word not in reason] == []


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Listen without ever answering; connections beyond the first wait for ever."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.create_connection(server.getsockname()):
        yield int(server.getsockname()[1])


def test_connection_that_never_comes_is_told(silent_port: int, refusal: Callable[..., str]) -> None:
    reason = refusal({"api_url": f"http://127.0.0.1:{silent_port}/api/v1", **HASTY})
    assert "within 1 s" in reason


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """Write the certificate of a CA, and beside it, for the service, one that it has signed."""
    ca = trustme.CA()
    ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "service.pem"))
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"


@pytest.fixture
def tls_simulator(authority: Path) -> Iterator[Simulator]:
    certificate = authority.with_name("service.pem")
    with Simulator(fleet=one_cvm(), certfile=certificate, keyfile=certificate) as service:
        yield service


def test_unknown_certificate_is_refused_before_the_key_is_sent(tls_simulator: Simulator, refusal: Callable[..., str]) -> None:
    reason = refusal({"api_url": tls_simulator.url, "retries": 3})
    assert [word for word in ("certificate of 127.0.0.1 was not accepted", "ca_path") if word not in reason] == []
    assert tls_simulator.requests == []


def test_ca_path_makes_a_certificate_known(tls_simulator: Simulator, authority: Path, inventory: Callable[..., Loaded]) -> None:
    assert list(inventory({"api_url": tls_simulator.url, "ca_path": str(authority)}).hosts) == ["solo"]


def test_certificate_is_not_checked_where_that_is_turned_off(
    tls_simulator: Simulator, ansible_inventory: Callable[..., Completed]
) -> None:
    completed = ansible_inventory({"api_url": tls_simulator.url, "validate_certs": False, "page_size": 1}, "--list")
    assert list(completed.json["_meta"]["hostvars"]) == ["solo"]
    assert completed.stderr == ""


def test_host_name_of_the_certificate_counts(tls_simulator: Simulator, authority: Path, refusal: Callable[..., str]) -> None:
    url = tls_simulator.url.replace("127.0.0.1", "localhost")
    reason = refusal({"api_url": url, "ca_path": str(authority), "retries": 3})
    assert "certificate of localhost was not accepted" in reason


def test_https_to_a_port_without_tls_is_told(simulator: Simulator, refusal: Callable[..., str]) -> None:
    reason = refusal({"api_url": simulator.url.replace("http:", "https:"), **ONCE})
    assert [word for word in ("TLS", "api_url") if word not in reason] == []


def test_http_to_a_port_with_tls_is_told(tls_simulator: Simulator, refusal: Callable[..., str]) -> None:
    url = tls_simulator.url.replace("https:", "http:")
    assert url in refusal({"api_url": url, **ONCE})


# Where the key goes


def test_redirect_is_not_followed(simulator: Simulator, refusal: Callable[..., str]) -> None:
    with Simulator(fleet=one_cvm()) as other:
        simulator.misbehave(Redirect(f"{other.url}/apps"))
        refusal(ONCE)
        assert other.requests == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_plain_http_to_another_machine_is_refused_unasked(scheme: str, refusal: Callable[..., str]) -> None:
    if scheme == "http":
        reason = refusal({"api_url": "http://nowhere.invalid/api/v1"})
        assert "unencrypted" in reason
    else:
        assert "was not found" in refusal({"api_url": "https://nowhere.invalid/api/v1", **ONCE})


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_proxy_does_not_see_what_goes_to_this_machine(
    name: str, inventory: Callable[..., Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, f"http://127.0.0.1:{closed_port()}")
    assert list(inventory().hosts) == ["solo"]


def test_proxy_of_the_environment_is_used_for_https(refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        port = proxy.getsockname()[1]
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        asked: list[bytes] = []

        def refuse() -> None:
            connection, _address = proxy.accept()
            asked.append(connection.recv(65536))
            connection.sendall(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        reason = refusal({"api_url": "https://nowhere.invalid/api/v1", **ONCE})
        thread.join(5)
    assert asked[0].startswith(b"CONNECT nowhere.invalid:443 HTTP/1")
    assert b"phak_" not in asked[0]
    assert [word for word in ("proxy", "HTTPS_PROXY") if word not in reason] == []


def test_no_proxy_of_the_environment_is_heeded(refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("NO_PROXY", "nowhere.invalid")
    assert "nowhere.invalid was not found" in refusal({"api_url": "https://nowhere.invalid/api/v1", **ONCE})
    monkeypatch.delenv("NO_PROXY")
    assert "proxy" in refusal({"api_url": "https://nowhere.invalid/api/v1", **ONCE})


def test_key_goes_in_its_header_and_netrc_does_not_add_to_it(
    simulator: Simulator, inventory: Callable[..., Loaded], home: Path
) -> None:
    netrc = home / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    netrc.chmod(0o600)
    inventory()
    (request,) = simulator.requests
    assert request.headers["x-api-key"] == simulator.api_key
    assert "authorization" not in request.headers
    assert simulator.api_key not in str(request.query) + request.path
    assert (request.method, request.path) == ("GET", "/api/v1/apps")
