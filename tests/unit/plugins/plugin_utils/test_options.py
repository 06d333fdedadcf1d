# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options, read by the real plugin from a real file."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible.plugins.loader import inventory_loader

from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level
from ansible_collections.phala.cloud.plugins.plugin_utils._options import read_settings
from ansible_collections.phala.cloud.plugins.plugin_utils._redaction import Mask
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import (
    Account,
    ApiSettings,
    CacheSettings,
    ConstructedSettings,
    GatewaySettings,
    Settings,
)

KEY = "phak_of-the-environment"
DEFAULT_URL = "https://cloud-api.phala.com/api/v1"
FLAT_VERSION = "2025-10-28"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set a key in the environment, and a home where nobody has logged in."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PHALA_CLOUD_API_KEY", KEY)
    return tmp_path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "phala.yml"


@pytest.fixture
def read(path: Path) -> Callable[..., Settings]:
    """Return a function that reads a source's settings."""

    def read_source(source: str | Mapping[str, Any], *, extra_vars: Mapping[str, Any] | None = None) -> Settings:
        text = source if isinstance(source, str) else yaml.safe_dump({"plugin": "phala.cloud.phala", **source})
        path.write_text(text, encoding="utf-8")
        plugin = inventory_loader.get("phala.cloud.phala")
        BaseInventoryPlugin.parse(plugin, InventoryData(), DataLoader(), str(path))
        plugin._vars = dict(extra_vars or {})
        return read_settings(plugin, str(path))

    return read_source


@pytest.fixture
def problems(read: Callable[..., Settings]) -> Callable[..., list[str]]:
    """Return a function that reads settings which must not be good, and gives the problems that were told."""

    def read_badly(source: str | Mapping[str, Any], **options: Any) -> list[str]:
        with pytest.raises(AnsibleParserError) as caught:
            read(source, **options)
        first, *numbered = str(caught.value).splitlines()
        if not numbered:
            return [first.partition(": ")[2]]
        assert first.endswith(f" has {len(numbered)} problems:")
        return [line.partition(" ")[2] for line in numbered]

    return read_badly


def log_in(home: Path, **profiles: Mapping[str, Any]) -> Path:
    """Write a credentials file whose first profile is the current one."""
    file = home / ".phala-cloud" / "credentials.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"schema_version": 1, "current_profile": next(iter(profiles)), "profiles": profiles}))
    return file


def account(settings: Settings) -> Account:
    (only,) = settings.accounts
    return only


def setting_of(settings: Settings, name: str) -> Any:
    """Return a setting by its dotted name; ``account`` is the only account."""
    owner: Any = account(settings) if name.startswith("account.") else settings
    return attrgetter(name.removeprefix("account."))(owner)


def test_defaults(read: Callable[..., Settings], path: Path) -> None:
    settings = read({})
    assert settings == Settings(
        path=str(path),
        accounts=(Account(name="", url=DEFAULT_URL, key=KEY, key_source="PHALA_CLOUD_API_KEY"),),
        api=ApiSettings(
            version="2026-06-23",
            timeout=30,
            retries=5,
            verify=True,
            page_size=100,
            concurrency=8,
        ),
        cache=CacheSettings(enabled=False, timeout=3600, stale=0),
        entries=(),
        queries=({},),
        excludes=(),
        min_hosts=0,
        host_filters=(),
        hostnames=("name", "instance_id", "vm_uuid", "app_id"),
        prefix="phala_",
        suffix="",
        group="phala",
        group_by=("region", "node", "base_image", "status"),
        group_prefix="",
        gateway=GatewaySettings(
            domain=None,
            port=443,
            validate_certs=True,
            ca_path=None,
            openssl="openssl",
            allowed_domains=(),
            ssh_port=22,
            ssh_user="root",
        ),
        reach=settings.reach,
        constructed=ConstructedSettings(strict=False, compose={}, groups={}, keyed_groups=[]),
        mask=settings.mask,
        diagnostics=(),
    )


