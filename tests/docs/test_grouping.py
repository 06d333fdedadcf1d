# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of dimensions is that of the plugin, and its examples are groups of the pages' account."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from ansible.plugins.loader import inventory_loader

from ansible_collections.phala.cloud.tests.integration.loading import Loaded

from .fleet import KEY
from .pages import DOCS, rows

DIMENSIONS = {row[0].strip("`"): row for row in rows(DOCS / "grouping.md", "Dimension")}


def test_table_lists_the_dimensions_of_the_plugin() -> None:
    assert list(DIMENSIONS) == inventory_loader.get("phala.cloud.phala").option_definitions["group_by"]["choices"]


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_example_is_a_group_of_the_values_that_are_named(dimension: str, inventory: Callable[..., Loaded]) -> None:
    _name, values, examples = DIMENSIONS[dimension]
    version = re.search(r'only `api_version: "(.*)"', values)
    options: dict[str, Any] = {"api_version": version[1]} if version else {}
    if "only `accounts`" in values:
        options["accounts"] = [{"name": "production", "api_key": KEY}]
    loaded = inventory(group_by=[dimension], **options)
    assert set(re.findall("`(.*?)`", examples)) <= set(loaded.groups)
    (variable, *_others) = re.findall(r"`(phala_\w+)`", values)
    assert any(variable in variables for variables in loaded.hosts.values())
