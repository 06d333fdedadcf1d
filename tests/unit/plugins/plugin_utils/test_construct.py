# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Expressions of the user, rendered by the real plugin's templar for one host."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible.plugins.loader import inventory_loader

from ansible_collections.phala.cloud.plugins.plugin_utils import _construct
from ansible_collections.phala.cloud.plugins.plugin_utils._construct import MAX_GROUPS, Expressions, Recorder
from ansible_collections.phala.cloud.plugins.plugin_utils._failures import Failure
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import ConstructedSettings
from ansible_collections.phala.cloud.plugins.plugin_utils._trust import Marker

try:
    from ansible.template import trust_as_template
except ImportError:  # before 2.19 every text is trusted

    def trust_as_template(value: str) -> str:
        return value


VARIABLES = Marker().mark({"name": "web", "vcpu": 4, "dev": False, "slug": None, "tags": ["a"], "evil": "{{ 7 * 7 }}"})


@pytest.fixture(params=sorted({_construct.HAS_TYPES, False}), ids=["text", "typed"][: 1 + _construct.HAS_TYPES])
def plugin(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the real plugin: as it is, and as before 2.19, where results are texts and every text is trusted."""
    monkeypatch.setattr(_construct, "HAS_TYPES", request.param)
    plugin = inventory_loader.get("phala.cloud.phala")
    if not request.param:
        compose = plugin._compose
        plugin._compose = lambda text, *rest: compose(trust_as_template(text), *rest)
    BaseInventoryPlugin.parse(plugin, InventoryData(), DataLoader(), "phala.yml")
    return plugin


def expressions(plugin: Any, *, strict: bool = False, **options: Any) -> Expressions:
    return Expressions(
        plugin, ConstructedSettings(**{"strict": strict, "compose": {}, "groups": {}, "keyed_groups": [], **options})
    )


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
    before = plugin.templar.available_variables
    assert expressions(plugin).is_met(trust_as_template(condition), VARIABLES) is met
    assert plugin.templar.available_variables is before


@pytest.mark.parametrize("condition", ["vcpu", "name", "slug", "tags", "'true'", "1", "0", "''", "[]", "evil", "{'a': 1}"])
def test_condition_that_is_no_boolean_is_refused(condition: str, plugin: Any) -> None:
    advice = re.escape("Write a comparison such as 'phala_is_dev is true' or '(phala_vcpu or 0) >= 4'.")
    with pytest.raises(AnsibleParserError, match=rf"^host_filters: .* returned .*, which is not true or false\. {advice}$"):
        expressions(plugin).is_met(trust_as_template(condition), VARIABLES)


@pytest.mark.parametrize(
    "condition", ["nothing", "nothing == 1", "name >", "1 / 0 > 1", "name | nofilter", "name > 3", "'", "}}", "{{ dev"]
)
def test_condition_that_fails_is_refused(condition: str, plugin: Any) -> None:
    with pytest.raises(AnsibleParserError, match=r"host_filters: .* failed: "):
        expressions(plugin).is_met(trust_as_template(condition), VARIABLES)


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("nothing", r"'nothing' failed: .*is undefined\. Write variables with their hostvars_prefix, such as 'phala_status'\."),
        ("1 / 0 > 1", r"'1 / 0 > 1' failed: .*zero\. Correct it, or write a default where a value may be null\."),
    ],
)
def test_failed_condition_says_what_to_do(condition: str, message: str, plugin: Any) -> None:
    with pytest.raises(AnsibleParserError, match=f"^host_filters: {message}$"):
        expressions(plugin).is_met(trust_as_template(condition), VARIABLES)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{{ name }}-{{ vcpu }}", "web-4"),
        ("{{ evil }}", "{{ 7 * 7 }}"),
        ("{{ slug }}", ""),
        ("{{ slug or name }}", "web"),
        ("{{ name }}{{ slug or '' }}", "web"),
        ("{{ nothing | default('x') }}", "x"),
        ("{{ vcpu }}", "4"),
        ("{# nothing #}", ""),
        ("{% if dev %}dev{% endif %}", ""),
    ],
)
def test_name_is_rendered(template: str, name: str, plugin: Any) -> None:
    assert expressions(plugin, strict=False).name("hostnames[0]", trust_as_template(template), VARIABLES, "web") == name


@pytest.mark.parametrize("template", ["{{ nothing }}", "{{ slug[:6] }}", "{{ 1 / 0 }}"])
def test_name_that_fails_is_refused_if_strict(template: str, plugin: Any) -> None:
    advice = "Correct it, or write a default where a value may be null"
    with pytest.raises(AnsibleParserError, match=rf"^hostnames: '{re.escape(template)}' failed: \S.*[^.]\. {advice}\.$"):
        expressions(plugin, strict=True).name("hostnames[0]", trust_as_template(template), VARIABLES, "web")


@pytest.mark.parametrize(
    ("template", "reason"),
    [("{{ nothing }}", "'nothing' is undefined"), ("{{ nothing.at.all }}", "'nothing' is undefined"), ("{{ 1 / 0 }}", "zero")],
)
def test_name_that_fails_is_a_failure(template: str, reason: str, plugin: Any) -> None:
    failed = expressions(plugin).name("hostnames[0]", trust_as_template(template), VARIABLES, "web")
    assert isinstance(failed, Failure)
    assert (failed.entry, failed.host, reason in failed.reason) == ("hostnames[0]", "web", True)


@pytest.mark.parametrize("template", ["{{ slug[:6] }}", "{{ slug.part }}", "{{ name }}-{{ slug['part'] }}"])
def test_name_from_a_part_of_a_null_is_not_a_failure(template: str, plugin: Any) -> None:
    assert expressions(plugin).name("hostnames[0]", trust_as_template(template), VARIABLES, "web") is None


def test_recorder_keeps_what_core_asks_the_inventory_for() -> None:
    recorder = Recorder("web")
    recorder.set_variable("web", "a", 1)
    group = recorder.add_group("one")
    recorder.add_child(group, recorder.host)
    recorder.add_host("web", recorder.add_group("two"))
    recorder.add_child("three", group)
    assert recorder == Recorder("web", variables={"a": 1}, groups=["one", "two"], parents=[("three", "one")])
    assert recorder.all_groups() == {"one", "two", "three"}


@pytest.mark.parametrize("count", [MAX_GROUPS, MAX_GROUPS + 1, 20 * MAX_GROUPS])
def test_groups_of_a_host_are_limited(count: int) -> None:
    names = [f"g{number}" for number in range(count)]
    recorder = Recorder("web", groups=[*names, *names], parents=[("all_of_them", name) for name in names])
    recorder.limit_groups()
    assert list(dict.fromkeys(recorder.groups)) == names[:MAX_GROUPS]
    assert [group for _parent, group in recorder.parents] == names[:MAX_GROUPS]
    reason = "Left out groups, because groups and keyed_groups can give a host at most 1000"
    assert recorder.left_out == ({f"{count - MAX_GROUPS} groups": reason} if count > MAX_GROUPS else {})


def test_host_is_constructed_and_neither_the_inventory_nor_the_templar_keeps_a_trace(plugin: Any) -> None:
    before = plugin.inventory, plugin.templar.available_variables
    options: dict[str, Any] = {
        "compose": {"joined": trust_as_template("'{' ~ '{ 7 * 7 }}'"), "size": trust_as_template("vcpu")},
        "groups": {"big": trust_as_template("size == 4"), "small": trust_as_template("dev")},
        "keyed_groups": [{"key": trust_as_template("name"), "prefix": "n", "parent_group": "names"}],
    }
    recorder = expressions(plugin, **options).construct("web-1", VARIABLES, Marker())
    assert recorder == Recorder(
        "web-1", {"joined": "{{ 7 * 7 }}", "size": recorder.variables["size"]}, ["big", "n_web"], [("names", "n_web")], {}, []
    )
    assert int(recorder.variables["size"]) == 4
    assert (plugin.inventory, plugin.templar.available_variables) == before
    assert list(plugin.inventory.groups) == ["all", "ungrouped"]


@pytest.mark.parametrize("options", [{}, {"compose": {"a": "1"}}, {"groups": {"a": "true"}}, {"keyed_groups": [{"key": "a"}]}])
def test_there_is_something_to_construct_where_an_option_says_so(options: dict[str, Any], plugin: Any) -> None:
    assert expressions(plugin, **options).are_constructed is bool(options)


@pytest.mark.parametrize(
    ("options", "entry", "reason"),
    [
        ({"compose": {"a": "nothing"}}, "compose.a", "'nothing' is undefined"),
        ({"compose": {"a": "nothing.part", "b": "1"}}, "compose.a", "'nothing' is undefined"),
        ({"compose": {"a": "slug.part ~ nothing"}}, "compose.a", ""),
        ({"compose": {"a": "1 / 0"}}, "compose.a", "zero"),
        ({"compose": {"a": "name | nofilter"}}, "compose.a", "nofilter"),
        ({"compose": {"a": "name is notest"}}, "compose.a", "notest"),
        ({"groups": {"a": "nothing == 1"}}, "groups.a", "'nothing' is undefined"),
        ({"groups": {"a": "'' is version('1', '<')"}}, "groups.a", ""),
        ({"keyed_groups": [{"key": "name"}, {"key": "nothing"}]}, "keyed_groups[1]", "'nothing' is undefined"),
    ],
    ids=str,
)
def test_expression_that_fails_is_a_failure(options: dict[str, Any], entry: str, reason: str, plugin: Any) -> None:
    (failed,) = expressions(plugin, **trusted(options)).construct("web", VARIABLES, Marker()).failures
    assert (failed.entry, failed.host) == (entry, "web")
    assert reason in failed.reason


@pytest.mark.parametrize(
    "options",
    [
        {"compose": {"a": "slug", "b": "slug.part", "c": "slug[:6]", "d": "''"}},
        {"groups": {"a": "slug.part == 1", "b": "dev"}},
        {"keyed_groups": [{"key": "slug"}, {"key": "dev"}, {"key": "''"}, {"key": "[]"}, {"key": "slug.part"}]},
    ],
    ids=str,
)
def test_null_and_empty_results_and_parts_of_a_null_are_not_failures(options: dict[str, Any], plugin: Any) -> None:
    assert expressions(plugin, **trusted(options)).construct("web", VARIABLES, Marker()).failures == []


@pytest.mark.parametrize(
    "options", [{"compose": {"a": "1 / 0"}}, {"groups": {"a": "1 / 0"}}, {"keyed_groups": [{"key": "1 / 0"}]}], ids=str
)
def test_expression_that_fails_is_refused_if_strict(options: dict[str, Any], plugin: Any) -> None:
    with pytest.raises(AnsibleParserError, match=r"^(compose\.a|groups\.a|keyed_groups\[0\]): '1 / 0' failed for web: .*zero"):
        expressions(plugin, strict=True, **trusted(options)).construct("web", VARIABLES, Marker())


@pytest.mark.parametrize("is_used", [True, False])
def test_extra_variables_take_precedence_only_if_they_are_used(plugin: Any, *, is_used: bool) -> None:
    plugin.set_option("use_extra_vars", is_used)
    plugin._vars = {"name": "extra", "dev": True}
    options = trusted({"compose": {"plain": "name", "joined": "name ~ '-1'"}, "keyed_groups": [{"key": "name"}]})
    evaluated = expressions(plugin, **options)
    recorder = evaluated.construct("web", VARIABLES, Marker())
    name = "extra" if is_used else "web"
    assert (recorder.variables, recorder.groups) == ({"plain": name, "joined": f"{name}-1"}, [f"_{name}"])
    assert evaluated.is_met(trust_as_template("dev"), VARIABLES) is is_used


def test_what_names_a_variable_is_looked_up_without_core(plugin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "_compose", None)
    options = {"compose": {"a": "name"}, "groups": {"on-line": "on", "off": "dev"}, "keyed_groups": [{"key": "name"}]}
    recorder = expressions(plugin, **trusted(options)).construct("web-1", {**VARIABLES, "on": True}, Marker())
    assert recorder == Recorder("web-1", {"a": "web"}, ["on_line", "_web"])


@pytest.mark.parametrize(
    ("key", "group"), [("vcpu", "n_4"), ("vcpu / 8", "n_0_5"), ("dev", "n_False"), ("slug", "n_none"), ("tags", "n_a")]
)
def test_key_may_have_any_type(key: str, group: str, plugin: Any) -> None:
    keyed = {"key": trust_as_template(key), "prefix": "n", "default_value": "none"}
    assert expressions(plugin, strict=True, keyed_groups=[keyed]).construct("web", VARIABLES, Marker()).groups == [group]


def test_groups_are_renamed_on_their_own_and_as_parents() -> None:
    recorder = Recorder("web", groups=["a", "b"], parents=[("a", "b")])
    recorder.rename_groups("{}_group".format, "{}_parent".format)
    assert (recorder.groups, recorder.parents) == (["a_group", "b_group"], [("a_parent", "b_group")])


def trusted(options: Any) -> Any:
    """Return options as a file gives them."""
    if isinstance(options, dict):
        return {name: trusted(value) for name, value in options.items()}
    return [trusted(value) for value in options] if isinstance(options, list) else trust_as_template(options)
