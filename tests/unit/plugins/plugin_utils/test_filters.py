# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters as queries, and decided for one CVM. How they are read is tested in test_options."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import CORE_VARIABLES, Cvm, Filterable, Identity
from ansible_collections.phala.cloud.plugins.plugin_utils._filters import (
    FILTERED_VARIABLES,
    is_excluded,
    single_valued,
    unmet_filters,
)


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
