# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.phala.cloud.plugins.plugin_utils._apps import ShownApp, marked_app, read_apps
from ansible_collections.phala.cloud.plugins.plugin_utils._cache_form import pack, unpack
from ansible_collections.phala.cloud.plugins.plugin_utils._trust import MAX_DEPTH, Marker

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


def stored(apps: list[list[ShownApp]]) -> list[list[ShownApp]]:
    packed, of_cvms = pack(apps)
    return unpack(json.loads(json.dumps(packed)), of_cvms)


@given(raw=st.lists(st.lists(APPS, max_size=3), max_size=3), account=st.sampled_from(["", "one"]))
def test_what_apps_show_is_the_same_after_storing(raw: list[list[Any]], account: str) -> None:
    apps = [read_apps(of_query, account=account)[0] for of_query in raw]
    assert stored(apps) == apps
    assert repr(stored(apps)) == repr(apps)  # which tells 1 from True, and shows the order of fields


def test_each_value_is_stored_once() -> None:
    cvm = {"vm_uuid": "u1", "status": "running", "resource": {"vcpu": 2}}
    app = {"app_id": "a", "cvms": [cvm, {**cvm, "vm_uuid": "u2"}]}
    values = pack([read_apps([app], account="")[0]])[0]["values"]
    assert [values.count(value) for value in ("running", {"vcpu": 2}, list(cvm), "u1", "u2")] == [1, 1, 1, 1, 1]


def test_what_was_left_out_while_marking_is_known_after_storing() -> None:
    deep: Any = "end"
    for _level in range(MAX_DEPTH):
        deep = [deep]
    ((shown,), _forms) = read_apps(
        [{"app_id": "a", "cvms": [{"vm_uuid": "u1", "deep": deep, "x": {"__ansible_y": 1}}]}], account=""
    )
    apps = [[marked_app(shown, Marker())]]
    (found,) = stored(apps)[0][0].cvms
    assert found.left_out == {
        "deep": f"Left out variables that have more than {MAX_DEPTH} levels",
        "__ansible_y": "Left out keys that begin with __ansible_, which Ansible reserves",
    }
    assert (found.is_marked, stored(apps)) == (False, apps)


def test_stored_cvm_is_filtered_like_the_one_that_was_read() -> None:
    app = {"app_id": "a", "cvms": [{"vm_uuid": "u1", "status": "running", "teepod_name": "prod7", "memory": 1}]}
    apps = [read_apps([app], account="")[0]]
    assert stored(apps)[0][0].cvms[0].filterable == apps[0][0].cvms[0].filterable
