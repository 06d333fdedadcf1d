# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Host names and users that only the run's own processes know, so that the machine's files stay as they are.

nss_wrapper answers the C library's questions from files of the run. A private mount namespace would do for the names
too, but containers rarely allow one, and it gives no users.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

WRAPPER = {"LD_PRELOAD": "libnss_wrapper.so"}


def with_hosts(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Give the variables with which a process finds these names on loopback."""
    hosts = folder / "hosts"
    hosts.write_text("".join(f"127.0.0.1 {name}\n" for name in names), encoding="utf-8")
    return {**WRAPPER, "NSS_WRAPPER_HOSTS": str(hosts)}


def with_users(folder: Path, users: Iterable[str], *, home: Path) -> dict[str, str]:
    """Give the variables with which a process finds these users: the caller by other names, at home elsewhere."""
    entries = [f"{user}:x:{os.getuid()}:{os.getgid()}::{home}:/bin/sh\n" for user in users]
    files = {
        "passwd": "".join(entries),
        # sshd hands a terminal to the group tty, which only root may do, unless the terminal is that group's already.
        "group": f"tty:x:{terminal_group()}:\n",
    }
    for name, ours in files.items():
        (folder / name).write_text(ours + Path("/etc", name).read_text(encoding="utf-8"), encoding="utf-8")
    return {**WRAPPER, "NSS_WRAPPER_PASSWD": f"{folder}/passwd", "NSS_WRAPPER_GROUP": f"{folder}/group"}


def terminal_group() -> int:
    """Give the id of the group that new terminals belong to."""
    controller, terminal = os.openpty()
    try:
        return os.fstat(terminal).st_gid
    finally:
        os.close(controller)
        os.close(terminal)


def names_work(folder: Path) -> bool:
    """Tell whether nss_wrapper is there and does what the tests need."""
    lookup = "import socket; print(socket.gethostbyname('probe.gateway.test'))"
    environment = {**os.environ, **with_hosts(folder, ["probe.gateway.test"])}
    probe = subprocess.run([sys.executable, "-c", lookup], env=environment, capture_output=True, text=True, check=False)
    return probe.stdout.strip() == "127.0.0.1"
