# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Loops of groups are found before anything is published, in a time that grows with the number of groups."""

from __future__ import annotations

import time

import pytest
from ansible.inventory.data import InventoryData

from ansible_collections.phala.cloud.plugins.plugin_utils._publish import GroupLoopError, _refuse_loops

# Each path from the top to the bottom is one of 2**1000.
LAYERS = [(f"g{layer}_{upper}", f"g{layer + 1}_{lower}") for layer in range(1000) for upper in (0, 1) for lower in (0, 1)]
CHAIN = [(f"c{number}", f"c{number + 1}") for number in range(10_000)]
SECONDS = 20  # far more than it takes, and far less than any search of all paths


@pytest.mark.parametrize("families", [LAYERS, CHAIN], ids=["layers", "chain"])
def test_many_layers_are_searched_once(families: list[tuple[str, str]]) -> None:
    bottom, top = families[-1][1], families[0][0]
    started = time.monotonic()
    _refuse_loops(InventoryData(), families)
    with pytest.raises(GroupLoopError, match="cannot be a child of"):
        _refuse_loops(InventoryData(), [*families, (bottom, top)])
    assert time.monotonic() - started < SECONDS


def test_group_of_all_cannot_have_a_parent() -> None:
    with pytest.raises(GroupLoopError, match="the group 'all' cannot be a child of 'x'"):
        _refuse_loops(InventoryData(), [("x", "all")])
