# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the real ansible-inventory makes of a small account, whole, for both shapes of the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.phala.cloud.tests.commands import Completed
from ansible_collections.phala.cloud.tests.loading import Loaded
from ansible_collections.phala.cloud.tests.simulator import FLAT, NESTED, Simulator
from ansible_collections.phala.cloud.tests.simulator.shapes import FlatPage, NestedPage

SHOP_ID = "5a" * 20
SHOP_1, SHOP_2 = "c1" * 20, "c2" * 20
MODEL_ID, MODEL = "3e" * 20, "33333333-2222-4333-8444-555555555555"
BATCH_ID, BATCH = "ba" * 20, "c4" * 20

SHOP_APP: dict[str, Any] = {
    "id": "prj_shop",
    "name": "shop",
    "app_id": SHOP_ID,
    "app_provision_type": "onchain",
    "app_icon_url": None,
    "created_at": "2026-01-15T07:00:00Z",
    "kms_type": "base",
    "profile": {"display_name": "The shop", "avatar_url": None, "description": "{{ 7 * 7 }}", "custom_domain": None},
    "cvm_count": 2,
}
MODEL_APP = {
    "id": "prj_model",
    "name": "model",
    "app_id": MODEL_ID,
    "created_at": "2026-01-16T07:00:00Z",
    "kms_type": "phala",
    "cvm_count": 1,
}
BATCH_APP = {
    "id": "prj_batch",
    "name": "",
    "app_id": BATCH_ID,
    "created_at": "2026-01-17T07:00:00Z",
    "kms_type": "legacy",
    "cvm_count": 0,
}
MINIMAL_APP = dict.fromkeys((*SHOP_APP, "current_cvm", "cvms")) | {"app_id": "dd" * 20}

# The same account as both API versions show it: three apps that have CVMs, one of them two; of one only current_cvm is left.

FLAT_SHOP_1 = {
    "vm_uuid": "11111111-2222-4333-8444-555555555555",
    "app_id": SHOP_ID,
    "name": "shop",
    "status": "running",
    "vcpu": 2,
    "memory": 4096,
    "disk_size": 40,
    "teepod_id": 7,
    "teepod_name": "prod7",
    "region_identifier": "US-WEST-1",
    "kms_type": "base",
    "instance_type": "tdx.medium",
    "listed": True,
    "base_image": "dstack-dev-0.5.7-9b6a5239",
    "kms_slug": "kms-base-prod7",
    "kms_id": "kms_7",
    "instance_id": SHOP_1,
    "machine_info": {"vcpu": 2, "memory": 4096, "disk_size": 40, "gpu_count": 0},
    "updated_at": "2026-03-01T09:30:00Z",
}
FLAT_SHOP_2 = {
    **FLAT_SHOP_1,
    "vm_uuid": "99999999-2222-4333-8444-555555555555",
    "status": "stopped",
    "teepod_id": 12,
    "teepod_name": "prod12",
    "region_identifier": "EU-WEST-1",
    "base_image": "dstack-0.5.7",
    "instance_id": SHOP_2,
    "listed": None,
    "machine_info": None,
}
FLAT_MODEL = {
    "vm_uuid": MODEL,
    "app_id": MODEL_ID,
    "name": "model",
    "status": "creating",
    "vcpu": 24,
    "memory": 196608,
    "disk_size": 500,
    "teepod_id": 3,
    "teepod_name": "h200-3",
    "region_identifier": None,
    "kms_type": None,
    "instance_type": None,
}
FLAT_BATCH = {
    **FLAT_SHOP_1,
    "vm_uuid": "44444444-2222-4333-8444-555555555555",
    "app_id": BATCH_ID,
    "name": "",
    "instance_id": BATCH,
    "new_tomorrow": {"list": [1, 2.5, True, None], "text": "{% raw"},
}
TEAM = {"team_slug": "example-team", "team_name": "Example team"}
FLAT_APPS = [
    {**SHOP_APP, "current_cvm": FLAT_SHOP_2, "cvms": [FLAT_SHOP_1, FLAT_SHOP_2], **TEAM},
    {**MODEL_APP, "cvms": [FLAT_MODEL], "current_cvm": None, "team_slug": None, "team_name": "No slug"},
    {**BATCH_APP, "cvms": [], "current_cvm": FLAT_BATCH, **TEAM},
    MINIMAL_APP,
]

