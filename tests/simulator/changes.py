# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes of a fleet, each a function that returns the changed fleet, and the orders in which the service lists it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Literal

from .records import App, Cvm
from .selection import Entry

Fleet = Sequence[Entry]
Order = Literal["age", "name", "update"]


def create(fleet: Fleet, app: Entry) -> Fleet:
    return (*fleet, app)


def delete(fleet: Fleet, app: Entry) -> Fleet:
    return tuple(entry for entry in fleet if entry is not app)


def swap(fleet: Fleet, app: Entry, newcomer: Entry) -> Fleet:
    """Replace an app by another one, so that every count stays the same."""
    return tuple(newcomer if entry is app else entry for entry in fleet)


def rename(fleet: Fleet, app: App, name: str) -> Fleet:
    """Give an app another name. Its ids stay the same."""
    return swap(fleet, app, replace(app, name=name))


def touch(fleet: Fleet, app: App, at: str) -> Fleet:
    """Set `updated_at` of an app's CVMs to this time stamp, as an update of the app does."""
    for cvm in app.live_cvms:
        changed = change_cvm(app, cvm, updated_at=at)
        fleet, app = swap(fleet, app, changed), changed
    return fleet


def change_cvm(app: App, cvm: Cvm, **fields: Any) -> App:
    """Return the app with other fields in one of its CVMs."""
    changed = replace(cvm, **fields)
    return replace(
        app,
        cvms=tuple(changed if entry is cvm else entry for entry in app.cvms),
        current_cvm=changed if app.current_cvm is cvm else app.current_cvm,
    )


def in_order(fleet: Fleet, order: Order | None) -> Fleet:
    """Sort a fleet: by name, or the newest or last updated app first. Anything that is not an `App` comes last."""
    if order is None:
        return fleet
    apps = sorted((entry for entry in fleet if isinstance(entry, App)), key=KEYS[order], reverse=order != "name")
    return (*apps, *(entry for entry in fleet if not isinstance(entry, App)))


def _updated_at(app: App) -> str:
    return max((cvm.updated_at or "" for cvm in app.live_cvms), default=app.created_at)


KEYS: Final[Mapping[Order, Callable[[App], tuple[str, str]]]] = {
    "age": lambda app: (app.created_at, app.app_id),
    "name": lambda app: (app.name, app.app_id),
    "update": lambda app: (_updated_at(app), app.app_id),
}
