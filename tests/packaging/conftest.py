# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of the packaging share: the built collection, and a place to install it to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.simulator import Simulator

CHECKOUT = Path(__file__).parents[2]
SCRIPTS = Path(sys.executable).parent


@dataclass(frozen=True)
class Place:
    """A folder with a home of its own, in which commands find only the collections that were installed to it."""

    folder: Path
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def collection(self) -> Path:
        return self.folder / "collections/ansible_collections/phala/cloud"

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a command, which must succeed."""
        completed = subprocess.run(
            [str(part) for part in command],
            cwd=self.folder,
            env={**os.environ, **self.environment(), **self.variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert completed.returncode == 0, completed.stdout + completed.stderr
        return completed

    def install(self, tarball: Path) -> None:
        self.run("ansible-galaxy", "collection", "install", "--offline", tarball)

    def environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.folder),
            "PATH": f"{SCRIPTS}:{os.environ['PATH']}",
            "ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"),
            "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
        }


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture(scope="session")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the collection from this checkout, with all that lies in it."""
    folder = tmp_path_factory.mktemp("build")
    Place(folder).run("ansible-galaxy", "collection", "build", CHECKOUT)
    (built,) = folder.glob("*.tar.gz")
    return built


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as service:
        yield service
