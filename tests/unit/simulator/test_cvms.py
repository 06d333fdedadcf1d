# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Simulator, live_cvms

from .conftest import Get

WEB = App(name="web", cvms=(Cvm(name="web-1"), Cvm(name="web-2")))

Call = Callable[..., requests.Response]


@pytest.fixture
def call(simulator: Simulator) -> Call:
    def call(method: str, path: str, **options: Any) -> requests.Response:
        headers = {"X-API-Key": simulator.api_key}
        return requests.request(method, simulator.url + path, headers=headers, timeout=5, **options)

    return call


def test_statuses_of_several_cvms(call: Call, simulator: Simulator) -> None:
    cvms = [cvm for dummy, cvm in live_cvms(simulator.fleet) if cvm.vm_uuid][:2]
    answer = call("POST", "/status/batch", json={"vm_uuids": [*(cvm.vm_uuid for cvm in cvms), "unknown"]}).json()
    assert {uuid: shown["status"] for uuid, shown in answer.items()} == {cvm.vm_uuid: cvm.status for cvm in cvms}


def test_cvm_is_found_by_each_of_its_names(call: Call, simulator: Simulator, get: Get) -> None:
    simulator.fleet = (WEB,)
    cvm = WEB.cvms[1]
    (app,) = get().json()["dstack_apps"]
    for name in (cvm.id, cvm.vm_uuid, str(cvm.vm_uuid).replace("-", "")):
        assert call("GET", f"/cvms/{name}").json() == app["cvms"][1]
    assert call("GET", "/cvms/unknown").status_code == 404


def test_status_lags_after_a_restart(call: Call, simulator: Simulator, get: Get) -> None:
    simulator.fleet = (WEB,)
    simulator.status_lag, simulator.seconds_to_start = 0.2, 0.2
    path = f"/cvms/{WEB.cvms[0].vm_uuid}"
    assert call("POST", f"{path}/restart", json={"force": False}).status_code == 202
    seen: list[tuple[str, bool]] = []
    end = time.monotonic() + 0.6
    while time.monotonic() < end:
        shown = call("GET", path).json()
        state = (shown["status"], shown["in_progress"])
        seen += [state] if state not in seen[-1:] else []
        time.sleep(0.02)
    assert seen == [("running", False), ("starting", True), ("running", False)]
    assert [cvm["status"] for cvm in get().json()["dstack_apps"][0]["cvms"]] == ["running", "running"]
