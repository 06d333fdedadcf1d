# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page about connections is true: followed with a TLS gateway and an SSH server for each CVM, and provoked."""

from __future__ import annotations

import dataclasses
import json
import os
import pwd
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.phala.cloud.tests.e2e.cloud import DOMAIN, Client, Cloud, control_node, running_cloud
from ansible_collections.phala.cloud.tests.e2e.cloud import Cvm as Server
from ansible_collections.phala.cloud.tests.e2e.conftest import require_tools
from ansible_collections.phala.cloud.tests.e2e.connect_proxy import ConnectProxy
from ansible_collections.phala.cloud.tests.e2e.sshd import INSTANCE_VARIABLE, Sshd, free_port, make_key
from ansible_collections.phala.cloud.tests.e2e.test_refused import require_synchronize
from ansible_collections.phala.cloud.tests.loading import load
from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Simulator

from .fleet import API, FLEET, KEY, MODEL, WEB
from .pages import DOCS, Block, blocks, rows
from .reader import Reader
from .shell import SCRIPTS, Shell

PAGE = DOCS / "connecting.md"
FIRST = "Log in"
JUMP_HOST = "jump.example.org"
WITHOUT_PYTHON = "web-2"
WEB_1 = WEB.cvms[0]
LONG_CONTROL_PATH = "ANSIBLE_SSH_CONTROL_PATH='%(directory)s/ansible-ssh-connection-%%h-%%p-%%r'"


def in_sections() -> dict[str, list[Block]]:
    sections: dict[str, list[Block]] = {}
    for block in blocks(PAGE):
        sections.setdefault(block.section, []).append(block)
    return sections


def by_first_column(heading: str) -> dict[str, Sequence[str]]:
    """Map what the first column of a table says to the other columns."""
    return {first: others for first, *others in rows(PAGE, heading)}


# The platform


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """Start a server for each running CVM of the pages' account that has one, and the gateway."""
    require_tools(tmp_path_factory.mktemp("probe"))
    commands = tmp_path_factory.mktemp("commands")
    for command in ("cat", "uname"):
        (commands / command).symlink_to(shutil.which(command) or command)
    servers = [
        Server(
            cvm.name,
            app.name,
            app.app_id,
            str(cvm.instance_id),
            str(cvm.region),
            cvm.status,
            str(cvm.base_image),
            environment={"PATH": str(commands)} if cvm.name == WITHOUT_PYTHON else {},
        )
        for app in (WEB, API, MODEL)
        for cvm in app.cvms
    ]
    with running_cloud(tmp_path_factory.mktemp("cloud"), servers) as cloud:
        yield cloud


@pytest.fixture
def client(cloud: Cloud, tmp_path: Path) -> Iterator[Client]:
    """Set up the reader's machine, to which every CVM is new; the CA of the gateway is one of the system's."""
    with control_node(tmp_path, cloud) as node:
        known_hosts(node).write_text("", encoding="utf-8")
        node.environment["SSL_CERT_FILE"] = str(cloud.certificates.ca)
        del node.environment["ANSIBLE_CONFIG"]
        yield node
    cloud.gateway.certificate = cloud.certificates.good
    cloud.gateway.open()
    cloud.start()


@pytest.fixture
def service(cloud: Cloud) -> Iterator[Simulator]:
    """List the pages' account, with the gateway's domain where the service shows one."""
    fleet = tuple(dataclasses.replace(app, cvms=behind(cloud, app)) for app in (WEB, API, MODEL))
    with Simulator(fleet=fleet, api_key=KEY) as simulator:
        yield simulator


def behind(cloud: Cloud, app: App) -> tuple[Cvm, ...]:
    return tuple(dataclasses.replace(cvm, gateway_domain=cloud.domain) for cvm in app.cvms)


def known_hosts(client: Client) -> Path:
    return client.home / ".ssh" / "known_hosts"


def project_keys(client: Client) -> Path:
    """Return the file in which the page keeps the keys of CVMs."""
    return client.home / "project" / "known_hosts"


# The page


