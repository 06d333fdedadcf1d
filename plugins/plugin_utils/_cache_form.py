# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The form in which the cache keeps what apps show: each different value once, and for each CVM the numbers of its values.

Most values of a fleet repeat, so this is half as long as the JSON of the service, and read without any work for each value.
"""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, cast

from ansible_collections.phala.cloud.plugins.plugin_utils._apps import ShownApp, read_filterable
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import CORE_VARIABLES, CoreVariables, Cvm, Identity
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level

NUMBER = "I"  # the type of an array's numbers


class _Numbers:
    """The different values of a fleet, and the number of each."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: dict[Hashable, int] = {}

    def of(self, value: Any) -> int:
        key = value if isinstance(value, str) else (repr(value),)  # 1, 1.0 and True are equal, and what is in a list may be
        number = self._numbers.setdefault(key, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number


def pack(apps: Iterable[Iterable[ShownApp]]) -> tuple[dict[str, Any], bytes]:
    """Return what the apps of each query show as plain JSON, and the numbers of the values of all their CVMs."""
    numbers = _Numbers()
    of_cvms = array(NUMBER)
    packed = [[_pack_app(app, numbers, of_cvms) for app in of_query] for of_query in apps]
    return {"values": numbers.values, "apps": packed}, of_cvms.tobytes()


def _pack_app(app: ShownApp, numbers: _Numbers, of_cvms: array[int]) -> list[Any]:
    for cvm in app.cvms:
        others = (list(cvm.fields), cvm.left_out, cvm.is_only_cvm, *cvm.identity)
        of_cvms.extend(map(numbers.of, (*others, *map(cvm.value, CORE_VARIABLES), *cvm.fields.values())))
    diagnostics = [list(diagnostic) for diagnostic in app.diagnostics]
    return [app.key, len(app.cvms), diagnostics, app.other_nodes]


def unpack(packed: Mapping[str, Any], of_cvms: bytes) -> list[list[ShownApp]]:
    """Return what :func:`pack` has packed. Its CVMs share equal values, so nobody may change a value."""
    values = map(packed["values"].__getitem__, array(NUMBER, of_cvms))
    return [[_unpack_app(app, values) for app in of_query] for of_query in packed["apps"]]


def _unpack_app(app: Sequence[Any], values: Iterator[Any]) -> ShownApp:
    (identifier, app_id), count, diagnostics, other_nodes = app
    return ShownApp(
        (identifier, app_id),
        [_unpack_cvm(values) for _number in range(count)],
        [
            Diagnostic(Level(level), text, option, tuple(subjects), advice)
            for level, text, option, subjects, advice in diagnostics
        ],
        other_nodes,
    )


def _unpack_cvm(values: Iterator[Any]) -> Cvm:
    """Return the next CVM; each zip takes as many values as there are names."""
    names, left_out, is_only_cvm = next(values), next(values), next(values)
    identity = Identity(*islice(values, len(Identity._fields)))
    core = cast(CoreVariables, dict(zip(CORE_VARIABLES, values, strict=False)))
    fields = dict(zip(names, values, strict=False))
    return Cvm(identity, core, fields, is_only_cvm=is_only_cvm, read_filterable=read_filterable, left_out=left_out)
