# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._connection import (
    KEEP_ALIVE,
    Address,
    Refusal,
    composed_address,
    connect,
    group_connection,
    is_behind,
    is_reachable,
    set_gateway_variables,
    without_null_addresses,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import GATEWAY_VARIABLES
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import GatewaySettings

GATEWAY = GatewaySettings(
    domain=None,
    port=443,
    validate_certs=True,
    ca_path=None,
    openssl="openssl",
    allowed_domains=(),
    ssh_port=22,
    ssh_user="root",
)
INSTANCE_ID, APP_ID = "1c" * 20, "ab" * 20


def core(**values: Any) -> Any:
    return {
        "instance_id": INSTANCE_ID,
        "app_id": APP_ID,
        "gateway_domain": "gw.example.org",
        "gateway_enabled": True,
        "status": "running",
        "in_progress": False,
        "is_dev": True,
        **dict.fromkeys(GATEWAY_VARIABLES),
        **values,
    }


@pytest.mark.parametrize(
    ("values", "gateway", "variables"),
    [
        ({}, {}, {"ansible_host": f"{INSTANCE_ID}-22.gw.example.org"}),
        ({}, {"ssh_port": 2222}, {"ansible_host": f"{INSTANCE_ID}-2222.gw.example.org"}),
        ({}, {"port": 8443, "domain": "other.org:1"}, {"ansible_host": f"{INSTANCE_ID}-22.gw.example.org"}),
        ({"gateway_domain": "gw.org:99"}, {"port": 8443}, {"ansible_host": f"{INSTANCE_ID}-22.gw.org", "ansible_port": 99}),
        ({"gateway_domain": None}, {"domain": "other.org"}, {"ansible_host": f"{INSTANCE_ID}-22.other.org"}),
        ({"gateway_domain": ""}, {"domain": "other.org:1"}, {"ansible_host": f"{INSTANCE_ID}-22.other.org", "ansible_port": 1}),
        ({"instance_id": "ABCdef"}, {}, {"ansible_host": "abcdef-22.gw.example.org"}),
        ({"instance_id": None}, {}, {"ansible_host": f"{APP_ID}-22.gw.example.org"}),
        ({"instance_id": ""}, {}, {"ansible_host": f"{APP_ID}-22.gw.example.org"}),
        ({"instance_id": "0xABC"}, {}, {"ansible_host": "abc-22.gw.example.org"}),
        ({"instance_id": None, "app_id": "app_0Xdef"}, {}, {"ansible_host": "def-22.gw.example.org"}),
        ({"gateway_enabled": None}, {}, {"ansible_host": f"{INSTANCE_ID}-22.gw.example.org"}),
    ],
)
def test_cvm_is_addressed_by_its_instance_id_below_the_domain(
    values: dict[str, Any], gateway: dict[str, Any], variables: dict[str, Any]
) -> None:
    address = connect(GATEWAY._replace(**gateway), core(**values), is_only_cvm=True)
    assert isinstance(address, Address)
    assert address.variables == variables


def refused(values: dict[str, Any], *, is_only_cvm: bool = True, **gateway: Any) -> Refusal:
    refusal = connect(GATEWAY._replace(**gateway), core(**values), is_only_cvm=is_only_cvm)
    assert isinstance(refusal, Refusal)
    return refusal


def test_app_id_does_not_address_one_of_several_cvms() -> None:
    assert connect(GATEWAY, core(), is_only_cvm=False) == Address(f"{INSTANCE_ID}-22.gw.example.org", "gw.example.org", None)
    refusal = refused({"instance_id": None}, is_only_cvm=False)
    assert (refusal.reason, refusal.is_suspect) == ("the CVM has no instance id, and its app has other CVMs", False)
    assert refusal.fix.startswith("Refresh")


@pytest.mark.parametrize("name", ["instance_id", "app_id"])
@pytest.mark.parametrize(
    "value",
    [
        "a b",
        "a-22.evil.org",
        "a_b",
        "../a",
        "$(id)",
        "-oProxyCommand=id",
        "a\n",
        "%h",
        "a" * 58,
        "\N{KELVIN SIGN}",
        "xyz",
        "0x",
        12,
        ["a"],
    ],
)
def test_identifier_that_is_not_hexadecimal_is_suspect(name: str, value: Any) -> None:
    refusal = refused({"instance_id": value} if name == "instance_id" else {"instance_id": None, "app_id": value})
    assert refusal.is_suspect
    assert refusal.reason.startswith(f"the {name} ")
    assert str(value) not in refusal.reason.replace(name, "").split()


