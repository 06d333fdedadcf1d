# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The group of the hosts that are reached through the gateway, which has their common connection variables."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ansible_collections.phala.cloud.plugins.plugin_utils._connection import group_connection
from ansible_collections.phala.cloud.plugins.plugin_utils._errors import SourceError
from ansible_collections.phala.cloud.plugins.plugin_utils._hosts import Host
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level
from ansible_collections.phala.cloud.plugins.plugin_utils._reserved import gateway_group_name
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import GatewaySettings, Settings
from ansible_collections.phala.cloud.plugins.plugin_utils._sources import Before
from ansible_collections.phala.cloud.plugins.plugin_utils._trust import Marker

GROUP_VARIABLES = ("ansible_port", "ansible_user", "ansible_ssh_common_args")
SECONDS_FOR_VERSION = 5


class GatewayGroupError(SourceError):
    """Another source uses a group in a way that would change how hosts are connected to."""


class GatewayGroup(NamedTuple):
    """The group and its variables, marked."""

    name: str
    variables: Mapping[str, Any]


def gateway_group(settings: Settings, marker: Marker) -> GatewayGroup | None:
    """Return the gateway group of a source, None where no connection is set up."""
    if settings.gateway is None:
        return None
    return GatewayGroup(gateway_group_name(settings.group), marker.mark(group_connection(settings.gateway)))


def refuse_shared_gateway(group: GatewayGroup, hosts: Iterable[Host], inventory: Any, before: Before, path: str) -> None:
    """Raise where the group's variables would change the connection of another source, or those of another source this one's.

    :raises GatewayGroupError: which names the files, where they are known
    """
    existing = inventory.groups.get(group.name)
    if existing is None:
        return
    other = before.gateways.get(group.name)
    values = {variable: existing.vars[variable] for variable in GROUP_VARIABLES if variable in existing.vars}
    if (other or values) and values != group.variables:
        raise GatewayGroupError(
            f"the group {group.name!r} has other connection variables from {other or 'another source'}, and {path} would change"
            " how its hosts are reached. Set another 'group' in one of the files."
        )
    own = {host.name for host in hosts if group.name in host.groups} | (before.cvms.keys() if other else set())
    foreign = sorted(host.name for host in existing.get_hosts() if host.name not in own)
    if foreign:
        raise GatewayGroupError(
            f"the group {group.name!r} contains {foreign[0]!r} of another source, which would get the connection variables of"
            f" {path}."
            " Set another 'group' there, or rename the group of the other source."
        )


def refuse_gateway_group(settings: Settings, before: Before) -> None:
    """Raise where the group of all hosts is the gateway group of another file.

    :raises GatewayGroupError: which names both files
    """
    if other := before.gateways.get(settings.group):
        raise GatewayGroupError(
            f"group: {settings.group!r} in {settings.path} is the group with the connection variables of {other}. Choose"
            " another name."
        )


def openssl_problem(gateway: GatewaySettings) -> Iterator[Diagnostic]:
    """Yield what keeps the command openssl from making tunnels, as far as this machine shows."""
    command = gateway.openssl
    path = shutil.which(command)
    if path is None:
        text = f"{command!r} was not found, and ssh needs it to reach the hosts. Install OpenSSL."
        yield Diagnostic(Level.VERBOSE, text, option="gateway_openssl")
        return
    try:
        version = subprocess.run(  # noqa: S603 - the user's own command
            [path, "version"], capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=SECONDS_FOR_VERSION
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return
    if version.startswith(b"LibreSSL"):
        text = f"{command!r} is LibreSSL, which cannot check the gateway's host name, so every tunnel fails"
        yield Diagnostic(
            Level.WARNING, text, option="gateway_openssl", advice="Install OpenSSL and set gateway_openssl to its path."
        )
