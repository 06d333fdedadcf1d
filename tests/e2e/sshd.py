# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An OpenSSH server that stands for one CVM and tells every session which one it is."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from .names import with_users

INSTANCE_VARIABLE = "PHALA_TEST_INSTANCE"

CONFIGURATION = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {authorized_keys}
PidFile none
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 100
MaxSessions 100
Subsystem sftp internal-sftp
SetEnv {variables}
"""


class Sshd:
    """A server with a host key, a port, users and a home folder of its own."""

    def __init__(
        self,
        folder: Path,
        instance_id: str,
        *,
        authorized_keys: Path,
        users: Iterable[str],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Write the configuration; `environment` is what the server and its sessions have besides."""
        variables = {INSTANCE_VARIABLE: instance_id, **(environment or {})}
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self.host_key = make_key(folder / "host_key")
        self.port = free_port()
        self._folder = folder
        self._environment = {**os.environ, **variables, **with_users(folder, users, home=self.home)}
        self._process: subprocess.Popen[bytes] | None = None
        configuration = CONFIGURATION.format(
            port=self.port,
            folder=folder,
            authorized_keys=authorized_keys,
            variables=" ".join(f"{name}={value}" for name, value in variables.items()),
        )
        (folder / "sshd_config").write_text(configuration, encoding="utf-8")

    def start(self) -> None:
        """Start the server, unless it runs, and wait until it listens."""
        if self._process:
            return
        command = [find_sshd() or "sshd", "-D", "-E", f"{self._folder}/log", "-f", f"{self._folder}/sshd_config"]
        self._process = subprocess.Popen(command, env=self._environment, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while not listens(self.port):
            if time.monotonic() > deadline:
                raise TimeoutError((self._folder / "log").read_text(encoding="utf-8"))
            time.sleep(0.01)

    def reboot(self) -> None:
        """Start again with a new host key, as a dev image does at every boot."""
        self.stop()
        for name in ("host_key", "host_key.pub"):
            (self._folder / name).unlink()
        self.host_key = make_key(self._folder / "host_key")
        self.start()

    def stop(self) -> None:
        """Stop the server; a session that is open lasts until its client leaves."""
        if self._process:
            self._process.terminate()
            self._process.wait(timeout=10)
            self._process = None


def find_sshd() -> str | None:
    """Give the absolute path that sshd wants to be started by, also where /usr/sbin is not on PATH."""
    return shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin")


def make_key(path: Path) -> str:
    """Write a private key without a passphrase, and give its public half."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path], check=True)
    return path.with_name(f"{path.name}.pub").read_text(encoding="utf-8").strip()


def free_port() -> int:
    """Find a port of loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def listens(port: int) -> bool:
    """Tell whether somebody listens on a port of loopback."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
