# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What happens, and what is said, when the service or the way to it fails."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.phala.cloud.tests.certificates import make_certificates
from ansible_collections.phala.cloud.tests.commands import Completed, squeeze
from ansible_collections.phala.cloud.tests.credentials import log_in
from ansible_collections.phala.cloud.tests.loading import Loaded
from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Simulator
from ansible_collections.phala.cloud.tests.simulator.faults import (
    Body,
    Hang,
    Redirect,
    Remove,
    Replace,
    Reset,
    Status,
    Truncate,
)

from .fleets import one_cvm

ONCE = {"retries": 0, "timeout": 20}
HASTY = {"retries": 0, "timeout": 1}


@pytest.fixture(autouse=True)
def fleet(simulator: Simulator) -> None:
    simulator.fleet = one_cvm()


# Messages


REFUSALS = [
    (Status(401), ["401 from", "the API key from PHALA_CLOUD_API_KEY was refused", "req-00000001", "Unauthorized"]),
    (Status(403, "Invalid key", style="message"), ["403 from", "PHALA_CLOUD_API_KEY was refused", "Invalid key", "req-00000001"]),
    (
        Status(422, [{"loc": ["query", "region"], "msg": "Unknown region", "type": "value_error"}]),
        ["422 from", "query.region: Unknown region", "filters", "req-00000001"],
    ),
    (Status(422, "no list"), ["422 from", "no list"]),
    (Status(503, "Down for maintenance", style="message"), ["503 from", "Down for maintenance", "req-00000001"]),
    (Status(204), ["204 from"]),
    (Redirect("https://other.example.org/login"), ["302 from", "https://other.example.org/login", "does not follow", "api_url"]),
    (Body(b"", content_type="text/plain"), ["text/plain", "not JSON"]),
    (Body(b"{}"), ["dstack_apps"]),
    (Body(b"[" * 100_000), ["JSON"]),
    (Truncate(), ["connection failed", "Check"]),
]


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


def test_answer_that_does_not_come_in_time_fails_the_source(simulator: Simulator, refusal: Callable[..., str]) -> None:
    simulator.misbehave(Hang(), times=None)
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
    credentials = log_in(home / ".phala-cloud", me={"token": "phak_wrong"})
    assert f"the API key from profile 'me' of {credentials} was refused" in refusal({})
    assert {request.headers["x-api-key"] for request in simulator.requests} == {"phak_wrong"}


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


def test_missing_requests_says_how_to_install_it(
    simulator: Simulator, write: Callable[..., Path], ansible_inventory: Callable[..., Completed], tmp_path: Path
) -> None:
    (tmp_path / "lacking").mkdir()
    write("raise ImportError('No module named requests')\n", name="lacking/requests.py")
    completed = ansible_inventory({}, "--list", env={"PYTHONPATH": str(tmp_path / "lacking")})
    for words in ("the Python package requests", "No module named requests", "Install it for"):
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


@pytest.mark.parametrize("fault", [Status(503), Reset(), Hang()], ids=str)
def test_passing_fault_is_tried_again(fault: Any, simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.misbehave(fault)
    loaded = inventory({"timeout": 1, "retries": 1}, verbosity=2)
    assert list(loaded.hosts) == ["solo"]
    assert len(simulator.requests) == 2
    assert [line for line in loaded.displayed if "Tried again" in line and simulator.url in line]


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


def test_certificate_is_not_checked_where_that_is_turned_off(tmp_path: Path, ansible_inventory: Callable[..., Completed]) -> None:
    certificate = make_certificates(tmp_path, "127.0.0.1").good
    with Simulator(fleet=one_cvm(), certfile=certificate, keyfile=certificate) as service:
        options = {"api_url": service.url, "api_key": service.api_key, "validate_certs": False, "page_size": 1}
        completed = ansible_inventory(options, "--list")
    assert list(completed.json["_meta"]["hostvars"]) == ["solo"]
    assert completed.stderr == ""


def test_no_proxy_of_the_environment_is_heeded(refusal: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("NO_PROXY", "nowhere.invalid")
    assert "nowhere.invalid was not found" in refusal({"api_url": "https://nowhere.invalid/api/v1", **ONCE})
    monkeypatch.delenv("NO_PROXY")
    assert "proxy" in refusal({"api_url": "https://nowhere.invalid/api/v1", **ONCE})