WORKSPACE = {"object_type": "workspace", "id": "wks_1", "name": "Example team", "slug": "example-team", "avatar_url": None}
NESTED_SHOP_1 = {
    "id": "cvm_shop1",
    "name": "shop",
    "app_id": SHOP_ID,
    "vm_uuid": "11111111-2222-4333-8444-555555555555",
    "instance_id": SHOP_1,
    "resource": {"instance_type": "tdx.medium", "vcpu": 2, "memory_in_gb": 4.0, "disk_in_gb": 40, "gpus": 0},
    "node_info": {"object_type": "node", "id": 7, "node_id": 1007, "name": "prod7", "region": "US-WEST-1", "status": "ONLINE"},
    "os": {"name": "dstack-dev-0.5.7-9b6a5239", "version": "0.5.7", "is_dev": True, "os_image_hash": None},
    "kms_type": "base",
    "kms_info": {"chain_id": 8453, "rpc_endpoint": "https://rpc.example.org"},
    "status": "running",
    "in_progress": False,
    "progress": None,
    "gateway": {"base_domain": "dstack-prod7.example.org", "cname": None},
    "services": [],
    "endpoints": [{"app": f"https://{SHOP_ID}-80.example.org", "instance": f"https://{SHOP_1}-80.example.org"}],
    "public_logs": True,
    "workspace": WORKSPACE,
    "created_at": "2026-02-01T08:00:00Z",
    "deleted_at": None,
    "listed": True,
}
NESTED_SHOP_2 = {
    **NESTED_SHOP_1,
    "id": "cvm_shop2",
    "vm_uuid": "99999999-2222-4333-8444-555555555555",
    "instance_id": SHOP_2,
    "status": "stopped",
    "node_info": {"id": 12, "name": "prod12", "region": "EU-WEST-1"},
    "os": {"name": "dstack-0.5.7", "is_dev": None},
    "gateway": {"base_domain": "dstack-prod12.example.org:8443"},
    "listed": False,
}
NESTED_SHOP_GONE = {**NESTED_SHOP_1, "id": "cvm_gone", "vm_uuid": "0" * 8, "deleted_at": "2026-02-02T00:00:00Z"}
NESTED_MODEL = {
    "id": "cvm_model",
    "name": "model",
    "resource": {"vcpu": 24, "memory_in_gb": 192, "disk_in_gb": 500, "gpus": 1},
    "node_info": None,
    "status": "creating",
    "gateway": {},
}
NESTED_BATCH = {
    **NESTED_SHOP_1,
    "id": "cvm_batch",
    "name": "",
    "app_id": BATCH_ID,
    "vm_uuid": "44444444-2222-4333-8444-555555555555",
    "instance_id": BATCH,
    "new_tomorrow": {"list": [1, 2.5, True, None], "text": "{% raw"},
}
NESTED_APPS: list[dict[str, Any]] = [
    {**SHOP_APP, "current_cvm": NESTED_SHOP_2, "cvms": [NESTED_SHOP_GONE, NESTED_SHOP_1, NESTED_SHOP_2]},
    {**MODEL_APP, "cvms": [NESTED_MODEL], "current_cvm": None},
    {**BATCH_APP, "cvms": [], "current_cvm": NESTED_BATCH},
    MINIMAL_APP,
]

# What is expected. Text that might be a template is printed as such by ansible-inventory, and nothing else is.

UNSAFE_APP = {**SHOP_APP, "profile": {**SHOP_APP["profile"], "description": {"__ansible_unsafe": "{{ 7 * 7 }}"}}}
NO_APP = dict.fromkeys(SHOP_APP)  # what every app has, null where the API does not give it
UNSAFE_NEW = {"list": [1, 2.5, True, None], "text": {"__ansible_unsafe": "{% raw"}}

