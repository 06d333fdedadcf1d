# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the whole inventory of the selected CVMs, then publish it: an error on the way leaves nothing behind."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.inventory.host import Host as CoreHost
from ansible.utils.vars import combine_vars

from ansible_collections.phala.cloud.plugins.plugin_utils.connection import group_connection
from ansible_collections.phala.cloud.plugins.plugin_utils.construct import Recorder, construct, meets_condition, render_name
from ansible_collections.phala.cloud.plugins.plugin_utils.cvms import Cvm
from ansible_collections.phala.cloud.plugins.plugin_utils.hosts import (
    SUFFIX_DIGITS,
    Messages,
    VariableNames,
    assign_names,
    connection_variables,
    dimension_groups,
    distinct_digits,
    host_variables,
    safe_host_name,
)
from ansible_collections.phala.cloud.plugins.plugin_utils.settings import Settings
from ansible_collections.phala.cloud.plugins.plugin_utils.trust import Marker


@dataclass
class Host:
    """One host to be.

    ``variables`` come from the API and are marked, ``composed`` are what the user's expressions made of them, and ``groups``
    are the names of those that it joins besides the group of all CVMs.
    """

    cvm: Cvm
    variables: dict[str, Any]
    groups: list[str] = field(default_factory=list)
    name: str = ""
    composed: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Build:
    """All that is to be published: the hosts by name, and groups each with its parent, in the order of their creation."""

    hosts: list[Host]
    group: str
    group_variables: dict[str, Any]
    families: dict[tuple[str | None, str], None]
    warnings: list[str]
    infos: list[str]


def build(plugin: Any, settings: Settings, cvms: Sequence[Cvm]) -> Build:
    """Filter, group, connect and name the hosts of the CVMs.

    :raises AnsibleError: when an expression of the user fails
    """
    marker, warnings, infos = Marker(), Messages(), Messages()
    names = VariableNames(settings.prefix, settings.suffix)
    note = plugin.display.vv
    hosts = []
    for cvm in cvms:
        hosts.append(Host(cvm, host_variables(cvm, names, marker, warnings, note)))
        cvm.fields.clear()  # their marked copies are enough for the memory
    hosts = [host for host in hosts if _meets_filters(plugin, settings.host_filters, host)]
    families = _join_dimensions(hosts, settings, warnings)
    _connect(hosts, settings, marker, warnings, infos)
    _name(plugin, settings, hosts, families, marker, warnings)
    _warn_of_foreign_hosts(plugin.inventory, settings.group, families, {host.name for host in hosts}, warnings)
    for host in hosts:
        host.cvm.core.clear()  # as above
    return Build(
        hosts=sorted(hosts, key=lambda host: host.name),
        group=settings.group,
        group_variables=marker.mark(group_connection(settings.gateway)) if settings.gateway else {},
        families=families,
        warnings=warnings.lines(),
        infos=infos.lines(),
    )


def _meets_filters(plugin: Any, conditions: Iterable[str], host: Host) -> bool:
    for position, condition in enumerate(conditions):
        if not meets_condition(plugin, condition, host.variables):
            plugin.display.vv(f"left out CVM {host.cvm.label}: host_filters[{position}] does not hold")
            return False
    return True


def _join_dimensions(hosts: Sequence[Host], settings: Settings, warnings: Messages) -> dict[tuple[str | None, str], None]:
    """Add the hosts to the built-in groups, and return those as children of the group of all CVMs."""
    groups = dimension_groups([host.cvm for host in hosts], settings.group_by, settings.group_prefix, warnings)
    for host, *own in zip(hosts, *groups, strict=True):
        host.groups = [group for group in own if group]
    return {(settings.group, group): None for of_hosts in groups for group in sorted(filter(None, set(of_hosts)))}


def _warn_of_foreign_hosts(
    inventory: Any, parent: str, families: Iterable[tuple[str | None, str]], names: Collection[str], warnings: Messages
) -> None:
    """Warn where a group that another source has filled comes under this one's group of all CVMs, and so do its hosts."""
    for above, name in families:
        group = inventory.groups.get(name)
        if above != parent or group is None or any(known.name == parent for known in group.parent_groups):
            continue
        if any(host.name not in names for host in group.hosts):
            warnings.add(
                f"hosts of another source are in {parent!r} now, with its variables, by groups that it shares; set group_prefix",
                name,
            )


def _connect(hosts: Sequence[Host], settings: Settings, marker: Marker, warnings: Messages, infos: Messages) -> None:
    if settings.gateway is None:
        return
    for host in hosts:
        host.variables.update(marker.mark(connection_variables(host.cvm, settings.gateway, warnings, infos)))


# Names, and what is constructed under them


