# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filter values that match no CVM: which are reported, and at which level."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._apps import ShownApp, read_apps, tell_apart
from ansible_collections.phala.cloud.plugins.plugin_utils._filters import single_valued
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Level, as_line
from ansible_collections.phala.cloud.plugins.plugin_utils._unmatched import find_unmatched, needs_options, report_unmatched

OPTIONS = {"region": ["US-EAST-1", "US-WEST-1"], "node": ["metal-9", "prod5"], "base_image": ["dstack-dev-0.5.7"]}


def cvm(name: str, **fields: Any) -> dict[str, Any]:
    return {
        "vm_uuid": name * 4,
        "name": name,
        "status": "running",
        "teepod_name": "prod5",
        "region_identifier": "US-WEST-1",
        "base_image": "dstack-0.5.7",
        **fields,
    }


def shown(*of_queries: Sequence[Any]) -> list[list[ShownApp]]:
    found = [read_apps(apps, account="")[0] for apps in of_queries]
    tell_apart(chain.from_iterable(found))
    return found


def app(*cvms: dict[str, Any]) -> dict[str, Any]:
    return {"id": "prj_1", "app_id": "a1", "name": "web", "cvms": list(cvms)}


def report(filters: dict[str, Any], *apps: Any, options: Any = None, exclude: bool = False) -> list[tuple[str, str]]:
    """Return the level and text of each message about one dictionary of filters."""
    entry = {name: tuple(values) for name, values in filters.items()}
    entries = [] if exclude else [("filters", entry)]
    queries = single_valued(entry) if entries else [{}]
    found = find_unmatched(entries, [entry] if exclude else [], queries, shown(*[apps] * len(queries)))
    diagnostics = report_unmatched(found, OPTIONS if options is None else options, has_cvms=bool(apps))
    return [(Level(diagnostic.level).name, as_line(diagnostic, str)) for diagnostic in diagnostics]


@pytest.mark.parametrize(
    ("filters", "messages"),
    [
        ({"region": ["us-wst-1"]}, [("WARNING", "filters.region: 'us-wst-1' matched no CVM; there are US-EAST-1, US-WEST-1")]),
        ({"region": ["us-west-1"]}, [("WARNING", "filters.region: 'us-west-1' matched no CVM; there are US-EAST-1, US-WEST-1")]),
        ({"region": ["US-WEST-1"]}, [("VERBOSE", "filters.region: 'US-WEST-1' matched no CVM")]),
        ({"base_image": ["dev"]}, [("VERBOSE", "filters.base_image: 'dev' matched no CVM")]),
        ({"status": ["stopped"]}, [("VERBOSE", "filters.status: 'stopped' matched no CVM")]),
        ({"listed": ["true"]}, [("VERBOSE", "filters.listed: 'true' matched no CVM")]),
        ({"os_type": ["dev"]}, [("VERBOSE", "filters.os_type: 'dev' matched no CVM")]),
        ({"search": ["x"]}, [("WARNING", "filters.search: 'x' matched no CVM")]),
        (
            {"region": ["US-WEST-1,US-EAST-1"]},
            [
                (
                    "WARNING",
                    "filters.region: 'US-WEST-1,US-EAST-1' matched no CVM; there are US-EAST-1, US-WEST-1. Write several values"
                    " as a list: [A, B].",
                )
            ],
        ),
    ],
    ids=str,
)
def test_value_that_matches_nothing_is_reported(filters: dict[str, Any], messages: list[tuple[str, str]]) -> None:
    assert report(filters) == messages


@pytest.mark.parametrize(
    ("filters", "messages"),
    [
        ({"region": ["us-west-1"], "name": ["WEB"], "app": ["web"], "os_type": ["prod"], "base_image": ["0.5"]}, []),
        ({"id": ["WEBWEBWEBWEB"], "search": ["anything"]}, []),
        ({"name": ["wbe", "web"]}, [("WARNING", "filters.name: 'wbe' matched no CVM; there are web")]),
        ({"node": ["metal-9"]}, []),  # another message says that the service ignored the filter
    ],
    ids=str,
)
def test_value_that_matches_a_cvm_is_not_reported(filters: dict[str, Any], messages: list[tuple[str, str]]) -> None:
    assert report(filters, app(cvm("web"))) == messages


