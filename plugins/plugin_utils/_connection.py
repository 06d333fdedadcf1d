# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Address a CVM's sshd through the platform's gateway, which terminates TLS and routes by server name."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from typing import Any

from ansible_collections.phala.cloud.plugins.plugin_utils._addresses import split_domain
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import CoreVariables
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import GatewaySettings

# The gateway splits a server name's first label at its hyphen, and openssl's wildcards do not match an underscore.
_ID = re.compile(r"[0-9A-Za-z]{1,57}")


class NoAddressError(Exception):
    """The gateway cannot reach just this CVM; ``is_suspect`` means that a text of the API was refused."""

    def __init__(self, reason: str, *, is_suspect: bool = False) -> None:
        super().__init__(reason)
        self.is_suspect = is_suspect


@dataclass(frozen=True)
class Address:
    """A host name that the gateway routes to one CVM, and the gateway's port where it is a port of its own."""

    host: str
    port: int | None

    @property
    def variables(self) -> dict[str, Any]:
        """The variables of the host."""
        port = {} if self.port is None else {"ansible_port": self.port}
        return {"ansible_host": self.host, **port}


@dataclass(frozen=True)
class Refusal:
    """Why a CVM has no address, in words that are safe to show and to put into a command."""

    reason: str
    is_suspect: bool

    @property
    def variables(self) -> dict[str, Any]:
        """The variables of the host, which keep it from being reached by its name: somebody else chose that name."""
        text = f"phala.cloud: this CVM has no gateway address: {self.reason}. Set connect_with: none if you connect another way."
        script = f"echo {shlex.quote(text)} >&2; exit 1"
        # With a ControlPath ssh would hide what the command prints.
        return {"ansible_ssh_common_args": f"-o ControlPath=none {_proxy_option(shlex.join(['sh', '-c', script]))}"}


def connect(gateway: GatewaySettings, core: CoreVariables, *, is_only_cvm: bool) -> Address | Refusal:
    """Return how the gateway reaches one CVM; nothing in an address comes from the API unchecked."""
    try:
        identifier = _identifier(core, is_only_cvm)
        domain, port = _domain(gateway, core["gateway_domain"])
    except NoAddressError as error:
        return Refusal(str(error), error.is_suspect)
    return Address(f"{identifier}-{gateway.ssh_port}.{domain}", port)


def _identifier(core: CoreVariables, is_only_cvm: bool) -> str:
    """Return the instance id; with an app id the gateway picks any replica, which is right only where there is one."""
    instance_id, app_id = core["instance_id"], core["app_id"]
    if not instance_id and not is_only_cvm:
        raise NoAddressError("it has no instance id, and its app has other CVMs")
    kind, identifier = ("instance_id", instance_id) if instance_id else ("app_id", app_id)
    if not identifier:
        raise NoAddressError("it has neither an instance id nor an app id")
    if not isinstance(identifier, str) or not _ID.fullmatch(identifier):
        raise NoAddressError(f"its {kind} is not made of letters and digits alone", is_suspect=True)
    return identifier.lower()


def _domain(gateway: GatewaySettings, from_api: Any) -> tuple[str, int | None]:
    if not from_api and not gateway.domain:
        raise NoAddressError("the API names no gateway domain and gateway_domain is not set")
    domain = from_api or gateway.domain
    parts = split_domain(domain) if isinstance(domain, str) else None
    if parts is None:
        raise NoAddressError("its gateway domain is not a domain name", is_suspect=True)
    return parts


def group_connection(gateway: GatewaySettings) -> dict[str, Any]:
    """Return the connection variables that all CVMs share, for their group, so that group_vars can override them."""
    user = {"ansible_user": gateway.ssh_user} if gateway.ssh_user else {}
    return {"ansible_port": gateway.port, **user, "ansible_ssh_common_args": _proxy_option(_tunnel(gateway))}


def _tunnel(gateway: GatewaySettings) -> str:
    """Return the command that connects ssh with the gateway; ssh replaces %h and %p by host and port."""
    # -quiet also keeps openssl from reading lines that begin with Q or R as commands.
    words = ["openssl", "s_client", "-quiet", "-verify_quiet"]
    if gateway.validate_certs:
        words += ["-verify_return_error", "-verify_hostname", "%h"]
    words += ["-servername", "%h", "-connect", "%h:%p"]
    if gateway.validate_certs and gateway.ca_path:
        option = "-CApath" if os.path.isdir(gateway.ca_path) else "-CAfile"
        words += [option, shlex.quote(os.path.abspath(gateway.ca_path)).replace("%", "%%")]
    return " ".join(words)


def _proxy_option(command: str) -> str:
    return shlex.join(["-o", f"ProxyCommand={command}"])