@pytest.mark.parametrize(
    ("options", "setting", "value"),
    [
        ({"api_key": "phak_of-the-file"}, "account.key", "phak_of-the-file"),
        ({"api_url": "https://phala.example.org/api/v1"}, "account.url", "https://phala.example.org/api/v1"),
        ({"api_url": "https://phala.example.org/api/v1//"}, "account.url", "https://phala.example.org/api/v1"),
        ({"api_url": "http://127.0.0.1:8080/v1"}, "account.url", "http://127.0.0.1:8080/v1"),
        ({"api_url": "http://localhost/v1"}, "account.url", "http://localhost/v1"),
        ({"api_url": "http://[::1]:8080/v1"}, "account.url", "http://[::1]:8080/v1"),
        ({"api_version": "aZ-0.9"}, "api.version", "aZ-0.9"),
        ({"timeout": 5}, "api.timeout", 5),
        ({"timeout": "5"}, "api.timeout", 5),
        ({"retries": 0}, "api.retries", 0),
        ({"validate_certs": False}, "api.verify", False),
        ({"validate_certs": "no"}, "api.verify", False),
        ({"ca_path": "/dev/null"}, "api.verify", "/dev/null"),
        ({"ca_path": "/dev/null", "validate_certs": False}, "api.verify", False),
        ({"page_size": 1}, "api.page_size", 1),
        ({"page_size": 100}, "api.page_size", 100),
        ({"concurrency": 1}, "api.concurrency", 1),
        ({"concurrency": 32}, "api.concurrency", 32),
        ({"hostnames": ["vm_uuid"]}, "hostnames", ("vm_uuid",)),
        ({"hostnames": ["phala_vm_uuid", "name"]}, "hostnames", ("vm_uuid", "name")),
        ({"hostnames": "{{ name }}, {{ region }}"}, "hostnames", ("{{ name }}, {{ region }}",)),
        ({"hostvars_prefix": "Cvm_a0_", "hostnames": ["Cvm_a0_name"]}, "prefix", "Cvm_a0_"),
        ({"hostvars_prefix": ""}, "prefix", ""),
        ({"hostvars_prefix": None}, "prefix", "phala_"),
        ({"hostvars_suffix": "_aZ1"}, "suffix", "_aZ1"),
        ({"group": "cvms"}, "group", "cvms"),
        ({"group": "region"}, "group", "region"),
        ({"group": "app_x"}, "group", "app_x"),
        ({"group_by": []}, "group_by", ()),
        ({"group_by": ["os_type", "app", "os_type"]}, "group_by", ("os_type", "app")),
        ({"group_prefix": "cloud_"}, "group_prefix", "cloud_"),
        ({"connect_with": "none"}, "gateway", None),
        ({"connect_with": "none", "ssh_port": 2222}, "reach.ssh_port", 2222),
        ({"gateway_domain": "gw.example.org:8443"}, "gateway.domain", "gw.example.org:8443"),
        (
            {"gateway_domain": "gw.example.org:1", "allowed_gateway_domains": ["Example.org", "b.org"]},
            "gateway.allowed_domains",
            ("example.org", "b.org"),
        ),
        ({"gateway_openssl": "openssl3"}, "gateway.openssl", "openssl3"),
        ({"gateway_openssl": "/bin/openssl3"}, "gateway.openssl", "/bin/openssl3"),
        ({"gateway_port": 8443}, "gateway.port", 8443),
        ({"gateway_validate_certs": False}, "gateway.validate_certs", False),
        ({"gateway_ca_path": "/dev/null"}, "gateway.ca_path", "/dev/null"),
        ({"ssh_port": 2222}, "gateway.ssh_port", 2222),
        ({"ssh_user": ""}, "gateway.ssh_user", ""),
        ({"ssh_user": "admin"}, "gateway.ssh_user", "admin"),
        ({"strict": True}, "constructed.strict", True),
        ({"compose": {"a": "b"}}, "constructed.compose", {"a": "b"}),
        ({"groups": {"a": "b"}}, "constructed.groups", {"a": "b"}),
        ({"keyed_groups": [{"key": "a"}]}, "constructed.keyed_groups", [{"key": "a"}]),
        (
            {"keyed_groups": [{"key": "a", "parent_group": "all"}]},
            "constructed.keyed_groups",
            [{"key": "a", "parent_group": "all"}],
        ),
        ({"cache": True}, "cache", CacheSettings(enabled=True, timeout=3600, stale=0)),
        ({"cache": True, "cache_timeout": 10, "cache_stale": 99}, "cache", CacheSettings(enabled=True, timeout=10, stale=99)),
        ({"host_filters": ["a", "b"]}, "host_filters", ("a", "b")),
        ({"host_filters": "a in [1, 2]"}, "host_filters", ("a in [1, 2]",)),
        ({"filters": {}}, "queries", ({},)),
        ({"filters": {"node": 7}}, "queries", ({"node": ("7",)},)),
        ({"exclude_filters": [{"kms_slug": "a"}]}, "excludes", ({"kms_slug": ("a",)},)),
        (
            {"exclude_filters": [{"node": [7, "7", "8"], "listed": False}]},
            "excludes",
            ({"listed": ("false",), "node": ("7", "8")},),
        ),
    ],
    ids=str,
)
def test_option_becomes_a_setting(options: dict[str, Any], setting: str, value: Any, read: Callable[..., Settings]) -> None:
    assert setting_of(read(options), setting) == value


@pytest.mark.parametrize("version", ["2026-01-21", FLAT_VERSION])
@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_api_version_may_be_written_without_quotes(version: str, quote: str, read: Callable[..., Settings]) -> None:
    assert read(f"plugin: phala.cloud.phala\napi_version: {quote}{version}{quote}\n").api.version == version


@pytest.mark.parametrize(
    ("text", "setting", "value"),
    [
        ("ssh_user: 0x1f", "gateway.ssh_user", "0x1f"),
        ("host_filters: [1_000]", "host_filters", ("1_000",)),
        ("filters: {node: 0x1f}", "queries", ({"node": ("0x1f",)},)),
        ("include_filters: [{node: 0x1f}]", "queries", ({"node": ("0x1f",)},)),
        ("exclude_filters: [{node: 0x1f}]", "excludes", ({"node": ("0x1f",)},)),
        ("timeout: 0x1f", "api.timeout", 31),
    ],
)
def test_number_of_a_text_option_is_used_as_it_is_written(
    text: str, setting: str, value: Any, read: Callable[..., Settings]
) -> None:
    assert setting_of(read(f"plugin: phala.cloud.phala\n{text}\n"), setting) == value


