# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils import _gateway
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import Identity
from ansible_collections.phala.cloud.plugins.plugin_utils._gateway import (
    GatewayGroup,
    GatewayGroupError,
    gateway_group,
    openssl_problem,
    refuse_gateway_group,
    refuse_shared_gateway,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._hosts import Host
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import GatewaySettings
from ansible_collections.phala.cloud.plugins.plugin_utils._sources import Before, Listed
from ansible_collections.phala.cloud.plugins.plugin_utils._trust import Marker

VARIABLES = {"ansible_port": 443, "ansible_user": "root", "ansible_ssh_common_args": "-o x"}
EMPTY = Before()
GROUP = GatewayGroup("phala_gateway", VARIABLES)
CVM = Identity("", "u1", None, None)
LISTED = Listed("db", "first.yml", ("", ""), CVM, {}, {})


def settings(openssl: str = "openssl") -> GatewaySettings:
    return GatewaySettings(None, 443, True, None, openssl, (), 22, "root")


def inventory(variables: dict[str, Any], *hosts: str) -> Any:
    group = SimpleNamespace(vars=variables, get_hosts=lambda: [SimpleNamespace(name=name) for name in hosts])
    return SimpleNamespace(groups={"phala_gateway": group})


def refuse(existing: Any, before: Before = EMPTY, *own: Host) -> None:
    refuse_shared_gateway(GROUP, own, existing, before, "second.yml")


def refusal(existing: Any, before: Before = EMPTY) -> str:
    with pytest.raises(GatewayGroupError) as raised:
        refuse(existing, before)
    return str(raised.value)


def test_group_has_the_common_variables_of_the_gateway() -> None:
    source: Any = SimpleNamespace(group="mine", gateway=settings())
    group = gateway_group(source, Marker())
    assert group is not None
    assert (group.name, sorted(group.variables)) == ("mine_gateway", sorted(VARIABLES))
    source.gateway = None
    assert gateway_group(source, Marker()) is None


@pytest.mark.parametrize(
    ("existing", "before"),
    [
        (SimpleNamespace(groups={}), Before()),
        (inventory({}), Before()),
        (inventory({"other": 1}), Before()),
        (inventory({**VARIABLES, "other": 1}), Before()),
        (inventory(VARIABLES, "db"), Before(gateways={"phala_gateway": "x.yml"}, cvms={"db": LISTED})),
    ],
)
def test_group_that_changes_no_connection_is_shared(existing: Any, before: Before) -> None:
    refuse(existing, before)


def test_own_hosts_may_be_in_the_group_already() -> None:
    refuse(inventory({}, "web"), Before(), Host("web", CVM, {}, {}, {}, ("g", "phala_gateway"), {}))


@pytest.mark.parametrize(
    ("variables", "gateways", "origin"),
    [
        ({"ansible_user": "me"}, {}, "another source"),
        ({**VARIABLES, "ansible_port": 1}, {}, "another source"),
        ({"ansible_user": "root"}, {"phala_gateway": "first.yml"}, "first.yml"),
        ({}, {"phala_gateway": "first.yml"}, "first.yml"),
    ],
)
def test_group_with_other_variables_is_refused(variables: dict[str, Any], gateways: dict[str, str], origin: str) -> None:
    assert refusal(inventory(variables), Before(gateways=gateways)) == (
        f"the group 'phala_gateway' has other connection variables from {origin}, and second.yml would change"
        " how its hosts are reached. Set another 'group' in one of the files."
    )


@pytest.mark.parametrize("before", [Before(), Before(cvms={"db": LISTED})])
def test_group_with_hosts_of_another_source_is_refused(before: Before) -> None:
    existing = inventory({}, "web", "db")
    assert refusal(existing, before) == (
        "the group 'phala_gateway' contains 'db' of another source, which would get the connection variables of second.yml."
        " Set another 'group' there, or rename the group of the other source."
    )
    with pytest.raises(GatewayGroupError, match="contains 'db'"):
        refuse(existing, before, Host("db", CVM, {}, {}, {}, ("g",), {}))


def test_group_of_all_hosts_is_not_the_gateway_group_of_another_file() -> None:
    source: Any = SimpleNamespace(group="a_gateway", path="second.yml")
    refuse_gateway_group(source, Before(gateways={"b_gateway": "first.yml"}))
    with pytest.raises(GatewayGroupError) as raised:
        refuse_gateway_group(source, Before(gateways={"a_gateway": "first.yml"}))
    assert str(raised.value) == (
        "group: 'a_gateway' in second.yml is the group with the connection variables of first.yml. Choose another name."
    )


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a busy machine time to start a command."""
    monkeypatch.setattr(_gateway, "SECONDS_FOR_VERSION", 60)


def command(folder: Path, script: str) -> str:
    path = folder / "openssl"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_missing_command_is_mentioned() -> None:
    assert list(openssl_problem(settings("/nowhere/openssl"))) == [
        Diagnostic(
            Level.VERBOSE,
            "'/nowhere/openssl' was not found, and ssh needs it to reach the hosts. Install OpenSSL.",
            option="gateway_openssl",
        )
    ]


def test_libressl_is_a_warning(tmp_path: Path) -> None:
    path = command(tmp_path, 'test "$*" = version && echo LibreSSL 3.8')
    assert list(openssl_problem(settings(path))) == [
        Diagnostic(
            Level.WARNING,
            f"{path!r} is LibreSSL, which cannot check the gateway's host name, so every tunnel fails",
            option="gateway_openssl",
            advice="Install OpenSSL and set gateway_openssl to its path.",
        )
    ]


@pytest.mark.parametrize("script", ["echo OpenSSL 3.0", "echo LibreSSL >&2", "exit 1"])
def test_other_answers_are_none(tmp_path: Path, script: str) -> None:
    assert list(openssl_problem(settings(command(tmp_path, script)))) == []


def test_command_that_hangs_or_cannot_run_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = command(tmp_path, "")
    given: dict[str, Any] = {}

    def run(arguments: list[str], **options: Any) -> None:
        given.update(options)
        raise subprocess.TimeoutExpired(arguments, 60)

    monkeypatch.setattr(subprocess, "run", run)
    assert list(openssl_problem(settings(path))) == []
    assert given == {"capture_output": True, "check": False, "stdin": subprocess.DEVNULL, "timeout": 60}
