# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Request the values that the service's filters know, which the plugin also works without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.phala.cloud.plugins.plugin_utils._api import ApiError, Client

PATH = "/apps/filter-options"

# The names of the lists in the response.
_LISTS = {
    "base_image": "image_versions",
    "instance_type": "instance_types",
    "kms_slug": "kms_slugs",
    "kms_type": "kms_types",
    "node": "nodes",
    "region": "regions",
    "status": "statuses",
}


def fetch_filter_options(client: Client) -> dict[str, list[str]]:
    """Return for each filter the values that the service knows; empty if the request fails or the response looks different."""
    try:
        content = client.read(client.get(PATH)).value
    except ApiError:
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: _texts(content, in_response) for name, in_response in _LISTS.items()}


def _texts(content: Mapping[str, Any], name: str) -> list[str]:
    values = content.get(name)
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []
