# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Address a CVM's sshd through the platform's gateway, which terminates TLS and routes by server name."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# The gateway splits a server name's first label at its hyphen, and openssl's wildcards match no underscore.
_ID = re.compile(r"[0-9A-Za-z]{1,57}")
_DOMAIN = re.compile(
    r"(?P<name>(?=.{1,190}(?::|$))(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*(?=[a-z0-9-]*[a-z])[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)"
    r"(?::(?P<port>[0-9]{1,5}))?"
)


class NoAddressError(Exception):
    """The gateway cannot be told to reach just this CVM; ``suspect`` means that the API's text was refused."""

    def __init__(self, reason: str, *, suspect: bool = False) -> None:
        super().__init__(reason)
        self.suspect = suspect


@dataclass(frozen=True)
class SshGateway:
    """Where SSH connections go through: the domain and port where the API names none, and whom to log in as."""

    domain: str | None
    port: int
    validate_certs: bool
    ca_path: str | None
    ssh_port: int
    ssh_user: str


def split_domain(text: str) -> tuple[str, int | None] | None:
    """Split a gateway's ``domain`` or ``domain:port``, in lower case and without a trailing dot; None where it is neither."""
    match = _DOMAIN.fullmatch(re.sub(r"\.(?=:|\Z)", "", text.lower(), count=1))
    if match is None:
        return None
    port = int(match["port"]) if match["port"] else None
    return (match["name"], port) if port is None or 1 <= port <= 65535 else None


def host_connection(gateway: SshGateway, core: Mapping[str, Any], *, is_only_cvm: bool) -> dict[str, Any]:
    """Return the connection variables of one CVM, of which nothing was taken from the API unchecked.

    :raises NoAddressError: with the reason, in words that are safe to show and to put into a command
    """
    identifier = _identifier(core, is_only_cvm)
    domain, port = _domain(gateway, core["gateway_domain"])
    address = f"{identifier}-{gateway.ssh_port}.{domain}"
    return {"ansible_host": address} if port is None else {"ansible_host": address, "ansible_port": port}


def _identifier(core: Mapping[str, Any], is_only_cvm: bool) -> str:
    """Return the instance id: with an app id the gateway picks any replica, which is right only where there is one."""
    kind = "instance_id" if core["instance_id"] else "app_id"
    if kind == "app_id" and not is_only_cvm:
        raise NoAddressError("it has no instance id, and its app has other CVMs")
    identifier = core[kind]
    if not identifier:
        raise NoAddressError("it has neither an instance id nor an app id")
    if not isinstance(identifier, str) or not _ID.fullmatch(identifier):
        raise NoAddressError(f"its {kind} is not made of letters and digits alone", suspect=True)
    return identifier.lower()


def _domain(gateway: SshGateway, from_api: Any) -> tuple[str, int | None]:
    if not from_api and not gateway.domain:
        raise NoAddressError("the API names no gateway domain and gateway_domain is not set")
    domain = from_api or gateway.domain
    parts = split_domain(domain) if isinstance(domain, str) else None
    if parts is None:
        raise NoAddressError("its gateway domain is not a domain name", suspect=True)
    return parts


def group_connection(gateway: SshGateway) -> dict[str, Any]:
    """Return the connection variables that all CVMs share, set on their group so that group_vars can override them."""
    user = {"ansible_user": gateway.ssh_user} if gateway.ssh_user else {}
    return {"ansible_port": gateway.port, **user, "ansible_ssh_common_args": _proxy_option(_tunnel(gateway))}


def refused_connection(reason: str) -> dict[str, Any]:
    """Return the variables that keep a CVM without an address from being reached by its name, which somebody else chose."""
    text = f"phala.cloud: this CVM has no gateway address: {reason}. Set connect_with: none if you connect another way."
    script = f"echo {shlex.quote(text)} >&2; exit 1"
    # With a ControlPath ssh would hide what the command prints.
    return {"ansible_ssh_common_args": f"-o ControlPath=none {_proxy_option(shlex.join(['sh', '-c', script]))}"}


def _tunnel(gateway: SshGateway) -> str:
    """Return the command that connects ssh with the gateway; ssh itself puts in host and port for %h and %p."""
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
