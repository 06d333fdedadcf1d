# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Domains of gateways, base URLs of the service, and which names and addresses mean this machine."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

# Below "localhost" every name is this machine's; the others are in the hosts files of common systems.
_MACHINE_NAMES = frozenset(
    {
        "localhost",
        "localhost4",
        "localhost6",
        "ip6-localhost",
        "ip6-loopback",
        "localhost.localdomain",
        "localhost4.localdomain4",
        "localhost6.localdomain6",
    }
)

_DOMAIN = re.compile(
    r"(?P<name>(?=.{1,190}(?::|$))(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*(?=[a-z0-9-]*[a-z])[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)"
    r"(?::(?P<port>[0-9]{1,5}))?"
)

# An IPv6 address in brackets, or a name or IPv4 address, and a port. More than Python's urlsplit demands, which has let
# [::1].evil.example pass as the address ::1.
_AUTHORITY = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?)(?::[0-9]{0,5})?")


@lru_cache(maxsize=256)  # a fleet has few different domains
def split_domain(text: str) -> tuple[str, int | None] | None:
    """Split a gateway's ``domain`` or ``domain:port``, in lower case and without a trailing dot; None where it is neither."""
    match = _DOMAIN.fullmatch(re.sub(r"\.(?=:|\Z)", "", text.lower(), count=1))
    if match is None:
        return None
    port = int(match["port"]) if match["port"] else None
    return (match["name"], port) if port is None or 1 <= port <= 65535 else None


def is_within(domain: str, allowed: Iterable[str]) -> bool:
    """Return whether a domain in lower case is one of these, or below one."""
    return any(domain == name or domain.endswith(f".{name}") for name in allowed)


def with_lower_case_host(url: str) -> str:
    """Return a base URL with its scheme and host in lower case, as which they are compared."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.lower()).geturl()


def bare_id(text: str) -> str:
    """Return an app or instance id as the gateway knows it, without ``app_`` and ``0x`` and in lower case."""
    return text.lower().removeprefix("app_").removeprefix("0x")


def url_problem(url: str) -> str | None:
    """Return why a text cannot be the base URL of the service, to which the API key is sent."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return f"{url!r} is not a URL. Write one such as 'https://cloud-api.phala.com/api/v1'."
    if parts.username is not None or parts.password is not None:
        return "the URL contains a user name or password. Remove them: the plugin sends the API key in a header."
    is_whole = host and port != 0 and _AUTHORITY.fullmatch(parts.netloc) and re.fullmatch(r"[\x21-\x7e]+", url)
    if parts.scheme not in ("http", "https") or not host or not is_whole:
        return f"{url!r} is not a URL. Write one such as 'https://cloud-api.phala.com/api/v1'."
    if parts.query or parts.fragment:
        return f"{url!r} has a query or a fragment. Remove the part that begins with '?' or '#'."
    if parts.scheme == "http" and not _is_loopback(host):
        return f"{url!r} would send the API key unencrypted to another machine. Use https."
    return None


def is_this_machine(name: str) -> bool:
    """Return whether a name or address means the control node, on whatever machine the inventory is read."""
    name = name.lower().strip().rstrip(".")
    if name in _MACHINE_NAMES or name.endswith(".localhost"):
        return True
    address = _address(name)
    return address is not None and (address.is_loopback or address.is_unspecified)  # they connect 0.0.0.0 to this machine


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a text means to resolvers, which read 127.1, 0x7f000001 and 2130706433 as addresses, too."""
    try:
        if ":" not in text:
            return IPv4Address(socket.inet_aton(text)) if text[:1].isdigit() else None
        address = IPv6Address(text.strip("[]").partition("%")[0])
    except (OSError, ValueError):
        return None
    return address.ipv4_mapped or address


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
