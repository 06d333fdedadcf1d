# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from ansible_collections.phala.cloud.tests.simulator import FLAT, NESTED, NUMBERED, SPARSE, App, Cvm, make_fleet, render
from ansible_collections.phala.cloud.tests.simulator.shapes import FlatPage, NestedPage, ShapeName, render_bytes, shape_of
from ansible_collections.phala.cloud.tests.simulator.shapes.flat import FlatApp, FlatCvm
from ansible_collections.phala.cloud.tests.simulator.shapes.nested import NestedApp, NestedCvm
from ansible_collections.phala.cloud.tests.simulator.shapes.shared import MinimalApp
from ansible_collections.phala.cloud.tests.unit.simulator.unusual import UNUSUAL

FLEET = make_fleet(seed=7, cvms=500)
NUMBERS = {"page": 1, "page_size": 100, "total": 1, "total_pages": 1}


def _full_apps(shape: ShapeName) -> list[dict[str, Any]]:
    return [render(app, shape) for app in FLEET if not app.minimal]


def _cvms(app: dict[str, Any]) -> list[dict[str, Any]]:
    current = [app["current_cvm"]] if app["current_cvm"] else []
    return [*current, *(cvm for cvm in app["cvms"] if cvm not in current)]


@pytest.mark.parametrize(
    ("version", "shape"),
    [
        ("2025-05-31", FLAT),
        ("2025-10-28", FLAT),
        ("2026-01-21", NUMBERED),
        ("2026-05-22", NESTED),
        ("2026-06-23", NESTED),
        ("LATEST", NESTED),
    ],
)
def test_version_chooses_the_shape(version: str, shape: ShapeName) -> None:
    assert shape_of(version) == shape


@pytest.mark.parametrize("number", [0, 123])
def test_number_of_a_cvm_is_its_id_in_2026_01_21_only(number: int) -> None:
    app = App(name="web", cvms=(Cvm(name="web-1", number=number),))
    assert render(app, NUMBERED)["cvms"][0]["id"] == number
    assert render(app, NESTED)["cvms"][0]["id"] == app.cvms[0].id


def test_cvm_without_a_number_has_the_hashed_id_in_every_nested_version() -> None:
    assert [render(app, NUMBERED) for app in FLEET] == [render(app, NESTED) for app in FLEET]


@pytest.mark.parametrize(("shape", "page"), [(FLAT, FlatPage), (NESTED, NestedPage)])
def test_whole_fleet_is_what_the_published_description_demands(shape: ShapeName, page: type[BaseModel]) -> None:
    page.model_validate({"dstack_apps": [render(app, shape) for app in (*FLEET, *UNUSUAL)], **NUMBERS})


@pytest.mark.parametrize(("shape", "app_model", "cvm_model"), [(FLAT, FlatApp, FlatCvm), (NESTED, NestedApp, NestedCvm)])
def test_every_field_of_the_description_is_shown(
    shape: ShapeName, app_model: type[BaseModel], cvm_model: type[BaseModel]
) -> None:
    apps = _full_apps(shape)
    assert {frozenset(app) for app in apps} == {frozenset(app_model.model_fields)}
    shown = {field for app in apps for cvm in _cvms(app) for field in cvm}
    assert shown == set(cvm_model.model_fields)


@pytest.mark.parametrize(("shape", "model"), [(FLAT, FlatCvm), (NESTED, NestedCvm)])
@pytest.mark.parametrize("value", [None, 12, "text", [], {}])
def test_models_refuse_what_the_description_forbids(shape: ShapeName, model: type[BaseModel], value: Any) -> None:
    cvm = _cvms(_full_apps(shape)[0])[0]
    model.model_validate(cvm)
    with pytest.raises(ValidationError):
        model.model_validate({**cvm, "status": value} if value != "text" else {**cvm, "machine_info": value, "resource": value})


def test_minimal_app_shows_its_id_alone_in_both_shapes() -> None:
    app = App(app_id="a" * 40, minimal=True)
    expected = {**dict.fromkeys(MinimalApp.model_fields), "app_id": "a" * 40}
    assert render(app, FLAT) == render(app, NESTED) == expected


def test_both_shapes_show_the_same_fleet() -> None:
    for flat_app, nested_app in zip(_full_apps(FLAT), _full_apps(NESTED), strict=True):
        live = [cvm for cvm in _cvms(nested_app) if cvm["deleted_at"] is None]
        assert [_flat_facts(cvm) for cvm in _cvms(flat_app)] == [_nested_facts(cvm) for cvm in live]
        assert flat_app["team_name"] in {None, *(cvm["workspace"]["name"] for cvm in live if cvm["workspace"])} or not live


def _flat_facts(cvm: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": cvm["name"],
        "ids": (cvm["app_id"], cvm["vm_uuid"], cvm["instance_id"]),
        "status": cvm["status"],
        "place": (cvm["region_identifier"], cvm["teepod_name"], cvm["teepod_id"]),
        "machine": (cvm["instance_type"], cvm["vcpu"], cvm["memory"], cvm["disk_size"]),
        "gpus": cvm["machine_info"] and cvm["machine_info"]["gpu_count"],
        "image": cvm["base_image"],
        "kms_type": cvm["kms_type"],
        "listed": cvm["listed"],
    }


