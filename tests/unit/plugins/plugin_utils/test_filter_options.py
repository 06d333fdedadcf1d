# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._api import ApiError, Content
from ansible_collections.phala.cloud.plugins.plugin_utils._filter_options import fetch_filter_options

ALL = {
    "base_image": "image_versions",
    "instance_type": "instance_types",
    "kms_slug": "kms_slugs",
    "kms_type": "kms_types",
    "node": "nodes",
    "region": "regions",
    "status": "statuses",
}


class Client:
    """Give one response, or fail."""

    def __init__(self, content: Any) -> None:
        self.content = content
        self.paths: list[str] = []

    def get(self, path: str) -> Client:
        self.paths.append(path)
        if self.content is None:
            raise ApiError("no")
        return self

    def read(self, _response: Client) -> Content:
        return Content(self.content, ())


def fetch(content: Any) -> dict[str, list[str]]:
    client: Any = Client(content)
    options = fetch_filter_options(client)
    assert client.paths == ["/apps/filter-options"]
    return options


def test_each_filter_has_the_values_of_its_list() -> None:
    assert fetch({name: [f"{name}-1", f"{name}-2"] for name in ALL.values()}) == {
        filter_name: [f"{name}-1", f"{name}-2"] for filter_name, name in ALL.items()
    }


def test_values_that_are_no_text_are_left_out() -> None:
    assert fetch({"regions": ["a", 1, None, "b"], "nodes": "x"}) == {**{name: [] for name in ALL}, "region": ["a", "b"]}


@pytest.mark.parametrize("content", [None, [], "x"])
def test_failure_gives_no_values(content: Any) -> None:
    assert fetch(content) == {}
