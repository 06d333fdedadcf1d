# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any, Literal

import pytest
import requests

from ansible_collections.phala.cloud.tests.simulator import Simulator, make_fleet
from ansible_collections.phala.cloud.tests.simulator.faults import (
    EMPTY_PAGE,
    MALFORMATIONS,
    Alteration,
    Blocked,
    Body,
    Delay,
    Drift,
    Fault,
    Html,
    HugeBody,
    InsertFirst,
    InvalidUtf8,
    Redirect,
    Remove,
    RemoveFirst,
    Repeat,
    Replace,
    Reverse,
    Status,
)
from ansible_collections.phala.cloud.tests.simulator.faults.base import Occasion

from .conftest import Get

OCCASION = Occasion("req-1", page=1, turn=0)


def _ids(response: requests.Response) -> list[str]:
    return [app["app_id"] for app in response.json()["dstack_apps"]]


def test_faults_show_once_each_in_their_turn(get: Get, simulator: Simulator) -> None:
    simulator.misbehave(Status(503), Status(500))
    assert [get().status_code for dummy in range(3)] == [503, 500, 200]


def test_fault_shows_as_often_as_told(get: Get, simulator: Simulator) -> None:
    simulator.misbehave(Status(503), times=2)
    assert [get().status_code for dummy in range(3)] == [503, 503, 200]


def test_fault_for_ever_ends_with_forgiveness(get: Get, simulator: Simulator) -> None:
    good = get().content
    simulator.misbehave(Status(503), times=None)
    simulator.ignored_filters = ("region",)
    simulator.evolve, simulator.order, simulator.case_sensitive = (lambda fleet, _request: fleet[1:]), "name", False
    simulator.pages = [{}]
    assert {get().status_code for dummy in range(5)} == {503}
    simulator.forgive()
    simulator.fleet = make_fleet()
    assert get(region="").content == good
    assert get(region="us-west-1").json()["total"] == 0


def test_fault_of_a_page_waits_for_that_page(get: Get, simulator: Simulator) -> None:
    simulator.misbehave(Status(503), page=2)
    assert [get(page=page).status_code for page in (1, 3, 2, 2)] == [200, 200, 503, 200]


def test_probable_fault_shows_at_the_same_requests_for_the_same_seed(get: Get, simulator: Simulator) -> None:
    runs = []
    for dummy in range(2):
        simulator.misbehave(Status(503), times=None, probability=0.3, seed=5)
        runs.append([get(page_size=1).status_code for dummy in range(40)])
        simulator.forgive()
    assert runs[0] == runs[1]
    assert 4 < runs[0].count(503) < 24


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 418, 422, 429, 500, 502, 503, 504, 599])
def test_status_comes_with_a_body_like_the_services(get: Get, simulator: Simulator, status: int) -> None:
    faults = [Status(status, "No such luck", style=style) for style in ("detail", "message", "nested")]
    simulator.misbehave(*faults)
    detail, message, nested = get(), get(), get()
    assert {response.status_code for response in (detail, message, nested)} == {status}
    assert detail.json() == {"detail": "No such luck"}
    error = {"error_code": "ERR-99-001", "message": "No such luck"}
    assert message.json() == {**error, "request_id": message.headers["X-Request-ID"]}
    assert nested.json() == {"detail": {**error, "request_id": nested.headers["X-Request-ID"]}}


@pytest.mark.parametrize("style", ["message", "nested"])
def test_error_has_details_suggestions_and_links(get: Get, simulator: Simulator, style: Literal["message", "nested"]) -> None:
    more: dict[str, Any] = {
        "details": [{"field": "workspace", "value": "acme", "message": "balance is 0"}],
        "suggestions": ["Top up"],
        "links": [{"url": "https://example.org/billing", "label": "Billing"}],
    }
    simulator.misbehave(Status(403, "No balance", style=style, error_code="ERR-04-001", **more))
    body = get().json()
    error = body["detail"] if style == "nested" else body
    assert error == {"error_code": "ERR-04-001", "message": "No balance", **more, "request_id": error["request_id"]}


@pytest.mark.parametrize("html", [False, True])
def test_proxy_blocks_user_agents(simulator: Simulator, html: bool) -> None:
    simulator.blocked = Blocked(html=html)
    headers = {"X-API-Key": simulator.api_key, "User-Agent": "Python-urllib/3.13"}
    response = requests.get(f"{simulator.url}/apps", headers=headers, timeout=5)
    assert response.status_code == 403
    assert "error code: 1010" in response.text
    assert response.headers["Content-Type"].startswith("text/html" if html else "text/plain")
    assert "X-Request-ID" not in response.headers
    assert requests.get(f"{simulator.url}/apps", headers={**headers, "User-Agent": "phala.cloud"}, timeout=5).ok


@pytest.mark.parametrize("text", ["3", "Wed, 21 Oct 2026 07:28:00 GMT", "soon", "-1", "1e9", ""])
def test_retry_after_may_be_any_text(get: Get, simulator: Simulator, text: str) -> None:
    simulator.misbehave(Status(429, retry_after=text))
    assert get().headers["Retry-After"] == text


def test_status_without_a_body_has_none(get: Get, simulator: Simulator) -> None:
    simulator.misbehave(Status(204))
    assert (get().content, get().status_code) == (b"", 200)


