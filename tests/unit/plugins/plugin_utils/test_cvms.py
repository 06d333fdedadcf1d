# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Apps in, records out. What filters choose is tested with the service, where it can be seen what it was asked."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.phala.cloud.plugins.plugin_utils.cvms import (
    CORE_VARIABLES,
    IDENTIFIERS,
    Cvm,
    UndecidableError,
    app_fault,
    condensed,
    dimension_value,
    select_cvms,
)

FLAT = {"vm_uuid": "u1", "app_id": "a1", "name": "web", "status": "running", "teepod_id": 7, "teepod_name": "prod7"}
NESTED = {"id": "cvm_1", "name": "web", "status": "running", "resource": {}, "gateway": {}}


def app(*cvms: Any, **fields: Any) -> dict[str, Any]:
    return {"id": "prj_1", "app_id": "a1", "name": "app", "cvms": list(cvms), **fields}


def select(*apps: Any, notes: list[str] | None = None, excludes: Sequence[Any] = (), **query: tuple[str, ...]) -> list[Cvm]:
    """Select from the apps that one query returned."""
    return select_cvms([query], [apps], excludes, (notes if notes is not None else []).append)


def only(raw: dict[str, Any], **fields: Any) -> Cvm:
    (cvm,) = select(app(raw, **fields))
    return cvm


# Both shapes


@pytest.mark.parametrize(
    ("raw", "fields", "values"),
    [
        (
            FLAT,
            {},
            {
                "vm_uuid": "u1",
                "app_id": "a1",
                "name": "web",
                "status": "running",
                "node_id": 7,
                "node": "prod7",
                "app_name": "app",
            },
        ),
        (NESTED, {}, {"app_id": "a1", "name": "web", "status": "running", "app_name": "app"}),
        ({**FLAT, "region_identifier": "R"}, {}, {"region": "R"}),
        ({**NESTED, "node_info": {"region": "R", "name": "N", "id": 0}}, {}, {"region": "R", "node": "N", "node_id": 0}),
        ({**FLAT, "memory": 1024, "vcpu": 1, "disk_size": 20}, {}, {"memory": 1024, "vcpu": 1, "disk_size": 20}),
        ({**FLAT, "machine_info": {"gpu_count": 0}}, {}, {"gpu_count": 0}),
        (
            {**NESTED, "resource": {"vcpu": 2, "memory_in_gb": 4, "disk_in_gb": 40, "gpus": 8, "instance_type": "T"}},
            {},
            {"vcpu": 2, "memory": 4096, "disk_size": 40, "gpu_count": 8, "instance_type": "T"},
        ),
        ({**NESTED, "resource": {"memory_in_gb": 0.5}}, {}, {"memory": 512}),
        ({**NESTED, "resource": {"memory_in_gb": 0.1}}, {}, {"memory": 102.4}),
        ({**NESTED, "resource": {"memory_in_gb": 0}}, {}, {"memory": 0}),
        ({**NESTED, "resource": {"memory_in_gb": "4"}}, {}, {"memory": None}),
        ({**NESTED, "resource": {"memory_in_gb": float("inf")}}, {}, {"memory": None}),
        ({**FLAT, "base_image": "dstack-dev-0.5.7-9b6a5239"}, {}, {"base_image": "dstack-dev-0.5.7-9b6a5239", "is_dev": True}),
        ({**FLAT, "base_image": "dstack-0.5.7"}, {}, {"is_dev": False}),
        ({**FLAT, "base_image": "dstack-development-1"}, {}, {"is_dev": False}),
        ({**FLAT, "base_image": None}, {}, {"base_image": None, "is_dev": None}),
        ({**NESTED, "os": {"name": "dstack-0.5.7", "is_dev": True}}, {}, {"base_image": "dstack-0.5.7", "is_dev": True}),
        ({**NESTED, "os": {"name": "dstack-dev-0.5.7", "is_dev": None}}, {}, {"is_dev": True}),
        ({**NESTED, "os": None}, {}, {"base_image": None, "is_dev": None}),
        ({**NESTED, "gateway": {"base_domain": "gw.org:8443"}}, {}, {"gateway_domain": "gw.org:8443"}),
        ({**NESTED, "workspace": {"slug": "s", "name": "n"}}, {}, {"team_slug": "s", "team_name": "n"}),
        (FLAT, {"team_slug": "s", "team_name": "n"}, {"team_slug": "s", "team_name": "n"}),
        ({**FLAT, "kms_slug": "k", "kms_id": "i", "kms_type": "t"}, {}, {"kms_slug": "k", "kms_id": "i", "kms_type": "t"}),
        ({**FLAT, "listed": False, "updated_at": "now"}, {}, {"listed": False, "updated_at": "now"}),
        ({**NESTED, "app_id": None}, {}, {"app_id": "a1"}),
        (
            {**NESTED, "resource": 1, "gateway": [], "os": "x", "node_info": 2, "workspace": "y"},
            {},
            {"node": None, "memory": None},
        ),
    ],
    ids=str,
)
def test_core_variables_are_the_same_for_both_shapes(raw: dict[str, Any], fields: dict[str, Any], values: dict[str, Any]) -> None:
    cvm = only(raw, **fields)
    assert tuple(cvm.core) == CORE_VARIABLES
    assert {name: cvm.core[name] for name in values} == values


