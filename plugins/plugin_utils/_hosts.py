# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables and built-in groups of hosts. Pure: nothing here reads or changes an inventory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ansible import constants as C
from ansible.inventory.group import to_safe_group_name
from ansible.utils.vars import isidentifier

from ansible_collections.phala.cloud.plugins.plugin_utils._apps import AppKey, app_key
from ansible_collections.phala.cloud.plugins.plugin_utils._connection import CONNECTION_VARIABLES, Address, Refusal
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import GATEWAY_VARIABLES, CoreVariables, Cvm, Identity, Label
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level
from ansible_collections.phala.cloud.plugins.plugin_utils._trust import CORE_KEY_LEFT_OUT, CORE_KEY_PREFIX, Marker


@dataclass(slots=True)  # not frozen, which would take longer for each CVM
class Draft:
    """A CVM that becomes a host: the name that it should have, its connection, and its variables under their final names, marked.

    ``cvm_name`` and ``app`` are what messages and other hosts need to know of the CVM; the rest of it is freed.
    ``connected`` are the variables of its connection, marked. ``groups`` has one entry for each dimension of ``group_by``, None
    where the CVM has no value.
    """

    identity: Identity
    wanted_name: str
    cvm_name: str | None
    app: AppKey
    should_be_reachable: bool
    connection: Address | Refusal | None
    variables: dict[str, Any]
    connected: dict[str, Any]
    groups: tuple[str | None, ...]

    @property
    def label(self) -> Label:
        """The CVM as messages name it."""
        return Label(self.identity, self.cvm_name)


@dataclass(slots=True)  # as above
class Host:
    """A host to publish.

    ``address`` are the variables of its address, ``composed`` those of the user's expressions, ``variables`` the other ones, and
    ``groups`` the groups besides the group of all. ``shared`` are those of the gateway group, where the host is in it.
    """

    name: str
    identity: Identity
    variables: dict[str, Any]
    address: Mapping[str, Any]
    composed: dict[str, Any]
    groups: tuple[str, ...]
    shared: Mapping[str, Any]

    @property
    def own_connection(self) -> Mapping[str, Any]:
        """The host's own variables by which Ansible connects to it; no variable of the API begins with ``ansible_``."""
        if not self.composed:
            return self.address
        composed = {name: value for name, value in self.composed.items() if name in CONNECTION_VARIABLES}
        return {**self.address, **composed}

    @property
    def connection(self) -> dict[str, Any]:
        """All variables by which Ansible connects to the host."""
        return {**self.shared, **self.own_connection}


