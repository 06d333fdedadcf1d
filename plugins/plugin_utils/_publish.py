# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Publish what was built in Ansible's inventory."""

from __future__ import annotations

from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from typing import Any

from ansible.utils.vars import combine_vars

from ansible_collections.phala.cloud.plugins.plugin_utils._build import Built
from ansible_collections.phala.cloud.plugins.plugin_utils._cvms import consumed
from ansible_collections.phala.cloud.plugins.plugin_utils._errors import SourceError
from ansible_collections.phala.cloud.plugins.plugin_utils._sources import Listed, current_run


class GroupLoopError(SourceError):
    """A group would be its own ancestor."""


def publish(inventory: Any, built: Built) -> None:
    """Add the groups and hosts to the inventory, and empty the list of hosts.

    Groups become children last: core walks all ancestors of a group whenever a host is added to it.

    :raises GroupLoopError: before anything is added, when a group would be its own ancestor
    """
    _refuse_loops(inventory, built.families)
    run = current_run(inventory)
    run.before.setdefault(built.path, built.before)
    _add_groups(inventory, built)
    if built.gateway:
        run.gateways.setdefault(built.gateway.name, built.path)
    groups, hosts = inventory.groups, inventory.hosts  # looked up once, because core wraps the inventory since 2.19
    for host in consumed(built.hosts):
        is_new = host.name not in hosts
        inventory.add_host(host.name, built.group)
        scope = built.scopes[host.identity.account]
        listed = run.cvms.get(host.name)
        if listed and listed.path != built.path:
            run.add(listed._replace(scope=scope))
        else:
            run.add(Listed(host.name, built.path, scope, host.identity, host.shared, host.own_connection))
        # Since 2.19 set_variable() copies and inspects each value, which are JSON's own types here.
        target = hosts[host.name]
        if is_new:  # the dictionary becomes core's, instead of a copy; none of its names is one of core's own
            host.variables.update(target.vars)
            target.vars = host.variables
        else:
            target.vars = combine_vars(target.vars, host.variables)
        target.vars.update(host.address)
        for name, value in host.composed.items():
            inventory.set_variable(host.name, name, value)
        # add_child() would search all names for the host, and format a line for each of its groups.
        for group in host.groups:
            groups[group].add_host(target)
    for parent, group in built.families:
        if parent is not None:
            inventory.add_child(parent, group)


def _add_groups(inventory: Any, built: Built) -> None:
    inventory.add_group(built.group)
    for parent, group in built.families:
        inventory.add_group(group)
        if parent is not None:
            inventory.add_group(parent)
    if built.gateway:
        for name, value in built.gateway.variables.items():
            inventory.set_variable(built.gateway.name, name, value)


def _refuse_loops(inventory: Any, families: Iterable[tuple[str | None, str]]) -> None:
    """Raise where a group would be its own ancestor; core would raise too, but with some of the groups added."""
    parents: dict[str, set[str]] = {
        name: {parent.name for parent in group.parent_groups} for name, group in inventory.groups.items()
    }
    for parent, group in families:
        if parent is not None:
            if group == "all":  # every group comes to descend from it
                raise _loop(group, parent)
            parents.setdefault(group, set()).add(parent)
    try:
        TopologicalSorter(parents).prepare()
    except CycleError as error:
        ancestor, descendant, *_others = error.args[1]
        raise _loop(ancestor, descendant) from None


def _loop(group: str, parent: str) -> GroupLoopError:
    return GroupLoopError(
        f"the group {group!r} cannot be a child of {parent!r}, which is its descendant. Change the group names with"
        " group_prefix, or with prefix, separator or parent_group of keyed_groups."
    )