@pytest.mark.parametrize("domain", ["gw.org/x", "$(id).org", "-oProxyCommand=id", "10.0.0.1", 12, ["gw.org"], {"a": 1}, True])
def test_domain_of_the_api_that_is_none_is_suspect_and_not_made_up_for(domain: Any) -> None:
    refusal = refused({"gateway_domain": domain}, domain="gw.example.org")
    assert (refusal.reason, refusal.is_suspect) == ("the gateway domain is not a domain name", True)


@pytest.mark.parametrize(
    ("values", "reason", "fix"),
    [
        ({"gateway_domain": None}, "the API gives no gateway domain, and gateway_domain is not set", "Set gateway_domain"),
        ({"gateway_enabled": False}, "the gateway of the CVM is disabled", "Enable the gateway"),
        ({"gateway_enabled": False, "gateway_domain": None}, "the gateway of the CVM is disabled", "Enable the gateway"),
    ],
)
def test_cvm_without_an_address_says_why_and_what_to_do(values: dict[str, Any], reason: str, fix: str) -> None:
    refusal = refused(values)
    assert (refusal.reason, refusal.is_suspect) == (reason, False)
    assert refusal.fix.startswith(fix)


@pytest.mark.parametrize(
    ("values", "ssh_port", "reachable"),
    [
        ({}, 22, True),
        ({"status": "Running"}, 22, True),
        ({"in_progress": None}, 22, True),
        ({"is_dev": False}, 2222, True),
        ({"is_dev": None}, 22, False),
        ({"is_dev": False}, 22, False),
        ({"status": "stopped"}, 22, False),
        ({"status": None}, 22, False),
        ({"in_progress": True}, 22, False),
        ({"gateway_enabled": False}, 22, False),
        ({"instance_id": "x"}, 22, False),
        ({"gateway_domain": None}, 22, False),
    ],
    ids=str,
)
def test_cvm_is_reachable_if_it_runs_a_server_behind_the_gateway(
    values: dict[str, Any], ssh_port: int, *, reachable: bool
) -> None:
    gateway = GATEWAY._replace(ssh_port=ssh_port)
    assert is_reachable(gateway, core(**values), connect(gateway, core(**values), is_only_cvm=True)) is reachable


@pytest.mark.parametrize("domain", ["example.org", "gw.example.org", "a.b.Example.ORG:8443", "example.org."])
def test_allowed_domain_and_those_below_it_have_an_address(domain: str) -> None:
    gateway = GATEWAY._replace(allowed_domains=("other.org", "example.org"))
    assert isinstance(connect(gateway, core(gateway_domain=domain), is_only_cvm=True), Address)


@pytest.mark.parametrize("domain", ["evilexample.org", "example.org.evil.org", "org", "example.com"])
def test_domain_that_is_not_allowed_has_no_address(domain: str) -> None:
    refusal = refused({"gateway_domain": domain}, allowed_domains=("example.org",))
    assert (refusal.is_suspect, refusal.fix, refusal.domain, refusal.port) == (True, "", None, None)
    assert refusal.reason == "the gateway domain is not in allowed_gateway_domains"


@pytest.mark.parametrize(
    ("composed", "address"),
    [
        ({"ansible_host": "10.0.0.1"}, "10.0.0.1"),
        ({"ansible_host": "a", "ansible_ssh_host": "b"}, "b"),
        ({"ansible_host": None}, None),
        ({"ansible_host": " "}, None),
        ({"ansible_host": "None.vpn.example.org"}, None),
        ({"ansible_host": "vpn-None"}, None),
        ({"ansible_host": "no-gateway-address.invalid."}, None),
        ({"ansible_port": 22}, None),
    ],
    ids=str,
)
def test_address_of_compose(composed: dict[str, Any], address: str | None) -> None:
    assert composed_address(composed) == address
    kept = without_null_addresses({**composed, "x": None})
    assert kept == ({**composed, "x": None} if address or "ansible_port" in composed else {"x": None})


