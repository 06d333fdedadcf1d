# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two shapes in which the service shows an app, and which of them an API version means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Literal

from ..records import App
from .flat import FlatPage, flat_app
from .nested import NestedPage, nested_app

__all__ = ["FLAT", "NESTED", "FlatPage", "NestedPage", "ShapeName", "render", "render_bytes", "shape_of"]

ShapeName = Literal["flat", "nested"]
FLAT: Final[ShapeName] = "flat"
NESTED: Final[ShapeName] = "nested"
FIRST_NESTED_VERSION: Final = "2026-01-21"


def shape_of(version: str | None) -> ShapeName:
    """Return the shape for an `X-Phala-Version`.

    Versions are dates. A client that sends none is older than the header, so it gets the oldest.
    """
    return NESTED if version is not None and version >= FIRST_NESTED_VERSION else FLAT


def render(app: App, shape: ShapeName = NESTED) -> dict[str, Any]:
    """Return an app as decoded JSON; what was left unset is missing."""
    model = flat_app(app) if shape == FLAT else nested_app(app)
    return model.model_dump(exclude_unset=True)


def render_bytes(app: App | Mapping[str, Any] | Any, shape: ShapeName) -> bytes:
    """Return an app as JSON; what is no `App` is served as it is."""
    if not isinstance(app, App):
        return json.dumps(app).encode()
    model = flat_app(app) if shape == FLAT else nested_app(app)
    return model.model_dump_json(exclude_unset=True).encode()
