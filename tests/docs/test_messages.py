# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Provoke each message that the page of messages lists, and find each message of the code in that page."""

from __future__ import annotations

import ast
import json
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible import constants
from ansible.plugins.cache import BaseFileCacheModule

from ansible_collections.phala.cloud.plugins.plugin_utils import _libraries, _patience
from ansible_collections.phala.cloud.plugins.plugin_utils._project_file import PARSERS
from ansible_collections.phala.cloud.tests.certificates import make_certificates
from ansible_collections.phala.cloud.tests.loading import load
from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Simulator
from ansible_collections.phala.cloud.tests.simulator.faults import (
    EMPTY_PAGE,
    Blocked,
    Body,
    Fault,
    Hang,
    Html,
    HugeBody,
    Redirect,
    Replace,
    Status,
)

from .fleet import FLEET, KEY, OTHER_KEY
from .messages import messages, messages_page
from .pages import DOCS, ROOT
from .reader import settle
from .shell import Shell

PAGE = DOCS / "messages.md"
CLOSED = "http://127.0.0.1:9/api/v1"
JSONFILE: dict[str, Any] = {"cache": True, "cache_plugin": "ansible.builtin.jsonfile", "cache_connection": "cache"}
PROFILE = {"token": KEY, "workspace": {"name": "Example team", "slug": "example-team"}}