def _name(
    plugin: Any,
    settings: Settings,
    hosts: Sequence[Host],
    families: dict[tuple[str | None, str], None],
    marker: Marker,
    warnings: Messages,
) -> None:
    """Name the hosts and construct their variables and groups; no name may be a group's, be it constructed under that name."""
    wanted = {host.cvm.identity: _wanted_name(plugin, settings, host) for host in hosts}
    digits = {host.cvm.identity: distinct_digits(host.cvm) for host in hosts}
    taken = {settings.group, *plugin.inventory.groups, *(group for _parent, group in families)}
    taken |= _names_of_other_cvms(plugin.inventory, settings, hosts)
    while True:
        names = assign_names(wanted, taken, digits)
        records = _construct(plugin, settings, hosts, names, marker, warnings)
        constructed = {group for record in records for group in record.all_groups()}
        if constructed.isdisjoint(names.values()):
            break
        taken |= constructed
    for host, record in zip(hosts, records, strict=True):
        host.name, host.composed = names[host.cvm.identity], record.variables
        host.groups += record.groups
    for record in sorted(records, key=lambda record: record.host):
        families.update({(None, group): None for group in record.groups})
        families.update(dict.fromkeys(record.parents))
    renamed = sorted(f"{wanted[identity]} became {name}" for identity, name in names.items() if name != wanted[identity])
    for line in renamed:
        warnings.add("host names that were not free got digits of the CVM's vm_uuid; set hostnames to choose others", line)


def _names_of_other_cvms(inventory: Any, settings: Settings, hosts: Sequence[Host]) -> set[str]:
    """Return the names that CVMs of earlier sources have, such as another account's, unless they are CVMs of this one too."""
    variable = f"{settings.prefix}vm_uuid{settings.suffix}"
    own = {host.cvm.core["vm_uuid"] for host in hosts}
    uuids = ((name, host.vars.get(variable)) for name, host in inventory.hosts.items())
    return {name for name, uuid in uuids if isinstance(uuid, str) and uuid not in own}


def _construct(
    plugin: Any, settings: Settings, hosts: Sequence[Host], names: dict[str, str], marker: Marker, warnings: Messages
) -> list[Recorder]:
    options = settings.constructed
    if not (options.compose or options.groups or options.keyed_groups):
        return [Recorder(names[host.cvm.identity]) for host in hosts]
    shared = group_connection(settings.gateway) if settings.gateway else {}
    return [
        construct(plugin, options, name, _visible(host, name, settings.group, shared), marker, warnings.left_out(name))
        for host, name in ((host, names[host.cvm.identity]) for host in hosts)
    ]


def _visible(host: Host, name: str, group: str, shared: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables that the host's expressions see: core's and the group's too, as in core's constructed plugin."""
    magic = CoreHost(name, gen_uuid=False).get_magic_vars()
    return {**shared, **host.variables, **magic, "group_names": sorted({group, *host.groups})}


def _wanted_name(plugin: Any, settings: Settings, host: Host) -> str:
    """Return the first of hostnames that gives a name, else one made of the CVM's identifiers: no CVM is lost."""
    core = host.cvm.core
    for entry in settings.hostnames:
        if entry in core:
            text = core[entry] if isinstance(core[entry], (str, int)) and not isinstance(core[entry], bool) else ""
        else:
            variables = {**_without_affixes(host.variables, settings), **host.variables}
            text = render_name(plugin, entry, variables, strict=settings.constructed.strict)
        if name := safe_host_name(str(text)):
            return name
    return f"cvm-{distinct_digits(host.cvm)[:SUFFIX_DIGITS]}"


def _without_affixes(variables: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    prefix, suffix = settings.prefix, settings.suffix
    return {
        name[len(prefix) : len(name) - len(suffix)]: value
        for name, value in variables.items()
        if name.startswith(prefix) and name.endswith(suffix)
    }


# Publication


def _refuse_loops(inventory: Any, families: Iterable[tuple[str | None, str]]) -> None:
    parents = {name: {parent.name for parent in group.parent_groups} for name, group in inventory.groups.items()}

    def descends(group: str, ancestor: str) -> bool:
        return group == ancestor or any(descends(parent, ancestor) for parent in parents.get(group, ()))

    for parent, group in families:
        if parent is None:
            continue
        if group == "all" or descends(parent, group):  # everything comes to descend from "all"
            raise AnsibleParserError(
                f"the group {group!r} cannot be a child of {parent!r}, which descends from it: change the names of groups by"
                " group_prefix, or by prefix, separator or parent_group of keyed_groups"
            )
        parents.setdefault(group, set()).add(parent)


def publish(inventory: Any, built: Build) -> None:
    """Put all of it into the inventory.

    :raises AnsibleParserError: before anything is put there, when a group would be its own ancestor
    """
    _refuse_loops(inventory, built.families)
    inventory.add_group(built.group)
    for parent, group in built.families:
        inventory.add_group(group)
        if parent is not None:
            inventory.add_group(parent)
            inventory.add_child(parent, group)
    for name, value in built.group_variables.items():
        inventory.set_variable(built.group, name, value)
    for host in built.hosts:
        inventory.add_host(host.name, built.group)
        # Since 2.19 set_variable() copies and inspects each value, which are JSON's own types here.
        target = inventory.get_host(host.name)
        target.vars = combine_vars(target.vars, host.variables)
        host.variables.clear()
        for name, value in host.composed.items():
            inventory.set_variable(host.name, name, value)
        for group in host.groups:
            inventory.add_child(group, host.name)
