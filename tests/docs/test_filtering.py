# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of filters is that of the plugin, and each filter compares as it says."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._filters import FILTERS
from ansible_collections.phala.cloud.tests.loading import Loaded

from .pages import DOCS, rows

ROWS = {name.strip("`"): others for name, *others in rows(DOCS / "filtering.md", "Filter")}
MATCHES = {name: re.match(r"`(phala_\w+)`", compares) for name, (compares, _met) in ROWS.items()}
COMPARED = {name: match[1] for name, match in MATCHES.items() if match}


def test_table_lists_the_filters_of_the_plugin() -> None:
    assert sorted(ROWS) == sorted(FILTERS)
    assert set(ROWS) - set(COMPARED) == {"search", "team", "os_type", "id"}


@pytest.mark.parametrize("name", COMPARED)
def test_filter_is_met_as_the_table_says(name: str, inventory: Callable[..., Loaded]) -> None:
    def values(filters: dict[str, Any]) -> dict[str, Any]:
        return inventory(api_version="2025-10-28", filters=filters).values(COMPARED[name])  # a version that shows them all

    every = values({})
    value = every["api"]
    assert values({name: value}) == {host: other for host, other in every.items() if other == value}
    if not isinstance(value, bool):
        part = value[:-1]
        wants_part = ROWS[name][1] == "the value is a part of it"
        assert values({name: part}) == {host: other for host, other in every.items() if wants_part and part in other}
