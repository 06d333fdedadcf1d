# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A CVM of each shape in, core variables out. A new shape needs an example here, and then meets all that every shape must."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._apps import read_apps, refuse_unknown_shape
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import CORE_VARIABLES
from ansible_collections.phala.cloud.plugins.plugin_utils._cvms import select_cvms
from ansible_collections.phala.cloud.plugins.plugin_utils._filters import FILTERED_VARIABLES
from ansible_collections.phala.cloud.plugins.plugin_utils._shapes import (
    FLAT,
    NESTED,
    SHAPES,
    SPARSE,
    Shape,
    image_names,
    node_names,
    shape_of,
)

SHARED = {
    "id": "cvm_1",
    "vm_uuid": "u1",
    "instance_id": "i1",
    "app_id": "a1",
    "name": "web",
    "status": "running",
    "kms_type": "phala",
    "kms_id": "kms-1",
    "listed": False,
    "created_at": "2025-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
    "compose_hash": "c0ffee",
    "gateway_enabled": True,
    "in_progress": False,
}
APP = {"app_id": "a1", "name": "shop", "team_slug": "s", "team_name": "n"}
OF_ALL = {
    **{name: value for name, value in SHARED.items() if name != "id"},
    "cvm_id": "cvm_1",
    "app_name": "shop",
    "is_current": True,
    "app": APP,
}
SIZED = {"vcpu": 2, "memory": 4096, "disk_size": 40, "gpu_count": 8, "instance_type": "tdx.medium"}
PLACED = {"region": "US-WEST-1", "node": "prod7", "node_id": 7, "base_image": "dstack-dev-0.5.7", "is_dev": True}
TEAM = {"team_slug": "s", "team_name": "n"}

# Per shape a CVM with every field that a core variable is made of, and its core variables; the others are null.
EXAMPLES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nested": (
        {
            **SHARED,
            "resource": {"vcpu": 2, "memory_in_gb": 4, "disk_in_gb": 40, "gpus": 8, "instance_type": "tdx.medium"},
            "node_info": {"region": "US-WEST-1", "name": "prod7", "id": 7},
            "os": {"name": "dstack-dev-0.5.7", "version": "0.5.7", "is_dev": True, "os_image_hash": "9b6a5239a1b2"},
            "endpoints": [{"app": "https://a1-80.gw.example.org", "instance": "https://b2-80.gw.example.org"}],
            "gateway": {"base_domain": "gw.example.org:8443"},
            "workspace": {"slug": "s", "name": "n"},
        },
        {
            **OF_ALL,
            **SIZED,
            **PLACED,
            **TEAM,
            "os_version": "0.5.7",
            "app_urls": ["https://a1-80.gw.example.org"],
            "instance_urls": ["https://b2-80.gw.example.org"],
            "gateway_domain": "gw.example.org:8443",
        },
    ),
    "flat": (
        {
            **SHARED,
            "region_identifier": "US-WEST-1",
            "teepod_name": "prod7",
            "teepod_id": 7,
            "base_image": "dstack-dev-0.5.7",
            "vcpu": 2,
            "memory": 4096,
            "disk_size": 40,
            "machine_info": {"gpu_count": 8},
            "instance_type": "tdx.medium",
            "kms_slug": "kms-prod7",
        },
        {**OF_ALL, **SIZED, **PLACED, **TEAM, "kms_slug": "kms-prod7"},
    ),
    "sparse": (SHARED, {**OF_ALL, **TEAM}),
}
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)


def read(raw: dict[str, Any], app: dict[str, Any] | None = None) -> dict[str, Any]:
    return dict(shape_of(raw).read(raw, app or APP, True))


@every_shape
def test_cvm_of_each_shape_has_every_core_variable(shape: Shape) -> None:
    raw, core = EXAMPLES[shape.name]
    assert shape_of(raw) is shape
    assert tuple(read(raw)) == CORE_VARIABLES
    assert read(raw) == {**dict.fromkeys(CORE_VARIABLES), **core}


@every_shape
def test_cvm_of_each_shape_is_selected_by_its_status(shape: Shape) -> None:
    app = {**APP, "cvms": [EXAMPLES[shape.name][0]]}
    (shown,), forms = read_apps([app], account="")
    refuse_unknown_shape(forms, "https://phala.example.org")
    cvms, _left_out = select_cvms([{"status": ("running",)}], [], [[shown]])
    assert [cvm.core["name"] for cvm in cvms] == ["web"]


@every_shape
def test_each_shape_hides_just_the_filters_whose_value_it_does_not_have(shape: Shape) -> None:
    raw, core = EXAMPLES[shape.name]
    assert shape.hidden(raw) == shape.lacks == {name for name in FILTERED_VARIABLES if core.get(name) is None}
    assert shape.paths.keys() == set(FILTERED_VARIABLES)
    assert set(filter(None, node_names(raw))) == ({"prod7"} if "node" in core else set())
    assert image_names(raw)[0] == core.get("base_image")


