# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""compose, groups and keyed_groups do what ansible-core's own plugin for them does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible import constants
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.phala.cloud.tests.commands import Completed
from ansible_collections.phala.cloud.tests.loading import Loaded
from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Simulator

from .fleets import FLEET, NAMES, one_cvm

CORE_PLUGIN = "plugin: ansible.builtin.constructed\n"
BARE = App(
    name="bare",
    cvms=(Cvm(name="bare", region=None, node=None, base_image=None, instance_type=None, kms_type=None, gateway_domain=None),),
)


@pytest.fixture(autouse=True)
def fleet(simulator: Simulator) -> None:
    simulator.fleet = (*FLEET, BARE)


EXPRESSIONS = [
    {
        "compose": {
            "gigabytes": "phala_memory / 1024",
            "label": "phala_name ~ '@' ~ (phala_region or 'nowhere')",
            "texts": "[phala_name, phala_node]",
            "entries": "{'name': phala_name, 'vcpu': phala_vcpu, 'app': phala_app.name}",
            "truth": "phala_is_dev or phala_listed",
            "nothing": "phala_kms_slug",
            "missing": "no_such_variable",
            "failing": "1 / 0",
            "host": "inventory_hostname | upper",
            "app_copy": "phala_app",
            "internal": "phala_instance_id ~ '.internal'",
            "literal": "'text'",
        },
        "groups": {
            "large": "phala_memory > 4096",
            "dev": "phala_is_dev == true",
            "webs": "inventory_hostname.startswith('web')",
            "composed": "'US' in label",
            "missing": "no_such_variable == 1",
            "bad-name!": "true",
            "always": True,
            "never": "false",
        },
    },
    {"keyed_groups": [{"key": "phala_region"}]},
    {"keyed_groups": [{"key": "phala_region", "prefix": "r"}]},
    {"keyed_groups": [{"key": "phala_region", "prefix": "r", "separator": "-"}]},
    {"keyed_groups": [{"key": "phala_region", "prefix": "", "separator": ""}]},
    {"keyed_groups": [{"key": "phala_region"}], "leading_separator": False},
    {"keyed_groups": [{"key": "phala_region", "prefix": "r"}], "leading_separator": False},
    {"keyed_groups": [{"key": "phala_region", "prefix": "r", "parent_group": "all_regions"}]},
    {"keyed_groups": [{"key": "phala_status", "prefix": "s", "parent_group": "in_{{ phala_region }}"}]},
    {"keyed_groups": [{"key": "phala_region or ''", "prefix": "r", "default_value": "unknown"}]},
    {"keyed_groups": [{"key": "phala_region or ''", "prefix": "r"}]},
    {"keyed_groups": [{"key": "[phala_region or '', phala_status]", "prefix": "x", "default_value": "none"}]},
    {"keyed_groups": [{"key": "[phala_region or '', phala_status]", "prefix": "x"}]},
    {"keyed_groups": [{"key": "{'in': phala_region or '', 'is': phala_status}", "prefix": "x", "trailing_separator": False}]},
    {"keyed_groups": [{"key": "{'in': phala_region or '', 'is': phala_status}", "prefix": "x", "trailing_separator": True}]},
    {"keyed_groups": [{"key": "{'in': phala_region or '', 'is': phala_status}", "prefix": "x", "default_value": "none"}]},
    {"keyed_groups": [{"key": "no_such_variable", "prefix": "x"}, {"key": "phala_app.name", "prefix": "y"}]},
    {"keyed_groups": [{"key": "phala_app.kms_type", "prefix": "k"}, {"key": "label"}], "compose": {"label": "phala_name"}},
    {"compose": {"extra": "wanted"}, "keyed_groups": [{"key": "wanted", "prefix": "x"}], "use_extra_vars": True},
    {"compose": {"extra": "wanted"}, "keyed_groups": [{"key": "wanted", "prefix": "x"}], "use_extra_vars": False},
    {"compose": {"phala_name": "'changed'"}, "groups": {"seen": "phala_name == 'changed'"}},
    {"compose": {"phala_name": "'changed'"}, "keyed_groups": [{"key": "phala_name", "prefix": "n"}]},
    {"groups": {"region_US_WEST_1": "phala_status == 'exited'", "phala": "true"}},
    {"keyed_groups": [{"key": "'x'", "prefix": "", "separator": "", "parent_group": "status_running"}]},
    {"compose": {"short": "inventory_hostname_short"}, "groups": {"shorts": "inventory_hostname_short == 'db'"}},
    {"groups": {"runners": "'status_running' in group_names"}},
    {"compose": {"port": "ansible_port", "user": "ansible_user"}},
]  # fmt: skip


