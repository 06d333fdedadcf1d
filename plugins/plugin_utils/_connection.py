# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Address a CVM's sshd through the platform's gateway, which terminates TLS and routes by server name."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from ansible_collections.phala.cloud.plugins.plugin_utils._addresses import bare_id, is_within, split_domain
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import CoreVariables
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import GatewaySettings

NO_ADDRESS = "no-gateway-address.invalid."  # without the dot, a search domain with a wildcard record resolves it
KEEP_ALIVE = "-o ServerAliveInterval=60"  # seconds; the gateway closes a connection that is silent for 10 minutes
KEY_VARIABLE = "PHALA_CLOUD_API_KEY"  # which no program but this collection needs
COMPOSABLE = ("ansible_ssh_host", "ansible_host")  # the first takes precedence
CONNECTION_VARIABLES = frozenset(
    {*COMPOSABLE, "ansible_port", "ansible_ssh_port", "ansible_user", "ansible_ssh_user", "ansible_connection"}
    | {"ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_args"}
)

_ID = re.compile(r"[0-9a-f]{1,57}")  # a label has 63 characters, and the longest port is -65535
_HOST_NAME = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*")


_REFRESH = "Refresh the instance id through the service, then run the command again."


class Address(NamedTuple):
    """A host name that the gateway routes to one CVM, the gateway's domain, and its port where it is a port of its own."""

    host: str
    domain: str
    port: int | None

    @property
    def variables(self) -> dict[str, Any]:
        """The variables of the host."""
        return {"ansible_host": self.host, **port_variable(self.port)}


class Refusal(NamedTuple):
    """Why a CVM has no address, in words that are safe to show and to put into a command, and its gateway, where it is known.

    ``fix`` is what to do, and ``is_suspect`` says that a text of the API was refused. This is a value and not an exception, whose
    traceback would keep the CVM in memory while no garbage is collected.
    """

    reason: str
    fix: str = ""
    is_suspect: bool = False
    domain: str | None = None
    port: int | None = None

    @property
    def variables(self) -> dict[str, Any]:
        """The variables of the host, which keep it from being reached by its name: somebody else chose that name."""
        return {"ansible_host": NO_ADDRESS, "ansible_ssh_common_args": _failing_arguments(self.reason)}


@cache  # a fleet has few different reasons
def _failing_arguments(reason: str) -> str:
    """Return arguments of ssh with which it fails, and says why."""
    text = (
        f"phala.cloud: this CVM has no gateway address: {reason}. If you connect another way, set connect_with: none, or"
        " ansible_host in compose."
    )
    script = f"echo {shlex.quote(text)} >&2; exit 1"
    # With a ControlPath ssh would hide what the command prints.
    return f"-o ControlPath=none {_proxy_option(shlex.join(['sh', '-c', script]))}"


def connect(gateway: GatewaySettings, core: CoreVariables, *, is_only_cvm: bool) -> Address | Refusal:
    """Return how the gateway reaches one CVM; nothing in an address comes from the API unchecked."""
    identifier, place = _identifier(core, is_only_cvm), _domain(gateway, core["gateway_domain"])
    if isinstance(place, Refusal):
        return identifier if isinstance(identifier, Refusal) else place
    domain, port = place
    if isinstance(identifier, Refusal):
        return identifier._replace(domain=domain, port=port)
    return Address(f"{identifier}-{gateway.ssh_port}.{domain}", domain, port)


def port_variable(port: int | None) -> dict[str, Any]:
    """Return the variable of a port that only some hosts of the gateway group have."""
    return {} if port is None else {"ansible_port": port}


def composed_address(composed: Mapping[str, Any]) -> str | None:
    """Return the address that ``compose`` gave a host, or None where it gave none, or joined a null with other text."""
    return next((composed[name] for name in COMPOSABLE if _is_address(composed.get(name))), None)


def without_null_addresses(composed: Mapping[str, Any]) -> dict[str, Any]:
    """Return composed variables without the addresses that are none."""
    return {name: value for name, value in composed.items() if name not in COMPOSABLE or _is_address(value)}


