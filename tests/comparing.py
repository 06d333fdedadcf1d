# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tests compare of CVMs and of their values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ansible_collections.phala.cloud.plugins.plugin_utils._apps import ShownApp


def shape_and_marks(value: Any) -> Any:
    """Return a value with the types of all that is in it, which show the marks of texts, in its order."""
    if isinstance(value, dict):
        return [(shape_and_marks(key), shape_and_marks(entry)) for key, entry in value.items()]
    if isinstance(value, list):
        return list(map(shape_and_marks, value))
    return type(value), repr(value)


def what_is_shown(apps: Iterable[Iterable[ShownApp]]) -> list[Any]:
    """Return all that the apps of each query show, whether their CVMs come from a response or from the cache."""
    return [
        [
            app._replace(
                cvms=[
                    (cvm.identity, cvm.core, dict(cvm.fields), cvm.is_only_cvm, cvm.left_out, cvm.filterable)  # type: ignore[misc]
                    for cvm in app.cvms
                ]
            )
            for app in of_query
        ]
        for of_query in apps
    ]
