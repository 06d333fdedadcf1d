# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The form in which the cache keeps what apps show: each different value once, and for each CVM the numbers of its values.

Most values of a fleet repeat, so this is a third as long as the JSON of the service, and each value is marked only once.
"""

from __future__ import annotations

from array import array
from collections.abc import Container, Hashable, Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Final, NamedTuple

from ansible_collections.phala.cloud.plugins.plugin_utils._apps import ShownApp, read_filterable
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import CvmRow, Identity
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level
from ansible_collections.phala.cloud.plugins.plugin_utils._plain_text import plain
from ansible_collections.phala.cloud.plugins.plugin_utils._trust import MAX_DEPTH, Marker, is_plain_key

NUMBER: Final = "i"  # the type of an array's numbers


class _Form(NamedTuple):
    """The names of a CVM's values, first of fields, then of core variables, and the places of containers that are shared.

    ``flat`` are the places of those that hold scalars only.
    """

    names: tuple[str, ...]
    flat: Sequence[int]
    nested: Sequence[int]


class _Numbers:
    """The different values of a fleet, and the number of each: from 0 on for scalars, from -1 down for containers.

    The row of a container has the number of its layout, then those of its values. A layout is the keys of an object, or the
    length of a list.
    """

    def __init__(self) -> None:
        self.scalars: list[Any] = []
        self.rows: dict[tuple[int, ...], int] = {}
        self.layouts: dict[tuple[str, ...] | int, int] = {}
        self.forms: dict[_Form, int] = {}
        self.depth = 0
        self._scalar_numbers: dict[Hashable, int] = {}
        self._nested: set[int] = set()  # containers that hold others
        self._repeated: set[int] = set()  # containers that are in several places

    def of(self, value: Any, depth: int = 1) -> int:
        if isinstance(value, dict):
            return self._of_container(tuple(value), value.values(), depth)
        if isinstance(value, list):
            return self._of_container(len(value), value, depth)
        key: Hashable
        if isinstance(value, str):
            key = value = plain(value)
        else:
            key = (repr(value),)  # 1, 1.0 and True are equal
        number = self._scalar_numbers.setdefault(key, len(self.scalars))
        if number == len(self.scalars):
            self.scalars.append(value)
        return number

    def of_form(self, names: tuple[str, ...], row: Sequence[int], shared: Container[int]) -> int:
        """Return the number of a CVM's form; ``shared`` is what :meth:`shared` returns once all CVMs have their numbers."""
        places = [place for place, number in enumerate(row) if number in shared]
        flat = tuple(place for place in places if row[place] not in self._nested)
        nested = tuple(place for place in places if row[place] in self._nested)
        return self.forms.setdefault(_Form(names, flat, nested), len(self.forms))

    def shared(self) -> set[int]:
        """Return the containers that are in several places, and those that hold such a one."""
        shared = self._repeated.copy()
        for row, number in self.rows.items():  # in which a container comes after those that it holds
            if not shared.isdisjoint(row):
                shared.add(number)
        return shared

    def _of_container(self, layout: tuple[str, ...] | int, values: Iterable[Any], depth: int) -> int:
        self.depth = max(self.depth, depth)
        numbers = [self.of(value, depth + 1) for value in values]
        row = (self.layouts.setdefault(layout, len(self.layouts)), *numbers)
        number = self.rows.get(row)
        if number is not None:
            self._repeated.add(number)
            return number
        number = self.rows[row] = ~len(self.rows)
        if min(numbers, default=0) < 0:
            self._nested.add(number)
        return number


_Row = tuple[tuple[str, ...], "array[int]", "array[int]"]  # the names of a CVM's values, the numbers of its identity and of these


