# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.phala.cloud.plugins.plugin_utils._apps import ShownApp, mark_app, read_apps
from ansible_collections.phala.cloud.plugins.plugin_utils._cache_form import pack, unpack
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import Cvm
from ansible_collections.phala.cloud.plugins.plugin_utils._hosts import VariableNames, host_variables
from ansible_collections.phala.cloud.plugins.plugin_utils._trust import MAX_DEPTH, Marker
from ansible_collections.phala.cloud.tests.comparing import shape_and_marks, what_is_shown

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(), max_size=8)
# Values that are equal and not the same stay apart. Two halves of a surrogate pair do not come from JSON side by side.
VALUES = st.recursive(
    st.sampled_from([0, 0.0, -0.0, False, 1, 1.0, True, "1", [1], [True], {"a": 1, "b": 2}, {"b": 2, "a": 1}]) | SCALARS,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(st.characters(), max_size=4), values, max_size=3),
    max_leaves=6,
).map(lambda value: json.loads(json.dumps(value)))
IDENTIFIERS = st.none() | st.sampled_from(["u1", "u2", "0xAB"])
CVMS = st.builds(
    lambda fields, known: {**fields, **known},
    st.dictionaries(st.text(st.characters(), max_size=4), VALUES, max_size=3),
    st.fixed_dictionaries(
        {},
        optional={
            **dict.fromkeys(("vm_uuid", "instance_id"), IDENTIFIERS),
            **dict.fromkeys(("name", "status", "deleted_at", "resource", "os", "memory", "teepod_name", "endpoints"), VALUES),
        },
    ),
)
APPS = st.fixed_dictionaries(
    {"app_id": st.sampled_from(["a", "0xa", "b"]), "cvms": st.lists(CVMS, max_size=3)},
    optional={"id": VALUES, "name": VALUES, "profile": VALUES, "cvm_count": st.integers(0, 4), "current_cvm": st.none() | CVMS},
)


APPS_OF_QUERIES = st.lists(st.lists(APPS, max_size=3), max_size=3)
NAMES = VariableNames("p_", "")


def stored(apps: list[list[ShownApp]], *, marked: bool = True) -> list[list[ShownApp]]:
    packed, rows = pack(apps)
    return unpack(json.loads(json.dumps(packed)), rows, marked=marked)


def cvms_of(apps: list[list[ShownApp]]) -> list[Cvm]:
    return [cvm for of_query in apps for app in of_query for cvm in app.cvms]


@given(raw=APPS_OF_QUERIES, account=st.sampled_from(["", "one"]))
def test_what_apps_show_is_the_same_after_storing(raw: list[list[Any]], account: str) -> None:
    apps = [read_apps(of_query, account=account)[0] for of_query in raw]
    found = what_is_shown(stored(apps, marked=False))
    assert found == what_is_shown(apps)
    assert repr(found) == repr(what_is_shown(apps))  # where 1 is not True, and order counts


@given(raw=APPS_OF_QUERIES, marked_before=st.booleans())
def test_hosts_are_the_same_after_storing(raw: list[list[Any]], *, marked_before: bool) -> None:
    apps = [read_apps(of_query, account="")[0] for of_query in raw]
    if marked_before:
        mark(apps)
    for cvm, found in zip(cvms_of(apps), cvms_of(stored(apps)), strict=True):
        assert (found.identity, found.is_only_cvm) == (cvm.identity, cvm.is_only_cvm)
        variables, lacking = host_variables(cvm, NAMES, Marker())
        variables_found, lacking_found = host_variables(found, NAMES, Marker())
        assert shape_and_marks(variables_found) == shape_and_marks(variables)
        assert sorted(lacking_found, key=repr) == sorted(lacking, key=repr)


def mark(apps: list[list[ShownApp]]) -> None:
    for app in chain.from_iterable(apps):
        mark_app(app, Marker())


def read(*cvms: dict[str, Any]) -> list[list[ShownApp]]:
    return [read_apps([{"app_id": "a", "cvms": list(cvms)}], account="")[0]]


