# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A value that is looked up is the one that ansible-core renders, whatever the API and the user's variables hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any
from unittest.mock import patch

import pytest
from ansible import constants
from ansible.errors import AnsibleError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible.plugins.loader import inventory_loader
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.phala.cloud.plugins.plugin_utils import _construct
from ansible_collections.phala.cloud.plugins.plugin_utils._construct import Expressions
from ansible_collections.phala.cloud.plugins.plugin_utils._lookup import NOT_FOUND, looked_up
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import ConstructedSettings
from ansible_collections.phala.cloud.plugins.plugin_utils._trust import Marker

try:
    from ansible.template import is_trusted_as_template, trust_as_template
except ImportError:  # before 2.19 every text is trusted

    def trust_as_template(value: str) -> str:
        return value

    def is_trusted_as_template(value: object) -> bool:
        return isinstance(value, str)


SETTINGS: Mapping[str, Any] = {"suppress_health_check": [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]}
HOST = "web-1"
MAGIC = {"inventory_hostname": HOST, "inventory_hostname_short": HOST, "group_names": ["phala"]}
# What Jinja2, Python or core use for something else; with an empty hostvars_prefix the API may call a field so.
WORDS = [
    *(
        "self",
        "true",
        "True",
        "none",
        "None",
        "not",
        "in",
        "is",
        "if",
        "else",
        "and",
        "set",
        "loop",
        "super",
        "caller",
        "context",
    ),
    *("vars", "omit", "lookup", "query", "q", "now", "undef", "range", "dict", "namespace", "environment", "groups", "hostvars"),
    *(
        "items",
        "keys",
        "values",
        "get",
        "pop",
        "update",
        "copy",
        "_private",
        "__class__",
        "__len__",
        "_templar",
        "class",
        "async",
    ),
]
NAMES = ["phala_a", "b", "C3", "x_y", "é", "a-b", "0", "5x", "a b", "ansible_host", *MAGIC, *WORDS]
TEXTS = [
    *(
        "",
        " ",
        "web",
        "True",
        "no",
        "null",
        "None",
        "123",
        "1.5",
        "0x1f",
        "inf",
        "nan",
        "Ellipsis",
        "[1, 2]",
        "{'a': 1}",
        "a\nb\n",
    ),
    *("{{ 7 * 7 }}", "{% raw %}", "{# x #}", "}}", "#jinja2: variable_start_string:'['\n[ 7 ]", " #JINJA2:", "# web", "%shell x"),
    *(
        "'quoted'",
        '"quoted"',
        "a\\nb",
        "é",
        "\ud800",
        "\0",
        "json:1",
        "b",
        "phala_a",
        "__ansible_unsafe",
        "\u2028",
        "1_000",
        "(1,)",
    ),
]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.just(2**64), st.floats(), st.sampled_from(TEXTS), st.text(max_size=8)
)
KEYS = st.sampled_from(NAMES) | st.text(max_size=3)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=6)
VARIABLES = st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1, max_size=5)
ENDINGS = ["", "", "", "", ".missing", ".items", ".a-b", "['b']", "[0]", ".0", " ", " is none", " == 1", "."]


def paths(variables: Mapping[str, Any]) -> Iterator[str]:
    """Yield the dotted path of each value."""
    for name, value in variables.items():
        yield name
        if isinstance(value, dict):
            yield from (f"{name}.{path}" for path in paths({str(key): inner for key, inner in value.items()}))


