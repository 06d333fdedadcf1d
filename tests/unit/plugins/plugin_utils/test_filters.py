# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters as they are read, as queries, and decided for one CVM."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import CORE_VARIABLES, Cvm, Filterable, Identity
from ansible_collections.phala.cloud.plugins.plugin_utils._filters import (
    FILTERED_VARIABLES,
    FilterReader,
    is_excluded,
    matches,
    parameters,
    service_queries,
    single_valued,
    unmet_filters,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._option_types import OptionError


def cvm(*nodes: str | None, hidden: frozenset[str] = frozenset(), shows_teepod: bool = False, **values: Any) -> Cvm:
    core: Any = {**dict.fromkeys(CORE_VARIABLES), **values}
    images = (values.get("base_image"), values.get("image_slug"))
    filterable = Filterable(nodes, images, shows_teepod, hidden, frozenset())
    return Cvm(Identity("", "u1", None, None), core, {}, is_only_cvm=True, read_filterable=lambda _fields: filterable)


def unmet(query: Any, *cvms: Cvm, nodes_of_service: frozenset[str] = frozenset()) -> list[set[str]]:
    return [set(missed) for missed in unmet_filters(query, cvms, nodes_of_service)]


def test_each_filter_but_search_and_node_is_compared_with_its_core_variable() -> None:
    assert set(FILTERED_VARIABLES) <= set(CORE_VARIABLES)
    for name in set(FILTERED_VARIABLES) - {"node", "listed"}:
        named: dict[str, Any] = {name: "x"}
        unnamed: dict[str, Any] = {name: None}
        assert unmet({name: ("y", "X")}, cvm(**named), cvm(**unnamed)) == [set(), {name}]
        assert unmet({name: ("None",)}, cvm(**unnamed)) == [{name}]


def test_lists_become_one_query_for_each_combination_but_for_status() -> None:
    entry = {"node": ("1", "2"), "region": ("a", "b"), "status": ("x", "y")}
    assert list(single_valued(entry)) == [
        {"node": (node,), "region": (region,), "status": ("x", "y")} for node in "12" for region in "ab"
    ]
    assert list(single_valued({})) == [{}]


@pytest.mark.parametrize(
    ("values", "query", "missed"),
    [
        ({"base_image": "dstack-dev-0.5.7"}, {"base_image": ("DEV",)}, set()),
        ({"base_image": "dstack-dev-0.5.7", "image_slug": "dstack-dev-0.5.7-9b6a5239"}, {"base_image": ("0.5.7-9b6a",)}, set()),
        ({"base_image": "dstack-0.5.7"}, {"base_image": ("dev",)}, {"base_image"}),
        ({"listed": True}, {"listed": ("true",)}, set()),
        ({"listed": False}, {"listed": ("true",)}, {"listed"}),
        ({"listed": "true"}, {"listed": ("true",)}, {"listed"}),
        ({"region": "US-WEST-1", "status": "s"}, {"region": ("us-west-1",), "status": ("t",)}, {"status"}),
        ({"region": "R", "status": "s"}, {"region": ("Q",), "status": ("t",)}, {"region", "status"}),
        ({"region": "US-WEST-1"}, {"region": ("US-WEST",)}, {"region"}),
        ({"region": ["r"]}, {"region": ("r",)}, {"region"}),
    ],
)
def test_filters_that_a_cvm_does_not_match_are_named(values: dict[str, Any], query: Any, missed: set[str]) -> None:
    assert unmet(query, cvm(**values)) == [missed]
    assert is_excluded(cvm(**values), query) is (missed == set())


def test_service_decides_what_a_cvm_does_not_show() -> None:
    query = {"kms_slug": ("k",), "search": ("s",)}
    assert unmet(query, cvm(hidden=frozenset({"kms_slug", "region"}))) == [set()]
    assert unmet(query, cvm()) == [{"kms_slug"}]


def test_cvm_that_shows_why_its_app_was_returned_says_nothing_of_the_others() -> None:
    hiding = cvm(hidden=frozenset({"region"}))
    query = {"region": ("r",)}
    assert unmet(query, cvm(region="r"), hiding) == [set(), {"region"}]
    assert unmet(query, cvm(region="q"), hiding) == [{"region"}, set()]


@pytest.mark.parametrize(
    ("candidate", "known", "missed"),
    [
        (cvm("prod7"), set(), set()),
        (cvm("metal-7", "PROD7", shows_teepod=True), set(), set()),
        (cvm("prod9"), set(), {"node"}),
        (cvm("prod9"), {"prod7"}, set()),
        (cvm(None, "prod9", shows_teepod=True), {"prod7"}, {"node"}),
    ],
    ids=["node", "teepod", "another", "known to the service", "another teepod"],
)
def test_node_is_compared_with_the_names_that_a_cvm_has(candidate: Cvm, known: set[str], missed: set[str]) -> None:
    assert unmet({"node": ("Prod7",)}, candidate, nodes_of_service=frozenset(known)) == [missed]


def reader(**rendered: Any) -> tuple[FilterReader, list[str]]:
    """Return a reader that replaces the texts of these names, and its problems."""

    def render(where: str, value: Any) -> Any:
        if value == "bad":
            raise OptionError(f"{where}: bad")
        return rendered.get(value, value) if isinstance(value, str) else value

    problems: list[str] = []
    return FilterReader(render, problems, ["timeout"]), problems


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ({"region": "a"}, {"region": ("a",)}),
        ({"status": ["b", "a", "b"], "region": "many"}, {"region": ("x", "y"), "status": ("b", "a")}),
        ({"region": ["one", 7]}, {"region": ("z", "7")}),
        ({"name": "a,b", "app": ["c, d"]}, {"app": ("c, d",), "name": ("a,b",)}),
        ({"listed": "yes"}, {"listed": ("true",)}),
        ({"listed": [0, True]}, {"listed": ("false", "true")}),
        ({"os_type": ["Dev", "prod"]}, {"os_type": ("Dev", "prod")}),
    ],
)
def test_filter_has_one_value_or_several(given: dict[str, Any], values: dict[str, Any]) -> None:
    read, problems = reader(many=("x", "y"), one="z")
    result = read.entry(given, "filters")
    assert (result, list(result), problems) == (values, sorted(values), [])


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"region": None}, "f.region: is empty. Remove it, or write a value."),
        ({"region": " "}, "f.region: is empty. Remove it, or write a value."),
        ({"region": []}, "f.region: is an empty list. Remove it, or write a value."),
        ({"region": "none"}, "f.region: is an empty list. Remove it, or write a value."),
        ({"region": ["a", ""]}, "f.region: is empty. Remove it, or write a value."),
        ({"region": True}, "f.region: expected text, got the boolean True. Write it in quotes."),
        ({"region": 1.5}, "f.region: expected text, got 1.5. Write it in quotes."),
        ({"region": "a,b"}, "f.region: 'a,b' is one value. Write a list such as [a, b]"),
        ({"listed": "maybe"}, "f.listed: expected true or false, got 'maybe'."),
        ({"os_type": "test"}, "f.os_type: expected 'dev' or 'prod', got 'test'."),
        ({"region": "bad"}, "f.region: bad"),
        ({"search": "x"}, "f.search: not here"),
        ({"regoin": "x"}, "f: unknown filter 'regoin'. Did you mean 'region'?"),
        ({"searhc": "x"}, "f: unknown filter 'searhc'. Choose 'app', 'base_image', 'id', 'instance_type', 'kms_slug',"
            " 'kms_type', 'listed', 'name', 'node', 'os_type', 'region', 'status' or 'team'."),
        ({"timeout": 3}, "f: unknown filter 'timeout'. 'timeout' is an option. Write it at the top level."),
    ],
)  # fmt: skip
def test_problem_of_a_filter_names_its_place(given: dict[str, Any], problem: str) -> None:
    read, problems = reader(none=[])
    read.entry(given, "f", {"search": "not here"})
    assert problems == [problem]


