# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""One app of a response in, its CVMs out."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._apps import (
    Form,
    ShapeError,
    ShownApp,
    app_fault,
    app_key,
    filter_states,
    mark_app,
    read_apps,
    read_filterable,
    refuse_unknown_shape,
    tell_apart,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import IDENTIFIERS, Cvm, Filterable, Identity
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level
from ansible_collections.phala.cloud.plugins.plugin_utils._trust import CORE_KEY_LEFT_OUT, MAX_DEPTH, Marker
from ansible_collections.phala.cloud.tests.comparing import shape_and_marks, what_is_shown

FLAT = {"vm_uuid": "u1", "app_id": "a1", "name": "web", "status": "running", "teepod_id": 7, "teepod_name": "prod7"}
NESTED = {"id": "cvm_1", "name": "web", "status": "running", "resource": {}, "gateway": {}}


def app(*cvms: Any, **fields: Any) -> dict[str, Any]:
    return {"id": "prj_1", "app_id": "a1", "name": "app", "cvms": list(cvms), **fields}


def read(raw_app: dict[str, Any]) -> list[Cvm]:
    ((shown,), _forms) = read_apps([raw_app], account="me")
    return list(shown.cvms)


@pytest.mark.parametrize("raw", [FLAT, NESTED], ids=["flat", "nested"])
def test_api_fields_come_through_unchanged(raw: dict[str, Any]) -> None:
    (cvm,) = read(app({**raw, "tomorrow": {"a": [1, 2.5, None, True]}, "ppid": None}))
    assert cvm.fields == {**raw, "tomorrow": {"a": [1, 2.5, None, True]}, "ppid": None}


def test_app_is_all_of_its_metadata_but_the_lists_of_cvms() -> None:
    (cvm,) = read(app(FLAT, current_cvm=None, tomorrow=[1], profile={"display_name": None}))
    given = {"id": "prj_1", "app_id": "a1", "name": "app", "tomorrow": [1], "profile": {"display_name": None}}
    null = dict.fromkeys(("created_at", "kms_type", "app_provision_type", "app_icon_url", "cvm_count"))
    assert cvm.core["app"] == {**given, **null}


def test_identity_is_the_account_and_the_identifiers_in_lower_case() -> None:
    (cvm,) = read(app({**NESTED, "vm_uuid": "U1", "instance_id": ""}))
    assert cvm.identity == Identity("me", "u1", None, "cvm_1")
    assert (cvm.identity.key, str(cvm.label)) == (("me", "vm_uuid", "u1"), "'web' (vm_uuid 'u1') in account 'me'")


@pytest.mark.parametrize(
    ("fields", "identity"),
    [
        ({"id": 123}, ("me", None, None, "123")),
        ({"id": 0, "vm_uuid": "u1"}, ("me", "u1", None, None)),
        ({"instance_id": "0xABC"}, ("me", None, "abc", "cvm_1")),
        ({"instance_id": None, "endpoints": [{"instance": "https://1C1c-8080.gw.org"}]}, ("me", None, "1c1c", "cvm_1")),
    ],
    ids=str,
)
def test_identifiers_of_every_version_identify_a_cvm(fields: dict[str, Any], identity: Any) -> None:
    (cvm,) = read(app({**NESTED, **fields}))
    assert cvm.identity == identity
    assert read(app({**NESTED, **fields}, current_cvm={**NESTED, **fields}))[0].core["is_current"]


def test_number_0_as_id_identifies_nothing() -> None:
    assert read(app({**NESTED, "id": 0})) == []


@pytest.mark.parametrize("listed", [[], None])
def test_current_cvm_alone_is_a_host(listed: Any) -> None:
    (cvm,) = read(app(current_cvm=FLAT) | {"cvms": listed})
    assert (cvm.core["vm_uuid"], cvm.core["is_current"]) == ("u1", True)


