# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the sources of one run know of each other.

It is attached to Ansible's inventory object, which ``meta: refresh_inventory`` replaces, so that a refresh starts afresh.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import Identity

_ATTRIBUTE = "_phala_cloud_hosts"


def published_hosts(inventory: Any) -> dict[str, Identity]:
    """Return which CVM each host of this plugin is, for all sources of the run so far; publication adds to it."""
    hosts: dict[str, Identity] | None = getattr(inventory, _ATTRIBUTE, None)
    if hosts is None:
        hosts = {}
        setattr(inventory, _ATTRIBUTE, hosts)
    return hosts
