# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Expressions of the user, rendered by the real plugin's templar for one host."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible.plugins.loader import inventory_loader

from ansible_collections.phala.cloud.plugins.plugin_utils.construct import Recorder, meets_condition, render_name
from ansible_collections.phala.cloud.plugins.plugin_utils.trust import Marker

try:
    from ansible.template import trust_as_template
except ImportError:  # before 2.19 every text is trusted

    def trust_as_template(value: str) -> str:
        return value


VARIABLES = Marker().mark({"name": "web", "vcpu": 4, "dev": False, "slug": None, "tags": ["a"], "evil": "{{ 7 * 7 }}"})


@pytest.fixture
def plugin() -> Any:
    plugin = inventory_loader.get("phala.cloud.phala")
    BaseInventoryPlugin.parse(plugin, InventoryData(), DataLoader(), "phala.yml")
    return plugin


@pytest.mark.parametrize(
    ("condition", "met"),
    [
        ("vcpu >= 4", True),
        ("vcpu > 4", False),
        ("dev", False),
        ("not dev", True),
        ("dev is false and name == 'web'", True),
        ("slug is none", True),
        ("'a' in tags", True),
        ("evil == '{' ~ '{ 7 * 7 }' ~ '}'", True),
        ("evil == 49", False),
        ("nothing is defined", False),
        ("(vcpu or 0) in [4, 8]", True),
        ("true", True),
    ],
)
def test_condition_is_met_or_not(condition: str, *, met: bool, plugin: Any) -> None:
    assert meets_condition(plugin, trust_as_template(condition), VARIABLES) is met


@pytest.mark.parametrize("condition", ["vcpu", "name", "slug", "tags", "'true'", "1", "0", "''", "[]", "evil", "{'a': 1}"])
def test_condition_that_is_no_boolean_is_refused(condition: str, plugin: Any) -> None:
    with pytest.raises(AnsibleParserError, match=r"host_filters: .* gave "):
        meets_condition(plugin, trust_as_template(condition), VARIABLES)


@pytest.mark.parametrize(
    "condition", ["nothing", "nothing == 1", "name >", "1 / 0 > 1", "name | nofilter", "name > 3", "'", "}}", "{{ dev"]
)
def test_condition_that_fails_is_refused(condition: str, plugin: Any) -> None:
    with pytest.raises(AnsibleParserError, match=r"host_filters: .* failed: "):
        meets_condition(plugin, trust_as_template(condition), VARIABLES)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{{ name }}-{{ vcpu }}", "web-4"),
        ("{{ evil }}", "{{ 7 * 7 }}"),
        ("{{ slug }}", ""),
        ("{{ slug or name }}", "web"),
        ("{{ name }}{{ slug or '' }}", "web"),
        ("{{ nothing }}", ""),
        ("{{ nothing.at.all }}", ""),
        ("{{ nothing | default('x') }}", "x"),
        ("{{ vcpu }}", "4"),
        ("{# nothing #}", ""),
        ("{% if dev %}dev{% endif %}", ""),
    ],
)
def test_name_is_rendered(template: str, name: str, plugin: Any) -> None:
    assert render_name(plugin, trust_as_template(template), VARIABLES, strict=False) == name


@pytest.mark.parametrize(("template", "strict"), [("{{ nothing }}", True), ("{{ 1 / 0 }}", False), ("{{ name", False)])
def test_name_that_fails_is_refused(template: str, *, strict: bool, plugin: Any) -> None:
    with pytest.raises(AnsibleParserError, match=r"hostnames: .* failed: "):
        render_name(plugin, trust_as_template(template), VARIABLES, strict=strict)


def test_recorder_keeps_what_core_asks_the_inventory_for() -> None:
    recorder = Recorder("web")
    recorder.set_variable("web", "a", 1)
    group = recorder.add_group("one")
    recorder.add_child(group, recorder.host)
    recorder.add_host("web", recorder.add_group("two"))
    recorder.add_child("three", group)
    assert recorder == Recorder("web", variables={"a": 1}, groups=["one", "two"], parents=[("three", "one")])
    assert recorder.all_groups() == {"one", "two", "three"}