def is_behind(address: str, domain: str | None) -> bool:
    """Return whether a composed address is below a gateway's domain, such as that of another port of the CVM."""
    name = address.lower().rstrip(".")
    return domain is not None and name.endswith(f".{domain}") and _HOST_NAME.fullmatch(name) is not None


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and "None" not in value and value != NO_ADDRESS


def set_gateway_variables(core: CoreVariables, gateway: GatewaySettings, connection: Address | Refusal) -> None:
    """Set the core variables that depend on the settings of the gateway; without an address most of them stay null."""
    core["is_reachable"] = is_reachable(gateway, core, connection)
    if isinstance(connection, Address):
        core["gateway_id"] = connection.host.partition("-")[0]
        core["gateway_host"], core["gateway_port"] = connection.domain, connection.port or gateway.port


def is_reachable(gateway: GatewaySettings, core: CoreVariables, connection: Address | Refusal) -> bool:
    """Return whether an SSH server of the CVM can be reached through the gateway now; only dev images run one on port 22."""
    has_server = core["is_dev"] is True or gateway.ssh_port != 22
    return isinstance(connection, Address) and has_server and is_running(core) and not core["in_progress"]


def is_running(core: CoreVariables) -> bool:
    """Return whether a CVM is running, as far as its status says."""
    return str(core["status"]).lower() == "running"


def _identifier(core: CoreVariables, is_only_cvm: bool) -> str | Refusal:
    """Return the instance id; with an app id the gateway picks any replica, which is right only where there is one."""
    instance_id, app_id = core["instance_id"], core["app_id"]
    if core["gateway_enabled"] is False:
        return Refusal("the gateway of the CVM is disabled", "Enable the gateway of the CVM in the service.")
    if not instance_id and not is_only_cvm:
        return Refusal("the CVM has no instance id, and its app has other CVMs", _REFRESH)
    kind, identifier = ("instance_id", instance_id) if instance_id else ("app_id", app_id)
    bare = bare_id(identifier) if isinstance(identifier, str) else ""
    if not _ID.fullmatch(bare):
        return Refusal(f"the {kind} is not a hexadecimal number", is_suspect=True)
    return bare


def _domain(gateway: GatewaySettings, from_api: Any) -> tuple[str, int | None] | Refusal:
    if not from_api and not gateway.domain:
        return Refusal("the API gives no gateway domain, and gateway_domain is not set", "Set gateway_domain.")
    domain = from_api or gateway.domain
    parts = split_domain(domain) if isinstance(domain, str) else None
    if parts is None:
        return Refusal("the gateway domain is not a domain name", is_suspect=True)
    if gateway.allowed_domains and not is_within(parts[0], gateway.allowed_domains):
        return Refusal("the gateway domain is not in allowed_gateway_domains", is_suspect=True)
    return parts


def group_connection(gateway: GatewaySettings) -> dict[str, Any]:
    """Return the connection variables that all CVMs share, for their group, so that group_vars can override them."""
    user = {"ansible_user": gateway.ssh_user} if gateway.ssh_user else {}
    arguments = f"{_proxy_option(_tunnel(gateway))} {KEEP_ALIVE}"
    return {"ansible_port": gateway.port, **user, "ansible_ssh_common_args": arguments}


def _tunnel(gateway: GatewaySettings) -> str:
    """Return the command that connects ssh with the gateway; ssh replaces %h and %p by host and port."""
    # -quiet also keeps openssl from reading lines that begin with Q or R as commands.
    words = ["env", "-u", KEY_VARIABLE, _argument(gateway.openssl), "s_client", "-quiet", "-verify_quiet"]
    if gateway.validate_certs:
        words += ["-verify_return_error", "-verify_hostname", "%h"]
    words += ["-servername", "%h", "-connect", "%h:%p"]
    if gateway.validate_certs and gateway.ca_path:
        option = "-CApath" if os.path.isdir(gateway.ca_path) else "-CAfile"
        words += [option, _argument(os.path.abspath(gateway.ca_path))]
    return " ".join(words)


def _argument(text: str) -> str:
    """Return a text as one word of a ProxyCommand."""
    return shlex.quote(text).replace("%", "%%")


def _proxy_option(command: str) -> str:
    return shlex.join(["-o", f"ProxyCommand={command}"])
