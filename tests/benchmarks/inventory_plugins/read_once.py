# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A switch of the benchmarks: the sources after this one read the list of apps once, and take it for whole without proof."""

from __future__ import annotations

from typing import Any

from ansible.plugins.inventory import BaseInventoryPlugin

from ansible_collections.phala.cloud.plugins.plugin_utils import _paging

DOCUMENTATION = """
name: read_once
short_description: have the sources after this one read once
description: A switch of the benchmarks.
options: {}
"""


class InventoryModule(BaseInventoryPlugin):
    """Replace the proof; nothing becomes a host."""

    NAME = "read_once"

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        # Not with unittest.mock, whose import would be measured.
        vars(_paging)["find_whole"] = lambda reading, *_: [shown.identities for shown in reading.shown]