@pytest.mark.parametrize(
    ("raw", "hidden"),
    [
        ({"resource": {"instance_type": None}}, {"node", "region", "base_image"}),
        ({"resource": {}, "node_info": None, "os": {"name": "x"}}, {"instance_type"}),
        ({"resource": None, "node_info": {"name": None}, "os": "x", "kms_slug": None}, {"region"}),
    ],
)
def test_field_is_hidden_if_the_cvm_does_not_have_it_and_null_is_a_value(raw: dict[str, Any], hidden: set[str]) -> None:
    shared = dict.fromkeys(("kms_type", "listed", "status"))
    assert NESTED.hidden({**shared, **raw}) - {"kms_slug"} == hidden
    assert ("kms_slug" in NESTED.hidden({**shared, **raw})) is ("kms_slug" not in raw)


@pytest.mark.parametrize(
    ("raw", "names"),
    [
        ({"os": {"name": "dstack-0.5.7", "os_image_hash": "9b6a5239a1b2"}}, ("dstack-0.5.7", "dstack-0.5.7-9b6a5239")),
        ({"os": {"name": "dstack-0.5.7", "os_image_hash": None}}, ("dstack-0.5.7",)),
        ({"os": {"os_image_hash": "9b6a5239a1b2"}}, (None,)),
        ({"base_image": "dstack-0.5.7"}, ("dstack-0.5.7",)),
    ],
)
def test_image_has_a_name_and_a_slug(raw: dict[str, Any], names: tuple[Any, ...]) -> None:
    assert image_names(raw) == names


def test_names_of_another_shape_are_known_beside_its_own() -> None:
    nested = {"resource": {}, "node_info": {"name": "prod7"}, "teepod_name": "teepod-1", "base_image": "dstack"}
    assert (node_names(nested), image_names(nested)) == (("prod7", "teepod-1"), ("dstack",))


def test_shapes_are_told_apart_by_fields_that_no_other_shape_has() -> None:
    fields = [shape.fields for shape in SHAPES]
    assert len(frozenset().union(*fields)) == sum(map(len, fields))
    assert SHAPES[-1] is SPARSE  # it fits every CVM


@pytest.mark.parametrize("shape", [NESTED, FLAT], ids=lambda shape: shape.name)
def test_one_field_shows_the_shape_whatever_its_value(shape: Shape) -> None:
    for field in shape.fields:
        assert shape_of({"vm_uuid": "u1", field: None}) is shape


def test_cvm_with_fields_of_both_shapes_is_nested() -> None:
    assert shape_of({"teepod_id": 7, "resource": {}}) is NESTED


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        ({"node_info": {"id": 0}}, {"node_id": 0}),
        ({"memory": 1, "machine_info": {"gpu_count": 0}}, {"gpu_count": 0}),
        ({"resource": {"memory_in_gb": 0.5}}, {"memory": 512}),
        ({"resource": {"memory_in_gb": 0.1}}, {"memory": 102.4}),
        ({"resource": {"memory_in_gb": 0}}, {"memory": 0}),
        ({"resource": {"memory_in_gb": "4"}}, {"memory": None}),
        ({"resource": {"memory_in_gb": True}}, {"memory": None}),
        ({"resource": {"memory_in_gb": float("inf")}}, {"memory": None}),
        ({"memory": 1, "base_image": "dstack-dev-0.5.7-9b6a5239"}, {"is_dev": True}),
        ({"memory": 1, "base_image": "dstack-0.5.7"}, {"is_dev": False}),
        ({"memory": 1, "base_image": "dstack-development-1"}, {"is_dev": False}),
        ({"memory": 1, "base_image": None}, {"base_image": None, "is_dev": None}),
        ({"os": {"name": "dstack-0.5.7", "is_dev": True}}, {"is_dev": True}),
        ({"os": {"name": "dstack-dev-0.5.7", "is_dev": False}}, {"is_dev": False}),
        ({"os": {"name": "dstack-dev-0.5.7", "is_dev": None}}, {"is_dev": True}),
        ({"resource": 1, "gateway": [], "os": "x", "node_info": 2, "workspace": "y"}, {"node": None, "memory": None}),
        ({"resource": {}, "app_id": None}, {"app_id": "a1"}),
        ({"memory": 1, "app_id": ""}, {"app_id": "a1"}),
        ({"id": 0}, {"cvm_id": None}),
        ({"id": 123}, {"cvm_id": 123}),
        ({"in_progress": False, "progress": {"target": "running"}}, {"in_progress": True}),
        ({"in_progress": True, "progress": None}, {"in_progress": True}),
        ({"in_progress": "x", "progress": {"target": None}}, {"in_progress": None}),
        ({"endpoints": None}, {"app_urls": None, "instance_urls": None, "instance_id": None}),
        ({"endpoints": [{"app": "https://a-1.b"}, 7, {"instance": 7}]}, {"app_urls": ["https://a-1.b"], "instance_urls": []}),
        ({"endpoints": [{"instance": "https://1C-8080.gw.org"}]}, {"instance_id": "1c"}),
        ({"endpoints": [{"instance": "https://x-80.gw"}, {"instance": "https://2c-443s.gw"}]}, {"instance_id": "2c"}),
        ({"endpoints": [{"instance": "https://1c-80.gw"}], "instance_id": "9f"}, {"instance_id": "9f"}),
        ({"endpoints": [{"app": "https://1c-80.gw", "instance": "https://1c-80.gw"}]}, {"instance_id": None}),
    ],
    ids=str,
)
def test_value_is_read(raw: dict[str, Any], values: dict[str, Any]) -> None:
    core = read(raw)
    assert {name: core[name] for name in values} == values
