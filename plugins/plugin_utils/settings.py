# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the options of an inventory source, once, into one checked and frozen value."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from itertools import product
from typing import Any
from urllib.parse import urlsplit

from ansible import constants as C
from ansible.errors import AnsibleParserError
from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.phala.cloud.plugins.plugin_utils.connection import SshGateway, split_domain
from ansible_collections.phala.cloud.plugins.plugin_utils.credentials import (
    CredentialsError,
    credentials_path,
    load_profile,
)
from ansible_collections.phala.cloud.plugins.plugin_utils.cvms import CORE_VARIABLES, Filter
from ansible_collections.phala.cloud.plugins.plugin_utils.option_types import shown, suggest, type_problem, well_typed
from ansible_collections.phala.cloud.plugins.plugin_utils.redaction import redact
from ansible_collections.phala.cloud.plugins.plugin_utils.trust import plain

FILTERS = (
    "base_image",
    "instance_type",
    "kms_slug",
    "kms_type",
    "listed",
    "node",
    "region",
    "search",
    "status",
)  # the service's own names
NESTED_SHAPE_SINCE = "2026-01-21"  # from this API version on a CVM no longer carries its kms_slug
CLI_PROFILE_HINT = "set api_key or PHALA_CLOUD_API_KEY, or run 'phala login'"


@dataclass(frozen=True)
class ApiSettings:
    """How to reach the service: seconds for ``timeout``, a path or whether to check at all for ``verify``."""

    url: str
    key: str = field(repr=False)
    key_source: str
    version: str
    timeout: int
    retries: int
    verify: bool | str
    page_size: int
    concurrency: int


@dataclass(frozen=True)
class CacheSettings:
    """How long a stored answer is fresh, and how old it may be when the service cannot be reached (seconds)."""

    enabled: bool
    timeout: int
    stale: int


@dataclass(frozen=True)
class ConstructedSettings:
    """The options of ansible-core's constructed features, as it takes them."""

    strict: bool
    compose: dict[str, Any]
    groups: dict[str, Any]
    keyed_groups: list[Any]


@dataclass(frozen=True)
class Settings:
    """All that a source asks for. ``queries`` is what to ask the service, ``excludes`` what to leave out of its answers."""

    api: ApiSettings
    cache: CacheSettings
    queries: tuple[Filter, ...]
    excludes: tuple[Filter, ...]
    host_filters: tuple[str, ...]
    hostnames: tuple[str, ...]
    prefix: str
    suffix: str
    group: str
    group_by: tuple[str, ...]
    group_prefix: str
    gateway: SshGateway | None
    constructed: ConstructedSettings
    warnings: tuple[str, ...]


def read_settings(plugin: Any, path: str) -> Settings:
    """Read and check the source's file, the environment and the CLI's credentials.

    :raises AnsibleParserError: with every problem of the file at once
    """
    try:
        config = plugin._read_config_data(path)
    except AttributeError:  # core's own, of a file that holds a list or a text
        raise AnsibleParserError(f"{path} holds no dictionary: begin it with 'plugin: phala.cloud.phala'") from None
    reader = _Reader(plugin, config, path)
    settings = reader.read()
    if reader.problems:
        # The key may stand where it does not belong, such as in api_url.
        raise AnsibleParserError(redact(_report(path, reader.problems), str(config.get("api_key") or "")))
    return settings


def _report(path: str, problems: list[str]) -> str:
    if len(problems) == 1:
        return f"{path}: {problems[0]}"
    numbered = "\n".join(f"({number}) {problem}" for number, problem in enumerate(problems, start=1))
    return f"{path} has {len(problems)} problems:\n{numbered}"


