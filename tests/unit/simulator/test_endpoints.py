# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from ansible_collections.phala.cloud.tests.simulator import (
    FLAT,
    NESTED,
    App,
    Cvm,
    Simulator,
    make_fleet,
    render,
)
from ansible_collections.phala.cloud.tests.simulator.faults import Body
from ansible_collections.phala.cloud.tests.simulator.shapes import ShapeName

from .conftest import Get

FLEET = make_fleet(cvms=60)


def test_pages_put_together_are_the_fleet(get: Get, simulator: Simulator) -> None:
    simulator.fleet = FLEET
    pages = [get(page=page, page_size=7).json() for page in range(1, -(-len(FLEET) // 7) + 1)]
    assert [app for page in pages for app in page["dstack_apps"]] == [render(app, NESTED) for app in FLEET]
    assert {(page["page_size"], page["total"], page["total_pages"]) for page in pages} == {(7, len(FLEET), len(pages))}
    assert [page["page"] for page in pages] == list(range(1, len(pages) + 1))


def test_page_has_twenty_apps_unless_asked_otherwise(get: Get, simulator: Simulator) -> None:
    simulator.fleet = FLEET
    assert len(get().json()["dstack_apps"]) == 20


def test_page_past_the_end_is_empty(get: Get) -> None:
    assert get(page=99).json() == {"dstack_apps": [], "page": 99, "page_size": 20, "total": 12, "total_pages": 1}


def test_empty_account_has_no_pages(get: Get, simulator: Simulator) -> None:
    simulator.fleet = ()
    assert get().json() == {"dstack_apps": [], "page": 1, "page_size": 20, "total": 0, "total_pages": 0}


def test_smaller_page_size_than_asked_for_is_owned_up_to(get: Get, simulator: Simulator) -> None:
    simulator.page_size_limit = 5
    answer = get(page=2, page_size=100).json()
    assert [app["app_id"] for app in answer["dstack_apps"]] == [app.app_id for app in simulator.fleet[5:10]]
    assert (answer["page_size"], answer["total_pages"]) == (5, 3)


@pytest.mark.parametrize(("version", "shape"), [("2025-10-28", FLAT), ("2026-01-21", NESTED), ("2026-06-23", NESTED)])
def test_version_header_chooses_the_shape(get: Get, simulator: Simulator, version: str, shape: ShapeName) -> None:
    assert get(version=version).json()["dstack_apps"] == [render(app, shape) for app in simulator.fleet]


@pytest.mark.parametrize(("version", "shape"), [("2025-10-28", FLAT), ("2026-06-23", NESTED)])
def test_version_of_the_key_applies_without_a_header(simulator: Simulator, version: str, shape: ShapeName) -> None:
    simulator.key_version = version
    response = requests.get(f"{simulator.url}/apps", headers={"X-API-Key": simulator.api_key}, timeout=5)
    assert response.json()["dstack_apps"] == [render(app, shape) for app in simulator.fleet]


@pytest.mark.parametrize("shape", [FLAT, NESTED])
def test_version_header_can_be_ignored(get: Get, simulator: Simulator, shape: ShapeName) -> None:
    simulator.ignore_version = shape
    for version in ("2025-10-28", "2026-01-21"):
        assert get(version=version).json()["dstack_apps"] == [render(app, shape) for app in simulator.fleet]


@pytest.mark.parametrize(
    ("query", "location", "kind"),
    [
        ({"page": 0}, ["query", "page"], "greater_than_equal"),
        ({"page": "two"}, ["query", "page"], "int_parsing"),
        ({"page_size": 0}, ["query", "page_size"], "greater_than_equal"),
        ({"page_size": 101}, ["query", "page_size"], "less_than_equal"),
        ({"listed": "maybe"}, ["query", "listed"], "bool_parsing"),
    ],
)
def test_bad_parameter_is_refused_as_the_framework_does(get: Get, query: dict[str, Any], location: list[str], kind: str) -> None:
    response = get(**query)
    (detail,) = response.json()["detail"]
    assert response.status_code == 422
    assert (detail["loc"], detail["type"]) == (location, kind)
    assert detail["msg"]


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": "phak_wrong"}, {"Authorization": "Bearer phak_wrong"}])
@pytest.mark.parametrize("path", ["/apps", "/apps?page=0", "/apps/filter-options"])
def test_key_is_checked_before_anything_else(simulator: Simulator, headers: dict[str, str], path: str) -> None:
    response = requests.get(simulator.url + path, headers=headers, timeout=5)
    assert (response.status_code, response.json()) == (401, {"detail": "Not authenticated"})


def test_each_key_sees_its_own_fleet() -> None:
    other = App(name="other", cvms=(Cvm(name="other-1"),))
    with Simulator(accounts={"phak_other": (other,)}) as simulator:
        response = requests.get(f"{simulator.url}/apps", headers={"X-API-Key": "phak_other"}, timeout=5)
    assert [app["name"] for app in response.json()["dstack_apps"]] == ["other"]


def test_every_answer_has_a_request_id_of_its_own(get: Get, simulator: Simulator) -> None:
    responses = [get(), get(page=0), get(path="/nowhere"), requests.get(f"{simulator.url}/apps", timeout=5)]
    assert [response.status_code for response in responses] == [200, 422, 404, 401]
    ids = [response.headers["X-Request-ID"] for response in responses]
    assert ids == [request.id for request in simulator.requests]
    assert len(set(ids)) == 4


def test_requests_are_recorded_until_cleared(get: Get, simulator: Simulator) -> None:
    get(page=3, status=["running", "stopped"], search="ä b&c", region="")
    (request,) = simulator.requests
    assert (request.method, request.path, request.page) == ("GET", "/api/v1/apps", 3)
    assert request.query == [
        ("page", "3"),
        ("status", "running"),
        ("status", "stopped"),
        ("search", "ä b&c"),
        ("region", ""),
    ]
    assert request.values("status") == ["running", "stopped"]
    assert request.headers["x-api-key"] == simulator.api_key
    simulator.clear()
    assert simulator.requests == []


def test_many_requests_are_delayed_side_by_side(simulator: Simulator) -> None:
    simulator.delay = 0.2
    url, headers = f"{simulator.url}/apps", {"X-API-Key": simulator.api_key}
    threads = [threading.Thread(target=requests.get, args=(url,), kwargs={"headers": headers}) for dummy in range(8)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.2 <= time.monotonic() - start < 1.0
    assert simulator.peak == 8


def test_work_for_a_delayed_response_is_done_at_once(simulator: Simulator) -> None:
    simulator.delay = 0.2
    headers = {"X-API-Key": simulator.api_key}
    with ThreadPoolExecutor(1) as pool:
        response = pool.submit(requests.get, f"{simulator.url}/apps", headers=headers, timeout=5)
        while not simulator.requests:
            time.sleep(0.001)
        time.sleep(0.05)
        simulator.fleet = []
    assert response.result().json()["total"] > 0


def test_what_is_no_app_is_served_as_it_is() -> None:
    raw = [{"app_id": 7, "cvms": "{{ hostile }}", "\ud800": None}, "text", None]
    with Simulator(apps=[*raw, App(name="web")]) as simulator:
        headers = {"X-API-Key": simulator.api_key}
        answer = requests.get(f"{simulator.url}/apps", headers=headers, timeout=5).json()
    assert answer["dstack_apps"][:3] == raw
    assert answer["dstack_apps"][3]["name"] == "web"
    assert answer["total"] == 4


def test_fixed_pages_are_served_byte_for_byte(get: Get, simulator: Simulator) -> None:
    simulator.pages = [{"a": 1}, Body(b"\xff", "text/plain", 418, {"X-Odd": "yes"}), b"[not json"]
    assert get(page=1).json() == {"a": 1}
    second = get(page=2)
    assert (second.status_code, second.content, second.headers["X-Odd"]) == (418, b"\xff", "yes")
    assert get(page=3).content == b"[not json"
    assert get(page=4).json()["dstack_apps"] == []


@pytest.mark.parametrize("version", ["2025-10-28", "2026-01-21"])
def test_prerendered_answers_are_the_same(version: str) -> None:
    answers = []
    for prerender in (False, True):
        with Simulator(fleet=FLEET, prerender=prerender) as simulator:
            headers = {"X-API-Key": simulator.api_key, "X-Phala-Version": version}
            answers.append(requests.get(f"{simulator.url}/apps?page=2", headers=headers, timeout=5).content)
    assert answers[0] == answers[1]
