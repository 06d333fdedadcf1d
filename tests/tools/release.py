# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check that a commit may be released, and publish what was built from it.

    python -m tests.tools.release check TAG
    python -m tests.tools.release publish TARBALL [--dry-run]

Publishing takes the token of Galaxy from GALAXY_TOKEN.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import yaml

ROOT = Path(__file__).resolve().parents[2]
GALAXY = "https://galaxy.ansible.com/"
URLS = ("repository", "documentation", "homepage", "issues")


def check(tag: str, root: Path = ROOT) -> None:
    """End with what must be done first, if anything."""
    problems = list(find_problems(tag, root))
    if problems:
        sys.exit("\n".join((f"{tag} cannot be released:", *(f"- {problem}" for problem in problems))))
    print(f"{tag} can be released")


def find_problems(tag: str, root: Path) -> Iterator[str]:
    galaxy = yaml.safe_load((root / "galaxy.yml").read_text(encoding="utf-8"))
    version = galaxy["version"]
    if tag != version:
        yield f"galaxy.yml has version {version}: tag the commit that sets {tag}"
    placeholders = [name for name in URLS if urlsplit(galaxy[name]).hostname == "example.org"]
    if placeholders:
        yield f"galaxy.yml has placeholders: replace {', '.join(placeholders)}"
    fragments = [path.name for path in (root / "changelogs/fragments").glob("*.y*ml")]
    if fragments:
        yield f"changelogs/fragments has {', '.join(sorted(fragments))}: run antsibull-changelog release"
    released = yaml.safe_load((root / "changelogs/changelog.yaml").read_text(encoding="utf-8"))["releases"]
    heading = "## v" + version.replace(".", r"\.")
    if version not in released or heading not in (root / "CHANGELOG.md").read_text(encoding="utf-8"):
        yield f"the changelog has no version {version}: run antsibull-changelog release"


def publish(tarball: Path, *, dry_run: bool) -> None:
    """Publish to Galaxy; a dry run installs the tarball and shows the command instead."""
    command = ["ansible-galaxy", "collection", "publish", str(tarball)]
    if dry_run:
        with tempfile.TemporaryDirectory() as folder:
            install = ("ansible-galaxy", "collection", "install", "--offline", "--collections-path", folder, tarball)
            subprocess.run(install, check=True)
        print(f"This was a dry run. It would have run, for {GALAXY}: {' '.join(command)}")
        return
    if not os.environ.get("GALAXY_TOKEN"):
        sys.exit("GALAXY_TOKEN is not set: it must hold a token of an account that owns the namespace")
    server = {"LIST": "release", "RELEASE_URL": GALAXY, "RELEASE_TOKEN": os.environ["GALAXY_TOKEN"]}
    variables = {f"ANSIBLE_GALAXY_SERVER_{name}": value for name, value in server.items()}
    subprocess.run(command, check=True, env={**os.environ, **variables})


if __name__ == "__main__":
    if sys.argv[1] == "check":
        check(sys.argv[2])
    else:
        publish(Path(sys.argv[2]), dry_run="--dry-run" in sys.argv)