@pytest.mark.parametrize(
    ("listed", "current"),
    [
        (FLAT, FLAT),
        (FLAT, {**FLAT, "status": "changed"}),
        (FLAT, {**FLAT, "vm_uuid": "U1"}),
        ({**NESTED, "vm_uuid": None}, {**NESTED, "vm_uuid": "u1"}),
        ({**NESTED, "instance_id": "i"}, {**FLAT, "vm_uuid": None, "instance_id": "i"}),
    ],
)
def test_current_cvm_that_is_listed_is_one_cvm_as_the_list_shows_it(listed: dict[str, Any], current: dict[str, Any]) -> None:
    other = {**FLAT, "vm_uuid": "u9", "id": "cvm_9", "instance_id": "i9"}
    cvms = read(app(listed, other, current_cvm=current))
    assert [(cvm.fields, cvm.core["is_current"]) for cvm in cvms] == [(listed, True), (other, False)]


def test_current_cvm_beside_others_is_a_cvm_too() -> None:
    cvms = read(app(FLAT, current_cvm={**FLAT, "vm_uuid": "u2"}))
    assert {cvm.core["vm_uuid"]: cvm.core["is_current"] for cvm in cvms} == {"u1": False, "u2": True}


def test_entry_without_identifier_and_deleted_cvm_are_left_out() -> None:
    gone = {**FLAT, "vm_uuid": "u2", "deleted_at": "2026-01-01"}
    (cvm,) = read(app({"name": "no id", "status": "creating"}, FLAT, gone, current_cvm=gone))
    assert (cvm.core["vm_uuid"], cvm.core["is_current"]) == ("u1", False)


@pytest.mark.parametrize("field", IDENTIFIERS)
def test_cvms_that_differ_in_one_identifier_alone_are_two(field: str) -> None:
    bare = {"name": "web", "status": "creating"}
    assert len(read(app({**bare, field: "x"}, {**bare, field: "y"}))) == 2


@pytest.mark.parametrize(
    ("cvms", "fields", "alone"),
    [
        ([FLAT], {}, True),
        ([FLAT], {"cvm_count": 1}, True),
        ([FLAT], {"cvm_count": None}, True),
        ([FLAT], {"cvm_count": 2}, False),
        ([FLAT, {**FLAT, "vm_uuid": "u2"}], {}, False),
        ([FLAT, {**FLAT, "vm_uuid": "u2", "deleted_at": "now"}], {}, True),
        ([FLAT], {"current_cvm": {**FLAT, "vm_uuid": "u2"}}, False),
        ([FLAT], {"current_cvm": FLAT}, True),
    ],
)
def test_only_cvm_of_its_app_is_known(cvms: list[Any], fields: dict[str, Any], *, alone: bool) -> None:
    assert {cvm.is_only_cvm for cvm in read(app(*cvms, **fields))} == {alone}


@pytest.mark.parametrize("is_marked", [False, True])
def test_apps_that_share_an_app_id_have_no_only_cvm(*, is_marked: bool) -> None:
    other = app({**FLAT, "vm_uuid": "u2"}, id="prj_2", app_id="0xA1")
    for apps, alone in (([[app(FLAT)], [other]], False), ([[app(FLAT)], [app(FLAT)]], True)):
        found = [read_apps(of_query, account="me")[0] for of_query in apps]
        for each in chain.from_iterable(found if is_marked else ()):
            mark_app(each, Marker())
        tell_apart(chain.from_iterable(found))
        assert {cvm.is_only_cvm for of_query in found for each in of_query for cvm in each.cvms} == {alone}


@pytest.mark.parametrize(("account", "shown"), [("me", "me"), ("", None)])
def test_account_is_shown_by_its_name(account: str, shown: str | None) -> None:
    assert read_apps([app(FLAT)], account=account)[0][0].cvms[0].core["account"] == shown


def test_each_identifier_tells_a_cvm_from_others() -> None:
    assert len(read(app({"vm_uuid": "u"}, {"instance_id": "i"}, {"id": 1}))) == 3
    assert read(app({}, {"vm_uuid": ""}, {"id": 0})) == []


def test_app_is_identified_by_both_of_its_ids() -> None:
    assert app_key({"id": 5, "app_id": "a", "name": "x"}) == ("5", "a")


def test_filters_are_decided_by_what_a_cvm_shows() -> None:
    hidden = {"base_image", "instance_type", "kms_slug", "kms_type", "listed", "region"}
    flat = Filterable(("prod7", "prod7"), (None,), True, frozenset(hidden), frozenset())
    nested = Filterable((None, None), (None,), False, frozenset({*hidden, "node"}), frozenset({"kms_slug"}))
    assert (read_filterable(FLAT), read_filterable(NESTED)) == (flat, nested)
    assert read_filterable({**FLAT, "base_image": "dstack"}).image_names == ("dstack",)


