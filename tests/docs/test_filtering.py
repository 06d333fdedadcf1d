# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of filters is that of the plugin, and each filter compares as it says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils.settings import FILTERS
from ansible_collections.phala.cloud.tests.integration.loading import load
from ansible_collections.phala.cloud.tests.simulator import Simulator

from .fleet import KEY
from .pages import DOCS, tables

ROWS = {row[0].strip("`"): row[1:] for table in tables(DOCS / "filtering.md") if table[0][0] == "Filter" for row in table[1:]}
MATCHES = {name: re.match(r"`(phala_\w+)`", compares) for name, (compares, _met) in ROWS.items()}
COMPARED = {name: match[1] for name, match in MATCHES.items() if match}


def test_table_lists_the_filters_of_the_plugin() -> None:
    assert sorted(ROWS) == sorted(FILTERS)
    assert set(ROWS) - set(COMPARED) == {"search"}, "which the service alone decides"


@pytest.mark.parametrize("name", COMPARED)
def test_filter_is_met_as_the_table_says(
    name: str, tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHALA_CLOUD_API_KEY", KEY)
    monkeypatch.setenv("PHALA_CLOUD_API_PREFIX", simulator.url)

    def values(filters: dict[str, Any]) -> dict[str, Any]:
        source = tmp_path / "phala.yml"
        options = {"plugin": "phala.cloud.phala", "api_version": "2025-10-28", "filters": filters}  # which shows them all
        source.write_text(json.dumps(options), encoding="utf-8")
        return load(monkeypatch, [source]).values(COMPARED[name])

    every = values({})
    value = every["api"]
    assert values({name: value}) == {host: other for host, other in every.items() if other == value}
    if not isinstance(value, bool):
        part = value[:-1]
        wants_part = ROWS[name][1] == "the value is a part of it"
        assert values({name: part}) == {host: other for host, other in every.items() if wants_part and part in other}
