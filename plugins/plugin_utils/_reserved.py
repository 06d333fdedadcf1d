# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep groups from names under which plays mean something else: this machine, every host, or a host of another source."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.phala.cloud.plugins.plugin_utils._addresses import is_this_machine
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level
from ansible_collections.phala.cloud.plugins.plugin_utils._names import NAMES_OF_CORE
from ansible_collections.phala.cloud.plugins.plugin_utils._sources import Before

SUFFIX = "_group"


def gateway_group_name(group: str) -> str:
    """Return the name of the group of the hosts that are reached through the gateway, for the group of all hosts."""
    return f"{group}_gateway"


class GroupRenamer:
    """Rename the groups of one source whose names are reserved, and remember which."""

    def __init__(self, group: str, before: Before) -> None:
        self._reserved = {*NAMES_OF_CORE, gateway_group_name(group), *before.gateways, *before.hosts, *before.cvms}
        self._names: dict[str, str] = {}

    def free(self, name: str) -> str:
        """Return the name that a group gets."""
        known = self._names.get(name)
        if known is None:
            known = name
            while known in self._reserved or is_this_machine(known):
                known += SUFFIX
            self._names[name] = known
        return known

    def free_parent(self, name: str) -> str:
        """Return the name that a parent of groups gets; each group may be a child of ``all``, which it is anyway."""
        return name if name == "all" else self.free(name)

    def renamed(self) -> Iterator[Diagnostic]:
        """Yield a warning with the groups that got other names."""
        subjects = sorted(f"{name} -> {free}" for name, free in self._names.items() if free != name)
        if subjects:
            text = "Renamed groups whose names are reserved for this machine, for Ansible or for hosts of another source"
            yield Diagnostic(
                Level.WARNING, text, subjects=tuple(subjects), advice="To choose the names, set a prefix in keyed_groups."
            )
