# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tarball holds, and what Galaxy would say of it."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

from .conftest import CHECKOUT, Place

MADE_BY_BUILD = {"FILES.json", "MANIFEST.json"}
SHIPPED_FILES = {
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "bindep.txt",
    "requirements.txt",
}
SHIPPED_FOLDERS = ("changelogs", "docs", "meta", "plugins")
LEFT_OUT = ("changelogs/config.yaml", "changelogs/fragments/", "docs/development.md", "docs/docsite/", "docs/overview.svg")
DOCSITE = {"docs/docsite/extra-docs.yml", "docs/docsite/links.yml", "docs/docsite/rst/guide_phala.rst"}  # for Ansible's own site


def test_tarball_holds_what_users_need_and_nothing_else(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        held = {member.name for member in archive if member.isfile()}
    assert held == MADE_BY_BUILD | SHIPPED_FILES | DOCSITE | versioned_files(*SHIPPED_FOLDERS)


def versioned_files(*folders: str) -> set[str]:
    """List what git holds or would take."""
    command = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *folders)
    listed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout.split("\0")
    return {name for name in listed if name and not name.startswith(LEFT_OUT) and (CHECKOUT / name).exists()}


def test_importer_has_nothing_to_say(tarball: Path, place: Place) -> None:
    run = place.run(sys.executable, "-m", "galaxy_importer.main", tarball)
    said = run.stdout + run.stderr
    assert "Importer processing completed successfully" in said
    assert [line for line in said.splitlines() if line.startswith(("ERROR", "WARNING"))] == []