@pytest.mark.parametrize(
    ("filters", "messages"),
    [
        ({"region": ["us-wst-1"]}, ["exclude_filters[0].region: 'us-wst-1' matched no CVM. Did you mean 'US-WEST-1'?"]),
        ({"name": ["wbe-1"]}, ["exclude_filters[0].name: 'wbe-1' matched no CVM. Did you mean 'web-1'?"]),
        ({"region": ["us-east-1"]}, []),  # which the service knows
        ({"region": ["ASIA"]}, []),
        ({"node": ["prod7"]}, []),  # another number is not a misspelled one
        ({"name": ["web-2"]}, []),
        ({"status": ["stopped", "runing"]}, ["exclude_filters[0].status: 'runing' matched no CVM. Did you mean 'running'?"]),
    ],
    ids=str,
)
def test_value_of_an_exclusion_is_reported_if_it_is_probably_misspelled(filters: dict[str, Any], messages: list[str]) -> None:
    assert [text for _level, text in report(filters, app(cvm("web-1")), exclude=True)] == messages


def test_empty_account_gives_one_warning() -> None:
    assert report({"region": ["a"], "node": ["b"]}, options={}) == [
        ("WARNING", "The account has no CVM that matches these filters: filters.region: 'a', filters.node: 'b'")
    ]


@pytest.mark.parametrize(
    ("filters", "needed"),
    [
        ({"region": ("x",)}, True),
        ({"status": ("stopped",)}, False),
        ({"status": ("runing",)}, True),
        ({"search": ("x",)}, False),
        ({"name": ("x",)}, False),
        ({}, False),
    ],
    ids=str,
)
def test_values_of_the_service_are_needed_only_for_its_own_filters(filters: Any, *, needed: bool) -> None:
    queries = single_valued(filters)
    assert needs_options(find_unmatched([("filters", filters)], [], queries, [[] for _query in queries])) is needed


def nested(name: str, **fields: Any) -> dict[str, Any]:
    return {"id": f"cvm_{name}", "name": name, "status": "running", "resource": {}, "node_info": {"name": "prod7"}, **fields}


@pytest.mark.parametrize(
    ("value", "advice"),
    [
        ("a,b", ". Write several values as a list: [A, B]."),
        ("!a", ". Write what to leave out in exclude_filters."),
        ("a*", ". A filter has no wildcards. Write the whole value, or a condition in host_filters."),
        ("a", ""),
    ],
)
def test_value_in_the_form_of_other_tools_gets_advice(value: str, advice: str) -> None:
    assert report({"region": [value]}, options={}) == [("WARNING", f"filters.region: {value!r} matched no CVM{advice}")]


def test_nearest_values_are_listed_in_their_order() -> None:
    known = [f"node-{number}" for number in range(12)]
    ((_level, text),) = report({"region": ["node-11x"]}, options={"region": [*reversed(known), "zzz"]})
    first, *others = text.partition("there are ")[2].partition(" and ")[0].split(", ")
    assert [first, *others] == sorted([first, *others])
    assert ("node-11" in others, len(others), text.endswith(" and 3 more")) == (True, 9, True)
    assert "zzz" not in others


def test_values_of_the_response_are_those_that_the_plugin_decides() -> None:
    assert report({"name": ["x"], "team": ["y"]}, app(cvm("b"), cvm("a"))) == [
        ("WARNING", "filters.name: 'x' matched no CVM; there are a, b"),
        ("WARNING", "filters.team: 'y' matched no CVM"),
    ]
    assert report({"id": ["x"]}, app(cvm("a"))) == [("WARNING", "filters.id: 'x' matched no CVM")]


def test_value_that_the_service_ignored_has_a_message_of_its_own() -> None:
    assert report({"region": ["US-EAST-1"]}, app(cvm("a"))) == []
    assert [level for level, _text in report({"status": ["stopped"]}, app(cvm("a")))] == ["VERBOSE"]
    assert [level for level, _text in report({"region": ["US-EAST-1"]}, app())] == ["VERBOSE"]


