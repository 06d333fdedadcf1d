# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Turn selected CVMs into hosts: their names, variables and groups. Pure: nothing is asked of or put into an inventory."""

from __future__ import annotations

import hashlib
import re
import socket
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible import constants as C
from ansible.inventory.group import to_safe_group_name
from ansible.utils.vars import isidentifier

from ansible_collections.phala.cloud.plugins.plugin_utils.connection import (
    NoAddressError,
    SshGateway,
    host_connection,
    refused_connection,
)
from ansible_collections.phala.cloud.plugins.plugin_utils.cvms import Cvm, Note, dimension_value
from ansible_collections.phala.cloud.plugins.plugin_utils.trust import LeftOut, Marker

SUFFIX_DIGITS = 8
RESERVED_NAMES = frozenset({"all", "ungrouped", "_meta", "localhost", "localhost.localdomain"})
SHOWN_EXAMPLES = 5  # how many names a warning lists


@dataclass
class Messages:
    """Collect messages so that each kind is told in one line, however many CVMs it concerns."""

    subjects: dict[str, list[str]] = field(default_factory=dict)

    def add(self, message: str, subject: str) -> None:
        self.subjects.setdefault(message, []).append(subject)

    def left_out(self, label: str) -> LeftOut:
        """Return a function that adds a variable of this host which is not published."""
        return lambda name, reason: self.add(f"left out variables that have {reason}", f"{name} of {label}")

    def lines(self) -> list[str]:
        return [f"{message}: {_examples(subjects)}" for message, subjects in self.subjects.items()]


def _examples(subjects: Sequence[str]) -> str:
    rest = len(subjects) - SHOWN_EXAMPLES
    return ", ".join(subjects[:SHOWN_EXAMPLES]) + (f" and {rest} more" if rest > 0 else "")


# Variables


class VariableNames:
    """Give fields of the API and core variables their final names."""

    def __init__(self, prefix: str, suffix: str) -> None:
        self._prefix = prefix
        self._suffix = suffix
        self._finals: dict[str, str | None] = {}

    def rename(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields under their final names, without those that must not be published under theirs."""
        finals = self._finals
        if not fields.keys() <= finals.keys():
            finals.update((name, self._final(name)) for name in fields.keys() - finals.keys())
        return {final: value for name, value in fields.items() if (final := finals[name]) is not None}

    def refused(self, fields: Iterable[str]) -> list[str]:
        """Return which of the fields are not published."""
        return [name for name in fields if self._finals[name] is None]

    def _final(self, name: str) -> str | None:
        final = f"{self._prefix}{name}{self._suffix}"
        # Core's own names would change how Ansible works, whoever chose them.
        is_safe = isidentifier(final) and not final.startswith("ansible_") and final not in {"omit", *C.INTERNAL_STATIC_VARS}
        return final if is_safe else None


def host_variables(cvm: Cvm, names: VariableNames, marker: Marker, warnings: Messages, note: Note) -> dict[str, Any]:
    """Return the CVM's fields and core variables under their final names, marked."""
    variables = names.rename(cvm.fields)
    variables.update(names.rename(cvm.core))
    for name in names.refused(cvm.fields):
        note(f"left out the field {name!r} of CVM {cvm.label}: it makes no safe variable name")
    return marker.mark_variables(variables, warnings.left_out(cvm.label))


# Groups


def dimension_groups(cvms: Sequence[Cvm], dimensions: Iterable[str], prefix: str, warnings: Messages) -> list[list[str]]:
    """Return for each dimension the built-in groups of the CVMs, in their order; empty where a CVM has no value."""
    groups = []
    for dimension in dimensions:
        values = [dimension_value(cvm, dimension) for cvm in cvms]
        safe = {
            value: to_safe_group_name(f"{prefix}{dimension}_{value}", force=True, silent=True)
            for value in set(values)
            if value is not None
        }
        groups.append([safe[value] if value is not None else "" for value in values])
        _warn_of_shared_groups(safe, warnings)
    return groups


def _warn_of_shared_groups(safe: Mapping[str, str], warnings: Messages) -> None:
    for group, count in sorted(Counter(safe.values()).items()):
        if count > 1:
            values = ", ".join(sorted(repr(value) for value, name in safe.items() if name == group))
            warnings.add("different values make the same group name and share the group", f"{group} ({values})")


# Connection


def connection_variables(cvm: Cvm, gateway: SshGateway, warnings: Messages, infos: Messages) -> dict[str, Any]:
    """Return how to reach the CVM, or variables that keep it from being reached by its name."""
    try:
        return host_connection(gateway, cvm.core, is_only_cvm=cvm.is_only_cvm)
    except NoAddressError as reason:
        messages = warnings if reason.suspect else infos
        messages.add(f"no ansible_host, because {reason}", cvm.label)
        return refused_connection(str(reason))


# Names


def safe_host_name(text: str) -> str:
    """Return the text as a host name: other characters become ``-``, and none of them or a dot leads."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", text).lstrip("-.")


def assign_names(wanted: Mapping[str, str], taken: Collection[str], digits: Mapping[str, str]) -> dict[str, str]:
    """Give every CVM a host name of its own, whatever the order they come in.

    :param wanted: identity to the name that the CVM would have if it were alone
    :param taken: names that no host may have, those of groups above all
    :param digits: identity to hex digits that set the CVM apart
    :returns: identity to name; every CVM whose name is wanted twice or taken gets digits
    """
    lengths = dict.fromkeys(wanted, 0)
    while True:
        names = {identity: _suffixed(name, digits[identity], lengths[identity]) for identity, name in wanted.items()}
        counts = Counter(names.values())
        clashing = [identity for identity, name in names.items() if counts[name] > 1 or name in taken or _is_reserved(name)]
        if not clashing:
            return names
        for identity in clashing:
            lengths[identity] += 1 if lengths[identity] else SUFFIX_DIGITS


def _suffixed(name: str, digits: str, length: int) -> str:
    return f"{name}-{digits[:length]}" if length else name


def _is_reserved(name: str) -> bool:
    """Tell a name that Ansible or the resolver takes for this machine or for something that is no host."""
    if name.lower().rstrip(".") in RESERVED_NAMES:
        return True
    if not name[0].isdigit():
        return False
    try:
        address = socket.inet_aton(name)  # as the resolver reads it: 127.1 and 2130706433 too
    except OSError:
        return False
    return address[0] == 127 or address == bytes(4)


def distinct_digits(cvm: Cvm) -> str:
    """Return hex digits of the CVM's own: of its vm_uuid, else of its instance id, without end for all that matters."""
    identifier = str(cvm.core["vm_uuid"] or cvm.core["instance_id"] or "").lower()
    return re.sub(r"[^0-9a-f]", "", identifier) + hashlib.sha256(cvm.identity.encode("utf-8", "replace")).hexdigest()