class VariableNames(dict[str, str | None]):
    """The final names of fields of the API and of core variables: with prefix and suffix, None where a name is not safe."""

    def __init__(self, prefix: str, suffix: str) -> None:
        self._prefix = prefix
        self._suffix = suffix
        self._has_unsafe = False
        self._lists: dict[tuple[str, ...], list[str | None]] = {}

    def __missing__(self, name: str) -> str | None:
        final = f"{self._prefix}{name}{self._suffix}"
        # Core's own names would change how Ansible works, whoever chose them.
        is_safe = isidentifier(final) and not final.startswith("ansible_") and final not in _NAMES_OF_CORE
        is_safe = is_safe and not name.startswith(CORE_KEY_PREFIX) and not final.startswith(CORE_KEY_PREFIX)
        self._has_unsafe |= not is_safe
        self[name] = final if is_safe else None
        return self[name]

    def of(self, names: tuple[str, ...]) -> list[str | None]:
        """Return the final name of each; a fleet has few different lists of names."""
        finals = self._lists.get(names)
        if finals is None:
            finals = self._lists[names] = [self[name] for name in names]
        return finals

    def unsafe(self, cvm: Cvm) -> list[str]:
        """Return the fields and core variables of a CVM whose names are not safe."""
        return [name for name in {**cvm.fields, **cvm.core} if self[name] is None] if self._has_unsafe else []

    def without_affixes(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Return variables that have final names under the names that the fields had."""
        start, end = len(self._prefix), -len(self._suffix) or None
        return {
            name[start:end]: value
            for name, value in variables.items()
            if name.startswith(self._prefix) and name.endswith(self._suffix)
        }


_NAMES_OF_CORE = {"omit", *C.INTERNAL_STATIC_VARS}


def host_variables(cvm: Cvm, names: VariableNames, marker: Marker) -> tuple[dict[str, Any], list[Diagnostic]]:
    """Return the variables of the CVM's host under their final names, and what they lack; its gateway variables are set."""
    left_out = {
        names[name] or name: reason
        for name, reason in cvm.left_out.items()
        if names[name] or (name not in cvm.fields and name not in cvm.core)
    }
    if cvm.is_marked:
        variables = _marked_variables(cvm, names, marker)
        for final in left_out:
            variables.pop(final, None)
    else:
        variables, found = marker.mark_variables({**cvm.fields, **cvm.core}, names)
        left_out.update(found)
    unsafe = names.unsafe(cvm)
    left_out.update({name: CORE_KEY_LEFT_OUT for name in unsafe if name.startswith(CORE_KEY_PREFIX)})
    if not left_out and not unsafe:
        return variables, []
    text = "Left out fields whose names are not valid variable names"
    return variables, [
        *(Diagnostic(Level.VERY_VERBOSE, text, subjects=(f"{name} of {cvm.label}",)) for name in unsafe if name not in left_out),
        *variables_left_out(left_out, cvm.label),
    ]


def _marked_variables(cvm: Cvm, names: VariableNames, marker: Marker) -> dict[str, Any]:
    """Return the variables of a CVM whose texts are marked, except those of its gateway variables, which are marked here."""
    fields, values = cvm.variables()
    variables = dict(zip(names.of(fields), values, strict=True))
    instance_id = cvm.core["instance_id"]
    for name in GATEWAY_VARIABLES:
        value = cvm.value(name)
        is_marked = name == "gateway_id" and value == instance_id  # nearly always
        variables[names[name]] = instance_id if is_marked else marker.mark(value)
    variables.pop(None, None)
    return cast(dict[str, Any], variables)


def variables_left_out(left_out: Mapping[str, str], label: object) -> list[Diagnostic]:
    """Return a warning for each variable or key of a host that is not published; the mapping says why."""
    return [Diagnostic(Level.WARNING, text, subjects=(f"{name} of {label}",)) for name, text in left_out.items()]


_TO_SEPARATE = "To separate them, use keyed_groups, or remove the dimension from group_by."


class GroupNames:
    """The names of built-in groups, by dimension and value.

    :param free: returns the name that a group gets whose name may be reserved
    """

    def __init__(self, dimensions: Sequence[str], prefix: str, free: Callable[[str], str]) -> None:
        self._dimensions = dimensions
        self._prefix = prefix
        self._free = free
        self._names: dict[tuple[str, str], str] = {}
        self._apps: dict[str, dict[tuple[Any, ...], str]] = {}

    def of(self, core: CoreVariables, account: str) -> tuple[str | None, ...]:
        """Return for each dimension the group of a CVM, None where it has no value."""
        names = tuple([self._name(dimension, core) for dimension in self._dimensions])
        if "app" in self._dimensions and (name := names[self._dimensions.index("app")]):
            self._apps.setdefault(name, {})[(account, *app_key(core["app"]))] = repr(core["app_id"])
        return names

    def shared(self) -> list[Diagnostic]:
        """Return a warning for each group that several values, or apps of one name, share."""
        values: dict[str, list[str]] = {}
        for (_dimension, value), name in self._names.items():
            values.setdefault(name, []).append(repr(value))
        text = "Different values share a group, because they give the same group name"
        of_values = [
            Diagnostic(Level.WARNING, text, subjects=(f"{name} ({', '.join(sorted(values[name]))})",), advice=_TO_SEPARATE)
            for name in sorted(values)
            if len(values[name]) > 1
        ]
        text = "Different apps with the same name share a group"
        of_apps = [
            Diagnostic(
                Level.WARNING,
                text,
                subjects=(f"{name} (app_id {', '.join(sorted(self._apps[name].values()))})",),
                advice=_TO_SEPARATE,
            )
            for name in sorted(self._apps)
            if len(self._apps[name]) > 1 and len(values[name]) == 1
        ]
        return of_values + of_apps

    def _name(self, dimension: str, core: CoreVariables) -> str | None:
        value = dimension_value(core, dimension)
        if value is None:
            return None
        name = self._names.get((dimension, value))
        if name is None:
            name = self._free(to_safe_group_name(f"{self._prefix}{dimension}_{value}", force=True, silent=True))
            self._names[dimension, value] = name
        return name


def _listed(core: CoreVariables) -> str | None:
    return str(core["listed"]).lower() if isinstance(core["listed"], bool) else None


def _reachable(core: CoreVariables) -> str | None:
    return str(core["is_reachable"]).lower() if isinstance(core["is_reachable"], bool) else None


def _os_type(core: CoreVariables) -> str | None:
    return ("dev" if core["is_dev"] else "prod") if isinstance(core["is_dev"], bool) else None


# The dimensions whose value is not the core variable of the same name.
_DERIVED: dict[str, Callable[[CoreVariables], Any]] = {
    "app": lambda core: core["app_name"],
    "team": lambda core: core["team_slug"] or core["team_name"],
    "listed": _listed,
    "os_type": _os_type,
    "reachable": _reachable,
}


def dimension_value(core: CoreVariables, dimension: str) -> str | None:
    """Return a CVM's value in a dimension of ``group_by`` as text, or None where it has none."""
    derive = _DERIVED.get(dimension)
    value = derive(core) if derive else core[dimension]  # type: ignore[literal-required]
    if isinstance(value, str):
        return str(value) or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None
