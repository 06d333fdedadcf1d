# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The group of all CVMs and those of group_by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.phala.cloud.tests.loading import Loaded
from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Simulator

from .fleets import FLEET, NAMES, one_cvm

FLAT_VERSION = "2025-10-28"


@pytest.fixture(autouse=True)
def fleet(simulator: Simulator) -> None:
    simulator.fleet = FLEET


def test_cvms_are_grouped_by_region_node_image_and_status(inventory: Callable[..., Loaded]) -> None:
    loaded = inventory()
    dimensions = {
        "region_US_WEST_1": ["web-1", "web-2"],
        "region_US_EAST_1": ["api-1", "db"],
        "region_EU_WEST_1": ["api-2", "web-3"],
        "node_prod5": ["web-2"],
        "node_prod7": ["web-1"],
        "node_prod9": ["api-1", "db"],
        "node_prod12": ["api-2", "web-3"],
        "base_image_dstack_0_5_5": ["api-2"],
        "base_image_dstack_0_5_7": ["api-1", "db", "web-1", "web-2"],
        "base_image_dstack_dev_0_5_7_9b6a5239": ["web-3"],
        "status_running": ["api-1", "api-2", "web-1", "web-3"],
        "status_stopped": ["web-2"],
        "status_exited": ["db"],
    }
    assert loaded.groups == {"phala": NAMES, **dimensions}
    assert loaded.children == {"phala": sorted(dimensions)}
    assert loaded.warnings == []


@pytest.mark.parametrize("version", [FLAT_VERSION, "2026-01-21"])
@pytest.mark.parametrize(
    ("dimension", "groups"),
    [
        (
            "region",
            {"region_US_WEST_1": ["web-1", "web-2"], "region_US_EAST_1": ["api-1", "db"], "region_EU_WEST_1": ["api-2", "web-3"]},
        ),
        (
            "node",
            {"node_prod5": ["web-2"], "node_prod7": ["web-1"], "node_prod9": ["api-1", "db"], "node_prod12": ["api-2", "web-3"]},
        ),
        (
            "status",
            {"status_running": ["api-1", "api-2", "web-1", "web-3"], "status_stopped": ["web-2"], "status_exited": ["db"]},
        ),
        ("app", {"app_web": ["web-1", "web-2", "web-3"], "app_api": ["api-1", "api-2"], "app_db": ["db"]}),
        (
            "instance_type",
            {
                "instance_type_tdx_small": ["api-1", "api-2", "web-1", "web-3"],
                "instance_type_tdx_large": ["web-2"],
                "instance_type_tdx_xlarge": ["db"],
            },
        ),
        ("kms_type", {"kms_type_base": ["api-1", "api-2"], "kms_type_phala": ["db", "web-1", "web-2", "web-3"]}),
        ("team", {"team_example_team": ["web-1", "web-2", "web-3"], "team_research": ["api-1", "api-2"], "team_No_slug": ["db"]}),
        ("listed", {"listed_true": ["api-1", "web-2"], "listed_false": ["api-2", "db", "web-1", "web-3"]}),
        ("os_type", {"os_type_dev": ["web-3"], "os_type_prod": ["api-1", "api-2", "db", "web-1", "web-2"]}),
    ],
)
def test_dimension_of_group_by(
    version: str, dimension: str, groups: dict[str, list[str]], inventory: Callable[..., Loaded]
) -> None:
    assert inventory({"group_by": [dimension], "api_version": version}).groups == {"phala": NAMES, **groups}


@pytest.mark.parametrize(
    ("version", "groups"),
    [
        (FLAT_VERSION, ["kms_slug_kms_base_prod12", "kms_slug_kms_base_prod9"]),
        ("2026-01-21", []),  # a shape that does not show the slug
    ],
)
def test_kms_slug_is_a_dimension_where_the_shape_shows_it(
    version: str, groups: list[str], inventory: Callable[..., Loaded]
) -> None:
    options = {"group_by": ["kms_slug"], "api_version": version, "filters": {"search": "api"}}
    assert sorted(inventory(options).groups) == sorted(["phala", *groups])


def test_group_by_nothing_leaves_the_group_of_all(inventory: Callable[..., Loaded]) -> None:
    assert inventory({"group_by": []}).groups == {"phala": NAMES}