def test_each_entry_of_a_list_is_a_dictionary_of_filters() -> None:
    read, problems = reader()
    refused = {"search": "not here"}
    assert read.entries([{"region": "a"}, {}, "region", {"search": "x", "node": 7}], "exclude", refused) == [
        {"region": ("a",)},
        {"node": ("7",)},
    ]
    assert problems == [
        "exclude[1]: is empty, which would match every CVM. Remove it, or write a filter.",
        "exclude[2]: expected a dictionary of filters, got 'region'.",
        "exclude[3].search: not here",
    ]


def numbers(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count)))


def test_longest_list_that_the_plugin_can_decide_is_not_split() -> None:
    entry = {"node": numbers(10), "region": numbers(3), "kms_type": numbers(2)}
    assert single_valued(entry) == [
        {"node": (node,), "region": numbers(3), "kms_type": (kms,)} for node in numbers(10) for kms in numbers(2)
    ]
    assert len(single_valued({"node": numbers(20)})) == 20
    assert len(single_valued({"node": numbers(7), "region": numbers(2), "kms_type": numbers(30)})) == 14


def test_too_many_combinations_are_refused() -> None:
    with pytest.raises(OptionError) as raised:
        single_valued({"node": numbers(7), "region": numbers(30), "listed": numbers(3)})
    assert str(raised.value) == (
        "filters with lists of node, listed make 21 combinations, and at most 20 are possible. Use shorter lists, or"
        " conditions in host_filters."
    )


