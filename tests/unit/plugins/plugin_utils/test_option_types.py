# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._option_types import shown, suggest, type_problem, well_typed

DEFINITIONS: dict[str, dict[str, Any]] = {
    "truth": {"type": "bool"},
    "number": {"type": "int"},
    "text": {"type": "str"},
    "choice": {"type": "str", "choices": ["gateway", "none"]},
    "texts": {"type": "list", "elements": "str"},
    "choices": {"type": "list", "elements": "str", "choices": ["region", "node"]},
    "entries": {"type": "dict"},
    "file": {"type": "path"},
    "api_key": {"type": "str"},
    "new": {"type": "raw"},
}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("truth", [True, False, "yes", "no", "True", "off", 1, 0]),
        ("number", [0, -5, 10**9, "12", " 7 ", "+1", "-1"]),
        ("text", ["", "text", 12, datetime.date(2026, 1, 21)]),
        ("choice", ["gateway", "none"]),
        ("texts", [[], ["a"], "a, b"]),
        ("choices", [[], ["region", "node"], "region", "region, node"]),
        ("entries", [{}, {"a": 1}]),
        ("file", ["", "/x"]),
        ("new", [1, "a", [], {}]),
    ],
)
def test_value_of_the_type_is_no_problem(name: str, values: list[Any]) -> None:
    problems = {str(value): type_problem(name, DEFINITIONS[name], value) for value in values}
    assert problems == dict.fromkeys(problems)


@pytest.mark.parametrize("name", DEFINITIONS)
def test_null_is_no_problem(name: str) -> None:
    assert type_problem(name, DEFINITIONS[name], None) is None


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("truth", "flase", ["truth: expected true or false", "'flase'"]),
        ("truth", [], ["true or false", "list"]),
        ("truth", 2, ["true or false", "2"]),
        ("number", True, ["number: expected a whole number", "True"]),
        ("number", 1.5, ["a whole number", "1.5"]),
        ("number", "1.5", ["a whole number", "'1.5'"]),
        ("number", "\N{ARABIC-INDIC DIGIT EIGHT}", ["a whole number"]),
        ("number", [1], ["a whole number", "[1]"]),
        ("text", ["a"], ["text: expected text", "['a']"]),
        ("text", {"a": 1}, ["expected text", "{'a': 1}"]),
        ("text", True, ["expected text", "True"]),
        ("text", 1.5, ["expected text", "1.5"]),
        ("choice", "gatway", ["choice: 'gatway'", "'gateway'"]),
        ("choice", "zzz", ["'zzz'", "gateway, none"]),
        ("texts", {"a": 1}, ["texts: expected a list", "{'a': 1}"]),
        ("texts", 5, ["a list", "5"]),
        ("choices", ["region", "nodes"], ["choices: 'nodes'", "'node'"]),
        ("choices", "region, nodes", ["'nodes'"]),
        ("choices", [["region"]], ["['region']"]),
        ("choices", [{"region": 1}], ["{'region': 1}"]),
        ("entries", ["a"], ["entries: expected a dictionary", "['a']"]),
        ("entries", "a", ["a dictionary", "'a'"]),
        ("file", ["/x"], ["file: expected a path"]),
    ],
)
def test_value_of_another_type_is_told(name: str, value: Any, words: list[str]) -> None:
    problem = type_problem(name, DEFINITIONS[name], value) or ""
    assert [word for word in words if word not in problem] == []


@pytest.mark.parametrize("value", [["phak_secret"], {"phak_secret": 1}, 1.25])
def test_key_of_another_type_is_not_shown(value: Any) -> None:
    problem = type_problem("api_key", DEFINITIONS["api_key"], value) or ""
    assert "api_key: expected text" in problem
    assert "phak_secret" not in problem
    assert "1.25" not in problem


def test_well_typed_options_are_those_that_core_can_take() -> None:
    given = {
        "truth": "flase",
        "number": "12",
        "text": datetime.date(2026, 1, 21),
        "texts": "a, b",
        "choices": "region, node",
        "entries": [],
        "unknown": 1,
        7: 8,
        "file": None,
    }
    assert well_typed(DEFINITIONS, given) == {
        "number": "12",
        "text": "2026-01-21",
        "texts": ["a, b"],
        "choices": "region, node",
        "file": None,
    }


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("filter", "did you mean 'filters'?"),
        ("FILTERS", "did you mean 'filters'?"),
        ("zzz", "known are filters, group, hostnames"),
        (7, "known are filters, group, hostnames"),
        ("", "known are filters, group, hostnames"),
    ],
)
def test_nearest_known_name_is_suggested_else_all(name: Any, suggestion: str) -> None:
    assert suggest(name, ["hostnames", "filters", "group"]) == suggestion


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"),
        ("a", "'a'"),
        (1, "1"),
        (True, "the boolean True"),
        ({"a": 1}, "the dictionary {'a': 1}"),
        ([1], "the list [1]"),
        ([], "the list []"),
    ],
)
def test_value_is_shown_with_its_kind(value: Any, text: str) -> None:
    assert shown(value) == text
