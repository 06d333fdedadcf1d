# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run a playbook on the demo's CVMs, through a gateway that leads to a real SSH server for each."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.e2e.cloud import Client, Cloud, control_node, running_cloud
from tests.e2e.cloud import Cvm as Server
from tests.e2e.needs import missing_tools
from tests.simulator import App, Cvm

from .terminal import Terminal, say, show_command, show_title

SOURCE = """\
plugin: phala.cloud.phala
gateway_ca_path: {ca}  # the demo's gateway has a CA of its own
"""
PLAYBOOK = """\
- hosts: region_US_WEST_1:&status_running
  gather_facts: false
  tasks:
    - name: Tell a CVM to say which instance it is
      ansible.builtin.shell: test "$PHALA_TEST_INSTANCE" = "{{ phala_instance_id }}"
      changed_when: false
"""
# Of the control node's environment, what leads ssh to the demo's servers instead of the caller's.
SSH_VARIABLES = ("LD_PRELOAD", "NSS_", "HOME", "SHELL", "ANSIBLE_SSH_", "ANSIBLE_PYTHON_", "ANSIBLE_REMOTE_", "ANSIBLE_TIMEOUT")


@dataclasses.dataclass(frozen=True)
class Platform:
    """The running gateway and servers, and the control node that may connect to them."""

    cloud: Cloud
    node: Client


@contextlib.contextmanager
def platform(folder: Path, fleet: Sequence[App]) -> Iterator[Platform | list[str]]:
    """Start a server for each CVM of the fleet that would run one, or give what the machine lacks for it."""
    folder.mkdir()
    missing = missing_tools(folder)
    if missing:
        yield missing
        return
    servers = [server(app, cvm) for app in fleet for cvm in app.live_cvms]
    with running_cloud(folder, servers) as cloud, control_node(folder / "node", cloud) as node:
        yield Platform(cloud, node)


def server(app: App, cvm: Cvm) -> Server:
    return Server(
        str(cvm.name), str(app.name), str(app.app_id), str(cvm.instance_id), str(cvm.region), str(cvm.status), str(cvm.base_image)
    )


def behind(cloud: Cloud, fleet: Sequence[App]) -> tuple[App, ...]:
    """Return the fleet as the service lists it when this gateway leads to it."""
    return tuple(
        dataclasses.replace(app, cvms=tuple(dataclasses.replace(cvm, gateway_domain=cloud.domain) for cvm in app.cvms))
        for app in fleet
    )


def play(terminal: Terminal, reached: Platform) -> None:
    """Show the playbook, run it, and show its recap."""
    show_title("Run a playbook on the running CVMs of a region")
    source = SOURCE.format(ca=reached.cloud.certificates.ca)
    for name, text in (("phala.yml", source), ("site.yml", PLAYBOOK)):
        (terminal.folder / name).write_text(text, encoding="utf-8")
        show_command(f"cat {name}")
        say(text.rstrip())
    environment = {**terminal.environment, **ssh_variables(reached.node.environment)}
    dataclasses.replace(terminal, environment=environment).run("ansible-playbook", "-i", "phala.yml", "site.yml")


def ssh_variables(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(SSH_VARIABLES)}
