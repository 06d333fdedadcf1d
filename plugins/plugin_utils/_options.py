# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read and check the options of an inventory source, once, before the first request; nothing else reads options."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from typing import Any

from ansible.errors import AnsibleError, AnsibleParserError
from ansible.module_utils.common.text.converters import to_text

from ansible_collections.phala.cloud.plugins.plugin_utils._account_options import Defaults, beside_accounts, read_accounts
from ansible_collections.phala.cloud.plugins.plugin_utils._addresses import is_within, split_domain
from ansible_collections.phala.cloud.plugins.plugin_utils._cache_options import cache_diagnostics
from ansible_collections.phala.cloud.plugins.plugin_utils._credentials import (
    BrokenFileError,
    Key,
    choose_url,
    profile_key,
    refuse_bad_key,
    with_url_of_profile,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import CORE_VARIABLES
from ansible_collections.phala.cloud.plugins.plugin_utils._file import read_file, report
from ansible_collections.phala.cloud.plugins.plugin_utils._filters import FILTERS, NOT_FOR_EXCLUSION, FilterReader, single_valued
from ansible_collections.phala.cloud.plugins.plugin_utils._group_options import (
    group_name_problems,
    is_reserved_name,
    variable_name_problems,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level
from ansible_collections.phala.cloud.plugins.plugin_utils._option_names import keyed_group_problems, unknown_option
from ansible_collections.phala.cloud.plugins.plugin_utils._option_reader import DEFAULT, OptionReader
from ansible_collections.phala.cloud.plugins.plugin_utils._option_types import (
    OptionError,
    shown,
    suggest,
    type_problem,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._plain_text import plain
from ansible_collections.phala.cloud.plugins.plugin_utils._project_file import ProjectFileError, choose_profile
from ansible_collections.phala.cloud.plugins.plugin_utils._redaction import mask_keys
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import (
    Account,
    ApiSettings,
    CacheSettings,
    ConstructedSettings,
    Filter,
    GatewaySettings,
    Settings,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._syntax import expression_problem, template_problem
from ansible_collections.phala.cloud.plugins.plugin_utils._templates import seeing
from ansible_collections.phala.cloud.plugins.plugin_utils._written import as_written, decrypted, unrendered_template

NOT_BLANK = ("filters", "include_filters", "exclude_filters", "host_filters")  # a blank one would list every CVM


def read_settings(plugin: Any, path: str) -> Settings:
    """Read and check the source's file, the environment and the CLI's credentials.

    :raises AnsibleParserError: with every problem of the file at once
    """
    config = _written(plugin, read_file(plugin, path), path)
    reader = _SettingsReader(plugin, config, path)
    # Options see extra variables and nothing else, because there is no host yet.
    with seeing(plugin.templar, plugin._vars):
        settings = reader.read()
    if reader.problems:
        raise AnsibleParserError(settings.mask(report(path, reader.problems)))
    return settings


def _written(plugin: Any, config: Mapping[Any, Any], path: str) -> dict[Any, Any]:
    """Return the options of a file as they are written there, and give them to the plugin in this form."""
    definitions = plugin.option_definitions
    texts = {name for name, option in definitions.items() if option.get("type") == "str" or option.get("elements") == "str"}
    try:
        contents, _is_shown = plugin.loader._get_file_contents(path)
    except AnsibleError:
        contents = b""
    written = as_written(decrypted(config), to_text(contents), {*texts, "filters", "include_filters", "exclude_filters"})
    plugin.set_options(direct=written, var_options=plugin._vars)
    return written


class _SettingsReader(OptionReader):
    """Collect the settings of a source."""

    def __init__(self, plugin: Any, config: Mapping[Any, Any], path: str) -> None:
        super().__init__(plugin, config, path)
        self.diagnostics: list[Diagnostic] = []
        # A key may be where it does not belong, such as in api_url, so every one that is seen is masked.
        self.keys = [str(config.get("api_key") or ""), os.environ.get("PHALA_CLOUD_API_KEY", "")]

    def read(self) -> Settings:
        self._check_names_and_types()
        prefix, suffix = self._variable_affixes()
        accounts = self._accounts() if "accounts" in self.config else (self._account(),)
        entries = self._entries()
        gateway = self._gateway()
        return Settings(
            path=self.path,
            accounts=accounts,
            api=self._api(),
            cache=self._cache(),
            entries=entries,
            queries=self._queries(entry for _where, entry in entries),
            excludes=self._excludes(),
            min_hosts=self.integer("min_hosts", 0),
            host_filters=tuple(self.texts("host_filters", "a Jinja2 condition such as 'phala_vcpu >= 4'")),
            hostnames=self._hostnames(prefix, suffix),
            prefix=prefix,
            suffix=suffix,
            group=self._group(),
            group_by=tuple(dict.fromkeys(self.option("group_by") or ())),
            group_prefix=self._group_prefix(),
            gateway=gateway if self.option("connect_with") == "gateway" else None,
            reach=gateway,
            constructed=self._constructed(),
            mask=mask_keys(self.keys),
            diagnostics=tuple(self.diagnostics),
        )

    def _check_names_and_types(self) -> None:
        definitions = self.plugin.option_definitions
        for name, value in self.config.items():
            if name not in definitions:
                self.problems.append(unknown_option(name, definitions, FILTERS))
            elif value is None and name in NOT_BLANK:
                self.problems.append(f"{name}: is blank. Write at least one filter, or remove the option.")
            elif problem := type_problem(name, definitions[name], value) or unrendered_template(name, value):
                self.problems.append(problem)

    # The service and its key

    def _accounts(self) -> tuple[Account, ...]:
        self.problems += beside_accounts(self.config)
        source = self.source("api_url")
        url = self.attempt(lambda: self.text("api_url")) if source != DEFAULT else None
        entries = self.config["accounts"] if isinstance(self.config["accounts"], list) else None
        for entry in entries or ():
            self.keys.append(str(entry.get("api_key") or "") if isinstance(entry, Mapping) else "")
        defaults = Defaults(url, source, self.plugin.option_definitions["api_url"]["default"])
        accounts, problems = read_accounts(entries, defaults, self.text_of)
        self.keys += [account.key for account in accounts]
        self.problems += problems
        return tuple(accounts)

    def _account(self) -> Account:
        default = self.plugin.option_definitions["api_url"]["default"]
        source = self.source("api_url")
        given = self.attempt(lambda: self.text("api_url")) if source != DEFAULT else None
        key = self.attempt(lambda: self._key(has_url=bool(given)))
        if key:
            self.keys.append(key.text)
            self.attempt(lambda: refuse_bad_key(key))
        is_in_file = self.config.get("api_url") is not None
        url = self.attempt(lambda: choose_url(key, given, source, default, is_in_file=is_in_file))
        return Account(name="", url=url or default, key=key.text if key else "", key_source=key.source if key else "")

    def _key(self, *, has_url: bool) -> Key:
        """Return the API key: the file's, else that of a profile in the file, the environment's, or that of the CLI's profile.

        A key in the file that is wrong does not give way to another one.
        """
        is_in_file, profile_in_file = (self.config.get(name) is not None for name in ("api_key", "profile"))
        wanted = self.text("profile")
        given = self.text("api_key") if is_in_file or not (profile_in_file and wanted) else None
        if is_in_file and profile_in_file and wanted:
            text = f"{self.path}: profile: {wanted!r} is not used, because api_key is also set. Remove one of them."
            self.diagnostics.append(Diagnostic(Level.WARNING, text))
        if is_in_file and not given:
            raise OptionError("api_key: is empty. Remove it, or write a value.")
        wanted_by = "profile" if profile_in_file else self.source("profile")
        if not given:
            return profile_key(*choose_profile(wanted, wanted_by), os.environ)
        key = Key(given, self.source("api_key"))
        return key if is_in_file or has_url else self._with_url_of_profile(key, wanted)

    def _with_url_of_profile(self, key: Key, wanted: str | None) -> Key:
        """Return the environment's key with the base URL of the chosen profile, whose files need not be good for the key."""
        try:
            return with_url_of_profile(key, choose_profile(wanted)[0], os.environ)
        except (BrokenFileError, ProjectFileError) as error:
            text = f"{self.path}: the profile's base URL is not used for the key from {key.source}: {error}"
            self.diagnostics.append(Diagnostic(Level.WARNING, text))
            return key

    def _api(self) -> ApiSettings:
        ca_path = self.existing_path("ca_path")
        return ApiSettings(
            version=self._version(),
            timeout=self.integer("timeout", 1),
            retries=self.integer("retries", 0),
            verify=(ca_path or True) if self.option("validate_certs") else False,
            page_size=self.integer("page_size", 1, 100),
            concurrency=self.integer("concurrency", 1, 32),
        )

    def _version(self) -> str:
        version = plain(self.option("api_version") or "")  # requests 2.28.0 refuses marked text in a header
        if not re.fullmatch(r"[A-Za-z0-9.-]+", version):
            self.problems.append(f"api_version: {version!r} is not a version. Write one such as '2026-01-21'.")
        return version

    def _cache(self) -> CacheSettings:
        cache = CacheSettings(
            enabled=bool(self.given("cache")[0]),
            timeout=self.option("cache_timeout") or 0,
            stale=self.integer("cache_stale", 0),
        )
        self.diagnostics += cache_diagnostics(cache, self.option("cache_plugin"))
        return cache

    # Which CVMs

    def _entries(self) -> tuple[tuple[str, Filter], ...]:
        """Return ``filters`` and ``include_filters``, each with where it is in the file."""
        reader = FilterReader(self.rendered, self.problems, self.plugin.option_definitions)
        filters = self.option("filters")
        entries = [("filters", reader.entry(filters, "filters"))] if filters else []
        included = reader.entries(self.option("include_filters") or (), "include_filters")
        return (*entries, *((f"include_filters[{position}]", entry) for position, entry in enumerate(included)))

    def _queries(self, entries: Iterable[Filter]) -> tuple[Filter, ...]:
        """Return the different queries of some entries, one without filters if there is none."""
        split = (self.attempt(partial(single_valued, entry)) or [] for entry in list(entries) or [{}])
        queries = (query for of_entry in split for query in of_entry)
        return tuple({tuple(query.items()): query for query in queries}.values())

    def _excludes(self) -> tuple[Filter, ...]:
        reader = FilterReader(self.rendered, self.problems, self.plugin.option_definitions)
        return tuple(reader.entries(self.option("exclude_filters") or (), "exclude_filters", NOT_FOR_EXCLUSION))

    # What comes out

    def _hostnames(self, prefix: str, suffix: str) -> tuple[str, ...]:
        entries = tuple(self.texts("hostnames", "a core variable's name or a Jinja2 template"))
        if not self.option("hostnames"):
            self.problems.append("hostnames: is empty. Write at least one entry, such as 'name'.")
        known = {f"{prefix}{name}{suffix}": name for name in CORE_VARIABLES} | {name: name for name in CORE_VARIABLES}
        for entry in entries:
            if entry not in known and "{" not in entry:
                self.problems.append(
                    f"hostnames: {entry!r} is not a core variable. {suggest(entry, known)} Write a template as '{{{{ ... }}}}'."
                )
            elif entry not in known and (problem := template_problem("hostnames", entry)):
                self.problems.append(problem)
        # A template stays the object that the file gave, whose mark of trust core needs.
        return tuple(known.get(entry, entry) for entry in entries)

    def _variable_affixes(self) -> tuple[str, str]:
        prefix, suffix = self.option("hostvars_prefix") or "", self.option("hostvars_suffix") or ""
        if not re.fullmatch(r"([A-Za-z_][A-Za-z0-9_]*)?", prefix) or prefix.startswith("ansible_"):
            self.problems.append(
                f"hostvars_prefix: {prefix!r} is not a valid beginning of a variable name. Use letters, digits and '_', and do"
                " not begin with a digit or 'ansible_'."
            )
        if not re.fullmatch(r"[A-Za-z0-9_]*", suffix):
            self.problems.append(
                f"hostvars_suffix: {suffix!r} is not a valid end of a variable name. Use letters, digits and '_'."
            )
        return prefix, suffix

    def _group(self) -> str:
        group = plain(self.option("group") or "")
        beginnings = [f"{self._group_prefix()}{dimension}_" for dimension in self.option("group_by") or ()]
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", group) or is_reserved_name(group):
            self.problems.append(
                f"group: {group!r} is not a valid name for the group of all hosts. Use letters, digits and '_', and not 'all',"
                " 'ungrouped', '_meta' or a name of this machine."
            )
        elif taken := [beginning for beginning in beginnings if group.startswith(beginning)]:
            self.problems.append(
                f"group: {group!r} looks like a group of group_by, whose names begin with {taken[0]!r}. Choose another name,"
                " or set group_prefix."
            )
        return group

    def _group_prefix(self) -> str:
        prefix = self.attempt(partial(self.text, "group_prefix"))
        return prefix or ""

    def _gateway(self) -> GatewaySettings:
        domain = self.attempt(lambda: self.text("gateway_domain"))
        if domain and split_domain(domain) is None:
            self.problems.append(
                f"gateway_domain: {domain!r} is not a domain. Write one such as 'gateway.example.org' or"
                " 'gateway.example.org:8443'."
            )
        ssh_user = self.attempt(lambda: self.text("ssh_user"))
        allowed = self._allowed_domains()
        if domain and allowed and (parts := split_domain(domain)) and not is_within(parts[0], allowed):
            self.problems.append(f"gateway_domain: {domain!r} is not in allowed_gateway_domains. Correct one of the two options.")
        return GatewaySettings(
            domain=domain,
            port=self.integer("gateway_port", 1, 65535),
            validate_certs=self.option("gateway_validate_certs"),
            ca_path=self.existing_path("gateway_ca_path"),
            openssl=self._openssl(),
            allowed_domains=allowed,
            ssh_port=self.integer("ssh_port", 1, 65535),
            ssh_user=ssh_user or "",
        )

    def _allowed_domains(self) -> tuple[str, ...]:
        domains = []
        for position, entry in enumerate(self.texts("allowed_gateway_domains", "a domain such as 'example.org'")):
            where = f"allowed_gateway_domains[{position}]"
            domain = str(self.attempt(partial(self.rendered, where, entry)) or "")
            parts = split_domain(domain)
            if parts is None or parts[1] is not None:
                self.problems.append(
                    f"{where}: {domain!r} is not a domain without port and wildcard. Write one such as 'example.org'."
                )
            else:
                domains.append(parts[0])
        return tuple(domains)

    def _openssl(self) -> str:
        """Return the command that makes the tunnel; a path is relative to the folder of the file."""
        command = os.path.expanduser(plain(self.option("gateway_openssl") or "openssl"))
        return os.path.join(os.path.dirname(os.path.abspath(self.path)), command) if os.sep in command else command

    def _constructed(self) -> ConstructedSettings:
        # Core accepts other values on some versions and drops them without a message on others.
        self._check_expressions("compose", (str,))
        self._check_expressions("groups", (str, bool))
        for position, entry in enumerate(self.option("keyed_groups") or ()):
            where = f"keyed_groups[{position}]"
            self.problems += keyed_group_problems(where, entry, self._keys_of_keyed_groups())
            if isinstance(entry, Mapping) and "parent_group" in entry:
                self.problems += group_name_problems(
                    f"{where}.parent_group", entry["parent_group"], self.option("group"), {"all"}
                )
        for group in self.option("groups") or {}:
            self.problems += group_name_problems("groups", group, self.option("group"))
        for name in self.option("compose") or {}:
            self.problems += variable_name_problems("compose", name)
        return ConstructedSettings(
            strict=self.option("strict"),
            compose=self.option("compose") or {},
            groups=self.option("groups") or {},
            keyed_groups=self.option("keyed_groups") or [],
        )

    def _keys_of_keyed_groups(self) -> Collection[str]:
        """Return the keys that ansible-core's own documentation has for an entry."""
        return frozenset(self.plugin.option_definitions["keyed_groups"]["suboptions"])

    def _check_expressions(self, name: str, kinds: tuple[type, ...]) -> None:
        for variable, expression in (self.option(name) or {}).items():
            if not isinstance(expression, kinds):
                self.problems.append(
                    f"{name}.{variable}: expected a Jinja2 expression, got {shown(expression)}. Write it in quotes."
                )
            elif isinstance(expression, str) and (problem := expression_problem(f"{name}.{variable}", expression)):
                self.problems.append(problem)
