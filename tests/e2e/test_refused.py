# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A CVM without a gateway address is not reached by its name in any way, and the other CVMs are reached in the same ways."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import sysconfig
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from ansible_collections.phala.cloud.tests.needs import skip_or_fail
from ansible_collections.phala.cloud.tests.simulator import Simulator

from .cloud import Cloud
from .conftest import hex_id
from .project import Project, apps_of, tell
from .sshd import INSTANCE_VARIABLE, Sshd

REFUSED = "refused"
API = {"api": hex_id(4)}
BOTH = f"{REFUSED}:api"
JUMP_HOST = "jump.example.org"
NO_ADDRESS = "no-gateway-address.invalid."
PARAMIKO_COMMAND = "openssl s_client -quiet -verify_quiet -verify_return_error -servername %h -connect %h:%p -CAfile {ca}"


@pytest.fixture
def stranger(project: Project, cloud: Cloud, service: Simulator, tmp_path: Path) -> Iterator[Sshd]:
    """Start somebody else's SSH server, which accepts the user's key and has the name of a CVM without an address."""
    service.fleet = apps_of(cloud, {"web-2": {"instance_id": None, "name": REFUSED}})
    server = Sshd(
        tmp_path / "stranger",
        "stranger",
        authorized_keys=cloud.key.with_suffix(".pub"),
        users=["root", pwd.getpwuid(os.getuid()).pw_name],
        environment={name: project.client.environment[name] for name in ("LD_PRELOAD", "NSS_WRAPPER_HOSTS")},
    )
    for name in (REFUSED, JUMP_HOST):
        cloud.know(project.client, name)
    known_hosts = project.folder / ".ssh" / "known_hosts"
    with known_hosts.open("a", encoding="utf-8") as file:
        file.writelines(f"[{name}]:{server.port} {server.host_key}\n" for name in (REFUSED, JUMP_HOST))
    project.set_variables(f"host_vars/{REFUSED}", ansible_port=server.port, ansible_user="root")
    server.start()
    yield server
    server.stop()


@pytest.mark.usefixtures("stranger")
def test_the_machine_of_that_name_would_be_reached(project: Project) -> None:
    address = ("-e", f"ansible_host={REFUSED}", "-e", "ansible_ssh_common_args=-C")
    assert project.play(REFUSED, arguments=address).told == {REFUSED: "stranger"}


@pytest.mark.usefixtures("stranger")
@pytest.mark.parametrize("owner", ["play", "host_vars", "extra variables"])
def test_arguments_of_one_s_own_reach_nobody_else(project: Project, stranger: Sshd, owner: str) -> None:
    own = {"ansible_ssh_common_args": "-o ServerAliveCountMax=2"}
    if owner == "host_vars":
        project.set_variables(f"host_vars/{REFUSED}", ansible_port=stranger.port, **own)
    played = project.play(
        BOTH if owner == "host_vars" else REFUSED,
        variables=own if owner == "play" else None,
        arguments=("-e", json.dumps(own)) if owner == "extra variables" else (),
    )
    assert played.told == (API if owner == "host_vars" else {})
    assert played.unreachable == {REFUSED}
    assert f"Could not resolve hostname {NO_ADDRESS}" in played.output


@pytest.mark.usefixtures("stranger")
@pytest.mark.parametrize("owner", ["play", "extra variables"])
def test_further_arguments_keep_the_tunnel(project: Project, owner: str) -> None:
    further = {"ansible_ssh_extra_args": "-o ServerAliveCountMax=2"}
    played = project.play(
        BOTH,
        variables=further if owner == "play" else None,
        arguments=("-e", json.dumps(further)) if owner == "extra variables" else (),
    )
    assert (played.told, played.unreachable) == (API, {REFUSED})