class Machine:
    """The reader's machine, and what the sections of the page take for granted."""

    def __init__(self, client: Client, cloud: Cloud, service: Simulator) -> None:
        self.client = client
        self.cloud = cloud
        self.service = service
        self.shell = Shell(client.home, service.origin, **client.environment, PHALA_CLOUD_API_KEY=KEY)
        self.reader = Reader(self.shell, replacing={"gateway.example.org:8443": cloud.domain})
        self.follow(FIRST)

    def follow(self, section: str) -> None:
        for block in in_sections()[section]:
            self.reader.follow(block)
        self.client.hang_up()

    def server(self, cvm: Cvm) -> Sshd:
        return self.cloud.servers[str(cvm.instance_id)]

    def trust(self, name: str, server: Sshd) -> None:
        """Have ssh reach a name at the server's port, and know the key."""
        with known_hosts(self.client).open("a", encoding="utf-8") as file:
            file.write(f"[{name}]:{server.port} {server.host_key}\n")
        with (self.client.home / ".ssh" / "config").open("a", encoding="utf-8") as file:
            file.write(f"Host {name}\n    Port {server.port}\n")
        self.cloud.know(self.client, name)

    def run_jump_host(self, folder: Path) -> Sshd:
        """Start an SSH server that finds what this machine finds."""
        found = ("LD_PRELOAD", "NSS_WRAPPER_HOSTS", "SSL_CERT_FILE")
        server = Sshd(
            folder / "jump",
            "jump",
            authorized_keys=self.cloud.key.with_suffix(".pub"),
            users=[pwd.getpwuid(os.getuid()).pw_name],
            environment={name: self.client.environment[name] for name in found},
        )
        server.start()
        self.trust(JUMP_HOST, server)
        return server


@pytest.fixture
def machine(client: Client, cloud: Cloud, service: Simulator) -> Machine:
    return Machine(client, cloud, service)


def test_every_section_is_followed() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    assert [section for section in in_sections() if f'follow("{section}")' not in tests and section != FIRST] == []


def test_how_to_run_playbooks(machine: Machine) -> None:
    name = f"{MODEL.cvms[0].instance_id}-2222.{DOMAIN}"
    machine.cloud.gateway.route(name, [("127.0.0.1", machine.server(MODEL.cvms[0]).port)])
    machine.cloud.know(machine.client, name)
    for block in blocks(DOCS / "howto" / "playbooks.md"):
        machine.reader.follow(block)


def test_how_to_use_plain_ssh(machine: Machine) -> None:
    for block in blocks(DOCS / "howto" / "export.md"):
        if block.section == "Use plain ssh" and block.language != "text":
            machine.reader.follow(block)
    told = machine.shell.run(f"ssh -F ssh_config -o BatchMode=yes web-1 'echo ${INSTANCE_VARIABLE}'").stdout
    assert told.strip() == WEB_1.instance_id


def test_images_without_python(machine: Machine) -> None:
    machine.follow("Images without Python")


def test_copy_folders_with_synchronize(machine: Machine, tmp_path: Path) -> None:
    require_synchronize()
    machine.reader.replacing["/tmp/copied"] = str(tmp_path / "copied")
    machine.follow("Copy folders with synchronize")
    assert (tmp_path / "copied" / "app.yml").read_text(encoding="utf-8").endswith("greeting: hello\n")


def test_another_port_and_user(machine: Machine) -> None:
    name = f"{WEB_1.instance_id}-2222.{DOMAIN}"
    machine.cloud.gateway.route(name, [("127.0.0.1", machine.server(WEB_1).port)])
    machine.cloud.know(machine.client, name)
    machine.follow("Another port or user")


def test_group_vars_of_phala_and_of_all_override_those_of_the_group(machine: Machine) -> None:
    for group in ("phala", "all"):
        path = machine.shell.folder / "group_vars" / f"{group}.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"ansible_user: of-{group}\n", encoding="utf-8")
        assert f'"of-{group}"' in machine.shell.run("ansible-inventory -i phala.yml --host web-1").stdout
        path.unlink()


def test_corporate_proxy(machine: Machine) -> None:
    with ConnectProxy() as proxy:
        machine.reader.replacing["proxy.example.org:3128"] = f"127.0.0.1:{proxy.port}"
        machine.follow("Through a corporate proxy")
    assert proxy.asked == [f"{WEB_1.instance_id}-22.{machine.cloud.domain}"]