CORE_SHOP_1 = {
    "phala_name": "shop",
    "phala_vm_uuid": "11111111-2222-4333-8444-555555555555",
    "phala_instance_id": SHOP_1,
    "phala_app_id": SHOP_ID,
    "phala_status": "running",
    "phala_region": "US-WEST-1",
    "phala_node": "prod7",
    "phala_node_id": 7,
    "phala_base_image": "dstack-dev-0.5.7-9b6a5239",
    "phala_is_dev": True,
    "phala_vcpu": 2,
    "phala_memory": 4096,
    "phala_disk_size": 40,
    "phala_gpu_count": 0,
    "phala_instance_type": "tdx.medium",
    "phala_kms_type": "base",
    "phala_kms_slug": None,
    "phala_kms_id": None,
    "phala_listed": True,
    "phala_updated_at": None,
    "phala_gateway_domain": None,
    "phala_team_slug": "example-team",
    "phala_team_name": "Example team",
    "phala_app_name": "shop",
    "phala_is_current": False,
    "phala_app": UNSAFE_APP,
    "phala_is_reachable": False,
    **{
        f"phala_{name}": None
        for name in (
            "cvm_id", "in_progress", "created_at", "os_version", "compose_hash", "gateway_enabled", "gateway_id", "gateway_host",
            "gateway_port", "app_urls", "instance_urls", "account",
        )
    },
}  # fmt: skip
CORE_SHOP_2 = {
    **CORE_SHOP_1,
    "phala_vm_uuid": "99999999-2222-4333-8444-555555555555",
    "phala_instance_id": SHOP_2,
    "phala_status": "stopped",
    "phala_region": "EU-WEST-1",
    "phala_node": "prod12",
    "phala_node_id": 12,
    "phala_base_image": "dstack-0.5.7",
    "phala_is_dev": False,
    "phala_is_current": True,
}
CORE_MODEL = {
    **dict.fromkeys(CORE_SHOP_1),
    "phala_name": "model",
    "phala_app_id": MODEL_ID,
    "phala_status": "creating",
    "phala_vcpu": 24,
    "phala_memory": 196608,
    "phala_disk_size": 500,
    "phala_app_name": "model",
    "phala_is_current": False,
    "phala_is_reachable": False,
    "phala_app": {**NO_APP, **MODEL_APP},
}
CORE_BATCH = {
    **CORE_SHOP_1,
    "phala_name": "",
    "phala_vm_uuid": "44444444-2222-4333-8444-555555555555",
    "phala_instance_id": BATCH,
    "phala_app_id": BATCH_ID,
    "phala_app_name": "",
    "phala_is_current": True,
    "phala_app": {**NO_APP, **BATCH_APP},
}

FLAT_KMS = {"phala_kms_slug": "kms-base-prod7", "phala_kms_id": "kms_7", "phala_updated_at": "2026-03-01T09:30:00Z"}
FLAT_FIELDS = {
    "phala_teepod_id": 7,
    "phala_teepod_name": "prod7",
    "phala_region_identifier": "US-WEST-1",
    "phala_machine_info": {"vcpu": 2, "memory": 4096, "disk_size": 40, "gpu_count": 0},
}
NESTED_FIELDS = {
    f"phala_{name}": NESTED_SHOP_1[name]
    for name in (
        "id", "resource", "node_info", "os", "kms_info", "in_progress", "progress", "gateway", "services", "endpoints",
        "public_logs", "workspace", "created_at", "deleted_at",
    )
}  # fmt: skip

NESTED_URLS = {
    "phala_app_urls": [f"https://{SHOP_ID}-80.example.org"],
    "phala_instance_urls": [f"https://{SHOP_1}-80.example.org"],
}


def through_gateway(cvm: str, instance: str, host: str, port: int = 443) -> dict[str, Any]:
    """Return the variables that a CVM of the nested shape has for its gateway."""
    domain = host if port == 443 else f"{host}:{port}"
    return {
        **NESTED_URLS,
        "phala_id": cvm,
        "phala_cvm_id": cvm,
        "phala_gateway_domain": domain,
        "phala_gateway_id": instance,
        "phala_gateway_host": host,
        "phala_gateway_port": port,
        "ansible_host": f"{instance}-22.{host}",
    }


UNREACHABLE = (
    "-o ControlPath=none -o 'ProxyCommand=sh -c '\"'\"'echo '\"'\"'\"'\"'\"'\"'\"'\"'phala.cloud: this CVM has no gateway address"
    ": {}. If you connect another way, set connect_with: none, or ansible_host"
    " in compose.'\"'\"'\"'\"'\"'\"'\"'\"' >&2; exit 1'\"'\"''"
)
NO_DOMAIN = {
    "ansible_host": "no-gateway-address.invalid.",
    "ansible_ssh_common_args": UNREACHABLE.format("the API gives no gateway domain, and gateway_domain is not set"),
}