def test_path_of_openssl_is_relative_to_the_file(read: Callable[..., Settings], home: Path) -> None:
    for written, path in (("bin/openssl", home / "bin/openssl"), ("~/openssl", home / "openssl")):
        assert setting_of(read({"gateway_openssl": written}), "gateway.openssl") == str(path)


# The key and the URL


TWO_ACCOUNTS: Mapping[str, Any] = {
    "accounts": [{"name": "a", "api_key": "key-of-account-a"}, {"name": "b", "api_key": "{{ key }}"}]
}


@pytest.mark.parametrize("url", [None, "https://phala.example.org/v1"])
def test_accounts_have_their_keys_and_the_url_of_the_environment(
    url: str | None, read: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHALA_CLOUD_API_PREFIX", url or "")
    settings = read(TWO_ACCOUNTS, extra_vars={"key": "key-of-account-b"})
    assert settings.accounts == (
        Account("a", url or DEFAULT_URL, "key-of-account-a", "accounts[0].api_key"),
        Account("b", url or DEFAULT_URL, "key-of-account-b", "accounts[1].api_key"),
    )
    assert settings.diagnostics == ()


def test_key_is_masked_wherever_it_was_seen(read: Callable[..., Settings], problems: Callable[..., list[str]]) -> None:
    seen = [KEY, "key-of-account-a", "key-of-account-b"]
    extra_vars = {"key": seen[-1]}
    assert not [key for key in seen if key in read(TWO_ACCOUNTS, extra_vars=extra_vars).mask(" ".join(seen))]
    assert read({}).mask("None XXXX") == "None XXXX"  # what stands for a missing one
    seen += ["key-of-account-c", "key-of-the-file"]
    options = {
        "accounts": [*TWO_ACCOUNTS["accounts"], None, {"name": "c", "api_key": "key-of-account-c", "profile": "c"}],
        "api_key": "key-of-the-file",
        "group": " ".join(seen),
    }
    found = problems(options, extra_vars=extra_vars)
    assert [problem.split(":")[0] for problem in found] == ["api_key", "accounts[2]", "accounts[3]", "group"]
    assert not [key for key in seen if key in " ".join(found)]


@pytest.mark.parametrize(("accounts", "named"), [("a", "accounts"), ([None], "accounts[0]"), ([{"name": "a"}], "accounts[0]")])
def test_accounts_that_cannot_be_used_are_named(accounts: Any, named: str, problems: Callable[..., list[str]]) -> None:
    (problem,) = problems({"accounts": accounts})
    assert problem.startswith(f"{named}: ")


def test_url_of_the_environment(read: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHALA_CLOUD_API_PREFIX", "https://phala.example.org/api/v1/")
    assert account(read({})).url == "https://phala.example.org/api/v1"


def test_url_of_the_file_goes_before_that_of_the_environment(
    read: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHALA_CLOUD_API_PREFIX", "https://phala.example.org/api/v1")
    assert account(read({"api_url": "https://other.example.org"})).url == "https://other.example.org"


@pytest.mark.parametrize("value", ["", "  "])
def test_empty_variables_of_the_environment_count_as_unset(
    value: str, read: Callable[..., Settings], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(home, me={"token": "phak_me"})
    monkeypatch.setenv("PHALA_CLOUD_API_KEY", "")
    monkeypatch.setenv("PHALA_CLOUD_API_PREFIX", "")
    monkeypatch.setenv("PHALA_CLOUD_DIR", value)
    used = account(read({}))
    assert (used.key, used.url) == ("phak_me", DEFAULT_URL)


UNMASKED = Mask(())
PROFILES: Mapping[str, Mapping[str, Any]] = {
    "me": {"token": "phak_me"},
    "work": {
        "token": "phak_work",
        "api_prefix": "https://work.example.org/v1",
        "workspace": {"name": "Work Inc.", "slug": "work-inc"},
    },
}


@pytest.mark.parametrize(
    ("options", "environment", "key", "url"),
    [
        ({}, None, "phak_me", DEFAULT_URL),
        ({}, KEY, KEY, DEFAULT_URL),
        ({"profile": "work"}, None, "phak_work", "https://work.example.org/v1"),
        ({"profile": "work"}, KEY, "phak_work", "https://work.example.org/v1"),
        ({"profile": "work-inc"}, KEY, "phak_work", "https://work.example.org/v1"),
        ({"profile": "Work Inc."}, KEY, "phak_work", "https://work.example.org/v1"),
        ({"api_key": "phak_of-the-file"}, KEY, "phak_of-the-file", DEFAULT_URL),
        ({"api_key": "phak_of-the-file", "profile": "work"}, KEY, "phak_of-the-file", DEFAULT_URL),
        ({"profile": "work", "api_url": "https://WORK.example.org/v1/"}, KEY, "phak_work", "https://WORK.example.org/v1"),
    ],
    ids=str,
)
def test_key_of_the_file_goes_before_its_profile_before_that_of_the_environment_before_the_current_profile(
    options: dict[str, Any],
    environment: str | None,
    key: str,
    url: str,
    read: Callable[..., Settings],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log_in(home, **PROFILES)
    monkeypatch.setenv("PHALA_CLOUD_API_KEY", environment or "")
    used = account(read(options))
    assert (used.key, used.url) == (key, url)


@pytest.mark.parametrize(
    ("variable", "project", "name"),
    [
        ("work", "profile = 'me'", "work"),
        ("Work Inc.", None, "work"),
        (None, "app_id = 'x'\nprofile = ' work '", "work"),
        (None, 'profile = "work-inc"', "work"),
        ("", "name = 'x'", "me"),
        (None, "profile = ''", "me"),
        (None, "[profile]", None),
        (None, "profile = ", None),
        (None, "profile = 'gone'", None),
        ("gone", "profile = 'me'", None),
    ],
)
@pytest.mark.parametrize("environment", [None, KEY], ids=["key of the profile", "key of the environment"])
def test_profile_is_that_of_the_environment_else_of_the_working_folder_else_the_current_one(
    variable: str | None,
    project: str | None,
    name: str | None,
    environment: str | None,
    read: Callable[..., Settings],
    problems: Callable[..., list[str]],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log_in(home, **PROFILES)
    monkeypatch.chdir(home)
    monkeypatch.setenv("PHALA_CLOUD_API_KEY", environment or "")
    if variable is not None:
        monkeypatch.setenv("PHALA_CLOUD_PROFILE", variable)
    if project is not None:
        (home / "phala.toml").write_text(project)
    if name or environment:
        settings = read({})
        url = PROFILES[name].get("api_prefix", DEFAULT_URL) if name else DEFAULT_URL
        assert (account(settings).key, account(settings).url) == (environment or f"phak_{name}", url)
        text = f"{home / 'phala.yml'}: the profile's base URL is not used for the key from PHALA_CLOUD_API_KEY: "
        warned = [(diagnostic.level, diagnostic.text.startswith(text)) for diagnostic in settings.diagnostics]
        assert warned == [(Level.WARNING, True)] * (project in ("[profile]", "profile = "))
    else:
        (problem,) = problems({})
        assert str(home / ("phala.toml" if variable is None else ".phala-cloud")) in problem


def test_profile_of_the_file_takes_precedence_and_its_key_is_used(
    read: Callable[..., Settings], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(home, **PROFILES)
    monkeypatch.chdir(home)
    monkeypatch.setenv("PHALA_CLOUD_PROFILE", "gone")
    (home / "phala.toml").write_text("profile = ")
    assert account(read({"profile": "work"})).key == "phak_work"
    settings = read({"api_key": "phak_of-the-file"})
    assert (account(settings).url, settings.diagnostics) == (DEFAULT_URL, ())
    monkeypatch.setenv("PHALA_CLOUD_API_PREFIX", "https://env.example.org")
    settings = read({})
    assert (account(settings).key, account(settings).url, settings.diagnostics) == (KEY, "https://env.example.org", ())
    assert account(read({"profile": "work"})).url == "https://env.example.org"


def test_key_of_a_profile_is_not_sent_to_another_service(problems: Callable[..., list[str]], home: Path) -> None:
    log_in(home, **PROFILES)
    for profile, own in (("work", "https://work.example.org/v1"), ("me", DEFAULT_URL)):
        (problem,) = problems({"profile": profile, "api_url": "https://other.example.org"})
        assert f"belongs to {own} and is not sent to https://other.example.org" in problem


def test_without_a_parser_only_a_file_that_may_name_a_profile_is_an_error(
    read: Callable[..., Settings], problems: Callable[..., list[str]], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(home, **PROFILES)
    monkeypatch.chdir(home)
    monkeypatch.delenv("PHALA_CLOUD_API_KEY")
    for name in ("tomllib", "tomli"):
        monkeypatch.setitem(sys.modules, name, None)
    (home / "phala.toml").write_text("name = 'x'")
    assert account(read({})).key == "phak_me"
    (home / "phala.toml").write_text("profile = 'work'")
    (problem,) = problems({})
    assert f"{home}/phala.toml cannot be read, because this Python has no tomllib" in problem
    assert account(read({"profile": "work"})).key == "phak_work"


def test_without_a_home_there_is_no_credentials_file(
    read: Callable[..., Settings], problems: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert account(read({})).key == KEY
    monkeypatch.delenv("PHALA_CLOUD_API_KEY")
    (problem,) = problems({})
    assert "there is no API key, and no home folder" in problem


def test_profile_that_is_not_used_is_told(read: Callable[..., Settings], path: Path) -> None:
    settings = read({"api_key": "phak_of-the-file", "profile": "work"})
    assert settings.diagnostics == (
        Diagnostic(Level.WARNING, f"{path}: profile: 'work' is not used, because api_key is also set. Remove one of them."),
    )


def test_where_the_key_comes_from_is_kept(
    read: Callable[..., Settings], path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = log_in(home, **PROFILES)
    assert account(read({})).key_source == "PHALA_CLOUD_API_KEY"
    assert account(read({"api_key": "phak_x"})).key_source == f"api_key in {path}"
    monkeypatch.delenv("PHALA_CLOUD_API_KEY")
    assert account(read({})).key_source == f"profile 'me' of {file}"


def test_key_is_not_shown_and_every_key_that_was_read_is_masked(
    read: Callable[..., Settings], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(home, **PROFILES)
    settings = read({"profile": "work"})
    assert "phak_" not in repr(settings)
    monkeypatch.setenv("PHALA_CLOUD_API_KEY", "plain-key-of-the-environment")
    assert read({"api_key": "plain-key-of-the-file"}).mask("plain-key-of-the-file, plain-key-of-the-environment") == "***, ***"


def test_templates_see_afterwards_what_they_saw_before(path: Path) -> None:
    path.write_text("plugin: phala.cloud.phala\nfilters: {region: '{{ what }}'}\n")
    plugin = inventory_loader.get("phala.cloud.phala")
    BaseInventoryPlugin.parse(plugin, InventoryData(), DataLoader(), str(path))
    before = plugin.templar.available_variables
    plugin._vars = {"what": "here"}
    read_settings(plugin, str(path))
    assert plugin.templar.available_variables is before


def test_stale_cache_without_a_cache_is_told(read: Callable[..., Settings]) -> None:
    (warning,) = read({"cache_stale": 60}).diagnostics
    assert warning.text.startswith("cache_stale does nothing, because the cache is off")


# Templates


@pytest.mark.parametrize(
    ("options", "setting", "value"),
    [
        ({"api_key": "phak_{{ what }}"}, "account.key", "phak_here"),
        ({"api_url": "https://{{ what }}.example.org"}, "account.url", "https://here.example.org"),
        ({"gateway_domain": "gw.{{ what }}.example.org"}, "gateway.domain", "gw.here.example.org"),
        ({"filters": {"region": "{{ what | upper }}"}}, "queries", ({"region": ("HERE",)},)),
        ({"filters": {"region": ["{{ what }}", "there"]}}, "queries", ({"region": ("here",)}, {"region": ("there",)})),
        ({"filters": {"region": "{{ many }}"}}, "queries", ({"region": ("a",)}, {"region": ("b",)})),
        ({"filters": {"status": "{{ many }}"}}, "queries", ({"status": ("a", "b")},)),
        ({"filters": {"listed": "{{ wanted }}"}}, "queries", ({"listed": ("true",)},)),
        ({"filters": {"node": "{{ number }}"}}, "queries", ({"node": ("7",)},)),
        ({"include_filters": [{"search": "{{ what }}"}]}, "queries", ({"search": ("here",)},)),
        ({"exclude_filters": [{"node": "{{ what }}"}]}, "excludes", ({"node": ("here",)},)),
    ],
    ids=str,
)
def test_text_may_be_a_template_that_sees_extra_variables(
    options: dict[str, Any], setting: str, value: Any, read: Callable[..., Settings]
) -> None:
    extra_vars = {"what": "here", "many": ["a", "b"], "wanted": True, "number": 7}
    assert setting_of(read(options, extra_vars=extra_vars), setting) == value


def test_profile_may_be_a_template(read: Callable[..., Settings], home: Path) -> None:
    log_in(home, **PROFILES)
    assert account(read({"profile": "{{ who }}"}, extra_vars={"who": "work"})).key == "phak_work"


def test_environment_may_hold_templates(read: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHALA_CLOUD_API_KEY", "phak_{{ what }}")
    monkeypatch.setenv("PHALA_CLOUD_API_PREFIX", "https://{{ what }}.example.org")
    used = account(read({}, extra_vars={"what": "there"}))
    assert (used.key, used.url) == ("phak_there", "https://there.example.org")


# Bad input


@pytest.mark.parametrize(
    ("options", "named"),
    [
        # Unknown keys, with the nearest known one
        ({"filter": {"region": "US-WEST-1"}}, ["unknown option 'filter'", "'filters'"]),
        ({"Filters": {}}, ["unknown option 'Filters'", "'filters'"]),
        ({"exclude_filter": []}, ["unknown option 'exclude_filter'", "'exclude_filters'"]),
        ({"zzz": 1}, ["unknown option 'zzz'", "ansible-doc"]),
        ({1: 2}, ["unknown option '1'"]),
        ({"filters": {"regoin": "US-WEST-1"}}, ["filters: unknown filter 'regoin'", "'region'"]),
        ({"filters": {"page_size": 5}}, ["filters: unknown filter 'page_size'"]),
        ({"filters": {"page": 1}}, ["filters: unknown filter 'page'"]),
        ({"include_filters": [{"status": "a"}, {"nodes": "a"}]}, ["include_filters[1]: unknown filter 'nodes'", "'node'"]),
        ({"exclude_filters": [{"stauts": "a"}]}, ["exclude_filters[0]: unknown filter 'stauts'", "'status'"]),
        # Empty and undefined filters
        ({"filters": {"region": ""}}, ["filters.region", "is empty"]),
        ({"filters": {"region": "  "}}, ["filters.region", "is empty"]),
        ({"filters": {"region": None}}, ["filters.region", "is empty"]),
        ({"filters": {"region": []}}, ["filters.region", "empty"]),
        ({"filters": {"region": ["a", ""]}}, ["filters.region", "is empty"]),
        ({"filters": {"region": ["a", None]}}, ["filters.region", "is empty"]),
        ({"filters": {"listed": None}}, ["filters.listed", "is empty"]),
        ({"filters": {"region": "{{ nothing }}"}}, ["filters.region", "'nothing' is undefined", "-e"]),
        ({"filters": {"region": ["a", "{{ nothing }}"]}}, ["filters.region", "'nothing' is undefined"]),
        ({"filters": {"region": "{{ empty }}"}}, ["filters.region", "is empty"]),
        ({"filters": {"region": "{{ none }}"}}, ["filters.region", "is empty"]),
        ({"filters": {"region": "{{ empty_list }}"}}, ["filters.region", "empty"]),
        ({"filters": {"region": "{{ what"}}, ["filters.region"]),
        ({"filters": {"region": "{{ 1 / 0 }}"}}, ["filters.region", "zero"]),
        ({"include_filters": [{}]}, ["include_filters[0]", "empty"]),
        ({"include_filters": [{"region": "a"}, {}]}, ["include_filters[1]", "empty"]),
        ({"include_filters": [{"search": ""}]}, ["include_filters[0].search", "is empty"]),
        ({"exclude_filters": [{}]}, ["exclude_filters[0]", "empty"]),
        *(({name: None}, [f"{name}: is blank"]) for name in ("filters", "include_filters", "exclude_filters", "host_filters")),
        ({"exclude_filters": [{"region": None}]}, ["exclude_filters[0].region", "is empty"]),
        ({"host_filters": [""]}, ["host_filters[0]"]),
        ({"host_filters": [None]}, ["host_filters[0]"]),
        # Wrong types and values
        ({"filters": {"listed": "maybe"}}, ["filters.listed", "true or false", "'maybe'"]),
        ({"filters": {"region": {"a": "b"}}}, ["filters.region", "text"]),
        ({"filters": {"region": [["a"]]}}, ["filters.region", "text"]),
        ({"filters": {"region": True}}, ["filters.region", "text", "quotes"]),
        ({"filters": {"region": 1.5}}, ["filters.region", "text", "quotes"]),
        ({"filters": "region"}, ["filters", "dictionary", "'region'"]),
        ({"filters": ["region"]}, ["filters", "dictionary"]),
        ({"include_filters": {"region": "a"}}, ["include_filters", "list"]),
        ({"include_filters": ["region"]}, ["include_filters[0]", "dictionary", "'region'"]),
        ({"exclude_filters": [None]}, ["exclude_filters[0]", "dictionary"]),
        ({"exclude_filters": [{"search": "a"}]}, ["exclude_filters[0].search", "service can search"]),
        ({"host_filters": [{"a": "b"}]}, ["host_filters[0]", " a Jinja2 condition such as 'phala_vcpu >= 4',"]),
        ({"page_size": 500}, ["page_size", "500", "1 to 100"]),
        ({"page_size": 0}, ["page_size", "0", "1 to 100"]),
        ({"page_size": "many"}, ["page_size", "whole number", "'many'"]),
        ({"page_size": True}, ["page_size", "whole number"]),
        ({"concurrency": 0}, ["concurrency", "1 to 32"]),
        ({"concurrency": 33}, ["concurrency", "1 to 32"]),
        ({"timeout": 0}, ["timeout", "1 or more"]),
        ({"timeout": 1.5}, ["timeout", "whole number", "1.5"]),
        ({"retries": -1}, ["retries", "0 or more"]),
        ({"cache_stale": -1}, ["cache_stale", "0 or more"]),
        ({"gateway_port": 0}, ["gateway_port", "1 to 65535"]),
        ({"gateway_port": 65536}, ["gateway_port", "1 to 65535"]),
        ({"ssh_port": 70000}, ["ssh_port", "1 to 65535"]),
        ({"validate_certs": "flase"}, ["validate_certs", "true or false", "'flase'"]),
        ({"strict": []}, ["strict", "true or false"]),
        ({"ca_path": "/no/such/file"}, ["ca_path", "/no/such/file"]),
        ({"gateway_ca_path": "/no/such/file"}, ["gateway_ca_path", "/no/such/file"]),
        ({"api_version": "next year"}, ["api_version", "'next year'"]),
        ({"api_version": ["2026-01-21"]}, ["api_version", "text"]),
        ({"hostnames": ["nmae"]}, ["hostnames", "'nmae'", "'name'"]),
        ({"hostnames": ["zzz"]}, ["hostnames", "'zzz'", "vm_uuid"]),
        ({"hostnames": ["cvm_name"]}, ["hostnames", "'cvm_name'"]),
        ({"hostnames": []}, ["hostnames: is empty. Write at least one entry, such as 'name'."]),
        ({"hostnames": [""]}, ["hostnames[0]", " a core variable's name or a Jinja2 template"]),
        ({"hostnames": ["{{"]}, ["hostnames: '{{' is not a Jinja2 template"]),
        ({"hostvars_prefix": "a-b"}, ["hostvars_prefix", "'a-b'"]),
        ({"hostvars_prefix": "1"}, ["hostvars_prefix", "'1'", "and do not begin with a digit or 'ansible_'."]),
        ({"hostvars_prefix": "ansible_"}, ["hostvars_prefix", "'ansible_'"]),
        ({"hostvars_suffix": "-"}, ["hostvars_suffix", "'-'"]),
        ({"group": "all"}, ["group", "'all'", "and not 'all', 'ungrouped', '_meta' or a name of this machine."]),
        ({"group": "ungrouped"}, ["group", "'ungrouped'"]),
        ({"group": "_meta"}, ["group", "'_meta'"]),
        ({"group": "my-cvms"}, ["group", "'my-cvms'"]),
        ({"group": "1st"}, ["group", "'1st'"]),
        ({"group": ""}, ["group", "''"]),
        ({"group": "region_US_WEST_1"}, ["group", "'region_US_WEST_1'", "Choose another name, or set group_prefix."]),
        ({"group": "x_status_running", "group_prefix": "x_"}, ["group", "'x_status_running'"]),
        ({"group_by": ["region", "zone"]}, ["group_by", "'zone'"]),
        ({"group_by": ["regions"]}, ["group_by", "'regions'", "'region'"]),
        ({"connect_with": "ssh"}, ["connect_with", "'ssh'", "gateway", "none"]),
        ({"gateway_domain": "https://gw.example.org"}, ["'gateway.example.org' or 'gateway.example.org:8443'."]),
        ({"gateway_domain": "gw.example.org:port"}, ["gateway_domain"]),
        ({"gateway_domain": "gw example"}, ["gateway_domain"]),
        ({"gateway_domain": "gw.org", "allowed_gateway_domains": "example.org"}, ["'gw.org' is not in allowed_gateway_domains."]),
        *(
            ({"allowed_gateway_domains": [domain]}, [f"allowed_gateway_domains[0]: '{domain}' is not a domain without port"])
            for domain in ("*.example.org", "example.org:1")
        ),
        ({"allowed_gateway_domains": [["a"]]}, ["allowed_gateway_domains[0]", " a domain such as 'example.org'"]),
        ({"gateway_openssl": "{{ a }}"}, ["gateway_openssl: '{{ a }}' looks like a template"]),
        ({"gateway_domain": "-oProxyCommand=x"}, ["gateway_domain"]),
        ({"gateway_domain": "{{ empty }}"}, ["gateway_domain", "empty text"]),
        ({"gateway_domain": "{{ nothing }}"}, ["gateway_domain", "'nothing' is undefined"]),
        ({"keyed_groups": [{"prefix": "a"}]}, ["keyed_groups[0]", "key"]),
        ({"keyed_groups": ["phala_region"]}, ["keyed_groups[0]", "key"]),
        ({"keyed_groups": {"key": "a"}}, ["keyed_groups", "list"]),
        ({"compose": {"a": 1}}, ["compose.a", "got 1. Write it in quotes."]),
        ({"compose": {"a": "b c"}}, ["compose.a: 'b c' is not a Jinja2 expression"]),
        ({"compose": {"a-b": "c"}}, ["compose: 'a-b'"]),
        ({"groups": {"phala_gateway": "c"}}, ["groups: 'phala_gateway' is reserved"]),
        ({"keyed_groups": [{"key": "a", "parent_group": "phala_gateway"}]}, ["keyed_groups[0].parent_group: 'phala_gateway'"]),
        ({"compose": "a"}, ["compose", "dictionary"]),
        ({"groups": {"a": 1}}, ["groups.a", "quotes"]),
        # The URL
        ({"api_url": "http://phala.example.org/api/v1"}, ["api_url", "unencrypted", "https"]),
        ({"api_url": "http://10.0.0.1/api/v1"}, ["api_url", "unencrypted"]),
        ({"api_url": "http://localhost.example.org/api/v1"}, ["api_url", "unencrypted"]),
        ({"api_url": "http://127.0.0.1.example.org/api/v1"}, ["api_url", "unencrypted"]),
        ({"api_url": "phala.example.org/api/v1"}, ["api_url", "not a URL", "https://"]),
        ({"api_url": "ftp://phala.example.org"}, ["api_url", "not a URL"]),
        ({"api_url": "https://"}, ["api_url", "not a URL"]),
        ({"api_url": "https://[::1"}, ["api_url", "not a URL"]),
        ({"api_url": "https://phala.example.org:port"}, ["api_url", "not a URL"]),
        ({"api_url": "https://phala.example.org/a b"}, ["api_url", "not a URL"]),
        ({"api_url": "https://phala.example.org/api?x=y"}, ["api_url", "'?'"]),
        ({"api_url": "https://phala.example.org/api#x"}, ["api_url", "'#'"]),
        ({"api_url": "https://user:secret@phala.example.org"}, ["api_url", "password"]),
        ({"api_url": "{{ empty }}"}, ["api_url", "empty text"]),
        # The key
        ({"api_key": "two words"}, ["api_key", "space"]),
        ({"api_key": "phak_x\n"}, ["api_key", "line break"]),
        ({"api_key": "phak_\N{LATIN SMALL LETTER E WITH ACUTE}"}, ["api_key", "ASCII"]),
        ({"api_key": ""}, ["api_key: is empty. Remove it, or write a value."]),
        ({"api_key": "{{ empty }}"}, ["api_key", "empty"]),
        ({"api_key": "{{ nothing }}"}, ["api_key", "-e"]),
        ({"profile": "{{ empty }}"}, ["profile", "empty text"]),
        ({"profile": "work"}, ["profile", "credentials.json", "phala login"]),
    ],
    ids=str,
)
def test_problem_is_told_with_what_to_change(
    options: dict[Any, Any], named: list[str], problems: Callable[..., list[str]]
) -> None:
    extra_vars: dict[str, Any] = {"empty": "", "none": None, "empty_list": []}
    (problem,) = problems(options, extra_vars=extra_vars)
    assert [words for words in named if words not in problem] == []


def test_all_problems_are_told_at_once(problems: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PHALA_CLOUD_API_KEY")
    told = problems(
        {
            "filter": {},
            "page_size": 500,
            "timeout": "soon",
            "connect_with": "ssh",
            "group_by": "zone",
            "api_url": "http://phala.example.org",
            "filters": {"regoin": "a", "listed": "maybe", "region": ""},
            "exclude_filters": [{}, {"search": "a"}],
            "hostnames": ["nmae"],
        }
    )
    names = [problem.replace(":", " ").split()[0] for problem in told]
    assert sorted(names) == sorted(
        [
            "unknown", "timeout", "connect_with", "group_by", "there", "api_url", "page_size", "filters", "filters.listed",
            "filters.region", "exclude_filters[0]", "exclude_filters[1].search", "hostnames",
        ]
    )  # fmt: skip


def test_missing_key_names_every_way_to_give_one(
    problems: Callable[..., list[str]], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PHALA_CLOUD_API_KEY")
    (problem,) = problems({})
    words = ("api_key", "PHALA_CLOUD_API_KEY", "phala login", str(home / ".phala-cloud" / "credentials.json"))
    assert [word for word in words if word not in problem] == []


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("", "JSON"),
        ("{", "JSON"),
        ("[]", "profiles"),
        ('{"schema_version": 1, "profiles": {}}', "no profile"),
        ('{"schema_version": 2, "profiles": {"a": {"token": "phak_x"}}}', "schema_version 2"),
        ('{"schema_version": 1, "current_profile": "a", "profiles": {"a": {"token": ""}}}', "no token"),
        ('{"schema_version": 1, "current_profile": "b", "profiles": {"a": {"token": "phak_x"}}}', "no profile 'b'"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"profile": "a"}])
def test_broken_credentials_are_an_error_where_they_are_needed(
    options: dict[str, Any],
    content: str,
    named: str,
    problems: Callable[..., list[str]],
    read: Callable[..., Settings],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = log_in(home, a={})
    file.write_text(content)
    assert account(read({})).key == KEY
    monkeypatch.delenv("PHALA_CLOUD_API_KEY")
    if options and "'b'" in named:
        assert account(read(options)).key == "phak_x"
        return
    (problem,) = problems(options)
    assert str(file) in problem
    assert named in problem
    assert "phak_x" not in problem


@pytest.mark.parametrize("file", ["file", "environment", "profile"])
def test_plain_http_to_another_machine_is_refused_wherever_it_is_written(
    file: str, problems: Callable[..., list[str]], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "http://phala.example.org/api/v1"
    log_in(home, me={"token": "phak_me", "api_prefix": url})
    options: dict[str, str] = {"api_url": url} if file == "file" else {}
    if file == "environment":
        monkeypatch.setenv("PHALA_CLOUD_API_PREFIX", url)
    if file == "profile":
        options["profile"] = "me"
    (problem,) = problems(options)
    assert "unencrypted" in problem


@pytest.mark.parametrize(
    "options",
    [
        {"api_key": ["phak_secret"]},
        {"api_key": {"phak_secret": "phak_secret"}},
        {"api_key": "phak_secret two"},
        {"api_key": "phak_secret{{"},
        {"api_key": "phak_secret{{ nothing }}"},
        {"api_key": "phak_secret{{ 1 / 0 }}"},
        {"api_key": "phak_secret", "page_size": 500},
        {"api_key": "phak_secret", "profile": "work", "filter": {}},
    ],
    ids=str,
)
def test_no_problem_shows_the_key(options: dict[str, Any], problems: Callable[..., list[str]]) -> None:
    assert "secret" not in " ".join(problems(options))


@pytest.mark.parametrize("name", ["PHALA_CLOUD_API_KEY", "PHALA_CLOUD_API_PREFIX"])
def test_problem_names_the_variable_of_the_environment(
    name: str, problems: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "not one word, no URL")
    (problem,) = problems({})
    assert name in problem


def test_problem_names_the_profile(problems: Callable[..., list[str]], home: Path) -> None:
    file = log_in(home, me={"token": "phak_me", "api_prefix": "not a URL"})
    (problem,) = problems({"profile": "me"})
    assert "'me'" in problem
    assert str(file) in problem


@pytest.mark.parametrize("name", ["timeout", "retries", "page_size", "concurrency", "cache_stale", "gateway_port", "ssh_port"])
def test_number_without_a_value_is_its_default(name: str, read: Callable[..., Settings]) -> None:
    assert read(f"plugin: phala.cloud.phala\n{name}:\n")._replace(mask=UNMASKED) == read({})._replace(mask=UNMASKED)


@pytest.mark.parametrize("name", ["api_key", "api_url", "api_version", "hostnames", "group", "group_by", "connect_with"])
def test_option_without_a_value_counts_as_not_given(name: str, read: Callable[..., Settings]) -> None:
    assert read(f"plugin: phala.cloud.phala\n{name}:\n")._replace(mask=UNMASKED) == read({})._replace(mask=UNMASKED)