def test_each_value_is_stored_once() -> None:
    cvm = {"vm_uuid": "u1", "status": "running", "resource": {"vcpu": 2}, "x": [["running"], {"vcpu": 2}]}
    packed, _rows = pack(read(cvm, {**cvm, "vm_uuid": "u2"}))
    assert [packed["scalars"].count(text) for text in ("running", "u1", "u2")] == [1, 1, 1]
    assert [packed["layouts"].count(layout) for layout in (("vcpu",), 1, 2)] == [1, 1, 1]
    app, resource, running, both = 1, 1, 1, 1
    assert packed["container_count"] == app + resource + running + both


def containers_in(value: Any) -> Iterator[Any]:
    if isinstance(value, (dict, list)):
        yield value
        for entry in value.values() if isinstance(value, dict) else value:
            yield from containers_in(entry)


@pytest.mark.parametrize("marked", [True, False])
def test_stored_cvms_share_no_container(*, marked: bool) -> None:
    cvm = {"status": "running", "flat": {"vcpu": 2}, "empty": [], "deep": [{"a": ["b"]}, {"a": {}}]}
    found = cvms_of(stored(read({**cvm, "vm_uuid": "u1"}, {**cvm, "vm_uuid": "u2"}), marked=marked))
    assert [each.fields["deep"] for each in found] == [cvm["deep"]] * 2
    values = [[*each.core.values(), *each.fields.values()] for each in found]
    one, other = ({id(container) for value in of_cvm for container in containers_in(value)} for of_cvm in values)
    assert len(one) > 7
    assert one.isdisjoint(other)


@given(raw=APPS_OF_QUERIES)
@example(raw=[[{"app_id": "a", "cvms": [{"vm_uuid": "u1", "x": [["b"]]}, {"vm_uuid": "u2", "x": [["b"], 1]}]}]])
@example(raw=[[{"app_id": "a", "cvms": [{"vm_uuid": "u1", "x": ["b"], "y": {"z": ["b"]}}]}]])
def test_stored_cvms_hold_no_container_twice(raw: list[list[Any]]) -> None:
    cvms = cvms_of(stored([read_apps(of_query, account="")[0] for of_query in raw]))
    variables = [dict(zip(*cvm.variables(), strict=True)) for cvm in cvms]
    found = [id(container) for of_cvm in variables for value in of_cvm.values() for container in containers_in(value)]
    assert len(found) == len(set(found))


DEEPEST: Any = "end"
for _level in range(MAX_DEPTH - 1):
    DEEPEST = [DEEPEST]


@pytest.mark.parametrize(
    ("value", "is_marked"),
    [
        ("{{ x }}", True),
        (["\ud800", float("inf")], True),
        ({"a": [{"b": 1}]}, True),
        (DEEPEST, True),
        ([DEEPEST], False),
        ({"a": DEEPEST}, False),
        ([{"__ansible_x": 1}], False),
        ({"{{ x }}": 1}, False),
        ({"\N{SNOWMAN}": 1}, False),
    ],
)
def test_texts_are_marked_unless_that_would_leave_something_out(value: Any, *, is_marked: bool) -> None:
    apps = read({"vm_uuid": "u1", "x": value})
    assert [cvm.is_marked for cvm in cvms_of(stored(apps))] == [is_marked]
    assert [cvm.is_marked for cvm in cvms_of(stored(apps, marked=False))] == [False]


def test_what_was_left_out_while_marking_is_known_after_storing() -> None:
    cvm = {"vm_uuid": "u1", "deep": [DEEPEST], "x": {"__ansible_y": 1}}
    apps = read(cvm)
    mark(apps)
    (found,) = cvms_of(stored(apps))
    assert found.left_out == {
        "deep": f"Left out variables that have more than {MAX_DEPTH} levels",
        "__ansible_y": "Left out keys that begin with __ansible_, which Ansible reserves",
    }
    assert what_is_shown(stored(apps)) == what_is_shown(apps)


def test_stored_cvm_is_filtered_like_the_one_that_was_read() -> None:
    apps = read({"vm_uuid": "u1", "status": "running", "teepod_name": "prod7", "memory": 1})
    assert cvms_of(stored(apps))[0].filterable == cvms_of(apps)[0].filterable