HOSTS: dict[str, dict[str, Any]] = {
    FLAT: {
        "shop-11111111": {**CORE_SHOP_1, **FLAT_KMS, **FLAT_FIELDS, **NO_DOMAIN},
        "shop-99999999": {
            **CORE_SHOP_2,
            **FLAT_KMS,
            **FLAT_FIELDS,
            "phala_teepod_id": 12,
            "phala_teepod_name": "prod12",
            "phala_region_identifier": "EU-WEST-1",
            "phala_machine_info": None,
            "phala_gpu_count": None,
            "phala_listed": None,
            **NO_DOMAIN,
        },
        "model": {
            **CORE_MODEL,
            "phala_vm_uuid": MODEL,
            "phala_app": {**NO_APP, **MODEL_APP, "team_slug": None, "team_name": "No slug"},
            "phala_team_name": "No slug",
            "phala_node": "h200-3",
            "phala_node_id": 3,
            "phala_teepod_id": 3,
            "phala_teepod_name": "h200-3",
            "phala_region_identifier": None,
            **NO_DOMAIN,
        },
        BATCH: {**CORE_BATCH, **FLAT_KMS, **FLAT_FIELDS, "phala_new_tomorrow": UNSAFE_NEW, **NO_DOMAIN},
    },
    NESTED: {
        "shop-11111111": {
            **CORE_SHOP_1,
            **NESTED_FIELDS,
            **through_gateway("cvm_shop1", SHOP_1, "dstack-prod7.example.org"),
            "phala_is_reachable": True,
            "phala_os_version": "0.5.7",
        },
        "shop-99999999": {
            **CORE_SHOP_2,
            **NESTED_FIELDS,
            **through_gateway("cvm_shop2", SHOP_2, "dstack-prod12.example.org", 8443),
            "phala_node_info": {"id": 12, "name": "prod12", "region": "EU-WEST-1"},
            "phala_os": {"name": "dstack-0.5.7", "is_dev": None},
            "phala_gateway": {"base_domain": "dstack-prod12.example.org:8443"},
            "phala_listed": False,
            "ansible_port": 8443,
        },
        "model": {
            **CORE_MODEL,
            "phala_id": "cvm_model",
            "phala_cvm_id": "cvm_model",
            "phala_resource": {"vcpu": 24, "memory_in_gb": 192, "disk_in_gb": 500, "gpus": 1},
            "phala_node_info": None,
            "phala_gateway": {},
            "phala_gpu_count": 1,
            **NO_DOMAIN,
        },
        BATCH: {
            **CORE_BATCH,
            **NESTED_FIELDS,
            **through_gateway("cvm_batch", BATCH, "dstack-prod7.example.org"),
            "phala_is_reachable": True,
            "phala_os_version": "0.5.7",
            "phala_new_tomorrow": UNSAFE_NEW,
        },
    },
}
# The team is a part of the app in the flat shape alone.
for host in ("shop-11111111", "shop-99999999", BATCH):
    HOSTS[FLAT][host] = {**HOSTS[FLAT][host], "phala_app": {**HOSTS[FLAT][host]["phala_app"], **TEAM}}

PROXY = (
    "-o 'ProxyCommand=env -u PHALA_CLOUD_API_KEY openssl s_client -quiet -verify_quiet -verify_return_error -verify_hostname %h"
    " -servername %h -connect %h:%p' -o ServerAliveInterval=60"
)
DIMENSIONS = {
    "base_image_dstack_0_5_7": ["shop-99999999"],
    "base_image_dstack_dev_0_5_7_9b6a5239": [BATCH, "shop-11111111"],
    "node_prod12": ["shop-99999999"],
    "node_prod7": [BATCH, "shop-11111111"],
    "region_EU_WEST_1": ["shop-99999999"],
    "region_US_WEST_1": [BATCH, "shop-11111111"],
    "status_creating": ["model"],
    "status_running": [BATCH, "shop-11111111"],
    "status_stopped": ["shop-99999999"],
}
THROUGH_GATEWAY = [BATCH, "shop-11111111", "shop-99999999"]
GATEWAY_VARIABLES = {"ansible_port": 443, "ansible_user": "root", "ansible_ssh_common_args": PROXY}
GROUPS: dict[str, dict[str, list[str]]] = {
    FLAT: {**DIMENSIONS, "node_h200_3": ["model"]},
    NESTED: DIMENSIONS,
}