@pytest.mark.parametrize("expressions", EXPRESSIONS, ids=lambda expressions: ",".join(map(str, expressions.values()))[:60])
def test_expressions_give_what_they_give_to_cores_own_plugin(
    expressions: dict[str, Any], write: Callable[..., Path], load_all: Callable[..., Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DEFAULT_JINJA2_NATIVE", True)  # core's own plugin makes text of numbers before 2.19 without
    extra_vars = {"wanted": "from-outside"}
    plain = write()
    core = load_all(
        plain, write({"plugin": "ansible.builtin.constructed", **expressions}, name="constructed.yml"), extra_vars=extra_vars
    )
    ours = load_all(write(expressions, name="all.phala.yml"), extra_vars=extra_vars)
    assert ours.hosts == core.hosts
    assert ours.groups == core.groups
    assert ours.children == core.children
    assert ours.group_variables == core.group_variables


@pytest.mark.parametrize(
    ("expressions", "words"),
    [
        ({"compose": {"x": "no_such_variable"}}, ["x", "no_such_variable"]),
        ({"compose": {"x": "1 / (phala_vcpu - 4)"}}, ["x", "web-2", "division by zero"]),
        ({"compose": {"x": "phala_name | nofilter"}}, ["x", "nofilter"]),
        ({"groups": {"g": "no_such_variable == 1"}}, ["g", "no_such_variable"]),
        ({"keyed_groups": [{"key": "no_such_variable"}]}, ["no_such_variable"]),
        ({"keyed_groups": [{"key": "phala_region"}]}, ["phala_region", "bare"]),  # null for one host
    ],
    ids=str,
)
def test_strict_error_leaves_nothing_behind(
    expressions: dict[str, Any], words: list[str], attempt: Callable[..., Loaded]
) -> None:
    loaded = attempt({**expressions, "strict": True})
    assert [word for word in words if word not in loaded.failures[0]] == []
    assert (loaded.hosts, loaded.groups) == ({}, {})


@pytest.mark.parametrize(
    "expressions",
    [
        {"compose": {"x": "no_such_variable", "y": "1"}},
        {"groups": {"g": "no_such_variable == 1"}},
        {"keyed_groups": [{"key": "no_such_variable"}]},
    ],
    ids=str,
)
def test_error_without_strict_leaves_out_what_failed(expressions: dict[str, Any], inventory: Callable[..., Loaded]) -> None:
    loaded = inventory({**expressions, "group_by": []})
    assert sorted(loaded.hosts) == sorted([*NAMES, "bare"])
    assert list(loaded.groups) == ["phala"]
    assert all("x" not in variables for variables in loaded.hosts.values())


def test_compose_goes_before_groups_before_keyed_groups(inventory: Callable[..., Loaded]) -> None:
    loaded = inventory(
        {
            "compose": {"a": "phala_vcpu * 2"},
            "groups": {"big": "a | int >= 8"},
            "keyed_groups": [{"key": "'v' ~ a", "prefix": "", "separator": ""}],
            "group_by": [],
        }
    )
    assert loaded.groups["big"] == ["db", "web-2"]
    assert (loaded.groups["v8"], loaded.groups["v16"]) == (["web-2"], ["db"])


def test_compose_sees_the_name_of_the_host(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = (App(name="app", cvms=tuple(Cvm(name="web", vm_uuid=digit * 8) for digit in "12")),)
    loaded = inventory({"compose": {"host": "inventory_hostname"}})
    assert loaded.values("host") == {"web-11111111": "web-11111111", "web-22222222": "web-22222222"}


def test_composed_variable_goes_before_those_of_the_connection(inventory: Callable[..., Loaded]) -> None:
    loaded = inventory({"compose": {"ansible_host": "phala_name ~ '.example.org'", "ansible_port": "22"}})
    assert loaded.values("ansible_host") == {name: f"{name}.example.org" for name in loaded.hosts}
    assert set(map(str, loaded.values("ansible_port").values())) == {"22"}


PARTS = {
    "one": "#jin",
    "two": "ja2: variable_start_string:'[%', variable_end_string:'%]'\n[% 7 * 7 %]",
    "open": "{{",
    "close": "}}",
}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("phala_one ~ phala_two", PARTS["one"] + PARTS["two"]),
        ("phala_one + phala_two", PARTS["one"] + PARTS["two"]),
        ("[phala_one, phala_two] | join", PARTS["one"] + PARTS["two"]),
        ("phala_open ~ ' 7 * 7 ' ~ phala_close", "{{ 7 * 7 }}"),
        ("'{' ~ '{ 7 * 7 }' ~ '}'", "{{ 7 * 7 }}"),
        ("[phala_one ~ phala_two]", [PARTS["one"] + PARTS["two"]]),
        ("{'a': [phala_open ~ ' 7 * 7 ' ~ phala_close]}", {"a": ["{{ 7 * 7 }}"]}),
        ("phala_open | replace('{{', '{{ 7 * 7 }}')", "{{ 7 * 7 }}"),
        ("phala_hex | replace('x', '{')", "{{ 7 * 7 }}"),
    ],
)
def test_composed_text_that_becomes_a_template_is_never_run(
    expression: str, value: Any, simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = one_cvm(extra={**PARTS, "hex": "xx 7 * 7 }}"})
    composed = inventory({"compose": {"composed": expression}}).hosts["solo"]["composed"]
    assert composed == value
    assert Templar(loader=DataLoader()).template(composed) == value


def test_composed_text_is_printed_as_unsafe_only_where_it_might_be_a_template(
    simulator: Simulator, ansible_inventory: Callable[..., Completed]
) -> None:
    simulator.fleet = one_cvm(extra=PARTS)
    compose = {
        "label": "phala_name ~ '@' ~ phala_region",
        "labels": "[phala_name, {'node': phala_node}]",
        "joined": "phala_one ~ phala_two",
        "inside": "[phala_open ~ phala_close]",
    }
    printed = ansible_inventory({"compose": compose}, "--list").json["_meta"]["hostvars"]["solo"]
    assert {name: printed[name] for name in compose} == {
        "label": "solo@US-WEST-1",
        "labels": ["solo", {"node": "prod7"}],
        "joined": {"__ansible_unsafe": PARTS["one"] + PARTS["two"]},
        "inside": [{"__ansible_unsafe": "{{}}"}],
    }


def test_composed_group_name_of_hostile_text_is_safe(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = one_cvm(region="{{ 7 * 7 }}", extra=PARTS)
    loaded = inventory(
        {
            "group_by": [],
            "keyed_groups": [
                {"key": "phala_region", "prefix": "r", "parent_group": "{{ phala_region }}"},
                {"key": "phala_one ~ phala_two", "prefix": "", "separator": ""},
            ],
        }
    )
    assert set(loaded.groups) >= {"phala", "r____7___7___", "___7___7___"}
    assert [name for name in loaded.groups if not name.isidentifier() or hasattr(name, "__UNSAFE__")] == []


def test_group_that_would_descend_from_itself_fails_the_source(attempt: Callable[..., Loaded]) -> None:
    keyed = {"key": "'phala'", "prefix": "", "separator": "", "parent_group": "status_running"}
    loaded = attempt({"keyed_groups": [keyed]})
    assert "'phala'" in loaded.failures[0]
    assert (loaded.hosts, loaded.groups) == ({}, {})