@pytest.mark.parametrize("shown", [nested("a"), cvm("a")], ids=["nested", "flat"])
def test_service_may_have_returned_a_cvm_for_a_name_of_its_node_that_it_does_not_show(shown: dict[str, Any]) -> None:
    assert report({"node": ["prod5"]}, app(shown), options={"node": ["prod5"]}) == []


def test_filter_whose_field_is_not_shown_is_decided_by_the_service() -> None:
    assert report({"kms_slug": ["x"]}, app(nested("a"))) == []
    assert report({"region": ["x"], "kms_slug": ["y"]}, app(nested("a", node_info={"region": "x"}))) == []


def test_every_search_that_returned_an_app_matches() -> None:
    assert report({"search": ["a", "b"]}, app(cvm("web"))) == []


def test_exclusion_of_a_node_that_a_cvm_without_teepod_does_not_have_is_no_problem() -> None:
    assert report({"node": ["metal-9"]}, app(cvm("web", teepod_name=None)), exclude=True) == []


def test_value_whose_field_is_not_shown_is_decided_by_its_own_query() -> None:
    entry, apps = {"kms_slug": ("x", "y")}, shown([app(nested("a"))], [])
    (left,) = find_unmatched([("filters", entry)], [], single_valued(entry), apps)
    assert left.values == ["y"]
    assert find_unmatched([], [entry], [{}], apps[:1]) == []


def test_one_match_of_each_value_is_enough() -> None:
    both = {"name": ["a", "b"], "os_type": ["prod"]}
    assert report(both, app(cvm("a")), app(cvm("b"))) == []
    assert report(both, app(cvm("a"), cvm("c"))) == [("WARNING", "filters.name: 'b' matched no CVM; there are a, c")]


@pytest.mark.parametrize(
    ("filters", "messages"),
    [
        ({"region": ["US-EAST-11"]}, []),
        ({"base_image": ["DSTACK-DEV"]}, []),
        ({"status": ["STOPPED"]}, []),
        ({"region": ["us-easst-1"]}, ["exclude_filters[0].region: 'us-easst-1' matched no CVM. Did you mean 'US-EAST-1'?"]),
        ({"region": ["US-EAST-X"]}, ["exclude_filters[0].region: 'US-EAST-X' matched no CVM. Did you mean 'US-EAST-1'?"]),
    ],
    ids=str,
)
def test_value_of_an_exclusion_is_compared_in_any_letter_case(filters: dict[str, Any], messages: list[str]) -> None:
    assert [text for _level, text in report(filters, app(cvm("web-1")), exclude=True)] == messages


def test_several_unknown_values_are_reported_each_where_something_is_known() -> None:
    filters = {"name": ["a"], "app": ["b"]}
    assert len(report(filters, options={"region": []})) == 1
    assert len(report(filters, options={"region": ["x"]})) == 2
    assert len(report(filters, app(cvm("z")), options={})) == 2
    assert len(report({"name": ["a"]}, options={})) == 1


@pytest.mark.parametrize(
    ("exclude", "needed"), [({"region": ("us-wst-1",)}, True), ({"region": ("zzz",)}, False), ({"status": ("runing",)}, True)]
)
def test_values_of_the_service_are_needed_for_an_exclusion_that_may_be_misspelled(exclude: Any, *, needed: bool) -> None:
    assert needs_options(find_unmatched([], [exclude], [{}], shown([app(cvm("a"))]))) is needed


def test_each_exclusion_is_reported() -> None:
    excludes = [{"name": ("wbe",)}, {"name": ("web",)}, {"name": ("wwb",)}]
    found = find_unmatched([], excludes, [{}], shown([app(cvm("web"))]))
    assert [each.option for each in found] == ["exclude_filters[0].name", "exclude_filters[2].name"]


def test_each_entry_is_compared_with_the_responses_of_its_own_queries() -> None:
    first, second = {"region": ("US-WEST-1",)}, {"region": ("EU",)}
    apps = shown([app(cvm("a"))], [])
    found = find_unmatched([("include_filters[0]", second), ("filters", first)], [], [first, second], apps)
    assert [(each.option, each.values) for each in found] == [("include_filters[0].region", ["EU"])]
