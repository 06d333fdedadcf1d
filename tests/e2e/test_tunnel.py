# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tunnel by itself: ssh with the options that the inventory gives a host, without Ansible."""

from __future__ import annotations

import dataclasses
import functools
import re
import shlex
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.phala.cloud.tests.simulator import Simulator

from .cloud import Client, Cloud, control_node
from .conftest import hex_id
from .files import make_random_file
from .project import CLOSED, apps_of, make_project
from .sshd import INSTANCE_VARIABLE

WHERE = f"echo ${INSTANCE_VARIABLE}"

InventoryOptions = Callable[..., tuple[str, ...]]


@dataclasses.dataclass(frozen=True)
class Ssh:
    """The OpenSSH clients of a control node, with the options that lead to the gateway."""

    client: Client
    options: tuple[str, ...]

    def __call__(self, name: str, command: str = WHERE, *options: str) -> tuple[int, str, str]:
        """Run a command at a name; OpenSSL from 3.2 on tells the address it connects to, which is no matter here."""
        done = self.client.run("ssh", *self.options, *options, f"root@{name}", command)
        errors = [line for line in done.stderr.splitlines() if not line.startswith("Connecting to ")]
        return done.returncode, done.stdout, "\n".join(errors)


MakeSsh = Callable[..., Ssh]


@pytest.fixture(scope="module")
def ssh_options(running: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InventoryOptions]:
    """Give what ssh is told by an inventory source with these options; each is read once."""
    with (
        control_node(tmp_path_factory.mktemp("listing"), running) as client,
        Simulator(apps=apps_of(running)) as service,
    ):
        project = make_project(client, running, service)

        @functools.cache
        def options(**chosen: str | bool | None) -> tuple[str, ...]:
            project.configure(**chosen)
            variables = project.list_hosts()["api"]
            return ("-o", f"Port={variables['ansible_port']}", *shlex.split(variables["ansible_ssh_common_args"]))

        yield options


@pytest.fixture
def ssh_with(client: Client, ssh_options: InventoryOptions) -> MakeSsh:
    """Give ssh as it is for an inventory source with these options."""
    return lambda **chosen: Ssh(client, ssh_options(**chosen))


@pytest.fixture
def ssh(ssh_with: MakeSsh) -> Ssh:
    """Give ssh as it is for an inventory source that trusts the run's CA."""
    return ssh_with()


def test_every_instance_is_reached_without_a_word_on_stderr(ssh: Ssh, cloud: Cloud) -> None:
    running = [cvm for cvm in cloud.cvms if cvm.runs_sshd]
    landed = {cvm.instance_id: ssh(cvm.address()) for cvm in running}
    assert landed == {cvm.instance_id: (0, f"{cvm.instance_id}\n", "") for cvm in running}


def test_an_app_id_leads_to_any_replica(ssh: Ssh) -> None:
    address = f"{hex_id(0xA1)}-22.gateway.test"
    landed = {ssh(address)[1].strip() for dummy in range(3)}
    assert landed == {hex_id(1), hex_id(2), hex_id(3)}


def test_an_upper_case_domain_is_reached(ssh: Ssh, cloud: Cloud) -> None:
    assert ssh(cloud.cvms[0].address().upper())[:2] == (0, f"{hex_id(1)}\n")


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        ("other_name", "hostname mismatch"),
        ("expired", "certificate has expired"),
        ("untrusted", "unable to get local issuer certificate"),
    ],
)
def test_a_bad_certificate_is_refused_and_the_reason_told(ssh: Ssh, cloud: Cloud, certificate: str, reason: str) -> None:
    cloud.gateway.certificate = getattr(cloud.certificates, certificate)
    status, output, errors = ssh(cloud.cvms[0].address())
    assert (status, output) == (255, "")
    assert reason in errors.lower()


def test_without_a_ca_path_the_tunnel_trusts_the_system(ssh_with: MakeSsh, cloud: Cloud) -> None:
    ssh = ssh_with(gateway_ca_path=None)
    address = cloud.cvms[0].address()
    assert ssh(address)[0] == 255
    ssh.client.environment["SSL_CERT_FILE"] = str(cloud.certificates.ca)
    assert ssh(address) == (0, f"{hex_id(1)}\n", "")


def test_with_a_ca_path_the_tunnel_does_not_trust_the_system(ssh_with: MakeSsh, cloud: Cloud) -> None:
    ssh = ssh_with(gateway_ca_path=str(cloud.certificates.unknown_ca))
    ssh.client.environment["SSL_CERT_FILE"] = str(cloud.certificates.ca)
    assert ssh(cloud.cvms[0].address())[0] == 255


@pytest.mark.parametrize("certificate", ["other_name", "expired", "untrusted"])
def test_without_validation_any_certificate_will_do(ssh_with: MakeSsh, cloud: Cloud, certificate: str) -> None:
    cloud.gateway.certificate = getattr(cloud.certificates, certificate)
    assert ssh_with(gateway_validate_certs=False)(cloud.cvms[0].address())[:2] == (0, f"{hex_id(1)}\n")


