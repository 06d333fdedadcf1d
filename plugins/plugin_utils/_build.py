# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the whole inventory of the selected CVMs; nothing is published yet, so an error on the way leaves nothing behind."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible.inventory.host import Host as CoreHost

from ansible_collections.phala.cloud.plugins.plugin_utils._connection import Refusal, connect, group_connection
from ansible_collections.phala.cloud.plugins.plugin_utils._construct import Expressions, Recorder
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import Cvm, Identity
from ansible_collections.phala.cloud.plugins.plugin_utils._cvms import consumed
from ansible_collections.phala.cloud.plugins.plugin_utils._hosts import (
    Draft,
    GroupNames,
    Host,
    VariableNames,
    host_variables,
    variables_left_out,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level
from ansible_collections.phala.cloud.plugins.plugin_utils._names import (
    assign_names,
    name_from_identity,
    renamed_hosts,
    safe_host_name,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import Settings
from ansible_collections.phala.cloud.plugins.plugin_utils._sources import published_hosts
from ansible_collections.phala.cloud.plugins.plugin_utils._trust import Marker

Families = dict[tuple[str | None, str], None]  # (parent or None, group), in the order in which the groups are made


@dataclass(frozen=True)
class Built:
    """What is published: the hosts, their common group with its variables, and the other groups with their parents."""

    hosts: list[Host]
    group: str
    group_variables: dict[str, Any]
    families: Families


@dataclass(frozen=True)
class Tools:
    """What the steps of building share."""

    settings: Settings
    expressions: Expressions
    marker: Marker
    names: VariableNames


def build(cvms: list[Cvm], settings: Settings, expressions: Expressions, inventory: Any) -> tuple[Built, list[Diagnostic]]:
    """Filter, group, connect and name the hosts of the CVMs, and return them with what there is to report.

    :param cvms: is emptied, so that the memory of the API's own fields is freed on the way
    :param inventory: Ansible's, whose groups and hosts are read
    :raises AnsibleError: when an expression of the user fails
    """
    tools = Tools(settings, expressions, Marker(), VariableNames(settings.prefix, settings.suffix))
    groups = GroupNames(settings.group_by, settings.group_prefix)
    diagnostics: list[Diagnostic] = []
    drafts = [draft for cvm in consumed(cvms) if (draft := _draft(cvm, tools, groups, diagnostics))]
    diagnostics += groups.shared()
    families: Families = {(settings.group, group): None for group in _by_dimension(drafts)}
    wanted = {draft.identity: _wanted_name(draft, tools) for draft in drafts}
    taken = {settings.group, *inventory.groups, *(group for _parent, group in families)}
    taken |= _names_of_other_cvms(inventory, wanted)
    names, records = _named(drafts, wanted, taken, tools)
    for record in sorted(records.values(), key=lambda record: record.host):
        diagnostics += variables_left_out(record.left_out, record.host)
        families.update({(None, group): None for group in record.groups})
        families.update(dict.fromkeys(record.parents))
    diagnostics += renamed_hosts(wanted, names)
    diagnostics += _foreign_hosts(inventory, settings.group, families, names.values())
    hosts = [_host(draft, names[draft.identity], records.get(draft.identity)) for draft in consumed(drafts)]
    group_variables = tools.marker.mark(group_connection(settings.gateway)) if settings.gateway else {}
    built = Built(sorted(hosts, key=lambda host: host.name), settings.group, group_variables, families)
    return built, diagnostics


def _draft(cvm: Cvm, tools: Tools, groups: GroupNames, diagnostics: list[Diagnostic]) -> Draft | None:
    """Return the draft of a CVM's host, or None where host_filters leave it out."""
    settings = tools.settings
    variables, lacking = host_variables(cvm, tools.names, tools.marker)
    diagnostics += lacking
    for position, condition in enumerate(settings.host_filters):
        if not tools.expressions.is_met(condition, variables):
            text = f"left out CVM {cvm.label}: host_filters[{position}] does not hold"
            diagnostics.append(Diagnostic(Level.VERY_VERBOSE, text))
            return None
    connection = connect(settings.gateway, cvm.core, is_only_cvm=cvm.is_only_cvm) if settings.gateway else None
    if connection:
        variables.update(tools.marker.mark(connection.variables))
    if isinstance(connection, Refusal):
        level = Level.WARNING if connection.is_suspect else Level.VERBOSE
        diagnostics.append(Diagnostic(level, f"no ansible_host, because {connection.reason}", subjects=(cvm.label,)))
    return Draft(cvm.identity, cvm.label, cvm.core, connection, variables, groups.of(cvm.core))


def _by_dimension(drafts: Sequence[Draft]) -> Iterator[str]:
    """Yield the built-in groups, one dimension after the other, in the order of their names."""
    for of_dimension in zip(*(draft.groups for draft in drafts), strict=True):
        yield from sorted(filter(None, set(of_dimension)))


def _names_of_other_cvms(inventory: Any, own: Collection[Identity]) -> set[str]:
    """Return the names that CVMs of earlier sources have, such as another account's, unless they are CVMs of this one too."""
    return {name for name, identity in published_hosts(inventory).items() if identity not in own}


def _foreign_hosts(
    inventory: Any, parent: str, families: Iterable[tuple[str | None, str]], names: Collection[str]
) -> Iterator[Diagnostic]:
    """Yield a warning for each group of another source that becomes a child of the group of all hosts, and so do its hosts."""
    text = f"hosts of another source are in {parent!r} now, with its variables, by groups that it shares; set group_prefix"
    own = frozenset(names)
    for above, name in families:
        group = inventory.groups.get(name)
        if above != parent or group is None or any(known.name == parent for known in group.parent_groups):
            continue
        if any(host.name not in own for host in group.hosts):
            yield Diagnostic(Level.WARNING, text, subjects=(name,))


# Names, and what is constructed under them


def _wanted_name(draft: Draft, tools: Tools) -> str:
    """Return the first name that ``hostnames`` gives, else one made of the CVM's identifiers, so that no CVM is lost."""
    core: Mapping[str, Any] = draft.core
    for entry in tools.settings.hostnames:
        if entry in core:
            text = core[entry] if isinstance(core[entry], (str, int)) and not isinstance(core[entry], bool) else ""
        else:
            variables = {**tools.names.without_affixes(draft.variables), **draft.variables}
            text = tools.expressions.name(entry, variables)
        if name := safe_host_name(str(text)):
            return name
    return name_from_identity(draft.identity)


def _named(
    drafts: Sequence[Draft], wanted: Mapping[Identity, str], taken: Collection[str], tools: Tools
) -> tuple[dict[Identity, str], dict[Identity, Recorder]]:
    """Name the hosts, and construct their variables and groups under those names; no name may be one of these groups'."""
    taken = set(taken)
    while True:
        names = assign_names(wanted, taken)
        records = _constructed(drafts, names, tools)
        groups = {group for record in records.values() for group in record.all_groups()}
        if groups.isdisjoint(names.values()):
            return names, records
        taken |= groups


def _constructed(drafts: Sequence[Draft], names: Mapping[Identity, str], tools: Tools) -> dict[Identity, Recorder]:
    """Return what the constructed options make of each draft, where there are any."""
    if not tools.expressions.are_constructed:
        return {}
    gateway = tools.settings.gateway
    shared = group_connection(gateway) if gateway else {}
    records = {}
    for draft in drafts:
        name = names[draft.identity]
        visible = _visible(draft, name, tools.settings.group, shared)
        records[draft.identity] = tools.expressions.construct(name, visible, tools.marker)
    return records


def _visible(draft: Draft, name: str, group: str, shared: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables that the host's expressions see: core's and the group's too, as in core's constructed plugin."""
    magic = CoreHost(name, gen_uuid=False).get_magic_vars()
    return {**shared, **draft.variables, **magic, "group_names": sorted({group, *filter(None, draft.groups)})}


def _host(draft: Draft, name: str, record: Recorder | None) -> Host:
    groups = tuple(group for group in draft.groups if group)
    if record is None:
        return Host(name, draft.identity, draft.variables, {}, groups)
    return Host(name, draft.identity, draft.variables, record.variables, (*groups, *record.groups))
