# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Install the collection as a user would and list an account with it: a stand-in's, or with `--live` the caller's own.

What the caller has configured for Ansible is not read, and nothing is left behind.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.simulator import Simulator

from .connecting import Platform, behind, platform, play
from .fleet import FLEET
from .terminal import Terminal, say, show_command, show_title

CHECKOUT = Path(__file__).parents[2]
SOURCE = "plugin: phala.cloud.phala\n"

NEXT = """\
  1. Install what has been built here:  ansible-galaxy collection build --force
                                        ansible-galaxy collection install --force phala-cloud-*.tar.gz
  2. Set PHALA_CLOUD_API_KEY, or log in with `phala login`, the official CLI.
  3. Write a phala.yml of one line:     plugin: phala.cloud.phala
  4. See what there is:                 ansible-inventory -i phala.yml --graph

Or see it at once, with your account instead of the stand-in: make demo LIVE=1
README.md shows the next steps."""


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="phala-demo-") as folder:
        (live if "--live" in sys.argv[1:] else stand_in)(Path(folder))


def stand_in(folder: Path) -> None:
    """Show everything on a stand-in service that serves the demo's fleet."""
    say("This is a demo. It lists the account of a stand-in service, which runs on this machine for as long as the demo does.")
    if "PHALA_CLOUD_API_KEY" in os.environ:
        say("PHALA_CLOUD_API_KEY is set, but not used: `make demo LIVE=1` lists your account.")
    with platform(folder / "platform", FLEET) as reached:
        fleet = behind(reached.cloud, FLEET) if isinstance(reached, Platform) else FLEET
        with Simulator(fleet=fleet, api_key="phak_demo") as service:
            variables = {"PHALA_CLOUD_API_PREFIX": service.url, "PHALA_CLOUD_API_KEY": service.api_key}
            terminal = show_collection(folder, variables)
            if isinstance(reached, Platform):
                play(terminal, reached)
            else:
                say(f"To see a playbook run on these CVMs over SSH, install {', '.join(reached)} and run make demo again.")
    show_title("With your account")
    say(NEXT)


def live(folder: Path) -> None:
    """Show the account of the caller."""
    say("This lists the account that PHALA_CLOUD_API_KEY or `phala login` gives access to.")
    names = re.compile(r"PHALA_CLOUD_.*|.*_proxy|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|SSL_CERT_.*", re.IGNORECASE)
    own = {name: value for name, value in os.environ.items() if names.fullmatch(name)}
    show_collection(folder, {"PHALA_CLOUD_DIR": str(Path.home() / ".phala-cloud"), **own})


def show_collection(folder: Path, variables: Mapping[str, str]) -> Terminal:
    terminal = Terminal(folder, {**isolation(folder), **variables})
    install(terminal)
    show_inventory(terminal)
    return terminal


def isolation(folder: Path) -> dict[str, str]:
    """Give an environment in which Ansible finds nothing but what the demo makes."""
    (folder / "ansible.cfg").touch()
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
        "HOME": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(folder / "collections"),
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
        "ANSIBLE_INVENTORY_ENABLED": "auto",  # else the plugins of other files say too that this one is none of theirs
    }


def install(terminal: Terminal) -> None:
    show_title("Build and install the collection")
    terminal.run("ansible-galaxy", "collection", "build", str(CHECKOUT))
    (tarball,) = terminal.folder.glob("*.tar.gz")
    terminal.run("ansible-galaxy", "collection", "install", tarball.name)


def show_inventory(terminal: Terminal) -> None:
    show_title("List the CVMs")
    (terminal.folder / "phala.yml").write_text(SOURCE, encoding="utf-8")
    show_command("cat phala.yml")
    say(SOURCE)
    if "PHALA_CLOUD_API_PREFIX" in terminal.environment:
        show_command(
            f"export PHALA_CLOUD_API_PREFIX={terminal.environment['PHALA_CLOUD_API_PREFIX']} PHALA_CLOUD_API_KEY=phak_..."
        )
    graph = terminal.run("ansible-inventory", "-i", "phala.yml", "--graph")
    hosts = re.findall(r"--([^@\s]\S*)", graph)
    if hosts:
        terminal.run("ansible-inventory", "-i", "phala.yml", "--host", hosts[-1])


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
