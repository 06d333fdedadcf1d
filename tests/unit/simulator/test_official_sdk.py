# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The official SDK accepts the responses of the stand-in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_collections.phala.cloud.tests.simulator import Simulator, make_fleet
from ansible_collections.phala.cloud.tests.unit.simulator.unusual import UNUSUAL

from .conftest import Get

models = pytest.importorskip("phala_cloud.models.apps", reason="the official SDK, phala-cloud, is not installed")

LISTS = {
    "2026-01-21": models.DstackAppListResponseV20260121,
    "2026-05-22": models.DstackAppListResponseV20260522,
    "2026-06-23": models.DstackAppListResponseV20260522,
}


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(fleet=(*make_fleet(cvms=500), *UNUSUAL)) as running:
        yield running


@pytest.mark.parametrize("version", LISTS)
def test_sdk_reads_every_app(get: Get, simulator: Simulator, version: str) -> None:
    """Minimal apps are left out: the published description has them, the SDK's models do not."""
    listed = []
    for page in range(1, len(simulator.fleet) // 100 + 2):
        answer = get(version=version, page=page, page_size=100).json()
        answer["dstack_apps"] = [app for app in answer["dstack_apps"] if app["id"] is not None]
        listed += LISTS[version].model_validate(answer).dstack_apps
    apps = [app for app in simulator.fleet if not app.minimal]
    assert [app.app_id for app in listed] == [app.app_id for app in apps]
    assert [[cvm.id for cvm in app.cvms] for app in listed] == [[cvm.id for cvm in app.cvms] for app in apps]


@pytest.mark.parametrize("version", ["2025-10-28", *LISTS])
def test_sdks_client_lists_apps(simulator: Simulator, version: str) -> None:
    sdk = pytest.importorskip("phala_cloud", reason="the official SDK, phala-cloud, is not installed whole")
    client = sdk.create_client(api_key=simulator.api_key, base_url=simulator.url, version=version)
    simulator.clear()
    listed = client.get_app_list({"page": 1, "page_size": 100, "status": ["running", "stopped"]})
    (request,) = simulator.requests
    assert request.values("status") == ["running", "stopped"]
    assert request.headers["x-phala-version"] == version
    assert len(listed.dstack_apps) == 100
