# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A plugin with the same requests, variables and groups as the real one, but without any check, mark or retry.

It reads each page once and trusts it. A test compares its hosts with those of the real plugin.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from ansible.plugins.inventory import BaseInventoryPlugin

DOCUMENTATION = """
name: bare
short_description: the least that an inventory of CVMs can do
description: A bound for measurements.
options:
  url: {description: the endpoint, type: str, required: true}
  key: {description: the API key, type: str, required: true}
  version: {description: the API version, type: str, required: true}
"""

LISTS = ("cvms", "current_cvm")
SHARED = ("name", "vm_uuid", "status", "listed", "created_at", "updated_at", "kms_type", "kms_slug", "kms_id", "compose_hash")
NO_ADDRESS = {
    "ansible_host": "no-gateway-address.invalid.",
    "ansible_ssh_common_args": "-o ControlPath=none -o 'ProxyCommand=sh -c '\"'\"'echo no address >&2; exit 1'\"'\"''",
}
OF_GATEWAY = {
    "ansible_port": 443,
    "ansible_user": "root",
    "ansible_ssh_common_args": "-o 'ProxyCommand=openssl s_client -quiet -servername %h -connect %h:%p'",
}


class InventoryModule(BaseInventoryPlugin):
    """Fetch the pages, and put each CVM into the inventory as it comes."""

    NAME = "bare"

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        session = requests.Session()
        session.headers.update({"X-API-Key": self.get_option("key"), "X-Phala-Version": self.get_option("version")})

        def get(page: int) -> Any:
            return session.get(f"{self.get_option('url')}/apps", params={"page": page, "page_size": 100}, timeout=60).json()

        first = get(1)
        with ThreadPoolExecutor(8) as lanes:
            pages = [first, *lanes.map(get, range(2, first["total_pages"] + 1))]
        inventory.add_group("phala")
        groups = Groups(inventory)
        names = Names()
        for page in pages:
            for app in page["dstack_apps"]:
                _add_app(inventory, app, groups, names)


class Names(dict[str, str]):
    """The names of variables by those of fields."""

    def __missing__(self, field: str) -> str:
        name = self[field] = f"phala_{field}"
        return name


class Groups(dict[tuple[str, Any], str]):
    """The groups by dimension and value."""

    def __init__(self, inventory: Any) -> None:
        self._inventory = inventory

    def __missing__(self, key: tuple[str, Any]) -> str:
        dimension, value = key
        name = f"{dimension}_{value}".replace("-", "_").replace(".", "_")
        self[key] = self._inventory.add_group(name)
        self._inventory.add_child("phala", name)
        if dimension == "phala":
            for variable, setting in OF_GATEWAY.items():
                self._inventory.set_variable(name, variable, setting)
        return name


def _add_app(inventory: Any, app: dict[str, Any], groups: Groups, names: Names) -> None:
    own = {field: value for field, value in app.items() if field not in LISTS}
    current = app["current_cvm"] or {}
    for cvm in app["cvms"] or [app["current_cvm"]]:
        if not cvm or cvm.get("deleted_at") or not (cvm.get("vm_uuid") or cvm.get("instance_id") or cvm.get("id")):
            continue
        core = _nested(cvm) if "os" in cvm else _flat(cvm, own)
        connected = _connect(core)
        core["is_current"] = cvm.get("vm_uuid") == current.get("vm_uuid")
        core.update(app=own, app_id=cvm.get("app_id"), app_name=own["name"], account=None)
        core.update((field, cvm.get(field)) for field in SHARED)
        name = core["name"] if core["name"] and core["name"] not in inventory.hosts else f"cvm-{len(inventory.hosts)}"
        inventory.add_host(name, "phala")
        variables = inventory.hosts[name].vars
        variables.update({names[field]: value for field, value in cvm.items()})
        variables.update({names[field]: value for field, value in core.items()})
        variables.update(connected)
        for dimension in ("region", "node", "base_image", "status"):
            if core[dimension] is not None:
                inventory.add_child(groups[dimension, core[dimension]], name)
        if connected is not NO_ADDRESS:
            inventory.add_child(groups["phala", "gateway"], name)


def _connect(core: dict[str, Any]) -> dict[str, Any]:
    identifier, domain = core["instance_id"], core["gateway_domain"]
    has_address = bool(identifier and domain and core["gateway_enabled"] is not False)
    core["is_reachable"] = has_address and core["is_dev"] and core["status"] == "running" and not core["in_progress"]
    if not has_address:
        core.update(gateway_id=None, gateway_host=domain, gateway_port=None)
        return NO_ADDRESS
    core.update(gateway_id=identifier, gateway_host=domain, gateway_port=443)
    return {"ansible_host": f"{identifier}-22.{domain}"}


def _nested(cvm: Mapping[str, Any]) -> dict[str, Any]:
    resource, node, system = cvm["resource"] or {}, cvm["node_info"] or {}, cvm["os"] or {}
    workspace, endpoints = cvm["workspace"] or {}, cvm["endpoints"] or []
    memory = resource.get("memory_in_gb")
    return {
        "cvm_id": cvm["id"],
        "instance_id": cvm["instance_id"],
        "status": cvm["status"],
        "in_progress": cvm["in_progress"],
        "gateway_enabled": cvm["gateway_enabled"],
        "app_urls": [endpoint["app"] for endpoint in endpoints],
        "instance_urls": [endpoint["instance"] for endpoint in endpoints],
        "region": node.get("region"),
        "node": node.get("name"),
        "node_id": node.get("id"),
        "base_image": system.get("name"),
        "os_version": system.get("version"),
        "is_dev": system.get("is_dev"),
        "vcpu": resource.get("vcpu"),
        "memory": None if memory is None else int(memory * 1024),
        "disk_size": resource.get("disk_in_gb"),
        "gpu_count": resource.get("gpus"),
        "instance_type": resource.get("instance_type"),
        "gateway_domain": (cvm["gateway"] or {}).get("base_domain"),
        "team_slug": workspace.get("slug"),
        "team_name": workspace.get("name"),
    }


def _flat(cvm: Mapping[str, Any], app: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "cvm_id": None,
        "instance_id": cvm["instance_id"],
        "status": cvm["status"],
        "in_progress": None,
        "gateway_enabled": None,
        "app_urls": None,
        "instance_urls": None,
        "region": cvm["region_identifier"],
        "node": cvm["teepod_name"],
        "node_id": cvm["teepod_id"],
        "base_image": cvm["base_image"],
        "os_version": None,
        "is_dev": "dev" in (cvm["base_image"] or "").split("-"),
        "vcpu": cvm["vcpu"],
        "memory": cvm["memory"],
        "disk_size": cvm["disk_size"],
        "gpu_count": (cvm["machine_info"] or {}).get("gpu_count"),
        "instance_type": cvm["instance_type"],
        "gateway_domain": None,
        "team_slug": app["team_slug"],
        "team_name": app["team_name"],
    }
