# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A platform in miniature: CVMs that run SSH servers, the gateway in front of them, and control nodes that use it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.certificates import Certificates, make_certificates

from .gateway import Gateway
from .names import with_hosts, with_users
from .sshd import Sshd, make_key

DOMAIN = "gateway.test"
USERS = ("root", "deploy")

# What a developer has set for their own work must not decide how a test ends.
FOREIGN_VARIABLES = ("ANSIBLE_", "PHALA_", "SSH_", "SSL_CERT_")


@dataclasses.dataclass(frozen=True)
class Cvm:
    """What the service knows of a CVM, as far as a connection depends on it."""

    name: str
    app: str
    app_id: str
    instance_id: str
    region: str = "US-WEST-1"
    status: str = "running"
    base_image: str = "dstack-dev-0.5.7"
    ssh_port: int = 22
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)

    def address(self, domain: str = DOMAIN) -> str:
        """Give the name by which the gateway sends a connection to this very CVM."""
        return f"{self.instance_id}-{self.ssh_port}.{domain}"

    @property
    def runs_sshd(self) -> bool:
        """Tell whether there is something to connect to: only development images run sshd."""
        return self.status == "running" and self.base_image.startswith("dstack-dev-")


@dataclasses.dataclass(frozen=True)
class Cloud:
    """The running platform; tests may stop its servers, and start them again."""

    cvms: Sequence[Cvm]
    gateway: Gateway
    certificates: Certificates
    servers: dict[str, Sshd]
    key: Path

    @property
    def domain(self) -> str:
        """Give the gateway's base domain as the service words it, with its port."""
        return f"{DOMAIN}:{self.gateway.port}"

    def start(self) -> None:
        """Start every server that should run and does not."""
        for cvm in self.cvms:
            if cvm.runs_sshd:
                self.servers[cvm.instance_id].start()

    def know(self, client: Client, name: str) -> None:
        """Let a control node find one more name on loopback."""
        hosts = Path(client.environment["NSS_WRAPPER_HOSTS"])
        hosts.write_text(f"{hosts.read_text(encoding='utf-8')}127.0.0.1 {name}\n", encoding="utf-8")

    def routes(self) -> dict[str, list[Sshd]]:
        """Map each server name to the servers behind it: one for an instance id, every replica for an app id."""
        routes: dict[str, list[Sshd]] = {}
        for cvm in self.cvms:
            for identity in (cvm.instance_id, cvm.app_id):
                name = f"{identity}-{cvm.ssh_port}.{DOMAIN}"
                routes.setdefault(name, []).append(self.servers[cvm.instance_id])
        return routes


@dataclasses.dataclass(frozen=True)
class Client:
    """A control node with a home, known hosts and control sockets of its own."""

    home: Path
    sockets: Path
    environment: dict[str, str]

    def run(self, *command: str | Path, timeout: int = 120) -> subprocess.CompletedProcess[str]:
        """Run a command here and give its output, whatever its exit status."""
        return subprocess.run(
            command,
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def hang_up(self) -> None:
        """End the connections that ssh keeps for a minute."""
        for control_socket in self.sockets.iterdir():
            self.run("ssh", "-O", "exit", "-o", f"ControlPath={control_socket}", "any")


@contextlib.contextmanager
def running_cloud(folder: Path, cvms: Sequence[Cvm]) -> Iterator[Cloud]:
    """Start an SSH server for each CVM and the gateway that leads to them."""
    certificates = make_certificates(folder, f"*.{DOMAIN}")
    key = folder / "key"
    make_key(key)
    servers = {
        cvm.instance_id: Sshd(
            folder / cvm.instance_id,
            cvm.instance_id,
            authorized_keys=key.with_suffix(".pub"),
            users=USERS,
            environment=cvm.environment,
        )
        for cvm in cvms
    }
    if os.getuid() == 0:
        # Where sshd gives up its privileges; Debian's service makes it at boot, which a container has not had.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with contextlib.ExitStack() as stack:
        gateway = stack.enter_context(Gateway(certificates.good))
        cloud = Cloud(cvms, gateway, certificates, servers, key)
        for server in servers.values():
            stack.callback(server.stop)
        cloud.start()
        for name, backends in cloud.routes().items():
            gateway.route(name, [("127.0.0.1", server.port) for server in backends])
        yield cloud


@contextlib.contextmanager
def control_node(folder: Path, cloud: Cloud) -> Iterator[Client]:
    """Set up a control node that holds the key and knows the hosts, and close its connections in the end."""
    home = folder / "home"
    ssh_folder = home / ".ssh"
    ssh_folder.mkdir(parents=True, mode=0o700)
    shutil.copy(cloud.key, ssh_folder / "id_ed25519")
    known_hosts = [
        f"[{name}]:{cloud.gateway.port} {server.host_key}\n" for name, servers in cloud.routes().items() for server in servers
    ]
    (ssh_folder / "known_hosts").write_text("".join(known_hosts), encoding="utf-8")
    (home / "ansible.cfg").write_text("", encoding="utf-8")
    # A control socket's path has room for about 100 characters, which pytest's own folders use up.
    with tempfile.TemporaryDirectory(prefix="e2e-") as short:
        sockets = Path(short)
        environment = {
            **{name: value for name, value in os.environ.items() if not _is_foreign(name)},
            **with_hosts(folder, cloud.routes()),
            **with_users(folder, [pwd.getpwuid(os.getuid()).pw_name], home=home),
            "HOME": str(home),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "SHELL": "/bin/sh",
            "ANSIBLE_CONFIG": str(home / "ansible.cfg"),
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets),
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            # By default Ansible asks for ~root, which the shell on a CVM takes from the machine, not from the run.
            "ANSIBLE_REMOTE_TEMP": "$HOME/.ansible/tmp",
            "ANSIBLE_ASYNC_DIR": str(folder / "async"),
            "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
            "ANSIBLE_NOCOLOR": "true",
            "ANSIBLE_TIMEOUT": "60",
        }
        client = Client(home, sockets, environment)
        try:
            yield client
        finally:
            client.hang_up()


def _is_foreign(variable: str) -> bool:
    """Tell whether a variable is the developer's own; a proxy would be asked for loopback too."""
    if variable.startswith("ANSIBLE_COLLECTIONS_PATH"):
        return False
    return variable.startswith(FOREIGN_VARIABLES) or variable.lower().endswith("_proxy")