@pytest.mark.parametrize("status", [200, 503])
def test_html_page_is_no_json(get: Get, simulator: Simulator, status: int) -> None:
    simulator.misbehave(Html(status))
    response = get()
    assert (response.status_code, response.headers["Content-Type"]) == (status, "text/html; charset=utf-8")
    assert response.text.startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_names_any_place(get: Get, simulator: Simulator, status: int) -> None:
    simulator.misbehave(Redirect("http://elsewhere.example.org/?a=b", status))
    response = get()
    assert (response.status_code, response.headers["Location"]) == (status, "http://elsewhere.example.org/?a=b")


def test_body_is_served_byte_for_byte(get: Get, simulator: Simulator) -> None:
    simulator.misbehave(Body(b"\x00\xff", "application/x-odd", 201, {"X-Odd": "yes"}))
    response = get()
    assert (response.status_code, response.content) == (201, b"\x00\xff")
    assert (response.headers["Content-Type"], response.headers["X-Odd"]) == ("application/x-odd", "yes")


def test_invalid_utf8_is_invalid(get: Get, simulator: Simulator) -> None:
    simulator.misbehave(InvalidUtf8())
    with pytest.raises(UnicodeDecodeError):
        get().content.decode()


@pytest.mark.parametrize("gzip", [True, False])
def test_huge_body_is_valid_json_of_that_size(get: Get, simulator: Simulator, gzip: bool) -> None:
    simulator.misbehave(HugeBody(8, gzip=gzip))
    response = get()
    assert response.headers.get("Content-Encoding") == ("gzip" if gzip else None)
    assert len(response.content) > 8 * 1024 * 1024
    assert json.loads(response.content)["dstack_apps"] == []


def test_delay_is_for_one_answer(get: Get, simulator: Simulator) -> None:
    simulator.misbehave(Delay(0.15))
    assert get().elapsed.total_seconds() >= 0.15
    assert get().elapsed.total_seconds() < 0.15


def test_each_malformation_changes_the_answer_of_a_version(get: Get) -> None:
    goods = [get(version=version).json() for version in ("2025-10-28", "2026-01-21")]
    alike = [fault for fault in MALFORMATIONS if all(_altered(fault, json.dumps(good)) == json.dumps(good) for good in goods)]
    assert alike == []


def _altered(fault: Alteration, good: str) -> str:
    return json.dumps(fault.alter(json.loads(good), OCCASION))


@pytest.mark.parametrize(
    ("fault", "field", "value"),
    [
        (Replace("total", "many"), "total", "many"),
        (Drift("total", by=-3), "total", 9),
        (EMPTY_PAGE, "dstack_apps", []),
    ],
)
def test_field_of_the_answer_can_lie(get: Get, simulator: Simulator, fault: Fault, field: str, value: Any) -> None:
    simulator.misbehave(fault)
    assert get().json()[field] == value


def test_field_of_the_answer_can_be_missing(get: Get, simulator: Simulator) -> None:
    simulator.misbehave(Remove("total"))
    assert set(get().json()) == {"dstack_apps", "page", "page_size", "total_pages"}


@pytest.mark.parametrize(("step", "seen"), [(1, [2, 3, 4]), (-1, [2, 1, 0]), (1000, [2, 1002, 2002])])
def test_number_can_drift_from_request_to_request(get: Get, simulator: Simulator, step: int, seen: list[int]) -> None:
    simulator.misbehave(Drift("total_pages", per_request=step), times=None)
    assert [get(page_size=10).json()["total_pages"] for dummy in seen] == seen


def test_error_is_not_altered(get: Get, simulator: Simulator) -> None:
    simulator.misbehave(Replace("", None))
    assert get(page=0).status_code == 422


def test_app_inserted_in_front_moves_the_others_up(get: Get, simulator: Simulator) -> None:
    before = list(simulator.fleet)
    simulator.misbehave(InsertFirst(), page=2)
    first, second = get(page_size=5), get(page=2, page_size=5)
    assert _ids(second)[0] == _ids(first)[-1]
    assert second.json()["total"] == len(before) + 1
    assert list(simulator.fleet[1:]) == before


def test_app_removed_in_front_moves_the_others_down(get: Get, simulator: Simulator) -> None:
    fleet = simulator.fleet
    simulator.misbehave(RemoveFirst(), page=2)
    seen = _ids(get(page_size=5)) + _ids(get(page=2, page_size=5))
    assert fleet[5].app_id not in seen
    assert simulator.fleet == fleet[1:]


def test_app_can_be_on_two_pages_while_the_total_stays(get: Get, simulator: Simulator) -> None:
    fleet = make_fleet(cvms=30)
    simulator.fleet = fleet
    simulator.misbehave(Repeat(), times=None)
    first, second = get(page_size=5), get(page=2, page_size=5)
    assert _ids(second) == [_ids(first)[-1], *(app.app_id for app in fleet[6:10])]
    assert second.json()["total"] == len(fleet)
    assert simulator.fleet == fleet


def test_order_can_change_for_one_answer(get: Get, simulator: Simulator) -> None:
    simulator.misbehave(Reverse())
    assert _ids(get()) == _ids(get())[::-1]