@pytest.mark.parametrize("way", ["jump host", "ProxyCommand"])
def test_a_jump_host_in_ssh_args_reaches_nobody_else(project: Project, stranger: Sshd, way: str) -> None:
    jump = f"{JUMP_HOST}:{stranger.port}"
    arguments = f"-J root@{jump}" if way == "jump host" else f"-o 'ProxyCommand=ssh -p {stranger.port} -W %h:%p root@{JUMP_HOST}'"
    project.client.environment["ANSIBLE_SSH_ARGS"] = arguments
    by_name = ("-e", f"ansible_host={REFUSED}", "-e", "ansible_ssh_common_args=-C")
    assert project.play(REFUSED, arguments=by_name).told == {REFUSED: "stranger"}
    without_fix = project.play(BOTH)
    assert (without_fix.told, without_fix.unreachable) == ({}, {REFUSED, "api"})
    project.set_variables("group_vars/phala_gateway", ansible_ssh_args="-o ControlMaster=auto -o ControlPersist=60s")
    with_fix = project.play(BOTH)
    assert (with_fix.told, with_fix.unreachable) == (API, {REFUSED})


@pytest.mark.parametrize("use_ssh_args", [False, True])
def test_synchronize_reaches_nobody_else(project: Project, cloud: Cloud, stranger: Sshd, use_ssh_args: bool) -> None:
    require_synchronize()
    source = project.folder / "sent"
    source.mkdir()
    (source / "file").write_text("sent", encoding="utf-8")
    task = {"src": f"{source}/", "dest": "landed/", "use_ssh_args": use_ssh_args}
    played = project.play(BOTH, {"ansible.posix.synchronize": task})
    assert REFUSED in played.failed | played.unreachable
    assert not (stranger.home / "landed").exists()
    assert ("api" in played.failed | played.unreachable) is not use_ssh_args
    landed = cloud.servers[hex_id(4)].home / "landed" / "file"
    assert landed.exists() is use_ssh_args
    shutil.rmtree(landed.parent, ignore_errors=True)


def require_synchronize() -> None:
    """Skip or fail where rsync or the collection ansible.posix is missing."""
    collections = Path(sysconfig.get_path("purelib"), "ansible_collections")
    if not shutil.which("rsync"):
        skip_or_fail("synchronize needs rsync (rsync)")
    if not (collections / "ansible" / "posix").exists():
        skip_or_fail("synchronize needs the collection ansible.posix")


@pytest.mark.usefixtures("stranger")
def test_every_connection_plugin_gets_an_address_that_nothing_resolves(project: Project) -> None:
    assert project.list_hosts()[REFUSED]["ansible_host"] == NO_ADDRESS


@pytest.mark.usefixtures("stranger")
@pytest.mark.skipif(
    find_spec("ansible.plugins.connection.paramiko_ssh") is None, reason="ansible-core 2.21 and later have no paramiko connection"
)
def test_paramiko_reaches_nobody_else(project: Project, cloud: Cloud) -> None:
    project.client.environment.update(ANSIBLE_HOST_KEY_CHECKING="false", ANSIBLE_TIMEOUT="15")
    paramiko = ("-e", "ansible_connection=paramiko_ssh")
    by_name = (*paramiko, "-e", f"ansible_host={REFUSED}", "-e", "ansible_ssh_common_args=-C")
    assert project.play(REFUSED, arguments=by_name).told == {REFUSED: "stranger"}
    command = PARAMIKO_COMMAND.format(ca=cloud.certificates.ca)
    project.set_variables("group_vars/phala_gateway", ansible_paramiko_proxy_command=command)
    played = project.play(BOTH, arguments=paramiko)
    assert (played.told, played.unreachable) == (API, {REFUSED})


@pytest.mark.parametrize("address", ["127.0.0.1", REFUSED])
def test_an_address_from_compose_is_neither_refused_nor_tunneled(
    project: Project, cloud: Cloud, stranger: Sshd, address: str
) -> None:
    before = list(cloud.gateway.asked)
    project.configure(compose={"ansible_host": f"{address!r} if {REFUSED!r} == inventory_hostname else None"})
    key = f"[{address}]:{stranger.port} {stranger.host_key}\n"
    with (project.folder / ".ssh" / "known_hosts").open("a", encoding="utf-8") as known_hosts:
        known_hosts.write(key)
    assert project.play(REFUSED, *tell(f'echo "${INSTANCE_VARIABLE}"')).told == {REFUSED: "stranger"}
    assert cloud.gateway.asked == before
