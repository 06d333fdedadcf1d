# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shapes in which the service returns an app, and the shape of each API version."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Literal

from ..records import App
from .flat import FlatApp, FlatCvm, FlatPage, flat_app
from .nested import NestedApp, NestedCvm, NestedPage, nested_app
from .shared import MinimalApp

__all__ = [
    "FLAT",
    "NESTED",
    "NUMBERED",
    "SPARSE",
    "FlatPage",
    "NestedPage",
    "ShapeName",
    "render",
    "render_bytes",
    "shape_of",
]

ShapeName = Literal["flat", "numbered", "nested", "sparse"]
FLAT: Final[ShapeName] = "flat"
NUMBERED: Final[ShapeName] = "numbered"
NESTED: Final[ShapeName] = "nested"
SPARSE: Final[ShapeName] = "sparse"
SHARED_FIELDS: Final = FlatCvm.model_fields.keys() & NestedCvm.model_fields.keys()
FIRST_NESTED_VERSION: Final = "2026-01-21"
FIRST_HASHED_VERSION: Final = "2026-05-22"


def shape_of(version: str) -> ShapeName:
    """Return the shape of an API version: a date, or `LATEST`, which sorts after every date."""
    if version < FIRST_NESTED_VERSION:
        return FLAT
    return NUMBERED if version < FIRST_HASHED_VERSION else NESTED


def render(app: App, shape: ShapeName = NESTED) -> dict[str, Any]:
    """Return an app as decoded JSON, without the fields that are not set.

    In the sparse shape, a CVM has only the fields that the flat and the nested shape share.
    """
    shown = _model(app, shape).model_dump(exclude_unset=True, warnings=False)
    if shape == SPARSE and not app.minimal:
        shown["current_cvm"] = shown["current_cvm"] and _shared_fields(shown["current_cvm"])
        shown["cvms"] = [_shared_fields(cvm) for cvm in shown["cvms"]]
    return shown


def render_bytes(app: App | Mapping[str, Any] | Any, shape: ShapeName) -> bytes:
    """Return an app as JSON. Anything that is not an `App` is returned as it is."""
    if not isinstance(app, App):
        return json.dumps(app).encode()
    if shape == SPARSE:
        return json.dumps(render(app, shape)).encode()
    return _model(app, shape).model_dump_json(exclude_unset=True, warnings=False).encode()


def _model(app: App, shape: ShapeName) -> FlatApp | NestedApp | MinimalApp:
    return flat_app(app) if shape == FLAT else nested_app(app, numbered=shape == NUMBERED)


def _shared_fields(cvm: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in cvm.items() if name in SHARED_FIELDS}