@pytest.mark.parametrize("raw", [FLAT, NESTED], ids=["flat", "nested"])
def test_core_variable_that_the_api_does_not_give_is_null(raw: dict[str, Any]) -> None:
    unknown = {name for name, value in only(raw).core.items() if value is None}
    known = {"name", "status", "app_id", "app_name", "app", "is_current"}
    assert unknown == set(CORE_VARIABLES) - known - ({"vm_uuid", "node", "node_id"} if raw is FLAT else set())


@pytest.mark.parametrize("raw", [FLAT, NESTED], ids=["flat", "nested"])
def test_all_other_fields_come_through_unchanged(raw: dict[str, Any]) -> None:
    new = {"tomorrow": {"a": [1, 2.5, None, True]}, "ppid": None}
    cvm = only({**raw, **new})
    assert cvm.fields == {name: value for name, value in {**raw, **new}.items() if name not in CORE_VARIABLES}


def test_app_is_all_of_its_metadata_but_the_lists_of_cvms() -> None:
    cvm = only(FLAT, current_cvm=None, tomorrow=[1], profile={"display_name": None})
    assert cvm.core["app"] == {
        "id": "prj_1",
        "app_id": "a1",
        "name": "app",
        "tomorrow": [1],
        "profile": {"display_name": None},
    }


# Which CVMs there are


@pytest.mark.parametrize(
    "raw_app",
    [
        {"app_id": "a1"},
        {**dict.fromkeys(("id", "name", "cvms", "current_cvm", "cvm_count")), "app_id": "a1"},
        app(),
        app(current_cvm={}),
    ],
    ids=["bare", "minimal", "empty", "empty current"],
)
def test_app_without_cvms_is_no_host_and_is_noted(raw_app: dict[str, Any]) -> None:
    notes: list[str] = []
    assert select(raw_app, notes=notes) == []
    assert len(notes) == 1
    assert "left out app" in notes[0]
    assert "'a1'" in notes[0]


def test_deleted_cvm_is_no_host_and_is_noted() -> None:
    notes: list[str] = []
    gone = {**NESTED, "id": "cvm_2", "name": "gone", "vm_uuid": "u2", "deleted_at": "2026-01-01"}
    (cvm,) = select(app({**NESTED, "deleted_at": None}, gone), notes=notes)
    assert cvm.core["name"] == "web"
    assert cvm.is_only_cvm
    assert len(notes) == 1
    assert "'gone'" in notes[0]
    assert "2026-01-01" in notes[0]


@pytest.mark.parametrize("listed", [[], None])
def test_current_cvm_alone_is_a_host(listed: Any) -> None:
    (cvm,) = select(app(current_cvm=FLAT) | {"cvms": listed})
    assert (cvm.core["vm_uuid"], cvm.core["is_current"]) == ("u1", True)


@pytest.mark.parametrize(
    ("listed", "current"),
    [
        (FLAT, FLAT),
        (FLAT, {**FLAT, "status": "changed"}),
        ({**NESTED, "vm_uuid": None}, {**NESTED, "vm_uuid": "u1"}),
        ({**NESTED, "instance_id": "i"}, {**FLAT, "vm_uuid": None, "instance_id": "i"}),
        ({"name": "x"}, {"name": "x"}),
    ],
)
def test_current_cvm_that_is_listed_is_one_host(listed: dict[str, Any], current: dict[str, Any]) -> None:
    other = {**FLAT, "vm_uuid": "u9", "id": "cvm_9", "instance_id": "i9"}
    cvms = select(app(listed, other, current_cvm=current))
    assert len(cvms) == 2
    assert [cvm.core["vm_uuid"] for cvm in cvms if not cvm.core["is_current"]] == ["u9"]


