# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults in the content of an otherwise good response."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from typing_extensions import override

from .base import Alteration, Occasion

Place = tuple[Any, Any]
"""A dict or a list, and the key or index in it."""


@dataclass(frozen=True)
class Replace(Alteration):
    """Set any JSON value at a dotted path. `*` means every element, the empty path the whole response."""

    path: str
    value: Any

    @override
    def alter(self, answer: dict[str, Any], occasion: Occasion) -> Any:
        return _at_each_place(answer, self.path, lambda _: self.value)


@dataclass(frozen=True)
class Remove(Alteration):
    """Remove the field at a dotted path."""

    path: str

    @override
    def alter(self, answer: dict[str, Any], occasion: Occasion) -> Any:
        for holder, key in list(_places(answer, self.path.split("."))):
            del holder[key]
        return answer


@dataclass(frozen=True)
class Drift(Alteration):
    """Change a number: by a constant, and by `per_request` more each time that the fault applies again."""

    path: str
    by: int = 0
    per_request: int = 0

    @override
    def alter(self, answer: dict[str, Any], occasion: Occasion) -> Any:
        return _at_each_place(answer, self.path, lambda value: value + self.by + occasion.turn * self.per_request)


EMPTY_PAGE: Final = Replace("dstack_apps", [])

WRONG_VALUES: Final[Mapping[str, Sequence[Any]]] = {
    "": (None, True, 12, "text", [], {}),
    "dstack_apps": (None, True, 12, "text", {"app_id": "text"}),
    "dstack_apps.0": (None, 12, "text", [], {}),
    "dstack_apps.*.app_id": (None, 12, [], {}),
    "dstack_apps.*.name": (12, [], {}),
    "dstack_apps.*.cvms": (12, "text", {"name": "text"}),
    "dstack_apps.*.current_cvm": (12, "text", []),
    "dstack_apps.*.cvms.*": (None, 12, "text", []),
    "dstack_apps.*.cvms.*.name": (12, [], {}),
    "dstack_apps.*.cvms.*.status": (12, [], {}),
    "dstack_apps.*.cvms.*.vm_uuid": (12, [], {}),
    "dstack_apps.*.cvms.*.instance_id": (12, [], {}),
    "dstack_apps.*.cvms.*.resource": (12, "text", []),
    "dstack_apps.*.cvms.*.node_info": (12, "text", []),
    "dstack_apps.*.cvms.*.gateway": (12, "text", []),
    "dstack_apps.*.cvms.*.gateway.base_domain": (12, [], {}),
    "dstack_apps.*.cvms.*.machine_info": (12, "text", []),
    "total": (None, True, "12", 1.5, -1, []),
    "total_pages": (None, True, "1", 1.5, -1, 10**9, []),
    "page": (None, "1", 99, []),
    "page_size": (None, "20", 0, -1, []),
}
INDISPENSABLE: Final = ("dstack_apps", "dstack_apps.*.app_id", "total", "total_pages")

MALFORMATIONS: Final[tuple[Alteration, ...]] = (
    *(Replace(path, value) for path, values in WRONG_VALUES.items() for value in values),
    *(Remove(path) for path in INDISPENSABLE),
)
"""Wrong types and missing fields at each level."""


def _at_each_place(answer: Any, path: str, change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(answer)
    for holder, key in list(_places(answer, path.split("."))):
        holder[key] = change(holder[key])
    return answer


def _places(value: Any, steps: list[str]) -> Iterator[Place]:
    """Find the places that a path matches."""
    step, *further = steps
    for key in _keys(value, step):
        if further:
            yield from _places(value[key], further)
        else:
            yield value, key


def _keys(value: Any, step: str) -> list[Any]:
    if isinstance(value, dict):
        return list(value) if step == "*" else [step] * (step in value)
    if isinstance(value, list):
        return list(range(len(value))) if step == "*" else [int(step)] * (int(step) < len(value))
    return []
