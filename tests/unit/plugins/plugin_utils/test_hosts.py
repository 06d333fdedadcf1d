# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables and built-in groups of a host."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.phala.cloud.plugins.plugin_utils._apps import ShownApp, mark_app
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import CORE_VARIABLES, Cvm, Filterable, Identity
from ansible_collections.phala.cloud.plugins.plugin_utils._hosts import (
    GroupNames,
    VariableNames,
    dimension_value,
    host_variables,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level
from ansible_collections.phala.cloud.plugins.plugin_utils._trust import MAX_DEPTH, Marker
from ansible_collections.phala.cloud.tests.comparing import shape_and_marks

DEEP: Any = "end"
for _level in range(MAX_DEPTH):
    DEEP = [DEEP]
TO_SEPARATE = "To separate them, use keyed_groups, or remove the dimension from group_by."


def core(**values: Any) -> Any:
    return {**dict.fromkeys(CORE_VARIABLES), **values}


def cvm(fields: dict[str, Any], **values: Any) -> Cvm:
    identity = Identity("", "u1", None, None)
    filterable = Filterable((), (), False, frozenset(), frozenset())
    return Cvm(identity, core(name="web", **values), fields, is_only_cvm=True, read_filterable=lambda _fields: filterable)


def variables(fields: dict[str, Any], prefix: str = "p_", suffix: str = "") -> tuple[dict[str, Any], list[Any]]:
    return host_variables(cvm(fields, region="R"), VariableNames(prefix, suffix), Marker())


@pytest.mark.parametrize(("prefix", "suffix"), [("phala_", ""), ("", "_v"), ("a_", "_b")])
def test_every_variable_has_prefix_and_suffix_and_core_variables_win(prefix: str, suffix: str) -> None:
    found, lacking = variables({"region": "of the API", "region_identifier": "R", "tomorrow": [1]}, prefix, suffix)
    expected = {**core(name="web", region="R"), "region_identifier": "R", "tomorrow": [1]}
    assert found == {f"{prefix}{name}{suffix}": value for name, value in expected.items()}
    assert lacking == []
    assert VariableNames(prefix, suffix).without_affixes(found) == expected


@pytest.mark.parametrize(
    ("prefix", "field"), [("p_", "a-b"), ("", "class"), ("", "ansible_host"), ("ansi", "ble_x"), ("", "omit")]
)
def test_field_whose_name_is_not_safe_is_left_out_and_reported(prefix: str, field: str) -> None:
    found, (diagnostic,) = variables({field: 1}, prefix)
    assert len(found) == len(CORE_VARIABLES)
    text = "Left out fields whose names are not valid variable names"
    assert diagnostic == Diagnostic(Level.VERY_VERBOSE, text, subjects=(f"{field} of 'web' (vm_uuid 'u1')",))


def test_variable_that_cannot_be_published_is_left_out_with_a_warning() -> None:
    found, (diagnostic,) = variables({"deep": DEEP, "other": 1})
    assert ("p_deep" in found, found["p_other"]) == (False, 1)
    text = f"Left out variables that have more than {MAX_DEPTH} levels"
    assert diagnostic == Diagnostic(Level.WARNING, text, subjects=("p_deep of 'web' (vm_uuid 'u1')",))


TEXTS = st.sampled_from(["web", "{{ 1 }}", "#jinja2: x", "\ud800", "", "a-b", "__ansible_x"])
VALUES = st.recursive(
    TEXTS | st.none() | st.booleans() | st.integers(0, 1) | st.floats() | st.just(DEEP),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(TEXTS, values, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(TEXTS, VALUES)


@given(
    fields=st.fixed_dictionaries({}, optional={"status": TEXTS | st.just(DEEP), "x": VALUES, "y": VALUES})
    | st.dictionaries(TEXTS, st.just(DEEP) | st.integers(), max_size=3),
    values=st.fixed_dictionaries({}, optional={"status": TEXTS, "app_urls": VALUES, "app": OBJECTS}),
)
def test_variables_are_the_same_when_they_were_marked_before(fields: dict[str, Any], values: dict[str, Any]) -> None:
    app = ShownApp(("i1", "a1"), [cvm(fields, **values)], [], [])
    mark_app(app, Marker())
    results = []
    for made in (cvm(fields, **values), *app.cvms):
        made.core["gateway_id"], made.core["gateway_port"] = "ab", 443
        results.append(host_variables(made, VariableNames("p_", ""), Marker()))
    (found, lacking), (found_marked, lacking_marked) = results
    assert shape_and_marks(found_marked) == shape_and_marks(found)
    assert sorted(lacking_marked, key=repr) == sorted(lacking, key=repr)


@pytest.mark.parametrize(
    ("dimension", "values", "value"),
    [
        ("region", {"region": "US-WEST-1"}, "US-WEST-1"),
        ("region", {}, None),
        ("region", {"region": ""}, None),
        ("region", {"region": ["a"]}, None),
        ("region", {"region": True}, None),
        ("region", {"region": 7}, "7"),
        *((name, {name: "x"}, "x") for name in ("node", "base_image", "status", "instance_type", "kms_type", "kms_slug")),
        ("app", {"app_name": "shop"}, "shop"),
        ("app", {"app_name": ""}, None),
        ("team", {"team_slug": "s", "team_name": "n"}, "s"),
        ("team", {"team_slug": "", "team_name": "n"}, "n"),
        ("team", {}, None),
        ("listed", {"listed": True}, "true"),
        ("listed", {"listed": False}, "false"),
        ("listed", {"listed": None}, None),
        ("os_type", {"is_dev": True}, "dev"),
        ("os_type", {"is_dev": False}, "prod"),
        ("os_type", {"is_dev": None}, None),
        ("reachable", {"is_reachable": True}, "true"),
        ("reachable", {"is_reachable": None}, None),
    ],
)
def test_dimension_has_a_text_or_no_value(dimension: str, values: dict[str, Any], value: str | None) -> None:
    assert dimension_value(core(**values), dimension) == value


def test_values_that_share_a_group_are_one_warning_for_each_group() -> None:
    groups = GroupNames(("region", "node"), "x_", str)
    assert groups.of(core(region="US-1", node=None), "") == ("x_region_US_1", None)
    assert groups.of(core(region="EU", node="n"), "") == ("x_region_EU", "x_node_n")
    assert groups.shared() == []
    assert groups.of(core(region="US_1"), "") == ("x_region_US_1", None)
    (warning,) = groups.shared()
    text = "Different values share a group, because they give the same group name"
    assert warning == Diagnostic(Level.WARNING, text, subjects=("x_region_US_1 ('US-1', 'US_1')",), advice=TO_SEPARATE)


def test_apps_of_one_name_are_a_warning() -> None:
    groups = GroupNames(("app",), "", str)
    for app_id, account in (("aa", ""), ("aa", ""), ("bb", "")):
        assert groups.of(core(app_name="web", app_id=app_id, app={"app_id": app_id}), account) == ("app_web",)
    assert groups.of(core(app_name="one", app_id="cc", app={"app_id": "cc"}), "") == ("app_one",)
    (warning,) = groups.shared()
    text = "Different apps with the same name share a group"
    assert warning == Diagnostic(Level.WARNING, text, subjects=("app_web (app_id 'aa', 'bb')",), advice=TO_SEPARATE)
