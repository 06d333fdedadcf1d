# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
import requests

from ansible_collections.phala.cloud.tests.simulator import make_fleet


@pytest.fixture
def control(simulator):
    def ask(method: str, path: str, body: Any = None) -> requests.Response:
        return requests.request(method, f"{simulator.origin}/_simulator/{path}", json=body, timeout=5)

    return ask


def test_requests_are_shown_and_cleared(control, get) -> None:
    get(page=2)
    (shown,) = control("GET", "requests").json()
    assert (shown["method"], shown["path"], shown["query"]) == ("GET", "/api/v1/apps", [["page", "2"]])
    assert control("DELETE", "requests").status_code == 204
    assert control("GET", "requests").json() == []


def test_faults_are_replaced(control, get) -> None:
    control("PUT", "faults", [{"fault": "Status", "status": 503, "times": None}])
    faults = [
        {"fault": "Status", "status": 429, "retry_after": "7"},
        {"fault": "Body", "content": "[]", "content_type": "text/plain", "page": 2},
        {"fault": "Replace", "path": "total", "value": "x"},
    ]
    assert control("PUT", "faults", faults).status_code == 204
    assert get().headers["Retry-After"] == "7"
    assert get(page=2).text == "[]"
    assert get().json()["total"] == "x"
    assert get().json()["total"] == 12


def test_empty_list_of_faults_forgives(control, get) -> None:
    control("PUT", "faults", [{"fault": "Status", "status": 503, "times": None}])
    control("PUT", "faults", [])
    assert get().status_code == 200


@pytest.mark.parametrize("fault", [{}, {"fault": "Nonsense"}, {"fault": "Status", "colour": "red"}, {"fault": "Status"}])
def test_fault_that_does_not_exist_is_refused(control, fault: dict[str, Any]) -> None:
    assert control("PUT", "faults", [fault]).status_code == 422


def test_fleet_is_made_anew(control, simulator) -> None:
    assert control("PUT", "fleet", {"seed": 3, "cvms": 5}).status_code == 204
    assert simulator.fleet == make_fleet(3, 5)


def test_control_is_neither_recorded_nor_disturbed(control, simulator) -> None:
    control("PUT", "faults", [{"fault": "Reset", "times": None}])
    assert control("GET", "requests").json() == []
    assert simulator.requests == []