def test_what_is_no_cvm_is_reported_and_its_nodes_are_known() -> None:
    gone = [{**FLAT, "vm_uuid": name, "deleted_at": "2026-01-01", "teepod_name": f"node-{name}"} for name in ("u1", "u2")]
    deleted = [f"Left out CVM 'web' (vm_uuid '{name}'): it was deleted at '2026-01-01'" for name in ("u1", "u2")]
    hidden = Diagnostic(
        Level.WARNING,
        "The service counts more CVMs than it shows, so hosts may be missing",
        subjects=("app 'app' (app_id 'a1') counts 3 and shows 2",),
        advice="Compare with the service's own list of the app's CVMs.",
    )
    (shown, empty), _forms = read_apps([app(*gone, cvm_count=3), app()], account="")
    assert (shown.key, shown.cvms, {*shown.other_nodes}) == (("prj_1", "a1"), [], {"node-u1", "node-u2"})
    assert shown.diagnostics == [*(Diagnostic(Level.VERY_VERBOSE, text) for text in deleted), hidden]
    no_cvm = Diagnostic(Level.VERY_VERBOSE, "Left out app 'app' (app_id 'a1'): the API shows no CVM of it")
    assert empty == ShownApp(("prj_1", "a1"), [], [no_cvm], [])


# Structure and shape


@pytest.mark.parametrize(
    ("raw_app", "words"),
    [
        (app() | {"cvms": "web"}, ["cvms of app 'app'", "'a1'", "str", "list"]),
        (app() | {"cvms": {"a": 1}}, ["cvms of app 'app'", "dict", "list"]),
        (app("web"), ["CVM of app 'app'", "str", "object"]),
        (app(None), ["CVM of app 'app'", "object"]),
        (app(current_cvm=12), ["CVM of app 'app'", "int", "object"]),
        (app(current_cvm=[]), ["CVM of app 'app'", "list", "object"]),
        (app({**FLAT, "vm_uuid": ["u1"]}), ["vm_uuid of a CVM of app 'app'", "['u1']", "text"]),
        (app({**FLAT, "vm_uuid": 1}), ["vm_uuid of a CVM of app 'app'", "1", "text"]),
        (app({**FLAT, "id": True}), ["id of a CVM of app 'app'", "True", "text"]),
        (app({**FLAT, "id": 1.5}), ["id of a CVM of app 'app'", "1.5", "text"]),
    ],
)
def test_wrong_structure_is_reported_with_the_app(raw_app: dict[str, Any], words: list[str]) -> None:
    fault = app_fault(raw_app)
    assert fault
    assert [word for word in [*words, "app 'app' (app_id 'a1') is "] if word not in fault] == []


@pytest.mark.parametrize(
    "raw_app", [app(FLAT), app({**FLAT, "id": 7}), app(NESTED, current_cvm=NESTED), app(current_cvm={}), {"app_id": "a"}]
)
def test_structure_as_described_has_no_fault(raw_app: dict[str, Any]) -> None:
    assert app_fault(raw_app) is None


def forms(cvms: list[Any]) -> frozenset[Form]:
    return read_apps([app(cvm) for cvm in cvms], account="")[1]


NO_ID = {"name": "x", "status": "creating"}
NEW = {"uid": "1", "state": "up", "placement": {}}  # a shape of tomorrow, in which every name has changed


@pytest.mark.parametrize(
    ("cvms", "missing"),
    [
        ([NEW], "no CVM has vm_uuid, instance_id or id"),
        ([NO_ID], "no CVM has vm_uuid, instance_id or id"),
        ([{**NEW, "id": "cvm_1"}], "CVM '' (vm_uuid None) has no status"),
        ([FLAT, {**NESTED, "vm_uuid": "u2", "status": None} | {}, {"vm_uuid": "u3"}], "CVM '' (vm_uuid 'u3') has no status"),
        ([{**NO_ID, "id": "cvm_1"}, NO_ID], "a CVM has no identifier, and no CVM has endpoints, gateway, memory"),
    ],
)
def test_unknown_shape_fails_and_says_what_is_missing(cvms: list[Any], missing: str) -> None:
    with pytest.raises(ShapeError) as caught:
        refuse_unknown_shape(forms(cvms), "https://phala.example.org")
    assert missing in str(caught.value)
    assert "https://phala.example.org/apps" in str(caught.value)
    assert str(caught.value).endswith(". Check api_url and api_version, or update the collection.")


