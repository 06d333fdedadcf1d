# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the whole inventory of the selected CVMs; nothing is published yet, so an error on the way leaves nothing behind."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

from ansible.inventory.host import Host as CoreHost

from ansible_collections.phala.cloud.plugins.plugin_utils._apps import app_key
from ansible_collections.phala.cloud.plugins.plugin_utils._connecting import as_listed, connected_host, differing, refused
from ansible_collections.phala.cloud.plugins.plugin_utils._connection import Address, connect, is_running, set_gateway_variables
from ansible_collections.phala.cloud.plugins.plugin_utils._construct import Expressions, Recorder
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import Cvm, Identity
from ansible_collections.phala.cloud.plugins.plugin_utils._cvms import consumed
from ansible_collections.phala.cloud.plugins.plugin_utils._errors import SourceError
from ansible_collections.phala.cloud.plugins.plugin_utils._failures import Failure, failed_expressions
from ansible_collections.phala.cloud.plugins.plugin_utils._gateway import (
    GatewayGroup,
    gateway_group,
    openssl_problem,
    refuse_gateway_group,
    refuse_shared_gateway,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._hosts import (
    Draft,
    GroupNames,
    Host,
    VariableNames,
    host_variables,
    variables_left_out,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._interrupts import reraise_swallowed_interrupt
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level, counted
from ansible_collections.phala.cloud.plugins.plugin_utils._names import (
    TakenNames,
    assign_names,
    listed_elsewhere,
    name_from_identity,
    renamed_hosts,
    safe_host_name,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._reserved import GroupRenamer, gateway_group_name
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import Settings
from ansible_collections.phala.cloud.plugins.plugin_utils._sources import (
    OWN_CONNECTION,
    Before,
    Listed,
    Scope,
    before_source,
    scopes,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._trust import Marker

MAX_ROUNDS = 8  # of names, while expressions make groups of them

Families = dict[tuple[str | None, str], None]  # (parent or None, group), in the order in which the groups are made


class NameConflictError(SourceError):
    """A host and a group that is made for it would always have one name."""


class SmallFleetError(SourceError):
    """There are fewer hosts than ``min_hosts``."""


class Built(NamedTuple):
    """What is published: the hosts, their common group, the gateway group, and the other groups with their parents.

    ``before`` is what was in the inventory before the source, ``path`` the source's file, and ``scopes`` where ids are valid.
    """

    hosts: list[Host]
    group: str
    gateway: GatewayGroup | None
    families: Families
    before: Before
    path: str
    scopes: Mapping[str, Scope]


@dataclass(frozen=True)
class Tools:
    """What the steps of building share."""

    settings: Settings
    expressions: Expressions
    marker: Marker
    names: VariableNames
    before: Before
    scopes: Mapping[str, Scope]
    gateway: GatewayGroup | None
    renamer: GroupRenamer
    groups: GroupNames
    diagnostics: list[Diagnostic]
    failures: list[Failure]

    def listed(self, identity: Identity) -> Listed | None:
        """Return the host that an earlier source has made of the CVM."""
        return self.before.listed(identity, self.scopes[identity.account])


def build(cvms: list[Cvm], settings: Settings, expressions: Expressions, inventory: Any) -> tuple[Built, list[Diagnostic]]:
    """Filter, group, connect and name the hosts of the CVMs, and return them with what there is to report.

    :param cvms: is emptied, so that the memory of the API's own fields is freed on the way; the gateway variables of each are set
    :param inventory: Ansible's, whose groups and hosts are read
    :raises AnsibleError: when an expression of the user fails
    :raises SourceError: when the hosts cannot be kept apart from those of another source, or are too few
    """
    before = before_source(inventory, settings.path)
    refuse_gateway_group(settings, before)
    tools = _tools(settings, expressions, before)
    cvm_count = len(cvms)
    drafts = [draft for cvm in consumed(cvms) if (draft := _draft(cvm, tools))]
    if cvm_count and not drafts:
        text = f"No hosts: no CVM matches all host_filters ({counted(cvm_count, 'CVM')} checked)"
        tools.diagnostics.append(Diagnostic(Level.WARNING, text, advice="Correct the conditions. -vv shows which one is false."))
    _refuse_small_fleet(settings, len(drafts))
    tools.diagnostics.extend(tools.groups.shared())
    families: Families = {(settings.group, group): None for group in _by_dimension(drafts)}
    names, records = _named(drafts, families, tools)
    for record in sorted(records.values(), key=lambda record: record.host):
        tools.diagnostics.extend(variables_left_out(record.left_out, record.host))
        tools.failures.extend(record.failures)
        families.update({(None, group): None for group in record.groups})
        families.update(dict.fromkeys(record.parents))
    tools.diagnostics.extend(failed_expressions(tools.failures, len(drafts), expressions.texts))
    tools.diagnostics.extend(_foreign_hosts(inventory, settings.group, families, names.values()))
    hosts = _hosts(drafts, names, records, tools)
    gateway = tools.gateway if tools.gateway and any(tools.gateway.name in host.groups for host in hosts) else None
    if gateway and settings.gateway:
        refuse_shared_gateway(gateway, hosts, inventory, before, settings.path)
        families[settings.group, gateway.name] = None
        tools.diagnostics.extend(openssl_problem(settings.gateway))
    tools.diagnostics.extend(tools.renamer.renamed())
    tools.diagnostics.extend(_taken_over(hosts, before))
    return Built(hosts, settings.group, gateway, families, before, settings.path, tools.scopes), tools.diagnostics


def _tools(settings: Settings, expressions: Expressions, before: Before) -> Tools:
    marker, renamer = Marker(), GroupRenamer(settings.group, before)
    return Tools(
        settings=settings,
        expressions=expressions,
        marker=marker,
        names=VariableNames(settings.prefix, settings.suffix),
        before=before,
        scopes=scopes(settings.accounts),
        gateway=gateway_group(settings, marker),
        renamer=renamer,
        groups=GroupNames(settings.group_by, settings.group_prefix, renamer.free),
        diagnostics=[],
        failures=[],
    )


def _draft(cvm: Cvm, tools: Tools) -> Draft | None:
    """Return the draft of a CVM's host, or None where host_filters leave it out."""
    settings = tools.settings
    core = cvm.core
    connection = connect(settings.reach, core, is_only_cvm=cvm.is_only_cvm)
    set_gateway_variables(core, settings.reach, connection)
    variables, lacking = host_variables(cvm, tools.names, tools.marker)
    tools.diagnostics.extend(lacking)
    for position, condition in enumerate(settings.host_filters):
        if not tools.expressions.is_met(condition, variables):
            text = f"Left out CVM {cvm.label}: host_filters[{position}] is false"
            tools.diagnostics.append(Diagnostic(Level.VERY_VERBOSE, text))
            return None
    connected = tools.marker.mark(connection.variables) if settings.gateway else {}
    groups = tools.groups.of(core, cvm.identity.account)
    return Draft(
        cvm.identity,
        _wanted_name(cvm, tools, core=core, variables=variables, connected=connected),
        core["name"],
        app_key(core["app"]),
        core["is_dev"] is True and is_running(core),
        connection if settings.gateway else None,
        variables,
        connected,
        groups,
    )


def _wanted_name(cvm: Cvm, tools: Tools, *, core: Mapping[str, Any], variables: dict[str, Any], connected: dict[str, Any]) -> str:
    """Return the first name that ``hostnames`` gives, else one made of the CVM's identifiers, so that no CVM is lost."""
    failures = []
    for position, entry in enumerate(tools.settings.hostnames):
        if entry in core:
            text = core[entry] if isinstance(core[entry], (str, int)) and not isinstance(core[entry], bool) else ""
        else:
            visible = {**tools.names.without_affixes(variables), **variables, **connected}
            text = tools.expressions.name(f"hostnames[{position}]", entry, visible, cvm.label)
        if isinstance(text, Failure):
            failures.append(text)
        elif text and (name := safe_host_name(str(text))):
            return name
    tools.failures.extend(failures)
    return name_from_identity(cvm.identity)


def _refuse_small_fleet(settings: Settings, count: int) -> None:
    if count < settings.min_hosts:
        raise SmallFleetError(
            f"{settings.path}: the result has {counted(count, 'host')}, and min_hosts is {settings.min_hosts}. Check the filters"
            " and the account, or lower min_hosts."
        )


def _by_dimension(drafts: Sequence[Draft]) -> Iterator[str]:
    """Yield the built-in groups, one dimension after the other, in the order of their names."""
    for of_dimension in zip(*(draft.groups for draft in drafts), strict=True):
        yield from sorted(filter(None, set(of_dimension)))


def _foreign_hosts(
    inventory: Any, parent: str, families: Iterable[tuple[str | None, str]], names: Collection[str]
) -> Iterator[Diagnostic]:
    """Yield a warning for each group of another source that becomes a child of the group of all hosts, and so do its hosts."""
    text = f"Groups of another source are now in {parent!r}, so that its variables apply to their hosts"
    own = frozenset(names)
    for above, name in families:
        group = inventory.groups.get(name)
        if above != parent or group is None or any(known.name == parent for known in group.parent_groups):
            continue
        if any(host.name not in own for host in group.hosts):
            yield Diagnostic(Level.WARNING, text, subjects=(name,), advice="Set group_prefix.")


def _taken_over(hosts: Iterable[Host], before: Before) -> Iterator[Diagnostic]:
    """Yield a warning for hosts of another source that have their own connection, and that CVMs of their name take over."""
    names = [
        host.name for host in hosts if host.name in before.connected and not host.connection.keys().isdisjoint(OWN_CONNECTION)
    ]
    if names:
        text = "CVMs take over hosts of another source that have their own connection variables"
        advice = "Rename those hosts, or set hostnames."
        yield Diagnostic(Level.WARNING, text, subjects=tuple(sorted(names)), advice=advice)


# Names, and what is constructed under them


def _named(drafts: Sequence[Draft], families: Families, tools: Tools) -> tuple[dict[Identity, str], dict[Identity, Recorder]]:
    """Name the hosts, and construct their variables and groups under those names; no name may be one of these groups'.

    :raises NameConflictError: when groups are called like hosts under whatever names
    """
    before = tools.before
    fixed = {draft.identity: listed.name for draft in drafts if (listed := tools.listed(draft.identity))}
    wanted = {draft.identity: draft.wanted_name for draft in drafts}
    groups = {tools.settings.group, gateway_group_name(tools.settings.group), *before.groups}
    groups |= {group for _parent, group in families}
    for _round in range(MAX_ROUNDS):
        taken = TakenNames(groups, before.cvms, fixed)
        names = assign_names(wanted, taken)
        records = _constructed(drafts, names, tools)
        constructed = {group for record in records.values() for group in record.all_groups()}
        own = {name for identity, name in names.items() if identity not in fixed}
        if constructed.isdisjoint(own):
            apps = {draft.identity: draft.app for draft in drafts}
            tools.diagnostics.extend(renamed_hosts(wanted, names, taken, apps))
            tools.diagnostics.extend(listed_elsewhere(wanted, names, before.hosts))
            return names, records
        groups |= constructed
    raise NameConflictError(
        f"{sorted(constructed & own)[0]!r} is the name of a host and of a group that groups or keyed_groups make for it,"
        " whatever the host is called. Set a prefix in keyed_groups."
    )


def _constructed(drafts: Sequence[Draft], names: Mapping[Identity, str], tools: Tools) -> dict[Identity, Recorder]:
    """Return what the constructed options make of each draft, where there are any."""
    if not tools.expressions.are_constructed:
        return {}
    shared = tools.gateway.variables if tools.gateway else {}
    records = {}
    with reraise_swallowed_interrupt() as reraise:
        for draft in drafts:
            name = names[draft.identity]
            visible = _visible(draft, name, tools.settings.group, shared)
            record = tools.expressions.construct(name, visible, tools.marker)
            reraise()  # otherwise the expressions of all other hosts would be evaluated first
            record.rename_groups(tools.renamer.free, tools.renamer.free_parent)
            records[draft.identity] = record
    return records


def _visible(draft: Draft, name: str, group: str, shared: Mapping[str, Any]) -> dict[str, Any]:
    """Return the variables that the host's expressions see: core's and those of its connection, too, as in core's own plugin."""
    magic = CoreHost(name, gen_uuid=False).get_magic_vars()
    of_group = shared if isinstance(draft.connection, Address) else {}
    group_names = sorted({group, *filter(None, draft.groups)})
    return {**of_group, **draft.variables, **draft.connected, **magic, "group_names": group_names}


# Hosts, and how they are connected to


def _hosts(drafts: list[Draft], names: Mapping[Identity, str], records: Mapping[Identity, Recorder], tools: Tools) -> list[Host]:
    """Return the hosts in the order of their names, and report those that have no address."""
    hosts = []
    for draft in consumed(drafts):
        host = connected_host(draft, names[draft.identity], records.get(draft.identity), tools.gateway)
        tools.diagnostics.extend(refused(draft, host))
        if listed := tools.listed(draft.identity):
            tools.diagnostics.extend(differing(host, listed, tools.settings.path))
            host = as_listed(host, tools.gateway)
        hosts.append(host)
    return sorted(hosts, key=attrgetter("name"))