def pack(apps: Iterable[Iterable[ShownApp]]) -> tuple[dict[str, Any], bytes]:
    """Return what the apps of each query show as plain JSON, and the rows of all containers and CVMs."""
    numbers = _Numbers()
    rows: list[_Row] = []
    packed_apps = [[_pack_app(app, numbers, rows) for app in of_query] for of_query in apps]
    shared = numbers.shared()
    of_cvms = array(NUMBER)
    for names, identity, values in rows:
        of_cvms.extend((numbers.of_form(names, values, shared), *identity, *values))
    keys = chain.from_iterable(layout for layout in numbers.layouts if isinstance(layout, tuple))
    packed = {
        "apps": packed_apps,
        "scalars": numbers.scalars,
        "layouts": list(numbers.layouts),
        "container_count": len(numbers.rows),
        "forms": list(numbers.forms),
        "can_be_marked": numbers.depth < MAX_DEPTH and all(map(is_plain_key, keys)),
    }
    return packed, (array(NUMBER, chain.from_iterable(numbers.rows)) + of_cvms).tobytes()


def _pack_app(app: ShownApp, numbers: _Numbers, rows: list[_Row]) -> list[Any]:
    for cvm in app.cvms:
        names, values = cvm.variables()
        rows.append((names, array(NUMBER, map(numbers.of, cvm.identity)), array(NUMBER, map(numbers.of, values))))
    cvms = [(cvm.is_only_cvm, cvm.left_out) for cvm in app.cvms]
    diagnostics = [list(diagnostic) for diagnostic in app.diagnostics]
    return [app.key, cvms, diagnostics, app.other_nodes]


def unpack(packed: Mapping[str, Any], rows: bytes, *, marked: bool) -> list[list[ShownApp]]:
    """Return what :func:`pack` has packed.

    :param marked: whether to mark the texts of CVMs; they stay as they are if that would leave something out
    """
    reader = _Reader(packed, memoryview(rows).cast(NUMBER), are_marked=marked and packed["can_be_marked"])
    return [[reader.app(app) for app in of_query] for of_query in packed["apps"]]


class _Reader:
    """What reads the rows, one number after the other."""

    def __init__(self, packed: Mapping[str, Any], rows: Iterable[int], *, are_marked: bool) -> None:
        self._numbers = iter(rows)
        self._forms = [_Form(tuple(names), flat, nested) for names, flat, nested in packed["forms"]]
        self._are_marked = are_marked
        self._scalars = packed["scalars"]
        scalars = Marker().mark_scalars(self._scalars) if are_marked else self._scalars
        count, layouts = packed["container_count"], packed["layouts"]
        values = [*scalars, *[None] * count]
        self._found = map(values.__getitem__, self._numbers)
        for number in range(-1, ~count, -1):
            layout = layouts[next(self._numbers)]
            if isinstance(layout, int):
                values[number] = list(islice(self._found, layout))
            else:
                values[number] = dict(zip(layout, self._found, strict=False))  # takes as many values as there are keys

    def app(self, packed: Sequence[Any]) -> ShownApp:
        (identifier, app_id), cvms, diagnostics, other_nodes = packed
        return ShownApp(
            (identifier, app_id),
            [self._cvm(is_only_cvm, left_out) for is_only_cvm, left_out in cvms],
            [
                Diagnostic(Level(level), text, option, tuple(subjects), advice)
                for level, text, option, subjects, advice in diagnostics
            ],
            other_nodes,
        )

    def _cvm(self, is_only_cvm: bool, left_out: Mapping[str, str]) -> CvmRow:
        names, flat, nested = self._forms[next(self._numbers)]
        identity = Identity(*map(self._scalars.__getitem__, islice(self._numbers, len(Identity._fields))))
        row = list(islice(self._found, len(names)))
        # No two CVMs share a container: ansible-inventory --yaml prints an anchor and aliases for such a one.
        for place in flat:
            row[place] = row[place].copy()
        for place in nested:
            row[place] = _copied(row[place])
        return CvmRow(identity, names, row, is_only_cvm, read_filterable, left_out, is_marked=self._are_marked)


def _copied(container: Any) -> Any:
    copied = container.copy()
    for place, value in copied.items() if isinstance(copied, dict) else enumerate(copied):
        if isinstance(value, (dict, list)):
            copied[place] = _copied(value)
    return copied
