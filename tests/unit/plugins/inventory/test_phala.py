# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plugin's documentation, from which ansible-core takes its options, and its class."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from ansible import constants as C
from ansible.plugins.loader import inventory_loader

NAME = "phala.cloud.phala"
DIMENSIONS = [
    "region",
    "node",
    "base_image",
    "status",
    "app",
    "instance_type",
    "kms_type",
    "kms_slug",
    "team",
    "listed",
    "os_type",
    "os_version",
    "gpu_count",
    "account",
    "reachable",
]

OPTIONS: dict[str, dict[str, Any]] = {
    "plugin": {"type": "str", "required": True, "choices": [NAME]},
    "api_key": {"type": "str", "env": ["PHALA_CLOUD_API_KEY"]},
    "profile": {"type": "str", "env": ["PHALA_CLOUD_PROFILE"]},
    "accounts": {"type": "list", "elements": "dict"},
    "api_url": {"type": "str", "default": "https://cloud-api.phala.com/api/v1", "env": ["PHALA_CLOUD_API_PREFIX"]},
    "api_version": {"type": "str", "default": "2026-06-23"},
    "timeout": {"type": "int", "default": 30, "env": ["PHALA_CLOUD_TIMEOUT"]},
    "retries": {"type": "int", "default": 5},
    "validate_certs": {"type": "bool", "default": True},
    "ca_path": {"type": "path", "env": ["PHALA_CLOUD_CA_PATH"]},
    "page_size": {"type": "int", "default": 100},
    "concurrency": {"type": "int", "default": 8},
    "filters": {"type": "dict", "default": {}},
    "include_filters": {"type": "list", "elements": "dict", "default": []},
    "exclude_filters": {"type": "list", "elements": "dict", "default": []},
    "min_hosts": {"type": "int", "default": 0},
    "host_filters": {"type": "list", "elements": "str", "default": []},
    "hostnames": {"type": "list", "elements": "str", "default": ["name", "instance_id", "vm_uuid", "app_id"]},
    "hostvars_prefix": {"type": "str", "default": "phala_"},
    "hostvars_suffix": {"type": "str", "default": ""},
    "group": {"type": "str", "default": "phala"},
    "group_by": {"type": "list", "elements": "str", "choices": DIMENSIONS, "default": ["region", "node", "base_image", "status"]},
    "group_prefix": {"type": "str", "default": ""},
    "connect_with": {"type": "str", "choices": ["gateway", "none"], "default": "gateway"},
    "gateway_domain": {"type": "str"},
    "gateway_port": {"type": "int", "default": 443},
    "gateway_validate_certs": {"type": "bool", "default": True},
    "gateway_ca_path": {"type": "path", "env": ["PHALA_CLOUD_GATEWAY_CA_PATH"]},
    "gateway_openssl": {"type": "str", "default": "openssl"},
    "allowed_gateway_domains": {"type": "list", "elements": "str", "default": []},
    "ssh_port": {"type": "int", "default": 22},
    "ssh_user": {"type": "str", "default": "root"},
    "cache_stale": {"type": "int", "default": 0},
}
OF_CORE = {
    *("strict", "compose", "groups", "keyed_groups", "leading_separator", "use_extra_vars"),
    *("cache", "cache_plugin", "cache_timeout", "cache_connection", "cache_prefix"),
}
NO_SOURCES = {"env": [], "ini": [], "cli": [], "vars": [], "name": ""}


@pytest.fixture
def plugin() -> Any:
    return inventory_loader.get(NAME)


@pytest.fixture
def definitions(plugin: Any) -> dict[str, dict[str, Any]]:
    return dict(C.config.get_configuration_definitions(plugin.plugin_type, plugin._load_name))


@pytest.mark.parametrize("name", OPTIONS)
def test_option_is_defined_as_promised(name: str, definitions: dict[str, dict[str, Any]]) -> None:
    shown = {
        key: value for key, value in definitions[name].items() if key in {"type", "default", "elements", "choices", "required"}
    }
    shown |= {"env": [variable["name"] for variable in definitions[name]["env"]]} if definitions[name].get("env") else {}
    assert shown == OPTIONS[name]


def test_there_are_no_other_options(definitions: dict[str, dict[str, Any]]) -> None:
    assert {name for name in definitions if not name.startswith("_")} == {*OPTIONS, *OF_CORE}


def test_class_fits_one_screen_and_parse_is_a_table_of_contents(plugin: Any) -> None:
    assert len(inspect.getsource(type(plugin)).splitlines()) <= 60
    assert len(inspect.getsource(type(plugin).parse).splitlines()) <= 15


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        *((name, True) for name in ("phala.yml", "phala.yaml", "prod.phala.yml", "my-phala.yaml")),
        *((name, False) for name in ("phala.json", "phala.yml.bak", "inventory.yml", "phala", "phala.yml/", "Phala.YML")),
    ],
)
def test_file_is_taken_by_the_end_of_its_name(name: str, *, taken: bool, plugin: Any, tmp_path: Any) -> None:
    (tmp_path / name.rstrip("/")).touch()
    assert plugin.verify_file(f"{tmp_path}/{name}") == taken


def test_missing_file_is_not_taken(plugin: Any, tmp_path: Any) -> None:
    assert not plugin.verify_file(str(tmp_path / "phala.yml"))
