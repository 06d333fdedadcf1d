# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The connection variables that hosts and their group get. What they do is tested from end to end elsewhere."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.phala.cloud.tests.loading import Loaded
from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Simulator

from .fleets import FLEET, one_cvm

FLAT_VERSION = "2025-10-28"
INSTANCE_ID, APP_ID = "1c" * 20, "ab" * 20
TUNNEL = "-o 'ProxyCommand=env -u PHALA_CLOUD_API_KEY {} s_client -quiet -verify_quiet {}-servername %h -connect %h:%p{}'"
ALIVE = " -o ServerAliveInterval=60"
CHECKS = "-verify_return_error -verify_hostname %h "
CHECKED = TUNNEL.format("openssl", CHECKS, "") + ALIVE
UNCHECKED = TUNNEL.format("openssl", "", "") + ALIVE


def connection(loaded: Loaded) -> dict[str, dict[str, Any]]:
    """Return the variables of each host by which Ansible connects."""
    return {
        name: {variable: value for variable, value in variables.items() if variable.startswith("ansible_")}
        for name, variables in loaded.hosts.items()
    }


def test_host_is_addressed_and_its_group_holds_the_rest(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = one_cvm(instance_id=INSTANCE_ID, gateway_domain="gw.example.org")
    loaded = inventory()
    assert connection(loaded) == {"solo": {"ansible_host": f"{INSTANCE_ID}-22.gw.example.org"}}
    assert loaded.group_variables == {
        "phala_gateway": {"ansible_port": 443, "ansible_user": "root", "ansible_ssh_common_args": CHECKED},
    }
    assert loaded.gateways == {"phala_gateway": ["solo"]}
    gateway = loaded.manager.groups["phala_gateway"]
    assert ([parent.name for parent in gateway.parent_groups], gateway.child_groups) == (["phala"], [])


@pytest.mark.parametrize(
    ("options", "variables"),
    [
        ({"gateway_port": 8443}, {"ansible_port": 8443, "ansible_user": "root", "ansible_ssh_common_args": CHECKED}),
        ({"ssh_user": "admin"}, {"ansible_port": 443, "ansible_user": "admin", "ansible_ssh_common_args": CHECKED}),
        ({"ssh_user": ""}, {"ansible_port": 443, "ansible_ssh_common_args": CHECKED}),
        (
            {"gateway_validate_certs": False},
            {"ansible_port": 443, "ansible_user": "root", "ansible_ssh_common_args": UNCHECKED},
        ),
        (
            {"gateway_ca_path": "/dev/null"},
            {
                "ansible_port": 443,
                "ansible_user": "root",
                "ansible_ssh_common_args": TUNNEL.format("openssl", CHECKS, " -CAfile /dev/null") + ALIVE,
            },
        ),
        (
            {"gateway_openssl": "/opt/my ssl/100%/openssl"},
            {
                "ansible_port": 443,
                "ansible_user": "root",
                "ansible_ssh_common_args": shlex.join(
                    ["-o", TUNNEL.format("'/opt/my ssl/100%%/openssl'", CHECKS, "")[len("-o '") : -1]]
                )
                + ALIVE,
            },
        ),
    ],
    ids=str,
)
def test_options_of_the_tunnel_are_variables_of_the_group(
    options: dict[str, Any], variables: dict[str, Any], inventory: Callable[..., Loaded], simulator: Simulator
) -> None:
    simulator.fleet = one_cvm()
    assert inventory({**options, "group": "cvms"}).group_variables == {"cvms_gateway": variables}


@pytest.mark.parametrize(
    ("fields", "options", "variables"),
    [
        ({"gateway_domain": "gw.org:8443"}, {}, {"ansible_host": f"{INSTANCE_ID}-22.gw.org", "ansible_port": 8443}),
        (
            {"gateway_domain": "gw.org:8443"},
            {"gateway_port": 99},
            {"ansible_host": f"{INSTANCE_ID}-22.gw.org", "ansible_port": 8443},
        ),
        ({"gateway_domain": "gw.org"}, {"gateway_port": 99}, {"ansible_host": f"{INSTANCE_ID}-22.gw.org"}),
        ({"gateway_domain": "GW.Org."}, {}, {"ansible_host": f"{INSTANCE_ID}-22.gw.org"}),
        ({"gateway_domain": "gw.org"}, {"gateway_domain": "other.org:1"}, {"ansible_host": f"{INSTANCE_ID}-22.gw.org"}),
        (
            {"gateway_domain": None, "gateway_enabled": True},
            {"gateway_domain": "other.org"},
            {"ansible_host": f"{INSTANCE_ID}-22.other.org"},
        ),
        (
            {"gateway_domain": None, "gateway_enabled": True},
            {"gateway_domain": "other.org:1", "gateway_port": 99},
            {"ansible_host": f"{INSTANCE_ID}-22.other.org", "ansible_port": 1},
        ),
        ({"gateway_domain": "gw.org"}, {"ssh_port": 2222}, {"ansible_host": f"{INSTANCE_ID}-2222.gw.org"}),
        ({"gateway_domain": "gw.org", "instance_id": None}, {}, {"ansible_host": f"{APP_ID}-22.gw.org"}),
    ],
    ids=str,
)
def test_address_of_a_host(
    fields: dict[str, Any],
    options: dict[str, Any],
    variables: dict[str, Any],
    simulator: Simulator,
    inventory: Callable[..., Loaded],
) -> None:
    simulator.fleet = (App(name="app", app_id=APP_ID, cvms=(Cvm(**{"name": "solo", "instance_id": INSTANCE_ID, **fields}),)),)
    assert connection(inventory(options)) == {"solo": variables}


def test_gateway_domain_serves_the_flat_shape_with_extra_variables(
    simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = one_cvm(instance_id=INSTANCE_ID)
    options = {"api_version": FLAT_VERSION, "gateway_domain": "gw.{{ where }}.org"}
    loaded = inventory(options, extra_vars={"where": "here"})
    assert connection(loaded) == {"solo": {"ansible_host": f"{INSTANCE_ID}-22.gw.here.org"}}


def test_gateway_domain_variable_is_the_text_of_the_api(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = one_cvm(gateway_domain="GW.Org.:8443")
    assert inventory().hosts["solo"]["phala_gateway_domain"] == "GW.Org.:8443"


SOLO = Cvm(name="db", instance_id=None)

UNADDRESSABLE = [
    ({"gateway_domain": None, "gateway_enabled": True}, "gives no gateway domain", False),
    ({"gateway_enabled": False}, "the gateway of the CVM is disabled", False),
    ({"instance_id": None, "gateway_domain": "gw.org"}, "its app has other CVMs", False),
    ({"gateway_domain": "gw.org/path"}, "gateway domain", True),
    ({"gateway_domain": "-oProxyCommand=id"}, "gateway domain", True),
    ({"gateway_domain": "$(id).org"}, "gateway domain", True),
    ({"gateway_domain": "{{ 7 * 7 }}.org"}, "gateway domain", True),
    ({"gateway_domain": "10.0.0.1"}, "gateway domain", True),
    ({"gateway_domain": "[::1]"}, "gateway domain", True),
    ({"gateway_domain": "gw_1.org"}, "gateway domain", True),
    ({"gateway_domain": "gw.org:0"}, "gateway domain", True),
    ({"instance_id": "a b"}, "instance_id", True),
    ({"instance_id": "a-22.evil.org"}, "instance_id", True),
    ({"instance_id": "%h`id`"}, "instance_id", True),
]


@pytest.mark.parametrize(("fields", "reason", "suspect"), UNADDRESSABLE, ids=str)
def test_host_without_an_address_is_never_reached_by_its_name(
    fields: dict[str, Any], reason: str, *, suspect: bool, simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = (App(name="app", cvms=(Cvm(**{"name": "evil.example.org", **fields}), Cvm(name="other"))),)
    loaded = inventory(verbosity=1)
    variables = connection(loaded)["evil.example.org"]
    assert list(variables) == ["ansible_host", "ansible_ssh_common_args"]
    assert variables["ansible_host"] == "no-gateway-address.invalid."
    for words in ("ProxyCommand=", reason, "connect_with: none", "exit 1"):
        assert words in variables["ansible_ssh_common_args"]
    (value,) = fields.values() if len(fields) == 1 else [None]
    assert not value or value not in variables["ansible_ssh_common_args"]
    assert loaded.gateways == {"phala_gateway": ["other"]}
    (line,) = [line for line in loaded.displayed if "No ansible_host" in line]
    assert line.startswith("[WARNING]") == suspect
    assert "'evil.example.org'" in line
    assert reason in line


@pytest.mark.parametrize(
    ("fields", "fix"),
    [
        ({"gateway_enabled": False}, "the gateway of the CVM is disabled: 'solo' (vm_uuid '"),
        ({"gateway_enabled": False}, "Enable the gateway of the CVM in the service."),
        ({"gateway_domain": None, "gateway_enabled": True}, "Set gateway_domain"),
        ({"instance_id": None}, "Refresh the instance id through the service"),
    ],
    ids=str,
)
def test_running_dev_image_without_an_address_is_a_warning_with_the_fix(
    fields: dict[str, Any], fix: str, simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    dev = {"base_image": "dstack-dev-0.5.7", **fields}
    other = Cvm(name="other")
    simulator.fleet = (App(name="app", cvms=(Cvm(name="solo", **dev), other)),)
    (warning,) = inventory().warnings
    assert fix in warning
    simulator.fleet = (App(name="app", cvms=(Cvm(name="solo", **dev, status="stopped"), other)),)
    assert inventory().warnings == []


def test_replicas_without_instance_ids_are_addressed_by_those_in_their_endpoints(
    simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    cvms = tuple(Cvm(name=f"web-{number}", instance_id=f"0x{number}A", shows_instance_id=False) for number in (1, 2))
    simulator.fleet = (App(name="web", cvms=cvms, app_id="app_0xAB"), App(name="db", app_id="0xCD", cvms=(SOLO,)))
    loaded = inventory()
    assert {name: host.partition("-22.")[0] for name, host in loaded.values("ansible_host").items()} == {
        "web-1": "1a",
        "web-2": "2a",
        "db": "cd",
    }
    assert loaded.values("phala_instance_id") == {"web-1": "1a", "web-2": "2a", "db": None}
    assert loaded.warnings == []


@pytest.mark.parametrize("connect_with", ["gateway", "none"])
def test_reachability_is_decided_before_host_filters_and_without_a_connection(
    connect_with: str, simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    dev: dict[str, Any] = {"base_image": "dstack-dev-0.5.7"}
    cvms = (
        Cvm(name="up", **dev),
        Cvm(name="busy", **dev, progress="stopped"),
        Cvm(name="off", **dev, gateway_enabled=False),
        Cvm(name="prod"),
    )
    simulator.fleet = (App(name="app", cvms=cvms),)
    options = {"connect_with": connect_with, "group_by": ["reachable", "os_version", "gpu_count"]}
    loaded = inventory(options)
    assert loaded.groups["reachable_true"] == ["up"]
    assert loaded.groups["reachable_false"] == ["busy", "off", "prod"]
    assert loaded.groups["os_version_0_5_7"] == loaded.groups["gpu_count_0"] == ["busy", "off", "prod", "up"]
    assert loaded.values("phala_in_progress") == {"up": False, "busy": True, "off": False, "prod": False}
    assert list(inventory({**options, "host_filters": ["phala_is_reachable"]}).hosts) == ["up"]
    assert sorted(inventory({**options, "ssh_port": 2222, "host_filters": ["phala_is_reachable"]}).hosts) == ["prod", "up"]


def test_many_suspect_hosts_are_one_warning(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    cvms = tuple(Cvm(name=f"cvm-{number}", gateway_domain="no domain") for number in range(50))
    simulator.fleet = (App(name="app", cvms=cvms),)
    (warning,) = inventory().warnings
    assert "and 40 more" in warning


def test_connect_with_none_sets_nothing(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = (*FLEET, *one_cvm(gateway_domain="no domain"))
    loaded = inventory({"connect_with": "none"}, verbosity=1)
    assert loaded.group_variables == {}
    assert set(map(len, connection(loaded).values())) == {0}
    assert loaded.warnings == []
    assert not [line for line in loaded.displayed if "ansible_host" in line]


DOMAIN = "gw.org:8443"
ADDRESS = f"{INSTANCE_ID}-22.gw.org"


@pytest.mark.parametrize(
    ("fields", "compose", "variables", "is_tunneled"),
    [
        ({}, {"ansible_host": "'10.0.0.7'"}, {"ansible_host": "10.0.0.7"}, False),
        ({}, {"ansible_ssh_host": "'10.0.0.7'"}, {"ansible_ssh_host": "10.0.0.7"}, False),
        ({"gateway_domain": None}, {"ansible_host": "'10.0.0.7'"}, {"ansible_host": "10.0.0.7"}, False),
        (
            {},
            {"ansible_host": "phala_instance_id ~ '-2222.gw.org'"},
            {"ansible_host": f"{INSTANCE_ID}-2222.gw.org", "ansible_port": 8443},
            True,
        ),
        ({}, {"ansible_host": "ansible_host"}, {"ansible_host": ADDRESS, "ansible_port": 8443}, True),
        ({}, {"ansible_host": "phala_kms_slug"}, {"ansible_host": ADDRESS, "ansible_port": 8443}, True),
        ({}, {"ansible_host": "''"}, {"ansible_host": ADDRESS, "ansible_port": 8443}, True),
        ({}, {"ansible_host": "phala_nothing"}, {"ansible_host": ADDRESS, "ansible_port": 8443}, True),
        ({}, {"ansible_host": "phala_kms_slug ~ '.vpn.org'"}, {"ansible_host": ADDRESS, "ansible_port": 8443}, True),
    ],
    ids=str,
)
def test_address_from_compose(
    fields: dict[str, Any],
    compose: dict[str, Any],
    variables: dict[str, Any],
    is_tunneled: bool,
    simulator: Simulator,
    inventory: Callable[..., Loaded],
) -> None:
    simulator.fleet = one_cvm(**{"instance_id": INSTANCE_ID, "gateway_domain": DOMAIN, **fields})
    loaded = inventory({"compose": compose}, verbosity=1)
    assert connection(loaded) == {"solo": variables}
    assert loaded.gateways == ({"phala_gateway": ["solo"]} if is_tunneled else {})
    assert not [line for line in loaded.displayed if "No ansible_host" in line]


@pytest.mark.parametrize("expression", ["ansible_host", "phala_instance_id ~ '.vpn.org'", "phala_kms_slug"])
def test_refused_host_stays_refused_without_an_address_from_compose(
    expression: str, simulator: Simulator, inventory: Callable[..., Loaded]
) -> None:
    simulator.fleet = (App(name="app", cvms=(Cvm(name="solo", instance_id=None), Cvm(name="other", gateway_domain=None))),)
    loaded = inventory({"compose": {"ansible_host": expression}, "host_filters": ["phala_name == 'solo'"]})
    assert list(connection(loaded)["solo"]) == ["ansible_host", "ansible_ssh_common_args"]
    assert loaded.values("ansible_host") == {"solo": "no-gateway-address.invalid."}


@pytest.mark.parametrize(
    ("domain", "is_allowed"), [("gw.Example.org:8443", True), ("example.org", True), ("evilexample.org", False)]
)
def test_allowed_gateway_domains(domain: str, is_allowed: bool, simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = one_cvm(instance_id=INSTANCE_ID, gateway_domain=domain)
    loaded = inventory({"allowed_gateway_domains": ["EXAMPLE.org"]})
    assert bool(loaded.gateways) == is_allowed
    assert [("allowed_gateway_domains" in text) for text in loaded.warnings] == ([] if is_allowed else [True])


@pytest.mark.parametrize(("script", "warns"), [("echo LibreSSL 3.3.6", True), ("echo OpenSSL 3.0.2", False)])
def test_openssl_that_fails_every_tunnel_is_reported(
    script: str, warns: bool, simulator: Simulator, inventory: Callable[..., Loaded], tmp_path: Path
) -> None:
    simulator.fleet = one_cvm()
    (tmp_path / "my-openssl").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "my-openssl").chmod(0o755)
    warnings = inventory({"gateway_openssl": "./my-openssl"}).warnings
    assert [("gateway_openssl" in text and "LibreSSL" in text) for text in warnings] == ([True] if warns else [])


def test_openssl_that_is_missing_is_a_line_at_v(simulator: Simulator, inventory: Callable[..., Loaded]) -> None:
    simulator.fleet = one_cvm()
    loaded = inventory({"gateway_openssl": "no-such-openssl"}, verbosity=1)
    assert [line for line in loaded.displayed if "gateway_openssl" in line and "was not found" in line]
    assert loaded.warnings == []