def expected_inventory(shape: str) -> dict[str, Any]:
    """Put together what ``ansible-inventory --list --export`` prints, every list sorted."""
    groups: dict[str, dict[str, Any]] = {name: {"hosts": sorted(hosts)} for name, hosts in GROUPS[shape].items()}
    if shape == NESTED:
        groups["phala_gateway"] = {"hosts": sorted(THROUGH_GATEWAY), "vars": GATEWAY_VARIABLES}
    return {
        "_meta": {"hostvars": HOSTS[shape]},
        "all": {"children": ["phala", "ungrouped"]},
        "phala": {"hosts": sorted(HOSTS[shape]), "children": sorted(groups)},
        **groups,
    }


def listed_inventory(printed: dict[str, Any]) -> dict[str, Any]:
    """Return what was printed without what the versions of ansible-core differ in, every list of names sorted."""
    printed["_meta"].pop("profile", None)
    return {
        name: {key: sorted(value) if isinstance(value, list) else value for key, value in group.items()}
        for name, group in printed.items()
    }


ACCOUNTS = {
    FLAT: pytest.param(FLAT, FLAT_APPS, FlatPage, "2025-10-28", id="flat"),
    NESTED: pytest.param(NESTED, NESTED_APPS, NestedPage, "2026-01-21", id="nested"),
}


@pytest.mark.parametrize(("shape", "apps", "page_model", "version"), ACCOUNTS.values())
def test_list_shows_the_whole_account(
    shape: str, apps: list[Any], page_model: Any, version: str, simulator: Simulator, ansible_inventory: Callable[..., Completed]
) -> None:
    page_model(dstack_apps=apps, page=1, page_size=100, total=len(apps), total_pages=1)  # it is what the service may answer
    simulator.fleet = apps
    printed = ansible_inventory({"api_version": version}, "--list", "--export").json
    assert listed_inventory(printed) == expected_inventory(shape)
    assert [request.headers["x-phala-version"] for request in simulator.requests] == [version]


def test_graph_of_a_file_of_one_line_shows_the_groups(simulator: Simulator, ansible_inventory: Callable[..., Completed]) -> None:
    simulator.fleet = NESTED_APPS
    completed = ansible_inventory("plugin: phala.cloud.phala\n", "--graph")
    lines = completed.stdout.splitlines()
    assert completed.status == 0
    assert lines[:2] == ["@all:", "  |--@ungrouped:"]
    assert lines[2:3] == ["  |--@phala:"]
    groups = {**DIMENSIONS, "phala_gateway": THROUGH_GATEWAY}
    assert sorted(line.strip("| -") for line in lines[3:]) == sorted(
        [*(f"@{group}:" for group in groups), *(host for hosts in groups.values() for host in hosts), *HOSTS[NESTED]]
    )


def test_host_shows_the_variables_of_a_host(simulator: Simulator, ansible_inventory: Callable[..., Completed]) -> None:
    simulator.fleet = NESTED_APPS
    printed = ansible_inventory({}, "--host", "model").json
    assert printed == HOSTS[NESTED]["model"]


def test_same_account_gives_the_same_inventory_whatever_the_order(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = NESTED_APPS
    options = {"page_size": 1, "concurrency": 4}
    one = inventory(options).text
    shop, model, batch, minimal = NESTED_APPS
    simulator.fleet = [minimal, batch, {**shop, "cvms": shop["cvms"][::-1]}, model]
    assert inventory(options).text == one


def test_list_can_be_printed_as_yaml(simulator: Simulator, ansible_inventory: Callable[..., Completed]) -> None:
    simulator.fleet = NESTED_APPS
    completed = ansible_inventory({}, "--list", "--yaml")
    assert completed.status == 0, completed.stderr
    for text in (*HOSTS[NESTED], "phala_vcpu: 24", "phala_kms_slug: null", "{{ 7 * 7 }}"):
        assert text in completed.stdout