def _nested_facts(cvm: dict[str, Any]) -> dict[str, Any]:
    node = cvm["node_info"] or {"region": None, "name": "", "id": 0}
    resource = cvm["resource"]
    memory = resource["memory_in_gb"] * 1024
    return {
        "name": cvm["name"],
        "ids": (cvm["app_id"], cvm["vm_uuid"], cvm["instance_id"]),
        "status": cvm["status"],
        "place": (node["region"], node["name"], node["id"]),
        "machine": (resource["instance_type"], resource["vcpu"], memory, resource["disk_in_gb"]),
        "gpus": resource["gpus"],
        "image": cvm["os"] and cvm["os"]["name"],
        "kms_type": cvm["kms_type"],
        "listed": cvm.get("listed"),
    }


def test_flat_shape_leaves_deleted_cvms_out_and_the_nested_one_dates_them() -> None:
    app = App(name="web", cvms=(Cvm(name="old", deleted_at="2026-03-01T00:00:00Z"), Cvm(name="new")))
    assert [cvm["name"] for cvm in render(app, FLAT)["cvms"]] == ["new"]
    assert render(app, FLAT)["current_cvm"] is None
    assert [cvm["deleted_at"] for cvm in render(app, NESTED)["cvms"]] == ["2026-03-01T00:00:00Z", None]


@pytest.mark.parametrize("shape", [FLAT, NESTED])
def test_fields_of_tomorrow_come_along(shape: ShapeName) -> None:
    app = App(name="web", extra={"colour": "red"}, cvms=(Cvm(name="web-1", extra={"moon": {"phase": 1}}),))
    shown = render(app, shape)
    assert shown["colour"] == "red"
    assert shown["cvms"][0]["moon"] == {"phase": 1}


@pytest.mark.parametrize("shape", [FLAT, NESTED])
def test_extra_replaces_a_field_with_any_value(shape: ShapeName) -> None:
    app = App(name="web", extra={"name": 7}, cvms=(Cvm(name="web-1", extra={"status": ["odd"], "vm_uuid": 3}),))
    shown = render(app, shape)
    assert (shown["name"], shown["cvms"][0]["status"], shown["cvms"][0]["vm_uuid"]) == (7, ["odd"], 3)
    assert json.loads(render_bytes(app, shape)) == shown


def test_current_cvm_may_differ_from_the_same_entry_in_cvms() -> None:
    app = App(name="web", cvms=(Cvm(name="web-1"),), current_cvm=Cvm(name="web-1", status="stopped", region="EU-WEST-1"))
    for shape in (FLAT, NESTED):
        shown = render(app, shape)
        assert shown["current_cvm"]["vm_uuid"] == shown["cvms"][0]["vm_uuid"]
        assert (shown["current_cvm"]["status"], shown["cvms"][0]["status"]) == ("stopped", "running")
    assert app.live_cvms == app.cvms


def test_hidden_instance_id_is_in_the_endpoints() -> None:
    app = App(name="web", cvms=(Cvm(name="web-1", shows_instance_id=False),))
    (cvm,) = render(app, NESTED)["cvms"]
    assert cvm["instance_id"] is None
    assert cvm["endpoints"][0]["instance"].startswith(f"https://{app.cvms[0].instance_id}-8080.")
    assert render(app, FLAT)["cvms"][0]["instance_id"] is None


def test_endpoints_have_bare_ids() -> None:
    app = App(name="web", app_id="0xAB" + "0" * 38, cvms=(Cvm(name="web-1", instance_id="app_" + "1" * 40),))
    (cvm,) = render(app, NESTED)["cvms"]
    assert (cvm["app_id"], cvm["instance_id"]) == ("0xAB" + "0" * 38, "app_" + "1" * 40)
    assert [url.split("-")[0] for url in cvm["endpoints"][0].values()] == ["https://ab" + "0" * 38, "https://" + "1" * 40]


def test_disabled_gateway_has_a_domain_and_no_endpoints() -> None:
    (cvm,) = render(App(name="web", cvms=(Cvm(name="web-1", gateway_enabled=False),)))["cvms"]
    assert (cvm["gateway_enabled"], cvm["endpoints"]) == (False, None)
    assert cvm["gateway"]["base_domain"]


def test_cvm_without_an_identifier() -> None:
    app = App(name="web", cvms=(Cvm(name="web-1", id=None, vm_uuid=None, instance_id=None),))
    (cvm,) = render(app)["cvms"]
    assert (cvm["id"], cvm["vm_uuid"], cvm["instance_id"], cvm["endpoints"]) == (None, None, None, None)


def test_sparse_shape_has_the_shared_fields_only() -> None:
    for app in _full_apps(SPARSE):
        for cvm in _cvms(app):
            assert cvm.keys() <= {"vm_uuid", "app_id", "name", "status", "kms_type", "listed", "instance_id"}
            assert cvm.keys() >= {"vm_uuid", "app_id", "name", "status"}