class _Reader:
    """Collect the settings and, instead of stopping at the first, all the problems."""

    def __init__(self, plugin: Any, config: Mapping[Any, Any], path: str) -> None:
        self.plugin = plugin
        self.config = config
        self.path = path
        self.problems: list[str] = []
        self.warnings: list[str] = []
        self.option = plugin.get_option
        # Options see extra variables and nothing else: there is no host yet.
        plugin.templar.available_variables = plugin._vars

    def read(self) -> Settings:
        self._check_names_and_types()
        prefix, suffix = self._variable_affixes()
        return Settings(
            api=self._api(),
            cache=self._cache(),
            queries=self._queries(),
            excludes=self._excludes(),
            host_filters=self._host_filters(),
            hostnames=self._hostnames(prefix, suffix),
            prefix=prefix,
            suffix=suffix,
            group=self._group(),
            group_by=tuple(dict.fromkeys(self.option("group_by") or ())),
            group_prefix=self.option("group_prefix") or "",
            gateway=self._gateway(),
            constructed=self._constructed(),
            warnings=tuple(self.warnings),
        )

    def _check_names_and_types(self) -> None:
        definitions = self.plugin.option_definitions
        for name, value in self.config.items():
            if name not in definitions:
                self.problems.append(f"unknown option {name!r}: {suggest(name, definitions)}")
            elif problem := type_problem(name, definitions[name], value):
                self.problems.append(problem)

    # The service and its key

    def _api(self) -> ApiSettings:
        key, key_source, prefix = self._key()
        verify: bool | str = self.option("ca_path") or True
        if isinstance(verify, str) and not os.path.exists(verify):
            self.problems.append(f"ca_path: there is no {verify}")
        return ApiSettings(
            url=self._url(key_source, prefix),
            key=key,
            key_source=key_source,
            version=self._version(),
            timeout=self._integer("timeout", 1),
            retries=self._integer("retries", 0),
            verify=verify if self.option("validate_certs") else False,
            page_size=self._integer("page_size", 1, 100),
            concurrency=self._integer("concurrency", 1, 32),
        )

    def _key(self) -> tuple[str, str, str | None]:
        """Return the API key, where it comes from, and the base URL that belongs to it, if any.

        A key in the file comes first, then a profile in the file, the environment's key, and the CLI's current profile.
        """
        in_file = self.config.get("api_key") is not None
        source = self._source("api_key")
        wanted = self._text("profile")
        given = self._text("api_key") if in_file or not wanted else None
        if in_file and wanted:
            self.warnings.append(f"{self.path}: profile {wanted!r} is not used, because api_key is set too")
        if given:
            return self._checked_key(given, source), source, None
        if not in_file:
            return self._profile_key(wanted)
        # A key in the file that is wrong must not give way to another one.
        if not any(problem.startswith("api_key:") for problem in self.problems):
            self.problems.append("api_key: is empty: remove it or give it a value")
        return "", source, None

    def _profile_key(self, wanted: str | None) -> tuple[str, str, str | None]:
        path = credentials_path(os.environ)
        if not wanted and not os.path.exists(path):
            self.problems.append(f"there is no API key: {CLI_PROFILE_HINT} (which writes {path})")
            return "", "", None
        try:
            profile = load_profile(path, wanted)
        except CredentialsError as error:
            self.problems.append(f"profile: {error}" if wanted else f"{error}, or {CLI_PROFILE_HINT.partition(',')[0]}")
            return "", "", None
        source = f"profile {profile.name!r} of {path}"
        return self._checked_key(profile.token, source), source, profile.api_prefix

    def _checked_key(self, key: str, source: str) -> str:
        # requests shows a header that it refuses, so a key must be good before it becomes one.
        if not re.fullmatch(r"[\x21-\x7e]+", key):
            self.problems.append(
                f"{source}: the API key holds a blank, a line break or a character outside ASCII: copy it again, as one word"
            )
        return key

    def _url(self, key_source: str, profile_prefix: str | None) -> str:
        source = self._source("api_url")
        default = self.plugin.option_definitions["api_url"]["default"]
        if self.option("api_url") and source != _DEFAULT:
            url = self._text("api_url")
        elif profile_prefix:
            url, source = profile_prefix, f"api_prefix of {key_source}"
        else:
            url = default
        problem = _url_problem(url) if url else None
        if problem:
            self.problems.append(f"{source}: {problem}")
        return (url or default).rstrip("/")

    def _version(self) -> str:
        version = plain(self.option("api_version") or "")  # requests 2.28.0 takes no marked text for a header
        if not re.fullmatch(r"[A-Za-z0-9.-]+", version):
            self.problems.append(f"api_version: {version!r} is no version, write one such as '2026-01-21'")
        return version

    def _cache(self) -> CacheSettings:
        cache = CacheSettings(
            enabled=bool(self.option("cache")),
            timeout=self.option("cache_timeout") or 0,
            stale=self._integer("cache_stale", 0),
        )
        if cache.stale and not cache.enabled:
            self.warnings.append(f"{self.path}: cache_stale does nothing while the cache is off: set 'cache: true' too")
        return cache

    # Which CVMs

    def _queries(self) -> tuple[Filter, ...]:
        filters = self.option("filters")
        entries = [self._filter(filters, "filters", FILTERS)] if filters else []
        entries += self._filter_list("include_filters", FILTERS)
        combinations = (single for entry in entries or [{}] for single in _single_valued(entry))
        return tuple({tuple(query.items()): query for query in combinations}.values())

    def _excludes(self) -> tuple[Filter, ...]:
        names = tuple(name for name in FILTERS if name != "search")
        excludes = self._filter_list("exclude_filters", names, {"search": "only the service can search, so it cannot exclude"})
        version = self.option("api_version") or ""
        for position, entry in enumerate(excludes):
            if "kms_slug" in entry and version >= NESTED_SHAPE_SINCE:
                self.problems.append(
                    f"exclude_filters[{position}].kms_slug: API version {version} does not show a CVM's KMS slug:"
                    " use kms_type, or set 'api_version: \"2025-10-28\"'"
                )
        return tuple(excludes)

    def _filter_list(self, option: str, names: Iterable[str], refused: Mapping[str, str] | None = None) -> list[Filter]:
        filters = []
        for position, entry in enumerate(self.option(option) or ()):
            where = f"{option}[{position}]"
            if not isinstance(entry, Mapping):
                self.problems.append(f"{where}: expected a dictionary of filters, got {shown(entry)}")
            elif not entry:
                self.problems.append(f"{where}: is empty, which would mean every CVM: remove it or write a filter")
            else:
                filters.append(self._filter(entry, where, names, refused or {}))
        return filters

    def _filter(
        self, entry: Mapping[Any, Any], where: str, names: Iterable[str], refused: Mapping[str, str] | None = None
    ) -> Filter:
        checked: dict[str, tuple[str, ...]] = {}
        for name, value in entry.items():
            if refused and name in refused:
                self.problems.append(f"{where}.{name}: {refused[name]}")
            elif name not in names:
                self.problems.append(f"{where}: unknown filter {name!r}: {suggest(name, names)}")
            else:
                checked[name] = self._filter_values(f"{where}.{name}", name, value)
        return {name: checked[name] for name in sorted(checked)}

    def _filter_values(self, where: str, name: str, value: Any) -> tuple[str, ...]:
        """Return the values of one filter as texts, without repetitions."""
        values = self._template(where, value)
        if isinstance(values, (str, bytes)) or not isinstance(values, Iterable) or isinstance(values, Mapping):
            values = [values]
        texts = [self._filter_value(where, name, single) for single in values]
        if not texts:
            self.problems.append(f"{where}: is an empty list: remove it or give it a value")
        return tuple(dict.fromkeys(text for text in texts if text is not None))

    def _filter_value(self, where: str, name: str, value: Any) -> str | None:
        value = self._template(where, value)
        if value is _FAILED:
            return None
        if value is None or (isinstance(value, str) and not value.strip()):
            self.problems.append(f"{where}: is empty: remove it or give it a value")
            return None
        if name == "listed":
            return self._truth(where, value)
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            return str(value)
        self.problems.append(f"{where}: expected text, got {shown(value)}: write it in quotes")
        return None

    def _truth(self, where: str, value: Any) -> str | None:
        try:
            return "true" if boolean(value) else "false"
        except TypeError:
            self.problems.append(f"{where}: expected true or false, got {shown(value)}")
            return None

    def _host_filters(self) -> tuple[str, ...]:
        return tuple(self._texts("host_filters", "a Jinja2 condition such as 'phala_vcpu >= 4'"))

    # What comes out

    def _hostnames(self, prefix: str, suffix: str) -> tuple[str, ...]:
        entries = tuple(self._texts("hostnames", "a core variable's name or a Jinja2 template"))
        if not self.option("hostnames"):
            self.problems.append("hostnames: is empty: name at least one variable, such as 'name'")
        known = {f"{prefix}{name}{suffix}": name for name in CORE_VARIABLES} | {name: name for name in CORE_VARIABLES}
        for entry in entries:
            if entry not in known and "{" not in entry:
                self.problems.append(
                    f"hostnames: {entry!r} is no core variable: {suggest(entry, known)}; a template is written '{{{{ ... }}}}'"
                )
        # A name that the user's template spells itself keeps its mark of trust; a looked-up one is only a key.
        return tuple(known.get(entry, entry) for entry in entries)

    def _variable_affixes(self) -> tuple[str, str]:
        prefix, suffix = self.option("hostvars_prefix") or "", self.option("hostvars_suffix") or ""
        if not re.fullmatch(r"([A-Za-z_][A-Za-z0-9_]*)?", prefix) or prefix.startswith("ansible_"):
            self.problems.append(
                f"hostvars_prefix: {prefix!r} cannot begin a variable's name: use letters, digits and _, not 'ansible_'"
            )
        if not re.fullmatch(r"[A-Za-z0-9_]*", suffix):
            self.problems.append(f"hostvars_suffix: {suffix!r} cannot end a variable's name: use letters, digits and _")
        return prefix, suffix

    def _group(self) -> str:
        group = plain(self.option("group") or "")
        beginnings = [f"{self.option('group_prefix') or ''}{dimension}_" for dimension in self.option("group_by") or ()]
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", group) or group in ("all", "ungrouped", "_meta"):
            self.problems.append(
                f"group: {group!r} cannot name the group of all CVMs: use letters, digits and _, not 'all', 'ungrouped' or"
                " '_meta'"
            )
        elif taken := [beginning for beginning in beginnings if group.startswith(beginning)]:
            self.problems.append(f"group: {group!r} would be taken for a group of group_by, whose names begin {taken[0]!r}")
        return group

    def _gateway(self) -> SshGateway | None:
        port = self._integer("gateway_port", 1, 65535)
        domain = self._text("gateway_domain")
        if domain and split_domain(domain) is None:
            self.problems.append(f"gateway_domain: {domain!r} is no domain name such as 'gateway.example.org' or '...:8443'")
        ca_path = self.option("gateway_ca_path")
        if ca_path and not os.path.exists(ca_path):
            self.problems.append(f"gateway_ca_path: there is no {ca_path}")
        gateway = SshGateway(
            domain=domain,
            port=port,
            validate_certs=self.option("gateway_validate_certs"),
            ca_path=ca_path,
            ssh_port=self._integer("ssh_port", 1, 65535),
            ssh_user=self.option("ssh_user") or "",
        )
        return gateway if self.option("connect_with") == "gateway" else None

    def _constructed(self) -> ConstructedSettings:
        # Core takes other values on some versions and silently drops them on others.
        self._check_expressions("compose", (str,))
        self._check_expressions("groups", (str, bool))
        for position, entry in enumerate(self.option("keyed_groups") or ()):
            if not isinstance(entry, Mapping) or not entry.get("key"):
                self.problems.append(f"keyed_groups[{position}]: expected a dictionary with a key, got {shown(entry)}")
        return ConstructedSettings(
            strict=self.option("strict"),
            compose=self.option("compose") or {},
            groups=self.option("groups") or {},
            keyed_groups=self.option("keyed_groups") or [],
        )

    def _check_expressions(self, name: str, kinds: tuple[type, ...]) -> None:
        for variable, expression in (self.option(name) or {}).items():
            if not isinstance(expression, kinds):
                self.problems.append(
                    f"{name}.{variable}: expected a Jinja2 expression, got {shown(expression)}: write it in quotes"
                )

    # One option

    def _source(self, name: str) -> str:
        """Return where the value comes from, as a message names it."""
        # Core's own get_option_and_origin() does not see the file's values before 2.19.
        plugin = self.plugin
        given = well_typed(plugin.option_definitions, self.config)
        _value, origin = C.config.get_config_value_and_origin(
            name, plugin_type=plugin.plugin_type, plugin_name=plugin._load_name, direct=given
        )
        return f"{name} in {self.path}" if origin == "Direct" else str(origin).removeprefix("env: ")

    def _integer(self, name: str, minimum: int, maximum: int | None = None) -> int:
        value: int = self.option(name)
        if value < minimum or (maximum is not None and value > maximum):
            bounds = f"at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
            self.problems.append(f"{name}: {value} is out of range, it takes {bounds}")
        return value

    def _text(self, name: str) -> str | None:
        """Return a text option with its templates resolved, or None where it is not set."""
        value = self.option(name)
        if value is None or value == "":
            return None
        text = self._template(name, value)
        if text is _FAILED:
            return None
        if text is None or not str(text).strip():
            self.problems.append(f"{name}: is empty once its template is resolved: pass the variable with -e")
            return None
        return str(text)

    def _texts(self, name: str, expected: str) -> list[str]:
        texts = []
        for position, entry in enumerate(self.option(name) or ()):
            if isinstance(entry, str) and entry.strip():
                texts.append(entry)
            else:
                self.problems.append(f"{name}[{position}]: expected {expected}, got {shown(entry)}")
        return texts

    def _template(self, where: str, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return self.plugin.templar.template(value)
        except Exception as error:  # before 2.19 a template raises whatever Python raises in it
            # Core quotes the value below its first sentence, and the value may be the key.
            reason = "its template fails" if where == "api_key" else str(error).splitlines()[0].split(". ")[0]
            self.problems.append(f"{where}: {reason}: pass the variable with -e NAME=VALUE, or correct the template")
            return _FAILED


_DEFAULT = "default"  # core's name for where such a value comes from
_FAILED = object()  # stands for a value whose problem is already told


def _single_valued(entry: Filter) -> Iterable[Filter]:
    """Yield one query per combination of values; the service takes a list for ``status`` alone."""
    choices: list[list[tuple[str, ...]]] = [
        [values] if name == "status" else [(value,) for value in values] for name, values in entry.items()
    ]
    for combination in product(*choices):
        yield dict(zip(entry, combination, strict=True))


def _url_problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return f"{url!r} is no URL, write one such as 'https://cloud-api.phala.com/api/v1'"
    if parts.username is not None or parts.password is not None:
        return "holds a user name or password: remove it, the API key is sent apart"
    if parts.scheme not in ("http", "https") or not host or not re.fullmatch(r"[\x21-\x7e]+", url):
        return f"{url!r} is no URL, write one such as 'https://cloud-api.phala.com/api/v1'"
    if parts.query or parts.fragment:
        return f"{url!r} must end with the path: remove the part from '?' or '#' on"
    if parts.scheme == "http" and not _is_this_machine(host):
        return f"{url!r} would send the API key unencrypted to another machine: use https"
    return None


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
