# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Apps in, selected CVMs out. What filters choose is tested with the service, where it can be seen what it was asked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._apps import ShownApp, read_apps, tell_apart
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import Cvm, Identity, Label
from ansible_collections.phala.cloud.plugins.plugin_utils._cvms import (
    AmbiguousError,
    UndecidableError,
    consumed,
    select_cvms,
    select_from_accounts,
    unshown_nodes,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import Account

FLAT = {"vm_uuid": "u1", "app_id": "a1", "name": "web", "status": "running", "teepod_id": 7, "teepod_name": "prod7"}
NESTED = {"id": "cvm_1", "name": "web", "status": "running", "resource": {}, "gateway": {}}


def app(*cvms: Any, **fields: Any) -> dict[str, Any]:
    return {"id": "prj_1", "app_id": "a1", "name": "app", "cvms": list(cvms), **fields}


def shown(*of_queries: Sequence[Any]) -> list[list[ShownApp]]:
    found = [read_apps(apps, account="")[0] for apps in of_queries]
    tell_apart(chain.from_iterable(found))
    return found


def select(*apps: Any, excludes: Sequence[Any] = (), **query: tuple[str, ...]) -> tuple[list[Cvm], list[Diagnostic]]:
    """Select from the apps that one query returned."""
    return select_cvms([query], excludes, shown(apps))


def uuids(selected: tuple[list[Cvm], Any]) -> list[Any]:
    return [cvm.core["vm_uuid"] for cvm in selected[0]]


@pytest.mark.parametrize(
    ("raw_app", "level", "words"),
    [
        ({"app_id": "a1"}, Level.VERY_VERBOSE, ["Left out app", "'a1'"]),
        ({**dict.fromkeys(("id", "name", "cvms", "current_cvm")), "app_id": "a1"}, Level.VERY_VERBOSE, ["Left out app", "'a1'"]),
        (app(), Level.VERY_VERBOSE, ["Left out app 'app'"]),
        (app({**FLAT, "deleted_at": "2026-01-01"}), Level.VERY_VERBOSE, ["Left out CVM 'web'", "2026-01-01"]),
    ],
    ids=["bare", "minimal", "empty", "deleted"],
)
def test_what_is_no_cvm_is_reported(raw_app: dict[str, Any], level: Level, words: list[str]) -> None:
    cvms, (diagnostic,) = select(raw_app)
    assert cvms == []
    assert diagnostic.level is level
    assert [word for word in words if word not in diagnostic.text] == []


def test_cvm_that_several_queries_return_is_one_host() -> None:
    cvms, _left_out = select_cvms([{"region": ("a",)}, {}, {}], [], shown(*[[app(FLAT)]] * 3))
    assert [cvm.core["vm_uuid"] for cvm in cvms] == ["u1"]


def test_filters_do_not_make_a_cvm_the_only_one_of_its_app() -> None:
    (cvm,), _left_out = select(app(FLAT, {**FLAT, "vm_uuid": "u2", "status": "stopped"}), status=("running",))
    assert not cvm.is_only_cvm


def test_cvms_are_in_the_order_of_the_apps_and_of_their_identities() -> None:
    raw = [{**FLAT, "vm_uuid": f"u{number}"} for number in range(3)]
    alone = app(raw[1], id="prj_2")
    for others in ([raw[0], raw[2]], [raw[2], raw[0]]):
        assert uuids(select(app(*others), alone)) == ["u0", "u2", "u1"]
        assert uuids(select(alone, app(*others))) == ["u1", "u0", "u2"]


TWIN = {**FLAT, "name": "twin"}


@pytest.mark.parametrize(
    "apps",
    [
        [app(FLAT), app(TWIN, id="prj_2", app_id="a2")],
        [app({**FLAT, "id": "1"}, {**TWIN, "id": "2"})],
        [app(FLAT, {**TWIN, "vm_uuid": "U1"})],
        [app({**FLAT, "instance_id": "i"}, {**TWIN, "vm_uuid": "u2", "instance_id": "I"})],
    ],
    ids=["two apps", "one app", "one identity", "instance id"],
)
def test_two_cvms_of_one_identifier_fail_unless_one_is_excluded(apps: list[Any]) -> None:
    with pytest.raises(AmbiguousError, match=r"'twin' of app 'a1' and 'web' of app 'a1'\. Leave .* with exclude_filters\.$"):
        select(*apps)
    twin_excluded = [
        {**raw, "cvms": [{**cvm, "status": "x" if cvm["name"] == "twin" else "y"} for cvm in raw["cvms"]]} for raw in apps
    ]
    assert uuids(select(*twin_excluded, excludes=[{"status": ("x",)}])) == ["u1"]


@pytest.mark.parametrize(
    ("raw", "name", "value"),
    [
        *(({**FLAT, name: None}, name, "R") for name in ("base_image", "instance_type", "kms_type", "kms_slug")),
        ({**FLAT, "region_identifier": None}, "region", "R"),
        ({**FLAT, "listed": None}, "listed", "false"),
        ({**FLAT, "listed": "false"}, "listed", "false"),
        ({**FLAT, "listed": 0}, "listed", "false"),
        ({**FLAT, "region_identifier": ["R"]}, "region", "R"),
        ({**FLAT, "base_image": {"R": 1}}, "base_image", "R"),
    ],
)
def test_cvm_that_does_not_show_the_value_does_not_meet_the_filter(raw: dict[str, Any], name: str, value: str) -> None:
    cvms, (left_out, warning) = select(app(raw), **{name: (value,)})
    assert cvms == []
    assert left_out.text.endswith(f"CVM 'web' (vm_uuid 'u1') of the query {{{name}: {value}}}: it does not match {name}")
    assert warning.level is Level.WARNING
    assert warning.text == "The service returned apps in which no CVM matches the filters, so they are left out"
    assert warning.advice == "Correct the filters, or check api_url and api_version."
    assert str(warning.subjects[0]).startswith(f"{name}: {value} (they have ")


def test_app_that_misses_only_the_status_is_a_line_at_v() -> None:
    regions = {"region": ("r",), "status": ("paused", "stopped")}
    noted, left_out = select(app({**FLAT, "region_identifier": "R"}), **regions)[1]
    text = "The service returned apps in which no CVM has the requested status, which may lag"
    assert noted == Diagnostic(Level.VERBOSE, text, subjects=(Label(Identity("", "u1", None, None), "web"),))
    assert left_out.level is Level.VERY_VERBOSE
    assert left_out.text.endswith(" of the query {region: r, status: paused|stopped}: it does not match status")
    left_out, warning = select(app({**FLAT, "region_identifier": "Q"}), **regions)[1]
    assert left_out.text.endswith(": it does not match region, status")
    assert warning.subjects == ("region: r (they have 'Q')", "status: paused|stopped (they have 'running')")


def test_app_whose_cvms_miss_different_filters_is_reported_with_all_of_them() -> None:
    own = {"region_identifier": "Q", "kms_type": "a"}, {"vm_uuid": "u2", "region_identifier": "R", "kms_type": "b"}
    cvms = [{**FLAT, **fields} for fields in own]
    *_left_out, warning = select(app(*cvms), region=("r",), kms_type=("a",))[1]
    assert warning.subjects == ("kms_type: a (they have 'a', 'b')", "region: r (they have 'Q', 'R')")


def test_app_is_kept_quietly_if_one_of_its_cvms_matches() -> None:
    cvms, diagnostics = select(app(FLAT, {**FLAT, "vm_uuid": "u2", "kms_type": "base"}), kms_type=("base",))
    assert [cvm.core["vm_uuid"] for cvm in cvms] == ["u2"]
    assert {diagnostic.level for diagnostic in diagnostics} == {Level.VERY_VERBOSE}


@pytest.mark.parametrize(
    ("raw_app", "hidden"),
    [
        (app(FLAT, cvm_count=2), "counts 2 and shows 1"),
        (app(cvm_count=1), "counts 1 and shows 0"),
        (app(FLAT, {**FLAT, "vm_uuid": "u2", "deleted_at": "now"}, cvm_count=2), None),
        (app(FLAT, cvm_count=0), None),
        (app(FLAT, current_cvm={**FLAT, "vm_uuid": "u2"}, cvm_count=2), None),
        (app(FLAT, cvm_count=None), None),
    ],
)
def test_app_that_counts_more_cvms_than_it_shows_is_a_warning(raw_app: dict[str, Any], hidden: str | None) -> None:
    warnings = [diagnostic for diagnostic in select(raw_app)[1] if diagnostic.level is Level.WARNING]
    assert [subject for warning in warnings for subject in warning.subjects] == (
        [f"app 'app' (app_id 'a1') {hidden}"] if hidden else []
    )


def test_app_id_of_another_app_does_not_make_a_cvm_the_only_one() -> None:
    other = {**FLAT, "vm_uuid": "u2"}
    cvms, _diagnostics = select(app(FLAT), app(other, id="prj_2", app_id="0xA1"), app({**FLAT, "vm_uuid": "u3"}, app_id="b"))
    assert [cvm.is_only_cvm for cvm in cvms] == [False, False, True]
    queries: list[Any] = [{}, {}]
    (cvm,), _diagnostics = select_cvms(queries, [], shown([app(FLAT)], [app(FLAT)]))
    assert cvm.is_only_cvm


def test_values_of_node_that_no_cvm_has_are_found() -> None:
    deleted = {**FLAT, "teepod_name": "prod1", "deleted_at": "now"}
    apps = shown([app(FLAT), app({**NESTED, "node_info": {"name": "Prod9"}}), app(deleted)])
    queries: list[Any] = [{"node": (name,)} for name in ("PROD7", "prod9", "Metal", "prod1")]
    assert unshown_nodes([*queries, {}], apps) == {"metal"}


def test_decision_of_the_service_applies_to_a_field_that_the_shape_lacks() -> None:
    assert select(app(NESTED), kms_slug=("k",))[0]
    assert uuids(select(app(NESTED, {**FLAT, "kms_slug": "other"}), kms_slug=("other",))) == ["u1"]


def test_cvm_of_another_query_is_another_one_if_it_has_other_identifiers_or_another_app() -> None:
    for other in (app({**FLAT, "id": "9"}), app(FLAT, id="prj_2")):
        with pytest.raises(AmbiguousError):
            select_cvms([{}, {}], [], shown([app(FLAT)], [other]))
    assert len(select(app(), app(id="prj_2"))[1]) == 2


def test_id_alone_does_not_make_two_cvms_one() -> None:
    assert uuids(select(app({**FLAT, "id": 5}, {**FLAT, "vm_uuid": "u2", "id": 5}))) == ["u1", "u2"]
    with pytest.raises(AmbiguousError, match="two CVMs have the id '5'"):
        select(app({**NESTED, "id": 5}), app({**NESTED, "id": "5"}, id="prj_2"))


def test_exclusion_by_a_field_that_the_response_does_not_show_is_undecidable() -> None:
    advice = r'Set api_version: "2025-10-28", which does, or use another filter\.$'
    with pytest.raises(UndecidableError, match=rf"exclude_filters\[1\]\.kms_slug .* {advice}"):
        select(app(NESTED), excludes=[{"region": ("R",)}, {"kms_slug": ("k",)}])


def test_excluded_cvm_is_reported_with_the_entry() -> None:
    cvms, (diagnostic,) = select(app(FLAT), excludes=[{"region": ("R",)}, {"status": ("running",)}])
    assert cvms == []
    assert "exclude_filters[1]" in diagnostic.text


def test_node_of_the_service_that_no_response_shows_is_left_to_the_service() -> None:
    for nodes, found in ((["PROD9", "prod7"], ["u1"]), (["prod1"], []), ([], [])):
        apps = shown([app({**FLAT, "teepod_name": None})])
        assert uuids(select_cvms([{"node": ("Prod9",)}], [], apps, nodes=nodes)) == found


def select_all(
    apps: dict[str, list[Any]], *, is_explained: bool = False, excludes: Sequence[Any] = (), **query: tuple[str, ...]
) -> tuple[list[Cvm], list[Diagnostic]]:
    """Select from what one query and one that matches nothing return, by the names of the accounts."""
    accounts = tuple(Account(name, "https://phala.example.org", "", "") for name in apps)
    settings: Any = SimpleNamespace(accounts=accounts, queries=[query, {"name": ("none",)}], excludes=excludes)
    answers = [part for name, own in apps.items() for part in (read_apps(own, account=name)[0], [])]
    return select_from_accounts(settings, answers, ["prod9"], is_explained=is_explained)


def test_cvms_of_all_accounts_are_selected() -> None:
    second = {**FLAT, "vm_uuid": "u2", "teepod_name": None}
    cvms, diagnostics = select_all({"a": [app(FLAT)], "b": [app(second, {**NESTED, "status": "x"})]}, status=("running",))
    assert [(cvm.identity.account, cvm.core["vm_uuid"]) for cvm in cvms] == [("a", "u1"), ("b", "u2")]
    (left_out,) = diagnostics
    assert left_out.text.startswith("account 'b': ")
    assert uuids(select_all({"a": [app({**FLAT, "teepod_name": None})]}, node=("prod9",))) == ["u1"]


def test_accounts_may_share_the_id_of_an_app_but_no_cvm() -> None:
    assert len(select_all({"a": [app(NESTED)], "b": [app(NESTED)]})[0]) == 2
    with pytest.raises(AmbiguousError) as caught:
        select_all({"a": [app(FLAT)], "": [], "b": [app({**NESTED, "vm_uuid": "u1", "name": None}, app_id="a2")]})
    assert str(caught.value) == (
        "two CVMs have the vm_uuid 'u1': '' of app 'a2' in account 'b' and 'web' of app 'a1' in account 'a'. Leave one of them"
        " out with exclude_filters."
    )


def test_warning_says_that_all_cvms_are_left_out_unless_it_is_known() -> None:
    named = [{**FLAT, "name": name, "vm_uuid": name, "region_identifier": "Q"} for name in ("b", "c", "d", "e", "x", "y")]
    apps = {"a": [app(*named[:4])], "b": [app(*named[4:])]}
    excludes = [{"name": ("x", "y")}]
    assert select_all(apps, excludes=excludes, name=("none",))[1][-1] == Diagnostic(
        Level.WARNING,
        "No hosts: all CVMs that the service returned are left out (2 by exclude_filters and 4 by filters)",
        advice="Correct the filters. -vv shows what each CVM does not match.",
    )
    assert len(select_all(apps, excludes=excludes, name=("none",))[1]) == 7
    for quiet in (select_all(apps, excludes=excludes, name=("none",), is_explained=True), select_all(apps, name=("x",))):
        assert {diagnostic.level for diagnostic in quiet[1]} == {Level.VERY_VERBOSE}
    assert select_all({"a": [], "b": []}) == ([], [])
    assert [diagnostic.level for diagnostic in select_all(apps, region=("r",))[1] if diagnostic.advice] == [Level.WARNING] * 2
    assert not [diagnostic for diagnostic in select_all(apps, status=("x",))[1] if diagnostic.level is Level.WARNING]


def test_consumed_list_gives_its_values_in_order_and_keeps_none() -> None:
    values = [1, 2, 3]
    assert [(value, len(values)) for value in consumed(values)] == [(1, 2), (2, 1), (3, 0)]
