# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Simulator
from ansible_collections.phala.cloud.tests.simulator.faults import Body, Replace, Status
from ansible_collections.phala.cloud.tests.simulator.selection import Filters

from .conftest import Get

WEB = App(
    name="web",
    cvms=(
        Cvm(name="web-1", region="US-WEST-1", node="prod7", physical_node="metal-7", status="running"),
        Cvm(name="web-2", region="EU-WEST-1", node="prod12", status="stopped", base_image="dstack-dev-0.5.7-9b6a5239"),
    ),
)
DB = App(
    name="db",
    cvms=(Cvm(name="db-1", region="EU-WEST-1", node="prod12", kms_type="base", listed=True, instance_type="tdx.large"),),
)
GONE = App(name="gone", cvms=(Cvm(name="gone-1", region="ASIA-1", deleted_at="2026-03-01T00:00:00Z"),))
HIDDEN = App(app_id="f" * 40, minimal=True)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(fleet=(WEB, DB, GONE, HIDDEN)) as running:
        yield running


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, [WEB, DB, GONE, HIDDEN]),
        ({"status": "stopped"}, [WEB]),
        ({"status": ["stopped", "running"]}, [WEB, DB]),
        ({"status": "STOPPED"}, []),
        ({"region": "EU-WEST-1"}, [WEB, DB]),
        ({"region": "EU-WEST"}, []),
        ({"region": "ASIA-1"}, []),
        ({"region": ""}, [WEB, DB, GONE, HIDDEN]),
        ({"node": "prod7"}, [WEB]),
        ({"node": "metal-7"}, [WEB]),
        ({"node": "metal"}, []),
        ({"base_image": "dev"}, [WEB]),
        ({"base_image": "dstack-0.5.7"}, [WEB, DB]),
        ({"base_image": DB.cvms[0].image_slug}, [WEB, DB]),
        ({"base_image": "dstack-0.5.7-00000000"}, []),
        ({"instance_type": "tdx.large"}, [DB]),
        ({"kms_type": "base"}, [DB]),
        ({"kms_slug": "kms-base-prod12"}, [DB]),
        ({"listed": "true"}, [DB]),
        ({"listed": "false"}, [WEB]),
        ({"search": "WEB"}, [WEB]),
        ({"search": "b-1"}, [WEB, DB]),
        ({"search": DB.app_id[5:20]}, [DB]),
        ({"search": WEB.cvms[1].vm_uuid}, [WEB]),
        ({"search": str(WEB.cvms[1].instance_id).upper()}, [WEB]),
        ({"search": "ffffffffff"}, [HIDDEN]),
        ({"search": "gone"}, [GONE]),
        ({"search": "gone", "status": "running"}, []),
        ({"region": "US-WEST-1", "status": "stopped"}, []),
        ({"region": "EU-WEST-1", "status": "stopped"}, [WEB]),
        ({"region": "EU-WEST-1", "search": "web-1"}, []),
    ],
)
def test_filters_choose_apps_of_which_one_cvm_meets_all_of_them(get: Get, query: dict[str, Any], found: list[App]) -> None:
    answer = get(**query).json()
    assert [app["app_id"] for app in answer["dstack_apps"]] == [app.app_id for app in found]
    assert answer["total"] == len(found)


def test_chosen_app_comes_with_all_its_cvms(get: Get) -> None:
    (app,) = get(status="stopped").json()["dstack_apps"]
    assert [cvm["name"] for cvm in app["cvms"]] == ["web-1", "web-2"]


def test_new_fleet_is_filtered_anew(get: Get, simulator: Simulator) -> None:
    get(region="EU-WEST-1")
    simulator.fleet = (DB,)
    assert get(region="EU-WEST-1").json()["total"] == 1


@pytest.mark.parametrize(
    "query",
    [
        {"status": "STOPPED"},
        {"region": "us-west-1"},
        {"node": "METAL-7"},
        {"base_image": "Dstack-Dev"},
        {"instance_type": "TDX.Small", "region": "us-west-1"},
        {"kms_slug": "KMS-phala-prod7"},
        {"kms_type": "PHALA"},
    ],
    ids=str,
)
def test_letter_case_counts_unless_the_service_ignores_it(get: Get, simulator: Simulator, query: dict[str, Any]) -> None:
    assert get(**query).json()["total"] == 0
    simulator.case_sensitive = False
    assert [app["name"] for app in get(**query).json()["dstack_apps"]] == ["web"]


def test_service_can_ignore_some_filters_or_all(get: Get, simulator: Simulator) -> None:
    simulator.ignored_filters = {"region"}
    assert get(region="EU-WEST-1").json()["total"] == 4
    assert get(region="US-WEST-1", status="stopped", kms_type="base").json()["total"] == 0
    simulator.ignored_filters = Filters.model_fields
    assert get(region="nowhere", status="odd", search="nothing", listed="true").json()["total"] == 4


def test_filter_options_are_the_distinct_values(get: Get) -> None:
    assert get(path="/apps/filter-options").json() == {
        "statuses": ["running", "stopped"],
        "image_versions": ["dstack-0.5.7", "dstack-dev-0.5.7-9b6a5239"],
        "instance_types": ["tdx.large", "tdx.small"],
        "kms_slugs": ["kms-base-prod12", "kms-phala-prod12", "kms-phala-prod7"],
        "kms_types": ["base", "phala"],
        "regions": ["EU-WEST-1", "US-WEST-1"],
        "nodes": ["metal-7", "prod12", "prod7"],
    }


def test_filter_options_fail_and_lie_on_their_own(get: Get, simulator: Simulator) -> None:
    simulator.misbehave(Status(500), Replace("regions", {"EU": 1}), Body(b"[]"), path="/apps/filter-options")
    assert get().status_code == 200
    assert get(path="/apps/filter-options").status_code == 500
    assert get(path="/apps/filter-options").json()["regions"] == {"EU": 1}
    assert get(path="/apps/filter-options").json() == []
    assert get(path="/apps/filter-options").json()["regions"] == ["EU-WEST-1", "US-WEST-1"]