def test_jump_host(machine: Machine, tmp_path: Path) -> None:
    jump = machine.run_jump_host(tmp_path)
    machine.follow("Through a jump host")
    jump.stop()
    assert "UNREACHABLE" in ping(machine)


def test_api_that_names_no_gateway_domain(machine: Machine) -> None:
    machine.follow("When the API names no gateway domain")


def test_without_the_gateway(machine: Machine, tmp_path: Path) -> None:
    machine.trust(f"{WEB_1.instance_id}.vpn.example.org", machine.server(WEB_1))
    jump = machine.run_jump_host(tmp_path)
    asked = list(machine.cloud.gateway.asked)
    machine.follow("Without the gateway")
    jump.stop()
    assert machine.cloud.gateway.asked == asked
    change_web_1(machine, instance_id=None)
    listed = machine.shell.run("ansible-inventory -i own.phala.yml --host web-1").stdout
    assert '"ansible_host": "no-address.invalid."' in listed


def test_without_the_check_of_host_keys(machine: Machine) -> None:
    (machine.shell.folder / "group_vars" / "phala_gateway.yml").unlink()
    assert "Host key verification failed" in ping(machine)
    assert "SUCCESS" in ping(machine, "ANSIBLE_HOST_KEY_CHECKING=False")


def test_keys_of_one_cvm_are_removed_after_a_restart(machine: Machine) -> None:
    machine.shell.run("ansible reachable_true -i phala.yml -m ansible.builtin.raw -a true")
    machine.client.hang_up()
    before = project_keys(machine.client).read_text(encoding="utf-8")
    machine.server(WEB_1).reboot()
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in ping(machine)
    machine.follow("Host keys")
    after = project_keys(machine.client).read_text(encoding="utf-8")
    assert set(after.splitlines()) < set(before.splitlines())
    assert all(machine.server(cvm).host_key in after for cvm in (WEB.cvms[1], MODEL.cvms[0]))
    assert "SUCCESS" in ping(machine)


# SSH options of one's own: what comes before a command, what follows it, and what it says

EXTRA = "ansible_ssh_extra_args"
SUCCESS, UNREACHABLE = "SUCCESS", "UNREACHABLE"
OPTIONS: Mapping[str, Sequence[tuple[str, str, str]]] = {
    "`ansible_ssh_extra_args`": [("", f"-e '{json.dumps({EXTRA: '-o StrictHostKeyChecking=no'})}'", SUCCESS)],
    "`--ssh-common-args`": [("", "--ssh-common-args='-J nowhere.invalid'", SUCCESS)],
    "`--ssh-extra-args`": [("", "--ssh-extra-args='-J nowhere.invalid'", SUCCESS)],
    "`ansible_ssh_common_args` in `group_vars`, such as `all.yml`, or with `-e`": [
        ("", "-e ansible_ssh_common_args=-C", UNREACHABLE),
        ("echo 'ansible_ssh_common_args: -C' > group_vars/all.yml;", "", UNREACHABLE),
    ],
    "`-J` in `ansible_ssh_extra_args`": [
        ("", f"-e '{json.dumps({EXTRA: f'-J {JUMP_HOST}'})}'", "Cannot specify -J with ProxyCommand"),
    ],
    "`-J`, `ProxyJump` or `ProxyCommand` in `ssh_args` of `ansible.cfg`": [
        ("ANSIBLE_SSH_ARGS='-J nowhere.invalid'", "", UNREACHABLE),
        ("ANSIBLE_SSH_ARGS='-o ProxyCommand=false'", "", UNREACHABLE),
        ("ANSIBLE_SSH_ARGS='-J nowhere.invalid'", "-e ansible_ssh_args=-C", SUCCESS),
    ],
    "`control_path` with `%h` in `ansible.cfg`": [(LONG_CONTROL_PATH, "", "ControlPath too long")],
}
NOT_EVERYWHERE = "`connection: paramiko_ssh` on ansible-core 2.18 to 2.20"  # tests/e2e has it where there is one