def test_current_cvm_beside_others_is_a_host_too() -> None:
    cvms = select(app(FLAT, current_cvm={**FLAT, "vm_uuid": "u2"}))
    assert {cvm.core["vm_uuid"]: cvm.core["is_current"] for cvm in cvms} == {"u1": False, "u2": True}


def test_deleted_current_cvm_is_no_host() -> None:
    gone = {**NESTED, "id": "cvm_2", "deleted_at": "2026-01-01"}
    (cvm,) = select(app(NESTED, gone, current_cvm=gone))
    assert not cvm.core["is_current"]


def test_cvm_that_several_queries_return_is_one_host() -> None:
    cvms = select_cvms([{"region": ("a",)}, {}, {}], [[app(FLAT)], [app(FLAT)], [app(FLAT)]], [], print)
    assert [cvm.core["vm_uuid"] for cvm in cvms] == ["u1"]


@pytest.mark.parametrize("field", ["vm_uuid", "instance_id", "id"])
def test_cvms_that_differ_in_one_identifier_alone_are_all_hosts(field: str) -> None:
    bare = {"name": "web", "status": "creating"}
    assert len(select(app({**bare, field: "x"}, {**bare, field: "y"}))) == 2


def test_cvms_without_any_identifier_are_all_hosts() -> None:
    bare = {"name": "web", "status": "creating"}
    assert len(select(app(bare), app(bare, id="prj_2", app_id="a2"))) == 2
    assert len(select(app(bare, {**bare, "status": "running"}))) == 2


@pytest.mark.parametrize(
    ("cvms", "fields", "alone"),
    [
        ([FLAT], {}, True),
        ([FLAT], {"cvm_count": 1}, True),
        ([FLAT], {"cvm_count": None}, True),
        ([FLAT], {"cvm_count": 2}, False),
        ([FLAT, {**FLAT, "vm_uuid": "u2"}], {}, False),
        ([FLAT], {"current_cvm": {**FLAT, "vm_uuid": "u2"}}, False),
        ([FLAT], {"current_cvm": FLAT}, True),
    ],
)
def test_only_cvm_of_its_app_is_told(cvms: list[Any], fields: dict[str, Any], *, alone: bool) -> None:
    assert {cvm.is_only_cvm for cvm in select(app(*cvms, **fields))} == {alone}


def test_filters_do_not_make_a_cvm_the_only_one_of_its_app() -> None:
    (cvm,) = select(app(FLAT, {**FLAT, "vm_uuid": "u2", "status": "stopped"}), status=("running",))
    assert not cvm.is_only_cvm


def test_order_of_apps_cvms_and_queries_does_not_matter() -> None:
    raw = [{**FLAT, "vm_uuid": f"u{number}"} for number in range(3)]
    apps = [app(*raw[:2]), app(raw[2], id="prj_2")]
    expected = select(*apps)
    for order in itertools.permutations(apps):
        assert select(*order) == expected
    assert select(app(*raw[1::-1]), apps[1]) == expected


@pytest.mark.parametrize(
    ("raw_app", "words"),
    [
        (app() | {"cvms": "web"}, ["cvms of app 'app'", "'a1'", "str", "list"]),
        (app() | {"cvms": {"a": 1}}, ["cvms of app 'app'", "dict", "list"]),
        (app("web"), ["CVM of app 'app'", "str", "object"]),
        (app(None), ["CVM of app 'app'", "object"]),
        (app(current_cvm=12), ["CVM of app 'app'", "int", "object"]),
        (app(current_cvm="web"), ["CVM of app 'app'", "str", "object"]),
        (app(current_cvm=[]), ["CVM of app 'app'", "list", "object"]),
    ],
)
def test_wrong_shape_is_told_with_the_app(raw_app: dict[str, Any], words: list[str]) -> None:
    fault = app_fault(raw_app)
    assert fault
    assert [word for word in words if word not in fault] == []


@pytest.mark.parametrize("raw_app", [app(FLAT), app(NESTED, current_cvm=NESTED), app(current_cvm={}), {"app_id": "a"}])
def test_shape_as_described_has_no_fault(raw_app: dict[str, Any]) -> None:
    assert app_fault(raw_app) is None


# A current CVM that is told twice

raw_cvms = st.fixed_dictionaries(
    {}, optional={**dict.fromkeys(IDENTIFIERS, st.sampled_from(["", "1", "2", None])), "name": st.sampled_from(["a", "b"])}
)