class Trouble:
    """What a case does to get a message: `displayed` is all that was said."""

    def __init__(self, folder: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.simulator = simulator
        self.monkeypatch = monkeypatch
        self.displayed: list[str] = []
        monkeypatch.setenv("HOME", str(folder))
        monkeypatch.chdir(folder)
        monkeypatch.setenv("PHALA_CLOUD_API_PREFIX", simulator.url)
        monkeypatch.setenv("PHALA_CLOUD_API_KEY", KEY)

    def load(self, source: str = "", *, verbosity: int = 0, **options: Any) -> None:
        """Load a source that is given as YAML, or as options."""
        path = self.folder / "phala.yml"
        retries = {} if "retries" in options or "retries" in source else {"retries": 0}
        path.write_text(f"{yaml.safe_dump({'plugin': 'phala.cloud.phala', **retries, **options})}{source}", encoding="utf-8")
        loaded = load([path], verbosity=verbosity)
        self.displayed += loaded.displayed
        self.displayed += loaded.values("ansible_ssh_common_args").values()  # from which ssh says why there is no address

    def misbehave(self, *faults: Fault, page: int | None = None, times: int | None = None, **options: Any) -> None:
        self.simulator.misbehave(*faults, times=times, page=page)
        self.load(**options)

    def have(self, *apps: Any, **options: Any) -> None:
        """Load an account that has these apps."""
        self.simulator.fleet = apps
        self.load(**options)

    def log_in(self, profiles: Any = None, *, content: str | None = None, schema: int = 1, **options: Any) -> None:
        """Load with the credentials that the CLI would have left."""
        self.monkeypatch.delenv("PHALA_CLOUD_API_KEY")
        path = self.folder / ".phala-cloud" / "credentials.json"
        path.parent.mkdir()
        saved = {"schema_version": schema, "current_profile": "work", "profiles": profiles}
        path.write_text(json.dumps(saved) if content is None else content, encoding="utf-8")
        self.load(**options)


Provoke = Callable[[Trouble], None]


def beside(first: str | dict[str, Any], *apps: App, **options: Any) -> Provoke:
    """Load an account that has these apps after another source: a static one, or one of this plugin with these options."""

    def provoke(trouble: Trouble) -> None:
        trouble.simulator.fleet = apps or FLEET
        sources = [trouble.folder / ("hosts" if isinstance(first, str) else "a.phala.yml"), trouble.folder / "b.phala.yml"]
        for path, content in zip(sources, (first, options), strict=True):
            text = content if isinstance(content, str) else yaml.safe_dump({"plugin": "phala.cloud.phala", **content})
            path.write_text(text, encoding="utf-8")
        trouble.displayed += load(sources).displayed

    return provoke


def given(source: str = "", **options: Any) -> Provoke:
    return lambda trouble: trouble.load(source, **options)


def answered(*faults: Fault, **options: Any) -> Provoke:
    return lambda trouble: trouble.misbehave(*faults, **options)


def holding(*apps: Any, **options: Any) -> Provoke:
    return lambda trouble: trouble.have(*apps, **options)


def logged_in(profiles: Any = None, **options: Any) -> Provoke:
    return lambda trouble: trouble.log_in(profiles, **options)


def in_environment(name: str, value: str, **options: Any) -> Provoke:
    def provoke(trouble: Trouble) -> None:
        trouble.monkeypatch.setenv(name, value)
        trouble.load(**options)

    return provoke


def ignoring_filters(filters: dict[str, str], **options: Any) -> Provoke:
    """Load with filters that the service ignores."""

    def provoke(trouble: Trouble) -> None:
        trouble.simulator.ignored_filters = tuple(filters)
        trouble.load(filters=filters, **options)

    return provoke


def in_project(text: str, *, api_key: str = "", parsers: bool = True) -> Provoke:
    """Load in a folder with this phala.toml."""

    def provoke(trouble: Trouble) -> None:
        (trouble.folder / "phala.toml").write_text(text, encoding="utf-8")
        (trouble.folder / ".phala-cloud").mkdir()
        (trouble.folder / ".phala-cloud" / "credentials.json").write_text("{}", encoding="utf-8")
        trouble.monkeypatch.setenv("PHALA_CLOUD_API_KEY", api_key)
        trouble.monkeypatch.setenv("PHALA_CLOUD_API_PREFIX", "")
        if not parsers:
            for name in PARSERS:
                trouble.monkeypatch.setitem(sys.modules, name, None)
        trouble.monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
        trouble.load()

    return provoke


def without_home(trouble: Trouble) -> None:
    trouble.monkeypatch.delenv("PHALA_CLOUD_API_KEY")
    trouble.monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    trouble.load()


def without_key(trouble: Trouble) -> None:
    trouble.monkeypatch.delenv("PHALA_CLOUD_API_KEY")
    trouble.load()


def unreadable_credentials(trouble: Trouble) -> None:
    (trouble.folder / ".phala-cloud" / "credentials.json").mkdir(parents=True)
    trouble.load(profile="work")


def without_requests(trouble: Trouble) -> None:
    trouble.monkeypatch.setattr(_libraries, "IMPORT_ERROR", ImportError("No module named 'requests'"))
    trouble.load()


def unknown_name(trouble: Trouble) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    trouble.monkeypatch.setattr(socket, "getaddrinfo", refuse)
    trouble.load(api_url="https://nowhere.example.org/api/v1")


def tls_with_unknown_ca(trouble: Trouble) -> None:
    pem = make_certificates(trouble.folder, "127.0.0.1").good
    with Simulator(apps=FLEET, api_key=KEY, certfile=pem, keyfile=pem) as other:
        trouble.load(api_url=other.url)


def stale_cache(trouble: Trouble) -> None:
    options = {**JSONFILE, "cache_timeout": 1, "cache_stale": 3600, "verbosity": 1}
    trouble.load(**options)
    later = time.time() + 60
    trouble.monkeypatch.setattr("time.time", lambda: later)
    trouble.simulator.misbehave(Status(503), times=None)
    trouble.load(**options)


def spoiled_cache(spoil: Callable[[str], str]) -> Provoke:
    def provoke(trouble: Trouble) -> None:
        trouble.load(**JSONFILE)
        for path in (trouble.folder / "cache").iterdir():
            path.write_text(spoil(path.read_text(encoding="utf-8")), encoding="utf-8")
        trouble.load(**JSONFILE)

    return provoke


def unwritable_cache(trouble: Trouble) -> None:
    def refuse(*_arguments: Any) -> None:
        raise OSError("No space left on device")

    trouble.monkeypatch.setattr(BaseFileCacheModule, "set", refuse)
    trouble.load(**JSONFILE)


def list_for_enabled_plugin(trouble: Trouble) -> None:
    (trouble.folder / "phala.yml").write_text("- plugin: phala.cloud.phala\n", encoding="utf-8")
    trouble.monkeypatch.setattr(constants, "INVENTORY_ENABLED", ["phala.cloud.phala"])
    trouble.displayed += load(["phala.yml"]).displayed


def without_plugin_line(trouble: Trouble) -> None:
    (trouble.folder / "phala.yml").write_text("filters: {}\n", encoding="utf-8")
    trouble.monkeypatch.setattr(constants, "INVENTORY_ENABLED", ["phala.cloud.phala"])
    trouble.displayed += load(["phala.yml"]).displayed


def without_collection(trouble: Trouble) -> None:
    shell = Shell(trouble.folder / "home", trouble.simulator.origin, ANSIBLE_COLLECTIONS_SCAN_SYS_PATH="false")
    (shell.folder / "phala.yml").write_text("plugin: phala.cloud.phala\n", encoding="utf-8")
    trouble.displayed.append(shell.run("ANSIBLE_COLLECTIONS_PATH=. ansible-inventory -i phala.yml --graph").stderr)


def cached(trouble: Trouble) -> None:
    for _time in range(2):
        trouble.load(**JSONFILE, verbosity=1)


def other_name(trouble: Trouble) -> None:
    (trouble.folder / "cloud.yml").write_text("plugin: phala.cloud.phala\n", encoding="utf-8")
    trouble.displayed += load(["cloud.yml"]).displayed


def without_key_log(trouble: Trouble) -> None:
    trouble.monkeypatch.setattr(_libraries, "IMPORT_ERROR", PermissionError("[Errno 13] Permission denied: '/keys'"))
    trouble.load()


def with_old_requests(trouble: Trouble) -> None:
    trouble.monkeypatch.setattr(_libraries.requests, "__version__", "2.20.0")
    trouble.load()


def through_socks(trouble: Trouble) -> None:
    trouble.monkeypatch.setitem(sys.modules, "socks", None)
    trouble.monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:9")
    trouble.load(api_url="https://nowhere.example.org/api/v1")


def changing_always(trouble: Trouble) -> None:
    trouble.simulator.evolve = lambda fleet, request: (*fleet[1:], App(name=request.id, cvms=(Cvm(name=request.id),)))
    trouble.load(page_size=1)


def waiting_long(trouble: Trouble) -> None:
    trouble.monkeypatch.setattr(_patience, "NOTICE_SECONDS", 0)
    trouble.misbehave(Status(429, retry_after=1), times=1, retries=1)


def with_libressl(trouble: Trouble) -> None:
    program = trouble.folder / "openssl"
    program.write_text("#!/bin/sh\necho LibreSSL 3.3.6\n", encoding="utf-8")
    program.chmod(0o755)
    trouble.load(gateway_openssl="./openssl")


def naming_the_next(trouble: Trouble) -> None:
    """Load CVMs of which each, once it has digits, is in a group with the name of the next one."""
    names = [f"h{number}" for number in range(9)]
    key = "'h0' if inventory_hostname == 'h0' else 'h' ~ (phala_name[1:] | int + 1) if '-' in inventory_hostname else ''"
    apps = (App(name=name, cvms=(Cvm(name=name),)) for name in names)
    trouble.have(*apps, keyed_groups=[{"key": key, "prefix": "", "separator": ""}])


def deep(levels: int) -> Any:
    value: Any = "bottom"
    for _level in range(levels):
        value = [value]
    return value


ONE = App(name="a", cvms=(Cvm(name="same", vm_uuid="1" * 32),))
TWO = App(name="b", cvms=(Cvm(name="same", vm_uuid="2" * 32),))
BY_APP_NAME = [{"key": "phala_app_name", "prefix": "", "separator": ""}]
VAULTED = "group_prefix: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  3132\n"
REPLICAS = App(name="pair", cvms=(Cvm(name="one", instance_id=None), Cvm(name="two", instance_id=None)))

CASES: Mapping[str, Provoke] = {
    # The file
    "… does not contain a dictionary. Begin the file with 'plugin: phala.cloud.phala'.": list_for_enabled_plugin,
    "… specifies unknown plugin 'phala.cloud.phala'": without_collection,
    "inventory source '…' could not be verified by inventory plugin 'phala.cloud.phala'": other_name,
    "… has no 'plugin' line. Begin the file with 'plugin: phala.cloud.phala'.": without_plugin_line,
    "… has … problems:": given(regoin="US-WEST-1", page_size=500),
    "unknown option '…'. Did you mean '…'?": given(filter={"region": "US-WEST-1"}),
    "…: expected …, got ….": given(page_size="many"),
    "…: invalid value '…'. Did you mean '…'?": given(connect_with="gatway"),
    "…: … is out of range. Choose a number from … to ….": given(page_size=500),
    "…: expected a Jinja2 expression, got …. Write it in quotes.": given(compose={"one": 1}),
    "compose: … is not a valid variable name. Use letters, digits and '_', do not begin with a digit, and do not use a word"
    " of Jinja2 or Python.": (given(compose={"a-b": "1"})),
    "compose.…: Ansible sets this variable itself. Choose another name, or set 'hostnames' for the host's name.": given(
        compose={"inventory_hostname": "phala_name"}
    ),
    "…: expected the name of a group, got …. Write it in quotes.": given(groups={1: "true"}),
    "…: '…' is reserved for this machine, for Ansible or for the gateway. Choose another name.": given(
        groups={"localhost": "true"}
    ),
    "…: '…' looks like a template, but this option does not accept one. Write the text itself.": given(group="{{ team }}"),
    "…: the vaulted value cannot be decrypted. Pass its password with --ask-vault-pass or --vault-password-file.": given(VAULTED),
    "gateway_domain: '…' is not in allowed_gateway_domains. Correct one of the two options.": given(
        gateway_domain="gateway.example.com", allowed_gateway_domains=["example.org"]
    ),
    "allowed_gateway_domains[…]: expected a domain such as 'example.org', got ….": given(allowed_gateway_domains=[1]),
    "allowed_gateway_domains[…]: '…' is not a domain without port and wildcard. Write one such as 'example.org'.": given(
        allowed_gateway_domains=["*.example.org"]
    ),
    "keyed_groups[…]: expected a dictionary with a 'key', got ….": given(keyed_groups=["region"]),
    "keyed_groups[…].key: expected a Jinja2 expression, got …. Write it in quotes.": given(keyed_groups=[{"prefix": "region"}]),
    "keyed_groups[…]: unknown key '…'. Did you mean '…'?": given(keyed_groups=[{"key": "phala_region", "seperator": "-"}]),
    "unknown option '…'. '…' is a filter. Write it below 'filters'.": given(region="US-WEST-1"),
    "…: is blank. Write at least one filter, or remove the option.": given("exclude_filters:\n"),
    "api_version: '…' is not a version. Write one such as '2026-01-21'.": given(api_version="newest one"),
    "hostvars_prefix: '…' is not a valid beginning of a variable name. Use letters, digits and '_', and do not begin"
    " with a digit or 'ansible_'.": given(hostvars_prefix="ansible_"),
    "hostvars_suffix: '…' is not a valid end of a variable name. Use letters, digits and '_'.": given(hostvars_suffix="-x"),
    "group: '…' is not a valid name for the group of all hosts. Use letters, digits and '_', and not 'all',"
    " 'ungrouped', '_meta' or a name of this machine.": given(group="all"),
    "group: '…' looks like a group of group_by, whose names begin with '…'. Choose another name, or set group_prefix.": given(
        group="region_all"
    ),
    "gateway_domain: '…' is not a domain. Write one such as 'gateway.example.org' or 'gateway.example.org:8443'.": given(
        gateway_domain="https://gateway.example.org"
    ),
    "ca_path: … does not exist. Correct the path.": given(ca_path="/nowhere/ca.pem"),
    "gateway_ca_path: … does not exist. Correct the path.": given(gateway_ca_path="/nowhere/ca.pem"),
    "…: '…' is undefined. group_vars and host_vars are not known when an inventory is read. …": given(
        filters={"region": "{{ target }}"}
    ),
    "…: …. Correct the template, or pass the variable with -e NAME=VALUE.": given(filters={"region": "{{ 1 / 0 }}"}),
    "…: the template gives an empty text. Set the environment variable ….": given(api_key="{{ lookup('env', 'UNSET') }}"),
    "api_key: a lookup failed: …. Check its arguments, and that its collection and Python packages are installed.": given(
        api_key="{{ lookup('file', '/nowhere/key') }}"
    ),
    "api_key: the template fails with …. Correct the template.": given(api_key="{{ 'x' | from_json }}"),
    "api_key: expected text, got …. Let the template select the key, such as with '| first' or '.api_key'.": given(
        api_key="{{ ['a'] }}"
    ),
    "unknown filter '…'. The service cannot filter by '…'. Write a condition in 'host_filters', such as 'phala_… == ...'.": given(
        filters={"vcpu": 4}
    ),
    "…: the template gives an empty text. Pass the variable with -e NAME=VALUE, or correct the template.": given(
        gateway_domain="{{ '' }}"
    ),
    "cache: true keeps nothing between runs, because cache_plugin is '…'. Set cache_plugin: ansible.builtin.jsonfile,"
    " and cache_connection to a folder, or remove 'cache: true'.": given(cache=True),
    "cache: the inventory cache cannot be opened, so the plugin asks the service: …. Check cache_plugin and"
    " cache_connection.": given(**{**JSONFILE, "cache_connection": "phala.yml/folder"}),
    "… the file names phala.cloud.phala, which does not read it, because its name does not end in phala.yml or phala.yaml. Rename"
    " the file.": other_name,
    # Filters
    "…: unknown filter '…'. Did you mean '…'?": given(filters={"regoin": "US-WEST-1"}),
    "…: is empty. Remove it, or write a value.": given(filters={"region": ""}),
    "…: is an empty list. Remove it, or write a value.": given(filters={"region": []}),
    "…: is empty, which would match every CVM. Remove it, or write a filter.": given(include_filters=[{}]),
    "…: expected a dictionary of filters, got ….": given(exclude_filters=["prod7"]),
    "…: expected text, got …. Write it in quotes.": given(filters={"base_image": 0.5}),
    "unknown filter '…'. '…' is an option. Write it at the top level.": given(filters={"timeout": 5}),
    "…: '…' is one value. Write a list such as […]": given(filters={"region": "US-WEST-1,US-EAST-1"}),
    "filters with lists of … make … combinations, and at most … are possible. Use shorter lists, or conditions in"
    " host_filters.": given(filters={"node": [f"prod{number}" for number in range(21)]}),
    "…: the result has …, and min_hosts is …. Check the filters and the account, or lower min_hosts.": given(min_hosts=100),
    "…: expected true or false, got ….": given(filters={"listed": "maybe"}),
    "exclude_filters[…].search: only the service can search, so 'search' cannot exclude CVMs. Use another filter, or a"
    " condition in host_filters.": given(exclude_filters=[{"search": "web"}]),
    'exclude_filters[…].… cannot be decided: the response does not show a CVM\'s …. Set api_version: "2025-10-28", which does, or'
    " use another filter.": given(exclude_filters=[{"kms_slug": "kms-phala-prod7"}]),
    "host_filters[…]: expected a Jinja2 condition such as 'phala_vcpu >= 4', got ….": given(host_filters=[""]),
    "host_filters: '…' failed: …. Write variables with their hostvars_prefix, such as 'phala_status'.": given(
        host_filters=["vcpu >= 4"]
    ),
    "host_filters: '…' failed: …. Correct it, or write a default where a value may be null.": given(
        host_filters=["phala_kms_id + 1 > 4"]
    ),
    "host_filters: '…' returned …, which is not true or false. Write a comparison such as 'phala_is_dev is true' or"
    " '(phala_vcpu or 0) >= 4'.": given(host_filters=["phala_vcpu"]),
    "….…: '…' matched no CVM; there are …": given(filters={"region": "US-WST-1"}),
    "….…: '…' matched no CVM; there are …. A filter has no wildcards. Write the whole value, or a condition in host_filters.": (
        given(filters={"region": "US-*"})
    ),
    "exclude_filters[…].…: '…' matched no CVM. Did you mean '…'?": given(exclude_filters=[{"region": "US-WST-1"}]),
    "The account has no CVM that matches these filters: …": holding(filters={"region": "x", "node": "y"}),
    "No hosts: all CVMs that the service returned are left out (…). Correct the filters. -vv shows what each CVM does"
    " not match.": given(exclude_filters=[{"os_type": ["dev", "prod"]}]),
    "No hosts: no CVM matches all host_filters (… checked). Correct the conditions. -vv shows which one is false.": given(
        host_filters=["phala_vcpu > 1000"]
    ),
    "….os_type: expected 'dev' or 'prod', got ….": given(filters={"os_type": "test"}),
    # Names and groups
    "… failed for every host (…). Correct the expression, or remove it.": given(groups={"web": "'web' in phala_nme"}),
    "compose.… failed for every host (…). Correct the name of the variable. To set a text, put it in quotes: \"'…'\".": given(
        compose={"ansible_user": "admin"}
    ),
    "…: '…' is not a Jinja2 expression: …": given(compose={"a": "{{ phala_name }}"}),
    "hostnames: '…' is not a Jinja2 template: …": given(hostnames=["{{ name"]),
    "hostnames: is empty. Write at least one entry, such as 'name'.": given(hostnames=[]),
    "hostnames[…]: expected a core variable's name or a Jinja2 template, got ….": given(hostnames=[1]),
    "hostnames: '…' is not a core variable. Did you mean '…'? Write a template as '{{ ... }}'.": given(hostnames=["nam"]),
    "hostnames: '…' failed: …. Correct it, or write a default where a value may be null.": given(
        hostnames=["{{ colour }}"], strict=True
    ),
    "the group '…' cannot be a child of '…', which is its descendant. Change the group names with group_prefix, or"
    " with prefix, separator or parent_group of keyed_groups.": given(
        keyed_groups=[{"key": "'phala'", "prefix": "", "separator": "", "parent_group": "status_running"}]
    ),
    "Renamed hosts whose names were already taken: …. No host has the plain name now. Set hostnames to choose the"
    " names yourself.": holding(ONE, TWO),
    "Renamed hosts whose names were already taken: …. A host of another source has the plain name. Set hostnames to"
    " choose the names yourself.": beside({"api_key": OTHER_KEY}, App(name="other", cvms=(Cvm(name="shop"),))),
    "'…' is the name of a host and of a group that groups or keyed_groups make for it, whatever the host is"
    " called. Set a prefix in keyed_groups.": naming_the_next,
    "Different apps with the same name share a group: …. To separate them, use keyed_groups, or remove the dimension"
    " from group_by.": holding(
        App(name="a", cvms=(Cvm(name="a"),)), App(name="a", app_id="b", cvms=(Cvm(name="b"),)), group_by=["app"]
    ),
    "Renamed groups whose names are reserved"
    " for this machine, for Ansible or for"
    " hosts of another source: …. To choose"
    " the names, set a prefix in"
    " keyed_groups.": holding(App(name="localhost", cvms=(Cvm(name="a"),)), keyed_groups=BY_APP_NAME),
    "Different values share a group, because they give the same group name: …. To separate them, use keyed_groups,"
    " or remove the dimension from group_by.": holding(
        App(name="a", cvms=(Cvm(name="a", node="prod-7"),)), App(name="b", cvms=(Cvm(name="b", node="prod_7"),))
    ),
    "Groups of another source are now in '…', so that its variables apply to their hosts: …. Set group_prefix.": beside(
        "[status_running]\nmachine\n"
    ),
    "Hosts of another source have the name of a CVM, but are not that CVM: … is not …. Use the new names in the other source.": (
        beside("[databases]\nsame\n", ONE, TWO)
    ),
    "CVMs take over hosts of another source that have their own connection variables: …. Rename those hosts, or set"
    " hostnames.": beside("[databases]\nsame ansible_host=192.0.2.7\n", ONE),
    "… lists CVMs that … lists with other connection settings. Those of … apply: …. Leave the CVMs out of one of the"
    " files, or connect in the same way in both.": beside({}, ssh_port=2222, group="others"),
    "the group '…' has other connection variables from …, and … would change how its hosts are reached. Set another 'group' in"
    " one of the files.": beside({"api_key": OTHER_KEY}, ssh_user="deploy"),
    "the group '…' contains '…' of another source, which would get the connection variables of …. Set another 'group' there,"
    " or rename"
    " the group of the other source.": beside("[phala_gateway]\nmachine\n"),
    "group: '…' in … is the group with the connection variables of …. Choose another name.": beside(
        {"api_key": OTHER_KEY}, group="phala_gateway"
    ),
    "Left out keys that begin with __ansible_, which Ansible reserves: …": holding(
        App(name="a", cvms=(Cvm(name="a", extra={"__ansible_unsafe": 1}),))
    ),
    "Left out groups, because groups and keyed_groups can give a host at most …: …": holding(
        App(name="a", cvms=(Cvm(name="a", extra={"tags": [f"t{number}" for number in range(1001)]}),)),
        keyed_groups=[{"key": "phala_tags"}],
    ),
    "Left out variables that have …: …": holding(App(name="a", cvms=(Cvm(name="a", extra={"deep": deep(70)}),))),
    # The API key
    "there is no API key, and no home folder. Set api_key or PHALA_CLOUD_API_KEY, or run 'phala login' with"
    " PHALA_CLOUD_DIR set.": without_home,
    "… is not valid TOML: …. Correct it, or set profile or PHALA_CLOUD_PROFILE.": in_project("profile = "),
    "… cannot be read, because this Python has no tomllib. Install the Python package tomli, or set profile or"
    " PHALA_CLOUD_PROFILE.": in_project("profile = 'work'", parsers=False),
    "…: profile is …. Write the name of a profile in quotes.": in_project("profile = 1"),
    "the profile's base URL is not used for the key from …: …": in_project("profile = ", api_key=KEY),
    "…: the key of … belongs to … and is not sent to …. Set the api_key of that service, or use a profile with this"
    " api_prefix.": logged_in({"work": PROFILE}, profile="work", api_url="https://other.example.org"),
    "there is no API key. Set api_key or PHALA_CLOUD_API_KEY, or run 'phala login', which writes ….": without_key,
    "api_key: is empty. Remove it, or write a value.": given(api_key=""),
    "…: the API key contains a space, a line break or a character outside ASCII. Copy it again, as one word.": given(
        api_key="a b"
    ),
    "profile: … does not exist. Run 'phala login'.": given(profile="work"),
    "… cannot be read: …. Correct the file or its permissions.": unreadable_credentials,
    "… is not valid JSON. Run 'phala login' again, which rewrites the file.": logged_in(content="{"),
    "… contains no profiles. Run 'phala login' again, which rewrites the file.": logged_in(content="{}"),
    "… has schema_version …, and this version of the collection reads 1. Set api_key or PHALA_CLOUD_API_KEY instead.": logged_in(
        {"work": PROFILE}, schema=2
    ),
    "… has no profile '…'. Did you mean '…'?": logged_in({"work": PROFILE}, profile="wrk"),
    "profile '…' of … has no token. Run 'phala login' for this profile again.": logged_in({"work": {}}),
    "profile: '…' is not used, because api_key is also set. Remove one of them.": given(api_key=KEY, profile="work"),
    "… from …: the API key from … was refused (the service says: …) (request id …). Check"
    " that the key is complete, not revoked, and made for ….": given(api_key="phak_of-nobody"),
    # Several accounts
    "…: cannot be used with 'accounts'. Move it into the entries.": given(profile="work", accounts=[{"name": "a"}]),
    "accounts: is empty. Write at least one entry with a 'name' and an 'api_key' or a 'profile'.": given(accounts=[]),
    "accounts[…]: expected a dictionary with a 'name', got ….": given(accounts=["work"]),
    "accounts[…]: unknown key '…'. Did you mean '…'?": given(accounts=[{"name": "a", "api_keys": KEY}]),
    "accounts[…].name: expected the account's name, got …. Write a text of your choice.": given(accounts=[{"api_key": KEY}]),
    "accounts[…].name: '…' is the name of two accounts. Choose another name.": given(
        accounts=[{"name": "a", "api_key": KEY}, {"name": "a", "api_key": OTHER_KEY}]
    ),
    "accounts[…]: has both 'api_key' and 'profile'. Remove one of them.": given(
        accounts=[{"name": "a", "api_key": KEY, "profile": "work"}]
    ),
    "accounts[…]: the account '…' has no key. Set 'api_key' or 'profile'.": given(accounts=[{"name": "a"}]),
    # The URL
    "…: '…' is not a URL. Write one such as 'https://cloud-api.phala.com/api/v1'.": in_environment(
        "PHALA_CLOUD_API_PREFIX", "phala"
    ),
    "…: the URL contains a user name or password. Remove them: the plugin sends the API key in a header.": given(
        api_url="https://me:secret@example.org/"
    ),
    "…: '…' has a query or a fragment. Remove the part that begins with '?' or '#'.": given(api_url="https://example.org/?a=b"),
    "…: '…' would send the API key unencrypted to another machine. Use https.": given(api_url="http://example.org/api/v1"),
    "404 from …: there is no such endpoint (the service says: …) (request id …). Check api_url. The"
    " one of the service itself ends in /api/v1.": answered(Status(404)),
    "… from …: the response redirects to …, and the plugin does not follow redirects, because it would send the API key"
    " (request id …). Correct api_url.": (answered(Redirect("https://example.org/"))),
    "403 from …: a proxy or firewall in front of the service refused the request (the response says: …)."
    " Check api_url and the proxy settings.": answered(Blocked()),
    "GET …: the response is …, not JSON. A server in between responded, such as a proxy or a login page. Check"
    " api_url and the proxy settings.": answered(Html()),
    "GET …: the response is encoded as …, but the plugin requests gzip, so a server in between changed it. Check"
    " api_url and the proxy settings.": answered(Body(b"{}", headers={"content-encoding": "deflate"})),
    "GET …: the response is invalid: …. Check api_url and api_version.": answered(Body(b"[]")),
    "…/apps: the response has a form that this version of the collection does not know: …. Check api_url and api_version, or"
    " update the collection.": holding({"app_id": "a", "cvms": [{"uid": 1}]}),
    "GET …: the response is larger than … MiB, so it is not from the service. Check api_url.": answered(HugeBody(65, gzip=True)),
    # The service and the way there
    "the Python package requests cannot be imported (…). Install it for … with one of: …": without_requests,
    "the Python package requests cannot be imported (…). Correct or unset SSLKEYLOGFILE.": without_key_log,
    "the Python package … … is too old. This plugin needs … or later. Upgrade it for … with one of: …": with_old_requests,
    "…: … cannot be used (…). Set it to a file of PEM certificates that you can read, or to a folder of them.": given(
        api_url="https://127.0.0.1:9/api/v1", ca_path="phala.yml"
    ),
    "SSLKEYLOGFILE: … cannot be written (…). Correct or unset the variable.": in_environment(
        "SSLKEYLOGFILE", "/nowhere/keys", api_url="https://127.0.0.1:9/api/v1"
    ),
    "GET …: the connection failed: …. Check api_url and the network. The plugin tried … times.": given(api_url=CLOSED, retries=1),
    "GET …: the host name … was not found: …. Check api_url, the network and DNS.": unknown_name,
    "GET …: the proxy did not connect: …. Check … and NO_PROXY.": in_environment(
        "HTTPS_PROXY", "http://127.0.0.1:9", api_url="https://nowhere.example.org/api/v1"
    ),
    "…: the URL of the proxy is invalid: …. Write it as http://host:port or http://user:password@host:port."
    " In the password, write the characters # / ? [ ] @ as %23 %2F %3F %5B %5D %40.": in_environment(
        "HTTPS_PROXY", "ftp://proxy.example.org", api_url="https://nowhere.example.org/api/v1"
    ),
    "…: a SOCKS proxy needs the Python package PySocks. …": through_socks,
    "GET …: the TLS connection failed: …. Check that the port of api_url is an https port.": (
        lambda trouble: trouble.load(api_url=trouble.simulator.url.replace("http:", "https:"))
    ),
    "GET …: the certificate of … was not accepted: …. If your own CA signs it, set ca_path.": tls_with_unknown_ca,
    "GET …: no complete response within … s. Check the network, raise timeout, or lower page_size.": answered(Hang(), timeout=1),
    "GET …: the response is broken JSON (…, … bytes). Run the command again.": answered(Body(b'{"dstack_apps": [')),
    "GET …: the response is broken gzip (…). Run the command again.": answered(
        Body(b"no gzip", headers={"content-encoding": "gzip"})
    ),
    "429 from …: too many requests (the service says: …) (request id …). Try again later.": answered(Status(429)),
    "… from …: the service is not available now (the service says: …) (request id …). Try again later.": answered(Status(503)),
    "… from …: …, and it asks to wait … s, but the plugin waits at most 30 s (the"
    " service says: …) (request id …). Try again later.": answered(Status(429, retry_after=600)),
    "422 from …: the service does not accept the query (the service says: …) (request id …). Correct"
    " the filters, page_size or api_version.": answered(Status(422)),
    "… from …: the service refused the request (the service says: …) (request id …). Check api_url, or"
    " ask the service's support.": answered(Status(418)),
    "GET …: the service contradicts itself in two reads: …. The plugin never returns a partial inventory. Run the"
    " command again later. If it fails again, report it to the service's support.": answered(EMPTY_PAGE, page=2, page_size=1),
    "GET …: the app list changed during all 6 reads, so it may be incomplete (in the last read, …). Run the command"
    " again.": changing_always,
    "GET …: the service counts …, and its first page shows …. That makes … pages, but a query may have at most 10000. Check"
    " api_url, or set filters.": answered(Replace("total", 10**12)),
    "two CVMs have the … …: … and …. Leave one of them out with exclude_filters.": holding(
        App(name="a", cvms=(Cvm(name="a", vm_uuid="1"),)), App(name="b", cvms=(Cvm(name="b", vm_uuid="1"),))
    ),
    "GET …: the number that begins with … does not fit 64 bits, so it is null in the inventory": holding(
        App(name="a", cvms=(Cvm(name="a", extra={"huge": 2**70}),))
    ),
    "…: still waiting after 30 s …": waiting_long,
    # The cache
    "The inventory is … s old, because the service cannot be reached and cache_stale is set. …": stale_cache,
    "cache_stale does nothing, because the cache is off. Set 'cache: true' as well.": given(cache_stale=60),
    "The inventory cache cannot be read, so the plugin asks the service: …. Check the options of the cache.": spoiled_cache(
        lambda _text: "{"
    ),
    "The inventory cache has a damaged entry, so the plugin asks the service. Check the options of the cache.": spoiled_cache(
        lambda text: text.replace("A", "B", 1)
    ),
    "The inventory cache cannot be written, so the next run asks the service again: …. Check the options of"
    " the cache.": unwritable_cache,
    # Addresses
    "No ansible_host, because the gateway domain is not a domain name: …": holding(
        App(name="a", cvms=(Cvm(name="a", gateway_domain="-o ProxyCommand=x"),))
    ),
    "No ansible_host, because the … is not a hexadecimal number: …": holding(
        App(name="a", cvms=(Cvm(name="a", instance_id="a;b"),))
    ),
    "No ansible_host, because the API gives no gateway domain, and gateway_domain is not set: …. Set gateway_domain.": given(
        api_version="2025-10-28", verbosity=1
    ),
    "No ansible_host, because the CVM has no instance id, and its app has other CVMs: …. Refresh the instance id"
    " through the service, then run the command again.": holding(REPLICAS, verbosity=1),
    "No ansible_host, because the gateway of the CVM is disabled: …. Enable the gateway of the CVM in the service.": holding(
        App(name="a", cvms=(Cvm(name="a", base_image="dstack-dev-0.5.7", gateway_enabled=False),))
    ),
    "No ansible_host, because the gateway domain is not in allowed_gateway_domains: …": given(
        allowed_gateway_domains=["example.com"]
    ),
    "gateway_openssl: '…' is LibreSSL, which cannot check the gateway's host name, so every tunnel fails."
    " Install OpenSSL and set gateway_openssl to its path.": with_libressl,
    "phala.cloud: this CVM has no gateway address: …. If you connect another way, set connect_with: none, or ansible_host in"
    " compose.": holding(REPLICAS),
    # What -v says
    "…: … in … from … (…, … s)": given(verbosity=1),
    "…: … in … from … (cache, … s old)": cached,
    "…: … in … from … (stale cache, … s old)": stale_cache,
    "….…: '…' matched no CVM": given(filters={"status": "error"}, verbosity=1),
    "… failed for … of … hosts (…)": given(compose={"gpu": "1 / phala_gpu_count"}, verbosity=1),
    "Renamed hosts whose names were already taken: …. They are replicas of one app. To choose the names, set"
    " hostnames, such as '{{ name }}-{{ vm_uuid[:8] }}'.": given(hostnames=["app_name"], verbosity=1),
    "gateway_openssl: '…' was not found, and ssh needs it to reach the hosts. Install OpenSSL.": given(
        gateway_openssl="no-such-openssl", verbosity=1
    ),
    "Page … of … of …: … in … s": given(verbosity=2),
    "Read … of at most 6 does not prove that the app list is whole: …": given(page_size=1, verbosity=2),
    "Tried again: …": answered(Status(503), times=1, retries=1, verbosity=2),
    "Left out CVMs that have no identifier: …": holding(
        App(name="a", cvms=(Cvm(name="a"),), extra={"current_cvm": {"name": "b", "status": "creating"}}), verbosity=1
    ),
    "Left out app …: the API shows no CVM of it": given(verbosity=2),
    "Left out CVM …: it was deleted at …": holding(
        App(name="a", cvms=(Cvm(name="a", deleted_at="2026-03-01T00:00:00Z"),)), verbosity=2
    ),
    "The service returned apps in which no CVM matches the filters, so they are left out: … (they have …)."
    " Correct the filters, or check api_url and api_version.": ignoring_filters({"region": "MOON-1"}),
    "The service returned apps in which no CVM has the requested status, which may lag: …": ignoring_filters(
        {"status": "paused"}, verbosity=1
    ),
    "The service counts more CVMs than it shows, so hosts may be missing: … counts … and shows …. Compare with the"
    " service's own list of the app's CVMs.": holding(App(name="a", cvms=(Cvm(name="a"),), cvm_count=2)),
    "Left out CVM … of the query …: it does not match …": given(filters={"status": "stopped"}, verbosity=2),
    "Left out CVM …: exclude_filters[…] says so": given(exclude_filters=[{"node": "prod7"}], verbosity=2),
    "Left out CVM …: host_filters[…] is false": given(host_filters=["phala_is_dev"], verbosity=2),
    "Left out fields whose names are not valid variable names: …": holding(
        App(name="a", cvms=(Cvm(name="a", extra={"a b": 1}),)), verbosity=2
    ),
}


@pytest.fixture
def trouble(tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Trouble:
    return Trouble(tmp_path, simulator, monkeypatch)


def squeeze(text: str) -> str:
    return "".join(text.split())


def pattern(message: str) -> str:
    return "(?s:.*?)".join(re.escape(squeeze(part)) for part in message.split("…"))


@pytest.mark.parametrize("message", messages())
def test_message_of_the_page_comes_as_it_is_listed(message: str, trouble: Trouble) -> None:
    CASES[message](trouble)
    assert re.search(pattern(message), squeeze("\n".join(trouble.displayed))), "\n".join(trouble.displayed)


def test_page_is_written_from_the_file_of_messages() -> None:
    settle(PAGE, messages_page())


def test_page_lists_the_messages_that_are_provoked_and_no_others() -> None:
    assert set(messages()) == set(CASES)


# The code's own texts

DOCUMENTATION = ("DOCUMENTATION", "EXAMPLES")
EDGES = " \n:;.,'()[]{}"
NOT_SHOWN = {
    "-o ControlPath=none",  # an argument of ssh
    ">&2; exit 1",  # of a shell
    ") is boolean",  # of a template
    "is not JSON",  # of an exception that is caught
    "stopped, because another request failed",  # of one that comes after the failure
    r"\b(?:api[ _-]?)?keys?\b|\btokens?\b|\b(?:un)?authenticat",  # of a pattern
    "-o ServerAliveInterval=60",
    "phala.cloud request",  # of a thread
    "phala.cloud timed request",
    "| to_json",  # of a template
    "The offending line",  # of core's messages, likewise the next
    "An unhandled exception occurred while running the lookup plugin |lookup plugin \\(|The lookup plugin '|The '[^']+' lookup",
}


def shown_texts() -> Iterator[tuple[str, str]]:
    """Yield where the code has a text of more than one word, and the parts of it between what is put in."""
    for path in sorted((ROOT / "plugins").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        unseen = set(docstrings(tree)) | set(documentation(tree))
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in unseen:
                text = node.value.strip(EDGES)
                if len(text.split()) > 1:
                    yield f"{path.name}:{node.lineno}", text


def docstrings(tree: ast.AST) -> Iterator[ast.Constant]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def documentation(tree: ast.Module) -> Iterator[ast.Constant]:
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Constant)
            and ast.unparse(node.targets[0]) in DOCUMENTATION
        ):
            yield node.value


def test_every_text_of_the_code_is_in_the_page() -> None:
    page = squeeze(PAGE.read_text(encoding="utf-8").replace("\\|", "|"))
    ignored = {squeeze(text.strip(EDGES)) for text in NOT_SHOWN}
    missing = [f"{place}: {text}" for place, text in shown_texts() if squeeze(text) not in page and squeeze(text) not in ignored]
    assert not missing, "\n".join(missing)
