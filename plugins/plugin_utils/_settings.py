# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an inventory source asks for, as frozen values; `_options` reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic
from ansible_collections.phala.cloud.plugins.plugin_utils._redaction import Mask

Filter = Mapping[str, tuple[str, ...]]  # filter names, each with the values of which a CVM must have one


@dataclass(frozen=True)
class Account:
    """An account of the service: its name in messages, the base URL, the API key, and where the key comes from."""

    name: str
    url: str
    key: str = field(repr=False)
    key_source: str


class ApiSettings(NamedTuple):
    """How to query the service: ``timeout`` in seconds, ``verify`` is a CA path or whether to check certificates at all."""

    version: str
    timeout: int
    retries: int
    verify: bool | str
    page_size: int
    concurrency: int


class CacheSettings(NamedTuple):
    """For how many seconds a stored response is fresh, and how old it may be when the service cannot be reached."""

    enabled: bool
    timeout: int
    stale: int


class ConstructedSettings(NamedTuple):
    """The options of ansible-core's constructed features, in the form that core expects."""

    strict: bool
    compose: dict[str, Any]
    groups: dict[str, Any]
    keyed_groups: list[Any]


class GatewaySettings(NamedTuple):
    """The gateway of SSH connections: domain and port where the API names none, its TLS, and the sshd behind it.

    ``openssl`` is the command that makes the tunnel, and ``allowed_domains`` are in lower case; without any, all are allowed.
    """

    domain: str | None
    port: int
    validate_certs: bool
    ca_path: str | None
    openssl: str
    allowed_domains: tuple[str, ...]
    ssh_port: int
    ssh_user: str


class Settings(NamedTuple):
    """The settings of one source.

    ``entries`` are ``filters`` and ``include_filters``, each with where it is in the file, and ``queries`` what they ask for.
    ``excludes`` are which CVMs to leave out, ``gateway`` is None where no connection is set up, ``reach`` is the gateway also
    there, and ``mask`` removes every API key that was read.
    """

    path: str
    accounts: tuple[Account, ...]
    api: ApiSettings
    cache: CacheSettings
    entries: tuple[tuple[str, Filter], ...]
    queries: tuple[Filter, ...]
    excludes: tuple[Filter, ...]
    min_hosts: int
    host_filters: tuple[str, ...]
    hostnames: tuple[str, ...]
    prefix: str
    suffix: str
    group: str
    group_by: tuple[str, ...]
    group_prefix: str
    gateway: GatewaySettings | None
    reach: GatewaySettings
    constructed: ConstructedSettings
    mask: Mask
    diagnostics: tuple[Diagnostic, ...]