@given(cvms=st.lists(raw_cvms, max_size=3), current=st.none() | raw_cvms)
def test_condensed_app_gives_the_same_cvms(cvms: list[Any], current: Any) -> None:
    whole = app(*cvms, current_cvm=current)
    assert select(condensed(whole)) == select(whole)


def test_current_cvm_that_is_listed_is_condensed_to_its_identifiers() -> None:
    assert condensed(app(FLAT, current_cvm={**FLAT}))["current_cvm"] == {"vm_uuid": "u1"}
    assert condensed(app(current_cvm=FLAT))["current_cvm"] == FLAT


# Selection, in what the stand-in service cannot show


@pytest.mark.parametrize(
    ("raw", "name", "value"),
    [
        (FLAT, "region", "R"),
        (FLAT, "base_image", "R"),
        (FLAT, "listed", "false"),
        (FLAT, "instance_type", "R"),
        (FLAT, "kms_type", "R"),
        (FLAT, "kms_slug", "R"),
        ({**FLAT, "listed": "false"}, "listed", "false"),
        ({**FLAT, "listed": 0}, "listed", "false"),
        ({**FLAT, "region": ["R"]}, "region", "R"),
        ({**FLAT, "base_image": {"R": 1}}, "base_image", "R"),
    ],
)
def test_cvm_that_does_not_show_the_value_does_not_meet_the_filter(raw: dict[str, Any], name: str, value: str) -> None:
    notes: list[str] = []
    assert select(app(raw), notes=notes, **{name: (value,)}) == []
    assert len(notes) == 1
    assert "'web'" in notes[0]
    assert f"{name}: {value}" in notes[0]


def test_word_of_the_service_stands_for_a_kms_slug_that_the_nested_shape_lacks() -> None:
    assert select(app(NESTED), kms_slug=("k",))
    assert select(app({**NESTED, "kms_slug": "k"}, {**NESTED, "id": "cvm_2", "kms_slug": "other"}), kms_slug=("k",))[0].core[
        "kms_slug"
    ]


def test_exclusion_by_a_field_that_the_answer_does_not_show_is_undecidable() -> None:
    with pytest.raises(UndecidableError, match=r"exclude_filters\[1\]\.kms_slug"):
        select(app(NESTED), excludes=[{"region": ("R",)}, {"kms_slug": ("k",)}])


def test_excluded_cvm_is_noted_with_the_entry() -> None:
    notes: list[str] = []
    assert select(app(FLAT), notes=notes, excludes=[{"region": ("R",)}, {"status": ("running",)}]) == []
    assert len(notes) == 1
    assert "exclude_filters[1]" in notes[0]


# Dimensions


@pytest.mark.parametrize(
    ("dimension", "raw", "fields", "value"),
    [
        ("region", {"region_identifier": "US-WEST-1"}, {}, "US-WEST-1"),
        ("region", {}, {}, None),
        ("region", {"region_identifier": ""}, {}, None),
        ("region", {"region_identifier": ["a"]}, {}, None),
        ("region", {"region_identifier": True}, {}, None),
        ("region", {"region_identifier": 7}, {}, "7"),
        ("node", {"teepod_name": "prod7"}, {}, "prod7"),
        ("base_image", {"base_image": "dstack-0.5.7"}, {}, "dstack-0.5.7"),
        ("status", {}, {}, "running"),
        ("app", {}, {}, "app"),
        ("app", {}, {"name": ""}, None),
        ("instance_type", {"instance_type": "tdx.small"}, {}, "tdx.small"),
        ("kms_type", {"kms_type": "base"}, {}, "base"),
        ("kms_slug", {"kms_slug": "k"}, {}, "k"),
        ("team", {}, {"team_slug": "s", "team_name": "n"}, "s"),
        ("team", {}, {"team_slug": None, "team_name": "n"}, "n"),
        ("team", {}, {"team_slug": "", "team_name": "n"}, "n"),
        ("team", {}, {}, None),
        ("listed", {"listed": True}, {}, "true"),
        ("listed", {"listed": False}, {}, "false"),
        ("listed", {"listed": None}, {}, None),
        ("os_type", {"base_image": "dstack-dev-1"}, {}, "dev"),
        ("os_type", {"base_image": "dstack-1"}, {}, "prod"),
        ("os_type", {}, {}, None),
    ],
)
def test_dimension_has_a_text_or_no_value(dimension: str, raw: dict[str, Any], fields: dict[str, Any], value: str | None) -> None:
    assert dimension_value(only({**FLAT, **raw}, **fields), dimension) == value