def test_group_and_group_prefix(inventory: Callable[..., Loaded]) -> None:
    loaded = inventory({"group": "cvms", "group_prefix": "cloud_", "group_by": ["status"]})
    assert loaded.children == {"cvms": ["cloud_status_exited", "cloud_status_running", "cloud_status_stopped"]}
    assert set(loaded.groups) == {"cvms", *loaded.children["cvms"]}
    assert list(loaded.group_variables) == ["cvms_gateway"]


def test_prefix_is_made_safe_like_the_rest_of_the_name(inventory: Callable[..., Loaded]) -> None:
    loaded = inventory({"group_prefix": "my-cloud.", "group_by": ["os_type"]})
    assert loaded.children == {"phala": ["my_cloud_os_type_dev", "my_cloud_os_type_prod"]}


def test_group_of_all_that_is_one_of_group_by_is_refused_however_it_is_written(refusal: Callable[..., str]) -> None:
    reason = refusal({"group_prefix": "my-cloud.", "group": "my_cloud_os_type_dev", "group_by": ["os_type"]})
    assert "'my_cloud_os_type_dev'" in reason
    assert "group_prefix" in reason


def test_cvm_without_a_value_is_in_no_group_of_the_dimension(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = (
        App(
            name="",
            cvms=(Cvm(name="bare", status="", region=None, node=None, base_image=None, instance_type=None, kms_type=None),),
            team_slug=None,
            team_name=None,
        ),
    )
    dimensions = ["region", "node", "base_image", "status", "app", "instance_type", "kms_type", "kms_slug", "team", "os_type"]
    for version in (FLAT_VERSION, "2026-01-21"):
        assert inventory({"group_by": dimensions, "api_version": version}).groups == {"phala": ["bare"]}


def test_values_of_one_identifier_share_the_group_with_a_warning(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = (
        App(
            name="app",
            cvms=tuple(
                Cvm(name=f"cvm-{number}", region=region, node=f"node-{number}")
                for number, region in enumerate(["US-WEST-1", "US.WEST.1", "US_WEST_1", "EU", "\N{SNOWMAN}", "\N{CLOUD}"])
            ),
        ),
    )
    loaded = inventory({"group_by": ["region", "node"]})
    assert loaded.groups["region_US_WEST_1"] == ["cvm-0", "cvm-1", "cvm-2"]
    assert loaded.groups["region__"] == ["cvm-4", "cvm-5"]
    (warning,) = loaded.warnings
    for text in ("region_US_WEST_1", "'US-WEST-1'", "'US.WEST.1'", "'US_WEST_1'", "region__"):
        assert text in warning
    assert "EU" not in warning
    assert "node" not in warning


@pytest.mark.parametrize(
    ("value", "group"),
    [
        ("{{ 7 * 7 }}", "region____7___7___"),
        ("a b\n", "region_a_b_"),
        ("caf\N{LATIN SMALL LETTER E WITH ACUTE}", "region_caf\N{LATIN SMALL LETTER E WITH ACUTE}"),
        ("x" * 300, f"region_{'x' * 300}"),
    ],
)
def test_group_name_is_safe_whatever_the_value(
    value: str, group: str, simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = one_cvm(region=value)
    assert set(inventory({"group_by": ["region"]}).groups) == {"phala", group}


@pytest.mark.parametrize("by", ["region", "status"])
def test_group_vars_of_the_group_of_all_are_defaults_for_those_of_its_children(
    by: str, simulator: Simulator, write: Callable[..., Any], inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = one_cvm()
    folder = write().parent / "group_vars"
    folder.mkdir()
    (folder / "phala.yml").write_text("who: phala\nansible_user: admin\n")
    (folder / {"region": "region_US_WEST_1.yml", "status": "status_running.yml"}[by]).write_text("who: child\n")
    seen = inventory({"group_by": [by]}).seen_in_plays()["solo"]
    assert (seen["who"], seen["ansible_user"]) == ("child", "admin")


def test_empty_account_is_an_empty_group(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = ()
    loaded = inventory()
    assert (loaded.hosts, loaded.groups) == ({}, {"phala": []})
