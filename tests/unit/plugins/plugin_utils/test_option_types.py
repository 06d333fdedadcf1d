# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._option_types import (
    kind_of,
    near,
    shown,
    suggest,
    type_problem,
    well_typed,
)

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
    ("name", "value", "problem"),
    [
        ("truth", "flase", "expected true or false, got 'flase'."),
        ("truth", [], "expected true or false, got the list []."),
        ("truth", 2, "expected true or false, got 2."),
        ("number", True, "expected a whole number, got the boolean True."),
        ("number", 1.5, "expected a whole number, got 1.5."),
        ("number", "1.5", "expected a whole number, got '1.5'."),
        ("number", "\N{ARABIC-INDIC DIGIT EIGHT}", "expected a whole number, got '\N{ARABIC-INDIC DIGIT EIGHT}'."),
        ("number", [1], "expected a whole number, got the list [1]."),
        ("text", ["a"], "expected text, got the list ['a']."),
        ("text", {"a": 1}, "expected text, got the dictionary {'a': 1}."),
        ("text", True, "expected text, got the boolean True. Write it in quotes."),
        ("text", 1.5, "expected text, got 1.5. Write it in quotes."),
        ("text", b"a", "expected text, got b'a'."),
        ("texts", {"a": 1}, "expected a list, got the dictionary {'a': 1}."),
        ("texts", 5, "expected a list, got 5."),
        ("entries", ["a"], "expected a dictionary, got the list ['a']."),
        ("entries", "a", "expected a dictionary, got 'a'."),
        ("file", ["/x"], "expected a path, got the list ['/x']."),
        ("file", True, "expected a path, got the boolean True."),
        ("api_key", ["phak_secret"], "expected text, got a list."),
        ("api_key", ("phak_secret",), None),
        ("api_key", {"phak_secret": 1}, "expected text, got a dictionary."),
        ("api_key", 1.25, "expected text, got a value of type float. Write it in quotes."),
        ("api_key", True, "expected text, got a boolean. Write it in quotes."),
    ],
)
def test_value_of_another_type_is_told(name: str, value: Any, problem: str | None) -> None:
    assert type_problem(name, DEFINITIONS[name], value) == (problem and f"{name}: {problem}")


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("choice", "gatway", "invalid value 'gatway'. Did you mean 'gateway'?"),
        ("choice", "zzz", "invalid value 'zzz'. Choose 'gateway' or 'none'."),
        ("choice", "region, node", "invalid value 'region, node'. Choose 'gateway' or 'none'."),
        ("choices", ["region", "nodes"], "invalid value 'nodes'. Did you mean 'node'?"),
        ("choices", "region, nodes", "invalid value 'nodes'. Did you mean 'node'?"),
        ("choices", [["zzz"]], "invalid value ['zzz']. Choose 'node' or 'region'."),
    ],
)
def test_value_that_is_no_choice_is_told(name: str, value: Any, problem: str) -> None:
    assert type_problem(name, DEFINITIONS[name], value) == f"{name}: {problem}"


@pytest.mark.parametrize(
    ("kind", "expected"), [("boolean", "true or false"), ("integer", "a whole number"), ("odd", None), (None, None)]
)
def test_type_may_have_another_name(kind: str | None, expected: str | None) -> None:
    problem = type_problem("o", {"type": kind}, "x")
    assert problem == (expected and f"o: expected {expected}, got 'x'.")


class Closed:
    """A vaulted text without its password."""

    def __str__(self) -> str:
        raise ValueError("no password")


def test_vaulted_value_that_cannot_be_opened_is_told_first() -> None:
    assert (type_problem("truth", DEFINITIONS["truth"], [Closed()]) or "").startswith(
        "truth[0]: the vaulted value cannot be decrypted"
    )


@pytest.mark.parametrize(
    ("value", "kind"),
    [([], "a list"), ((), "a list"), (False, "a boolean"), ({}, "a dictionary"), (None, "nothing"), (1, "a value of type int")],
)
def test_kind_of_a_value_does_not_show_it(value: Any, kind: str) -> None:
    assert kind_of(value) == kind


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("regoin", "region"), ("REGION", "region"), ("abcdefg", "abcde"), ("xxregionxx", "region"), ("zz", None)],
)
def test_nearest_name_is_near_enough(name: str, nearest: str | None) -> None:
    assert near(name, ["Node", "region", "abcde"]) == nearest
    assert near(name, []) is None


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
        ("filter", "Did you mean 'filters'?"),
        ("FILTERS", "Did you mean 'filters'?"),
        ("zzz", "Choose 'filters', 'group' or 'hostnames'."),
        (7, "Choose 'filters', 'group' or 'hostnames'."),
        ("", "Choose 'filters', 'group' or 'hostnames'."),
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