@pytest.mark.parametrize("option", OPTIONS)
def test_option_of_ssh_does_what_the_page_says(option: str, machine: Machine) -> None:
    for before, after, expected in OPTIONS[option]:
        machine.client.hang_up()
        seen = ping(machine, before, after)
        assert expected in seen, seen


def test_page_lists_the_options_of_ssh_that_are_tried_and_no_others() -> None:
    assert list(by_first_column("You set")) == [*OPTIONS, NOT_EVERYWHERE]


def test_user_on_the_command_line_counts_only_without_ssh_user(machine: Machine) -> None:
    source = machine.shell.folder / "phala.yml"
    assert "root" in raw(machine, "-u deploy")
    machine.client.hang_up()
    source.write_text(f'{source.read_text(encoding="utf-8")}ssh_user: ""\n', encoding="utf-8")
    assert "deploy" in raw(machine, "-u deploy")


def raw(machine: Machine, options: str) -> str:
    return machine.shell.run(f"ansible web-1 -i phala.yml -m ansible.builtin.raw -a 'echo $USER' {options}").stdout


# What is seen when it does not work


def change_web_1(machine: Machine, **values: object) -> None:
    first, *others = machine.service.fleet[0].cvms
    web = dataclasses.replace(machine.service.fleet[0], cvms=(dataclasses.replace(first, **values), *others), current_cvm=None)
    machine.service.fleet = (web, *machine.service.fleet[1:])


def present(certificate: str) -> Callable[[Machine], None]:
    def provoke(machine: Machine) -> None:
        machine.cloud.gateway.certificate = getattr(machine.cloud.certificates, certificate)

    return provoke


def wrong_key(machine: Machine) -> None:
    key = machine.client.home / ".ssh" / "id_ed25519"
    key.unlink()
    make_key(key)


def changed_host_key(machine: Machine) -> None:
    path = project_keys(machine.client)
    other = machine.server(MODEL.cvms[0]).host_key
    path.write_text(path.read_text(encoding="utf-8").replace(machine.server(WEB_1).host_key, other), encoding="utf-8")


def libressl(machine: Machine) -> None:
    """Put a script in the place of LibreSSL's openssl, which no package of Linux has: it stops at the first unknown option."""
    script = machine.client.home / "bin" / "openssl"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\necho \"unknown option '-verify_quiet'\" >&2\nexit 1\n", encoding="utf-8")
    script.chmod(0o755)
    machine.shell.run(f'export PATH={script.parent}:"$PATH"')


def no_openssl(machine: Machine) -> None:
    """Leave openssl out of PATH."""
    folder = machine.client.home / "bin"
    folder.mkdir()
    for command in ("ansible", "bash", "cat", "env", "sh", "ssh"):
        (folder / command).symlink_to(shutil.which(command, path=f"{SCRIPTS}:{os.environ['PATH']}") or command)
    machine.shell.run(f"export PATH={folder}")


def no_shell(machine: Machine) -> None:
    machine.shell.run("export SHELL=/usr/sbin/nologin")


def no_python(machine: Machine) -> None:
    """Name an interpreter that is not there: the machine on which the SSH servers run has Python."""
    machine.shell.run("export ANSIBLE_PYTHON_INTERPRETER=/nowhere/python3")


def long_control_path(machine: Machine) -> None:
    machine.shell.run(f"export {LONG_CONTROL_PATH}")


CLOSED = "`Connection closed by remote host`, or `Broken pipe`"
SYMPTOMS: Mapping[str, Callable[[Machine], None]] = {
    "`this CVM has no gateway address: …`": lambda machine: change_web_1(machine, instance_id=None),
    "`certificate has expired` *": present("expired"),
    "`hostname mismatch` *": present("other_name"),
    "`unable to get local issuer certificate` *": present("untrusted"),
    "`Connection refused` *": lambda machine: change_web_1(machine, gateway_domain=f"{DOMAIN}:{free_port()}"),
    "`Name or service not known` *": lambda machine: change_web_1(machine, gateway_domain="nowhere.invalid"),
    "`unknown option` *": libressl,
    "`openssl: not found`, or `No such file or directory` *": no_openssl,
    CLOSED: lambda machine: machine.server(WEB_1).stop(),
    "`Connection closed by remote host`, only in a service or a container": no_shell,
    "`Permission denied (publickey)`": wrong_key,
    "`Host key verification failed`": changed_host_key,
    "`ControlPath too long`, or `too long for Unix domain socket`": long_control_path,
    "`python3: not found`, or that the `interpreter … was not found`": no_python,
}


