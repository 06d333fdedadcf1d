# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The least that an inventory of the service's CVMs can do: no check, no mark, no retry. What it takes, nobody can save."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from ansible.plugins.inventory import BaseInventoryPlugin

DOCUMENTATION = """
name: bare
short_description: the least that an inventory of CVMs can do
description: A bound for measurements.
options:
  url: {description: the endpoint, type: str, required: true}
  key: {description: the API key, type: str, required: true}
  version: {description: the API version, type: str, required: true}
"""

GROUPED_BY = ("region_identifier", "teepod_name", "base_image", "status")


class InventoryModule(BaseInventoryPlugin):
    """Fetch the pages, and put each CVM into the inventory as it comes."""

    NAME = "bare"

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        session = requests.Session()
        session.headers.update({"X-API-Key": self.get_option("key"), "X-Phala-Version": self.get_option("version")})

        def get(page: int) -> Any:
            return session.get(f"{self.get_option('url')}/apps", params={"page": page, "page_size": 100}, timeout=60).json()

        first = get(1)
        with ThreadPoolExecutor(8) as lanes:
            pages = [first, *lanes.map(get, range(2, first["total_pages"] + 1))]
        inventory.add_group("phala")
        groups = {"phala"}
        for page in pages:
            for app in page["dstack_apps"]:
                for cvm in app["cvms"] or [app["current_cvm"]]:
                    if not cvm:
                        continue
                    name = f"{cvm['name']}-{len(inventory.hosts)}"
                    inventory.add_host(name, "phala")
                    inventory.get_host(name).vars.update({f"phala_{field}": value for field, value in cvm.items()}, phala_app=app)
                    for group in (f"{field}_{cvm[field]}".replace("-", "_").replace(".", "_") for field in GROUPED_BY):
                        if group not in groups:
                            groups.add(inventory.add_group(group))
                        inventory.add_child(group, name)
