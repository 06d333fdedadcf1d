# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of dimensions is that of the plugin, and its examples are groups of the pages' account."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from ansible.plugins.loader import inventory_loader

from ansible_collections.phala.cloud.tests.integration.loading import load
from ansible_collections.phala.cloud.tests.simulator import Simulator

from .fleet import KEY
from .pages import DOCS, tables

DIMENSIONS = {row[0].strip("`"): row for table in tables(DOCS / "grouping.md") if table[0][0] == "Dimension" for row in table[1:]}


def test_table_lists_the_dimensions_of_the_plugin() -> None:
    assert list(DIMENSIONS) == inventory_loader.get("phala.cloud.phala").option_definitions["group_by"]["choices"]


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_example_is_a_group_of_the_values_that_are_named(
    dimension: str, tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHALA_CLOUD_API_KEY", KEY)
    monkeypatch.setenv("PHALA_CLOUD_API_PREFIX", simulator.url)
    _name, values, examples = DIMENSIONS[dimension]
    version = re.search(r'api_version: "(.*)"', values)
    options = {"plugin": "phala.cloud.phala", "group_by": [dimension], **({"api_version": version[1]} if version else {})}
    source = tmp_path / "phala.yml"
    source.write_text(yaml.safe_dump(options), encoding="utf-8")
    loaded = load(monkeypatch, [source])
    assert set(re.findall("`(.*?)`", examples)) <= set(loaded.groups)
    (variable, *_others) = re.findall(r"`(phala_\w+)`", values)
    assert any(variable in variables for variables in loaded.hosts.values())
