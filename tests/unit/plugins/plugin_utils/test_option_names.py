# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unknown keys of a file: where each belongs."""

from __future__ import annotations

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._filters import FILTERS
from ansible_collections.phala.cloud.plugins.plugin_utils._option_names import (
    keyed_group_problems,
    unknown_filter,
    unknown_option,
)

OPTIONS = ("plugin", "api_key", "api_url", "filters", "hostnames", "retries", "timeout")
KEYS = ("key", "prefix", "separator", "parent_group")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("filter", "Did you mean 'filters'?"),
        ("FILTERS", "Did you mean 'filters'?"),
        ("region", "'region' is a filter. Write it below 'filters'."),
        ("regions", "'region' is a filter. Write it below 'filters'."),
        ("status", "'status' is a filter. Write it below 'filters'."),
        ("token", "Use 'api_key'."),
        ("url", "Use 'api_url'."),
        (
            "vcpu",
            "The service cannot filter by 'vcpu'. Write a condition in 'host_filters', such as 'phala_vcpu == ...'.",
        ),
        ("zzz", "See 'ansible-doc -t inventory phala.cloud.phala' for all options."),
        (1, "See 'ansible-doc -t inventory phala.cloud.phala' for all options."),
    ],
)
def test_unknown_option_is_placed(name: object, advice: str) -> None:
    assert unknown_option(name, OPTIONS, FILTERS) == f"unknown option {str(name)!r}. {advice}"


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("regoin", "Did you mean 'region'?"),
        (
            "gpu_count",
            "The service cannot filter by 'gpu_count'. Write a condition in 'host_filters', such as 'phala_gpu_count == ...'.",
        ),
        ("timeout", "'timeout' is an option. Write it at the top level."),
        ("zzz", f"Choose {', '.join(map(repr, FILTERS[:-1]))} or {FILTERS[-1]!r}."),
    ],
)
def test_unknown_filter_is_placed(name: str, advice: str) -> None:
    assert unknown_filter(name, FILTERS, OPTIONS) == f"unknown filter {name!r}. {advice}"


@pytest.mark.parametrize(
    ("entry", "problems"),
    [
        ({"key": "phala_region", "separator": "-"}, []),
        ({"key": "phala_region", "seperator": "-"}, ["k[0]: unknown key 'seperator'. Did you mean 'separator'?"]),
        ({"key": "a", "zzz": 1}, ["k[0]: unknown key 'zzz'. Choose 'key', 'parent_group', 'prefix' or 'separator'."]),
        ("a", ["k[0]: expected a dictionary with a 'key', got 'a'."]),
        (
            {"key": "a b"},
            ["k[0].key: 'a b' is not a Jinja2 expression: expected token 'end of print statement', got 'b'. Correct it."],
        ),
        ({"prefix": "a"}, ["k[0].key: expected a Jinja2 expression, got nothing. Write it in quotes."]),
        ({"key": ["a"]}, ["k[0].key: expected a Jinja2 expression, got the list ['a']. Write it in quotes."]),
    ],
    ids=str,
)
def test_problems_of_a_keyed_group(entry: object, problems: list[str]) -> None:
    assert list(keyed_group_problems("k[0]", entry, KEYS)) == problems