@pytest.mark.parametrize(
    ("address", "below"),
    [
        (f"{INSTANCE_ID}-2222.gw.example.org", True),
        ("X.GW.example.org.", True),
        ("gw.example.org", False),
        ("evilgw.example.org", False),
        ("-oProxyCommand=id .gw.example.org", False),
        ("$(id).gw.example.org", False),
    ],
)
def test_address_behind_the_gateway(address: str, below: bool) -> None:
    assert is_behind(address, "gw.example.org") == below
    assert not is_behind(address, None)


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({}, (True, INSTANCE_ID, "gw.example.org", 443)),
        ({"gateway_domain": "gw.org:99", "status": "stopped"}, (False, INSTANCE_ID, "gw.org", 99)),
        ({"instance_id": None}, (True, APP_ID, "gw.example.org", 443)),
        ({"is_dev": False, "gateway_domain": "gw-1.org"}, (False, INSTANCE_ID, "gw-1.org", 443)),
        ({"gateway_enabled": False}, (False, None, None, None)),
    ],
)
def test_core_variables_show_the_gateway(values: dict[str, Any], shown: tuple[Any, ...]) -> None:
    given = core(**values)
    connection = connect(GATEWAY, given, is_only_cvm=True)
    set_gateway_variables(given, GATEWAY, connection)
    assert tuple(given[name] for name in GATEWAY_VARIABLES) == shown


def test_refusal_knows_the_gateway_where_only_the_identifier_is_bad() -> None:
    refusal = refused({"instance_id": "x", "gateway_domain": "GW.org:99"})
    assert (refusal.domain, refusal.port) == ("gw.org", 99)
    assert refused({"instance_id": "x"}, domain="other.org").domain == "gw.example.org"
    assert "-o ControlPath=none" in refusal.variables["ansible_ssh_common_args"]


def test_connection_is_kept_alive() -> None:
    arguments = group_connection(GATEWAY)["ansible_ssh_common_args"]
    assert arguments.startswith("-o 'ProxyCommand=")
    assert arguments.endswith(f" {KEEP_ALIVE}")


def proxy_words(variables: dict[str, Any]) -> list[str]:
    """Return the words of the ProxyCommand, as the shell that ssh starts splits them."""
    (proxy,) = [word for word in shlex.split(variables["ansible_ssh_common_args"]) if word.startswith("ProxyCommand=")]
    return shlex.split(proxy.removeprefix("ProxyCommand="))


def test_group_carries_port_user_and_a_tunnel_that_checks_the_gateway() -> None:
    variables = group_connection(GATEWAY)
    assert {name: value for name, value in variables.items() if name != "ansible_ssh_common_args"} == {
        "ansible_port": 443,
        "ansible_user": "root",
    }
    assert proxy_words(variables) == [
        *("env", "-u", "PHALA_CLOUD_API_KEY"),
        *("openssl", "s_client", "-quiet", "-verify_quiet", "-verify_return_error", "-verify_hostname", "%h"),
        *("-servername", "%h", "-connect", "%h:%p"),
    ]


def test_group_carries_no_user_where_none_is_wanted() -> None:
    assert "ansible_user" not in group_connection(GATEWAY._replace(ssh_user=""))


def test_group_carries_the_port_of_the_gateway() -> None:
    assert group_connection(GATEWAY._replace(port=8443))["ansible_port"] == 8443


def test_gateway_is_not_checked_where_that_is_turned_off() -> None:
    words = proxy_words(group_connection(GATEWAY._replace(validate_certs=False, ca_path="/ca")))
    assert words[3:] == ["openssl", "s_client", "-quiet", "-verify_quiet", "-servername", "%h", "-connect", "%h:%p"]


def test_gateway_is_checked_with_a_ca_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "my 'CA' 100%.pem"
    file.touch()
    words = proxy_words(group_connection(GATEWAY._replace(ca_path=str(file))))
    assert words == [*proxy_words(group_connection(GATEWAY)), "-CAfile", str(file).replace("%", "%%")]
    assert proxy_words(group_connection(GATEWAY._replace(ca_path=str(tmp_path))))[-2:] == ["-CApath", str(tmp_path)]


def test_path_of_the_ca_does_not_depend_on_the_folder_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert proxy_words(group_connection(GATEWAY._replace(ca_path="ca.pem")))[-1] == str(tmp_path / "ca.pem")


def test_refused_connection_fails_and_says_why() -> None:
    words = proxy_words(Refusal("it's so", "", is_suspect=False).variables)
    completed = subprocess.run(words, capture_output=True, text=True, check=False)
    assert completed.returncode == 1
    assert completed.stdout == ""
    assert (
        "this CVM has no gateway address: it's so. If you connect another way, set connect_with: none, or ansible_host"
        in completed.stderr
    )