@pytest.mark.parametrize("symptom", by_first_column("What you see"))
def test_symptom_is_seen(symptom: str, machine: Machine) -> None:
    SYMPTOMS[symptom](machine)
    seen = ping(machine)
    if symptom.endswith("*"):
        assert said(CLOSED, seen), seen
        seen = ping(machine, "ANSIBLE_SSH_ARGS=-C")
    assert said(symptom, seen), seen


def said(symptom: str, seen: str) -> bool:
    """Return whether an output has one of the texts of a symptom."""
    wanted = [".*".join(map(re.escape, text.split("…"))) for text in re.findall(r"`(.*?)`", symptom)]
    return re.search("|".join(wanted), seen, re.DOTALL | re.IGNORECASE) is not None


def ping(machine: Machine, variable: str = "", options: str = "") -> str:
    return machine.shell.run(f"{variable} ansible web-1 -i phala.yml -m ansible.builtin.ping {options} 2>&1 || true").stdout


def test_page_lists_the_symptoms_that_are_provoked_and_no_others() -> None:
    assert list(by_first_column("What you see")) == list(SYMPTOMS)


# What is not taken as an address

NO_ADDRESS = "no-gateway-address.invalid."
REFUSED = "no address, and a warning"
TEXTS: Mapping[str, tuple[Sequence[Mapping[str, Any]], str]] = {
    "An id that is not hexadecimal after `0x` or `app_`, such as `prj_...`": (
        [{"instance_id": "prj_1"}, {"instance_id": "a-22"}, {"instance_id": "a b"}],
        REFUSED,
    ),
    "A domain with an underscore or a space, or an IP address": (
        [{"gateway_domain": domain} for domain in ("my_gateway.example.org", "a b.example.org", "[::1]:8443", "192.0.2.1:8443")],
        REFUSED,
    ),
    "A domain in upper case, or with a dot at the end": (
        [{"gateway_domain": domain} for domain in ("GATEWAY.example.org", "gateway.example.org.")],
        "accepted, in lower case and without the dot",
    ),
    "A port outside 1 to 65535": ([{"gateway_domain": f"a.example.org:{port}"} for port in (0, 65536)], REFUSED),
    "No gateway domain, a disabled gateway, or no instance id in an app with several CVMs": (
        [
            {**change, "status": status}
            for change in ({"gateway_domain": None}, {"gateway_enabled": False}, {"instance_id": None})
            for status in ("running", "stopped")
        ],
        "no address, and a line at `-v`; a warning if the CVM is running a dev image",
    ),
}


@pytest.mark.parametrize("text", by_first_column("Text"))
def test_text_is_taken_as_an_address_or_not_as_the_page_says(
    text: str, simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHALA_CLOUD_API_KEY", KEY)
    monkeypatch.setenv("PHALA_CLOUD_API_PREFIX", simulator.url)
    source = tmp_path / "phala.yml"
    source.write_text("plugin: phala.cloud.phala\n", encoding="utf-8")
    changes, happens = TEXTS[text]
    assert by_first_column("Text")[text] == [happens]
    for change in changes:
        first, *others = WEB.cvms
        simulator.fleet = (dataclasses.replace(WEB, cvms=(dataclasses.replace(first, **change), *others), current_cvm=None),)
        quiet, verbose = (load([source], verbosity=verbosity) for verbosity in (0, 1))
        address = quiet.values("ansible_host").get("web-1")
        if happens.startswith("accepted"):
            assert address == f"{first.instance_id}-22.gateway.example.org"
        else:
            assert address == NO_ADDRESS
            assert bool(quiet.warnings) == (change.get("status") != "stopped")
            said = (*verbose.warnings, *verbose.displayed)
            assert any("No ansible_host, because" in line and "web-1" in line for line in said)
    assert set(by_first_column("Text")) == set(TEXTS)
    simulator.fleet = FLEET
