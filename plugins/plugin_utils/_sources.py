# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the sources of one run know of each other.

It is attached to Ansible's inventory object, which ``meta: refresh_inventory`` replaces, so that a refresh starts afresh.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import Identity
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import Account

OWN_CONNECTION = ("ansible_host", "ansible_port", "ansible_connection")

_ATTRIBUTE = "_phala_cloud_run"

Scope = tuple[str, str]  # the service and a digest of the API key: where an ``id`` identifies a CVM
Mark = tuple[str, ...]  # one identifier of a CVM, with where it is valid


class Listed(NamedTuple):
    """A host that a source of this plugin has published: which CVM it is, and by which variables it is connected to.

    ``shared`` are those of the gateway group, ``own`` the others, and ``scope`` is where the CVM's id is valid.
    """

    name: str
    path: str
    scope: Scope
    identity: Identity
    shared: Mapping[str, Any]
    own: Mapping[str, Any]

    @property
    def connection(self) -> dict[str, Any]:
        """All variables by which Ansible connects to the host."""
        return {**self.shared, **self.own}


@dataclass(frozen=True)
class Before:
    """What was in the inventory before a source was parsed for the first time.

    ``hosts`` are those of other plugins, ``connected`` those of them with connection variables of their own, ``cvms`` the hosts
    of this plugin by name, ``marks`` the same by identifier, and ``gateways`` the files that set up each gateway group.
    """

    groups: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()
    connected: frozenset[str] = frozenset()
    cvms: Mapping[str, Listed] = field(default_factory=dict)
    marks: Mapping[Mark, Listed] = field(default_factory=dict)
    gateways: Mapping[str, str] = field(default_factory=dict)

    def listed(self, identity: Identity, scope: Scope) -> Listed | None:
        """Return the host that an earlier source has made of the same CVM."""
        for mark in marks_of(identity, scope) if self.marks else ():
            listed = self.marks.get(mark)
            if listed and _agree(listed.identity, identity):
                return listed
        return None


@dataclass
class Run:
    """What the sources of one run have published so far: the hosts by name, and once for each source that lists them."""

    cvms: dict[str, Listed] = field(default_factory=dict)
    listings: list[Listed] = field(default_factory=list)
    gateways: dict[str, str] = field(default_factory=dict)
    before: dict[str, Before] = field(default_factory=dict)

    def add(self, listed: Listed) -> None:
        """Remember a host that is published."""
        self.cvms[listed.name] = listed
        self.listings.append(listed)


def current_run(inventory: Any) -> Run:
    """Return what is known of the run to which an inventory object belongs."""
    run: Run | None = getattr(inventory, _ATTRIBUTE, None)
    if run is None:
        run = Run()
        setattr(inventory, _ATTRIBUTE, run)
    return run


def before_source(inventory: Any, path: str) -> Before:
    """Return what was there before the source's first parse in this run, so that a second one gives the same names."""
    run = current_run(inventory)
    if path in run.before:
        return run.before[path]
    foreign = {name: host for name, host in inventory.hosts.items() if name not in run.cvms}
    return Before(
        groups=frozenset(inventory.groups),
        hosts=frozenset(foreign),
        connected=frozenset(name for name, host in foreign.items() if any(host.vars.get(var) for var in OWN_CONNECTION)),
        cvms=dict(run.cvms),
        marks={mark: listed for listed in run.listings for mark in marks_of(listed.identity, listed.scope)},
        gateways=dict(run.gateways),
    )


def scopes(accounts: Iterable[Account]) -> dict[str, Scope]:
    """Return for the name of each account where its ids are valid."""
    return {account.name: (account.url, hashlib.sha256(account.key.encode()).hexdigest()) for account in accounts}


def marks_of(identity: Identity, scope: Scope) -> Iterator[Mark]:
    """Yield the identifiers of a CVM; an ``id`` is valid for one API key alone, the others for the whole service."""
    for kind, value in identity.identifiers():
        yield (*scope, kind, value) if kind == "id" else (scope[0], kind, value)


def _agree(one: Identity, other: Identity) -> bool:
    """Return whether the most specific identifier that both have is the same."""
    pairs = ((one.vm_uuid, other.vm_uuid), (one.instance_id, other.instance_id), (one.id, other.id))
    return next((first == second for first, second in pairs if first and second), False)