def test_service_is_sent_its_own_filters_with_one_value_and_all_values_of_status() -> None:
    query = {"name": ("x",), "node": ("a",), "region": ("b", "c"), "status": ("d", "e")}
    assert parameters(query) == [("node", "a"), ("status", "d"), ("status", "e")]


def test_queries_that_differ_in_filters_of_the_plugin_are_one() -> None:
    first, other = {"name": ("x",), "node": ("a",)}, {"node": ("b",)}
    assert service_queries([first, other, {"node": ("a",)}]) == {
        (("node", ("a",)),): [0, 2],
        (("node", ("b",)),): [1],
    }


IDENTIFIED = {"vm_uuid": "11AA-22", "instance_id": "0xAB", "cvm_id": "cvm_1", "app_id": "app_cd", "app": {"id": "prj_1"}}


@pytest.mark.parametrize(
    ("values", "name", "wanted", "is_met"),
    [
        (IDENTIFIED, "id", "11aa22", True),
        (IDENTIFIED, "id", "AB", True),
        (IDENTIFIED, "id", "0xCD", True),
        (IDENTIFIED, "id", "CVM_1", True),
        (IDENTIFIED, "id", "prj_1", True),
        (IDENTIFIED, "id", "11aa", False),
        ({"app": {}}, "id", "none", False),
        ({"app_name": "Shop"}, "app", "shop", True),
        ({"app_name": "Shop"}, "app", "sho", False),
        ({"team_slug": "a", "team_name": "B c"}, "team", "A", True),
        ({"team_slug": "a", "team_name": "B c"}, "team", "b c", True),
        ({"is_dev": True}, "os_type", "DEV", True),
        ({"is_dev": False}, "os_type", "dev", False),
        ({"is_dev": False}, "os_type", "prod", True),
        ({"is_dev": None}, "os_type", "prod", False),
        ({"is_dev": 1}, "os_type", "dev", False),
        ({"name": "Web"}, "name", "web", True),
    ],
)
def test_filters_of_the_plugin_are_decided(values: dict[str, Any], name: str, wanted: str, *, is_met: bool) -> None:
    assert matches(cvm(**values), name, ("zzz", wanted)) is is_met


def test_empty_query_and_empty_node_match_every_cvm() -> None:
    assert unmet({}, cvm(), cvm()) == [set(), set()]
    assert unmet({"node": ("n",)}, cvm(None, "")) == [{"node"}]
