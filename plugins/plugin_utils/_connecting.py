# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decide how each host is connected to: by the gateway, by an address from ``compose``, or as an earlier source has decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.phala.cloud.plugins.plugin_utils._connection import (
    CONNECTION_VARIABLES,
    Address,
    Refusal,
    composed_address,
    is_behind,
    port_variable,
    without_null_addresses,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._construct import Recorder
from ansible_collections.phala.cloud.plugins.plugin_utils._gateway import GatewayGroup
from ansible_collections.phala.cloud.plugins.plugin_utils._hosts import Draft, Host
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level
from ansible_collections.phala.cloud.plugins.plugin_utils._sources import Listed


def connected_host(draft: Draft, name: str, record: Recorder | None, gateway: GatewayGroup | None) -> Host:
    """Return the host of a draft; one with an address from ``compose`` has the gateway's variables only if it is behind it."""
    composed = dict(record.variables) if record else {}
    groups = (*filter(None, draft.groups), *(record.groups if record else ()))
    address_variables, is_tunneled = draft.connected, isinstance(draft.connection, Address)
    if draft.connection and composed:
        composed = without_null_addresses(composed)
        if address := composed_address(composed):
            is_tunneled = is_behind(address, draft.connection.domain)
            address_variables = port_variable(draft.connection.port) if is_tunneled else {}
    shared: Mapping[str, Any] = {}
    if is_tunneled and gateway:
        groups = (*groups, gateway.name)
        shared = gateway.variables
    return Host(name, draft.identity, draft.variables, address_variables, composed, groups, shared)


def refused(draft: Draft, host: Host) -> Iterator[Diagnostic]:
    """Yield why a host has no address: a warning where the user can change it for a CVM that should be reachable."""
    refusal = draft.connection
    if isinstance(refusal, Refusal) and composed_address(host.composed) is None:
        level = Level.WARNING if refusal.is_suspect or draft.should_be_reachable else Level.VERBOSE
        text = f"No ansible_host, because {refusal.reason}"
        yield Diagnostic(level, text, subjects=(draft.label,), advice=refusal.fix)


def as_listed(host: Host, gateway: GatewayGroup | None) -> Host:
    """Return the host of a CVM that an earlier source has published, and whose connection stays as it is there."""
    return replace(
        host,
        address={},
        composed={name: value for name, value in host.composed.items() if name not in CONNECTION_VARIABLES},
        groups=tuple(group for group in host.groups if not gateway or group != gateway.name),
    )


def differing(host: Host, listed: Listed, path: str) -> Iterator[Diagnostic]:
    """Yield a warning where two sources would connect to one CVM in different ways."""
    if host.connection != listed.connection:
        text = f"{path} lists CVMs that {listed.path} lists with other connection settings. Those of {listed.path} apply"
        advice = "Leave the CVMs out of one of the files, or connect in the same way in both."
        yield Diagnostic(Level.WARNING, text, subjects=(listed.name,), advice=advice)
