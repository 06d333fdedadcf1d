# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters as queries, and decided for one CVM. How they are read is tested in test_options."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import CORE_VARIABLES, Cvm, Identity
from ansible_collections.phala.cloud.plugins.plugin_utils._filters import (
    FILTERED_VARIABLES,
    decided_by_service,
    is_excluded,
    single_valued,
    unmet_filter,
)


def cvm(*nodes: str, hidden: frozenset[str] = frozenset(), **values: Any) -> Cvm:
    core: Any = {**dict.fromkeys(CORE_VARIABLES), **values}
    return Cvm(Identity("", "u1", None, None), core, {}, nodes, hidden, is_only_cvm=True)


def test_each_filter_but_search_and_node_is_compared_with_its_core_variable() -> None:
    assert set(FILTERED_VARIABLES) <= set(CORE_VARIABLES)
    for name in set(FILTERED_VARIABLES) - {"node", "listed"}:
        assert unmet_filter(cvm(**{name: "x"}), {name: ("y", "x")}, ()) is None
        assert unmet_filter(cvm(**{name: None}), {name: ("None", "x")}, ()) == name


def test_lists_become_one_query_for_each_combination_but_for_status() -> None:
    entry = {"node": ("1", "2"), "region": ("a", "b"), "status": ("x", "y")}
    assert list(single_valued(entry)) == [
        {"node": (node,), "region": (region,), "status": ("x", "y")} for node in "12" for region in "ab"
    ]
    assert list(single_valued({})) == [{}]


@pytest.mark.parametrize(
    ("values", "query", "unmet"),
    [
        ({"base_image": "dstack-dev-0.5.7"}, {"base_image": ("dev",)}, None),
        ({"base_image": "dstack-0.5.7"}, {"base_image": ("dev",)}, "base_image"),
        ({"listed": True}, {"listed": ("true",)}, None),
        ({"listed": False}, {"listed": ("true",)}, "listed"),
        ({"region": "R", "status": "s"}, {"region": ("R",), "status": ("t",)}, "status"),
        ({"region": "R", "status": "s"}, {"region": ("Q",), "status": ("t",)}, "region"),
    ],
)
def test_first_filter_that_a_cvm_does_not_match_is_named(values: dict[str, Any], query: Any, unmet: str | None) -> None:
    assert unmet_filter(cvm(**values), query, ()) == unmet
    assert is_excluded(cvm(**values), query) is (unmet is None)


def test_filters_that_the_service_has_decided_are_not_decided_again() -> None:
    assert unmet_filter(cvm(), {"kms_slug": ("k",), "search": ("s",)}, {"kms_slug", "search"}) is None


def test_node_is_decided_by_the_service_where_no_cvm_of_the_app_has_the_name() -> None:
    query = {"node": ("prod7",)}
    assert decided_by_service(query, [cvm("prod7"), cvm("prod9")]) == {"search"}
    assert decided_by_service(query, [cvm("prod9")]) == {"search", "node"}
    assert decided_by_service({}, []) == {"search"}


def test_service_decides_what_no_cvm_of_the_app_shows() -> None:
    hidden = frozenset({"kms_slug", "region"})
    assert decided_by_service({}, [cvm(hidden=hidden)]) == {"search", *hidden}
    assert decided_by_service({}, [cvm(hidden=hidden), cvm(hidden=frozenset({"region"}))]) == {"search", "region"}