@pytest.mark.parametrize("shell", ["sh", "dash", "bash", "zsh", "fish"])
@pytest.mark.parametrize("name", ["plain", "a space", "100%h", "it's", 'a "quote"', "a;b&c|d"])
def test_a_ca_path_survives_the_user_s_shell(ssh_with: MakeSsh, cloud: Cloud, shell: str, name: str) -> None:
    if not shutil.which(shell):
        pytest.skip(f"no {shell}")
    ca = cloud.certificates.ca.with_name(name)
    shutil.copy(cloud.certificates.ca, ca)
    ssh = ssh_with(gateway_ca_path=str(ca))
    ssh.client.environment["SHELL"] = shutil.which(shell) or shell
    assert ssh(cloud.cvms[0].address())[0] == 0


def test_a_folder_of_cas_is_trusted(ssh_with: MakeSsh, client: Client, cloud: Cloud) -> None:
    folder = client.home / "ca folder"
    folder.mkdir()
    shutil.copy(cloud.certificates.ca, folder / "ca.pem")
    client.run("openssl", "rehash", folder)
    assert ssh_with(gateway_ca_path=str(folder))(cloud.cvms[0].address())[0] == 0


def test_a_name_without_a_route_is_refused(ssh: Ssh, cloud: Cloud) -> None:
    stranger = f"{hex_id(99)}-22.gateway.test"
    cloud.know(ssh.client, stranger)
    status, output, errors = ssh(stranger)
    assert (status, output) == (255, "")
    assert re.search(CLOSED, errors), errors
    assert cloud.gateway.asked[-1] == stranger


def test_a_closed_gateway_is_told(ssh: Ssh, cloud: Cloud) -> None:
    cloud.gateway.close()
    status, dummy, errors = ssh(cloud.cvms[0].address())
    assert status == 255
    assert "Connection refused" in errors


def test_a_stopped_cvm_closes_the_connection_and_others_go_on(ssh: Ssh, cloud: Cloud) -> None:
    cloud.servers[hex_id(1)].stop()
    assert ssh(cloud.cvms[0].address())[0] == 255
    assert ssh(cloud.cvms[1].address())[0] == 0


def test_control_persist_hides_the_reason(ssh: Ssh, cloud: Cloud) -> None:
    cloud.gateway.certificate = cloud.certificates.expired
    errors = ssh(cloud.cvms[0].address(), WHERE, *persist(ssh.client, "60s"))[-1]
    assert re.search(CLOSED, errors), errors
    assert "certificate has expired" not in errors


@pytest.mark.parametrize("leave", ["by itself", "with its master"])
def test_no_openssl_stays_behind(ssh: Ssh, cloud: Cloud, leave: str) -> None:
    openssl = record_processes(ssh.client, "openssl")
    ssh(cloud.cvms[0].address(), WHERE, *(persist(ssh.client, "1s") if leave == "with its master" else []))
    deadline = time.monotonic() + 10
    while any(map(is_alive, openssl())):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert openssl()


def test_control_persist_shares_one_tunnel(ssh: Ssh, cloud: Cloud) -> None:
    options = persist(ssh.client, "60s")
    before = len(cloud.gateway.asked)
    landed = {ssh(cloud.cvms[0].address(), WHERE, *options)[1] for dummy in range(3)}
    assert landed == {f"{hex_id(1)}\n"}
    assert len(cloud.gateway.asked) == before + 1


@pytest.mark.parametrize("tool", ["scp", "sftp", "cat"])
def test_20_mib_come_and_go_unchanged(ssh: Ssh, cloud: Cloud, tool: str) -> None:
    home = ssh.client.home
    sent = make_random_file(home / "sent", size=20 * 2**20)
    name = cloud.cvms[0].address()
    remote = cloud.servers[hex_id(1)].home / f"{tool}.copy"
    if tool == "scp":
        ssh.client.run("scp", *ssh.options, sent, f"root@{name}:{remote}")
        ssh.client.run("scp", *ssh.options, f"root@{name}:{remote}", home / "received")
    elif tool == "sftp":
        batch = home / "batch"
        batch.write_text(f"put {sent} {remote}\nget {remote} {home}/received\n", encoding="utf-8")
        ssh.client.run("sftp", "-b", batch, *ssh.options, f"root@{name}")
    else:
        command = shlex.join(["ssh", *ssh.options, f"root@{name}"])
        ssh.client.run("sh", "-c", f"{command} 'cat > {remote}' < sent && {command} 'cat {remote}' > received")
    assert remote.read_bytes() == sent.read_bytes()
    assert (home / "received").read_bytes() == sent.read_bytes()


def persist(client: Client, duration: str) -> list[str]:
    """Give the options with which Ansible shares connections."""
    return ["-o", "ControlMaster=auto", "-o", f"ControlPersist={duration}", "-o", f"ControlPath={client.sockets}/%C"]


def record_processes(client: Client, program: str) -> Callable[[], list[int]]:
    """Put a script in the program's place that notes its process id and becomes the program; give the ids so far."""
    folder = client.home / "bin"
    folder.mkdir()
    script, notes = folder / program, folder / "processes"
    script.write_text(f'#!/bin/sh\necho $$ >> {notes}\nexec {shutil.which(program)} "$@"\n', encoding="utf-8")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    client.environment["PATH"] = f"{folder}:{client.environment['PATH']}"
    return lambda: [int(line) for line in notes.read_text(encoding="utf-8").split()]


def is_alive(process: int) -> bool:
    """Tell whether a process runs; one that ended and waits for a slow init to collect it has no command line."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes() != b""
    except OSError:
        return False