@st.composite
def cases(draw: Callable[..., Any]) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return a host's variables, constructed's options about them, and extra variables, of which some have the same names."""
    variables = {**draw(VARIABLES), **MAGIC}
    path = st.sampled_from([*paths(variables), "composed0", "composed1"]) | st.sampled_from(NAMES)
    expression = st.builds(lambda start, ending: trust_as_template(start + ending), path, st.sampled_from(ENDINGS))
    texts = draw(st.lists(expression, min_size=1, max_size=3))
    options = {
        "compose": {f"composed{number}": text for number, text in enumerate(texts)},
        "groups": {f"group{number}": text for number, text in enumerate(draw(st.lists(expression, max_size=3)))},
        "keyed_groups": [{"key": text, "prefix": "key", **draw(KEYED)} for text in draw(st.lists(expression, max_size=3))],
    }
    return variables, options, draw(st.dictionaries(st.sampled_from([*variables, *NAMES]), VALUES, max_size=2))


KEYED = st.sampled_from(
    [
        {},
        {"default_value": "nothing"},
        {"separator": "", "prefix": ""},
        {"trailing_separator": False},
        {"parent_group": trust_as_template("of_{{ b }}")},
    ]
)


@pytest.fixture(scope="module", params=[False, True], ids=["text", "native"])
def plugin(request: pytest.FixtureRequest) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(constants, "DEFAULT_JINJA2_NATIVE", request.param)
        plugin = inventory_loader.get("phala.cloud.phala")
        BaseInventoryPlugin.parse(plugin, InventoryData(), DataLoader(), "phala.yml")
        yield plugin


def expressions(plugin: Any, **options: Any) -> Expressions:
    return Expressions(
        plugin, ConstructedSettings(**{"strict": False, "compose": {}, "groups": {}, "keyed_groups": [], **options})
    )


def outcome(function: Callable[[], Any]) -> Any:
    try:
        return as_seen(function())
    except AnsibleError as error:
        return str(error)


def as_seen(value: Any) -> Any:
    """Return a value with its type and mark, so that what differs is not equal: 1 and True, trusted and unsafe text."""
    if isinstance(value, dict):
        return {key: as_seen(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_seen(inner) for inner in value]
    if isinstance(value, _construct.Recorder):
        return as_seen({field.name: getattr(value, field.name) for field in fields(value)})
    return type(value).__name__, repr(value), is_trusted_as_template(value), hasattr(value, "__UNSAFE__")


@given(case=cases(), strict=st.booleans(), use_extra_vars=st.booleans())
@settings(max_examples=100, **SETTINGS)
def test_lookup_and_rendering_agree(case: tuple[Any, ...], strict: bool, use_extra_vars: bool, plugin: Any) -> None:
    assert_agreement(case, strict, use_extra_vars, plugin)


@pytest.mark.slow
@given(case=cases(), strict=st.booleans(), use_extra_vars=st.booleans())
@settings(max_examples=4000, **SETTINGS)
def test_lookup_and_rendering_agree_in_many_cases(case: tuple[Any, ...], strict: bool, use_extra_vars: bool, plugin: Any) -> None:
    assert_agreement(case, strict, use_extra_vars, plugin)


def assert_agreement(case: tuple[Any, ...], strict: bool, use_extra_vars: bool, plugin: Any) -> None:
    variables, options, extra = case
    known, _left_out = Marker().mark_variables(variables)
    known.update(MAGIC)
    plugin._vars = {name: trusted(value) for name, value in extra.items()}
    plugin.set_option("use_extra_vars", use_extra_vars)
    evaluated = expressions(plugin, strict=strict, **options)
    found = outcome(lambda: evaluated.construct(HOST, known, Marker()))
    with patch.object(_construct, "looked_up", lambda *_: NOT_FOUND):
        assert found == outcome(lambda: evaluated.construct(HOST, known, Marker()))


@pytest.mark.parametrize("parent", ["of_{{ composed }}", "of_{{ phala_a }}", "of_{{ extra }}"])
def test_parent_group_sees_the_same_variables_when_the_key_is_looked_up(parent: str, plugin: Any) -> None:
    keyed = {"key": trust_as_template("phala_key"), "prefix": "k", "parent_group": trust_as_template(parent)}
    options = {"compose": {"composed": trust_as_template("phala_a ~ '-x'")}, "keyed_groups": [keyed]}
    case = {"phala_a": "one", "phala_key": "two"}, options, {"phala_a": "three", "extra": "four"}
    assert_agreement(case, strict=True, use_extra_vars=True, plugin=plugin)


def trusted(value: Any) -> Any:
    """Return a value as ``-e`` gives it."""
    if isinstance(value, dict):
        return {key: trusted(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [trusted(inner) for inner in value]
    return trust_as_template(value) if isinstance(value, str) else value


@given(variables=VARIABLES, data=st.data())
@settings(max_examples=100, **SETTINGS)
def test_what_is_looked_up_has_the_type_and_mark_of_what_is_rendered(
    variables: dict[str, Any], data: st.DataObject, plugin: Any
) -> None:
    plugin.set_option("use_extra_vars", False)
    known, _left_out = Marker().mark_variables(variables)
    text = trust_as_template(data.draw(st.sampled_from([*paths(variables)])))
    found = looked_up(text, known)
    if found is not NOT_FOUND:
        assert as_seen(found) == as_seen(_construct._typed(plugin._compose, text, known))


TREE = {"text": "web", "number": 4, "truth": True, "nothing": None, "app": {"name": "web", "deep": {"er": "x"}, "items": 1}}
ODD = {"template": "{{ 7 }}", "half": 0.5, "list": [1], "self": 1, "range": 1, "true": 1, "_x": 1}
KNOWN = Marker().mark({**TREE, **ODD})


@pytest.mark.parametrize(
    ("text", "value"),
    [("text", "web"), ("number", 4), ("truth", True), ("nothing", None), ("app.name", "web"), ("app.deep.er", "x")],
)
def test_plain_value_is_found(text: str, value: Any) -> None:
    assert looked_up(trust_as_template(text), KNOWN) == value


@pytest.mark.parametrize(
    "text",
    [
        *(
            "app",
            "list",
            "half",
            "template",
            "missing",
            "app.missing",
            "text.upper",
            "app.items",
            "app.name.title",
            "self",
            "range",
        ),
        *(
            "true",
            "_x",
            "app.deep._er",
            " text",
            "text ",
            "text\n",
            "app . name",
            "app['name']",
            "list.0",
            "number + 0",
            "'text'",
            "",
        ),
        *("tëxt", "1", "app.", ".app"),
    ],
)
def test_everything_else_is_left_to_core(text: str) -> None:
    assert looked_up(trust_as_template(text), KNOWN) is NOT_FOUND


@pytest.mark.parametrize("expression", [True, 1, None, ["text"]])
def test_expression_that_is_not_text_is_left_to_core(expression: Any) -> None:
    assert looked_up(expression, KNOWN) is NOT_FOUND


def test_name_that_has_another_value_is_left_to_core() -> None:
    text = trust_as_template("app.name")
    assert (looked_up(text, KNOWN, {"app": 1}), looked_up(text, KNOWN, {"name": 1})) == (NOT_FOUND, "web")


def test_core_evaluates_nothing_that_is_looked_up(plugin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_compose", "_add_host_to_composed_groups"):
        monkeypatch.setattr(plugin, name, lambda *_arguments, **_options: pytest.fail("core was asked"))
    options = {
        "compose": {"label": trust_as_template("text")},
        "groups": {"a-group": trust_as_template("truth"), "no": trust_as_template("composed")},
        "keyed_groups": [{"key": trust_as_template(key), "prefix": "of"} for key in ("app.name", "number", "label")],
    }
    evaluated = expressions(plugin, **options)
    recorder = evaluated.construct(HOST, {**KNOWN, "composed": False}, Marker())
    assert (recorder.variables, recorder.groups) == ({"label": "web"}, ["a_group", "of_web", "of_4", "of_web"])
    assert evaluated.is_met(trust_as_template("truth"), KNOWN)