@pytest.mark.parametrize(
    "cvms", [[], [FLAT], [NESTED, NO_ID], [FLAT, NO_ID], [{**NO_ID, "id": "cvm_1"}], [{**FLAT, "status": None}]]
)
def test_known_shapes_are_accepted(cvms: list[Any]) -> None:
    refuse_unknown_shape(forms(cvms), "https://phala.example.org")


def test_entry_without_identifier_is_reported_and_no_cvm() -> None:
    entries = [{"name": "web", "status": "creating"}, FLAT]
    ((shown,), forms) = read_apps([app(*entries)], account="")
    assert forms == {Form(has_identifier=False, is_sparse=True, without_status=None), Form(True, False, None)}
    assert [cvm.core["vm_uuid"] for cvm in shown.cvms] == ["u1"]
    assert shown.diagnostics == [
        Diagnostic(Level.VERBOSE, "Left out CVMs that have no identifier", subjects=("a CVM of app 'app' (app_id 'a1')",))
    ]


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        ({}, True),
        ({"updated_at": "now"}, True),
        ({"status": "x"}, False),
        ({"teepod_name": "x"}, False),
        ({"vm_uuid": "x"}, False),
    ],
)
def test_state_for_filters_is_the_identity_and_what_filters_use(changes: dict[str, Any], *, is_same: bool) -> None:
    ((before, now), _forms) = read_apps([app(FLAT), app({**FLAT, **changes})], account="")
    assert (filter_states(before) == filter_states(now)) is is_same


# Marking

TOO_DEEP: Any = "end"
for _level in range(MAX_DEPTH):
    TOO_DEEP = [TOO_DEEP]


def test_marked_app_shows_the_same() -> None:
    ((shown,), _forms) = read_apps([app({**NESTED, "text": "{{ x }}", "list": ["a", {"b": "c"}]})], account="me")
    before = what_is_shown([[shown]])
    mark_app(shown, Marker())
    assert what_is_shown([[shown]]) == before
    assert [(cvm.is_marked, cvm.left_out) for cvm in shown.cvms] == [(True, {})]


def test_marks_the_fields_that_no_core_variable_hides_and_the_core_variables() -> None:
    texts = {"name": ["{{ a }}", "a"], "text": ["{{ b }}", "b"]}  # one of each pair gets a mark, depending on the ansible-core
    ((shown,), _forms) = read_apps([app({**NESTED, **texts})], account="me")
    mark_app(shown, Marker())
    (cvm,) = shown.cvms
    marked = Marker().mark(texts)
    assert shape_and_marks(cvm.fields["text"]) == shape_and_marks(marked["text"]) != shape_and_marks(texts["text"])
    assert shape_and_marks(cvm.core["name"]) == shape_and_marks(marked["name"])
    assert shape_and_marks(cvm.fields["name"]) == shape_and_marks(texts["name"])


def test_what_cannot_be_marked_decides_filters_and_is_no_host_variable() -> None:
    info = {"name": "prod7", "deep": TOO_DEEP}
    cvm = {**NESTED, "node_info": info, "app": TOO_DEEP, "x": {"__ansible_y": 1}}
    ((shown,), _forms) = read_apps([app(cvm, deep=TOO_DEEP)], account="me")
    mark_app(shown, Marker())
    (found,) = shown.cvms
    reason = f"Left out variables that have more than {MAX_DEPTH} levels"
    assert found.left_out == {"node_info": reason, "app": reason, "__ansible_y": CORE_KEY_LEFT_OUT}
    assert found.core["app"]["id"] == "prj_1"
    assert (found.core["node"], found.filterable.node_names) == ("prod7", ("prod7", None))


@pytest.mark.parametrize("hidden", [TOO_DEEP, {"__ansible_x": 1}])
def test_field_that_a_core_variable_hides_is_not_left_out(hidden: Any) -> None:
    ((shown,), _forms) = read_apps([app({**NESTED, "app": hidden})], account="me")
    mark_app(shown, Marker())
    assert shown.cvms[0].left_out == {}
