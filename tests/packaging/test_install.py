# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every way to install the collection."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from .conftest import CHECKOUT, Place

VERSION = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
INSTALL = ("ansible-galaxy", "collection", "install")


@pytest.fixture
def repository(tmp_path: Path) -> str:
    """Make a repository of what this checkout holds, committed or not, and return its URL."""
    folder = tmp_path / "repository"
    git = ("git", "-c", "user.name=test", "-c", "user.email=test@example.org", "-C", str(folder))
    listed = subprocess.run(
        ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"), cwd=CHECKOUT, capture_output=True, check=True
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (CHECKOUT / name).exists():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((CHECKOUT / name).read_bytes())
    for command in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", "All")):
        subprocess.run((*git, *command), check=True)
    return f"git+file://{folder}"


def installed_version(place: Place) -> str:
    listed = json.loads(place.run("ansible-galaxy", "collection", "list", "phala.cloud", "--format", "json").stdout)
    return str(listed[str(place.folder / "collections/ansible_collections")]["phala.cloud"]["version"])


def is_documented(place: Place) -> bool:
    return "phala.cloud.phala" in place.run("ansible-doc", "-t", "inventory", "--list", "phala.cloud").stdout


def test_from_the_tarball(tarball: Path, place: Place) -> None:
    place.run(*INSTALL, "--offline", tarball)
    assert installed_version(place) == VERSION
    assert is_documented(place)


def test_from_git(repository: str, place: Place) -> None:
    place.run(*INSTALL, repository)
    assert is_documented(place)


def test_from_requirements(tarball: Path, repository: str, place: Place) -> None:
    for name in (str(tarball), repository):
        requirements = place.folder / "requirements.yml"
        requirements.write_text(json.dumps({"collections": [{"name": name}]}), encoding="utf-8")
        place.run(*INSTALL, "--force", "-r", requirements)
        assert is_documented(place)


def test_git_and_tarball_install_the_same(tarball: Path, repository: str, place: Place, tmp_path: Path) -> None:
    other = Place(tmp_path / "other")
    other.folder.mkdir()
    place.run(*INSTALL, tarball)
    other.run(*INSTALL, repository)
    assert files_of(place) == files_of(other)


def files_of(place: Place) -> dict[str, bytes]:
    return {
        str(path.relative_to(place.collection)): path.read_bytes()
        for path in place.collection.rglob("*")
        if path.is_file() and path.name not in ("MANIFEST.json", "FILES.json", "GALAXY.yml")
    }


def test_verify_finds_what_was_changed(tarball: Path, place: Place) -> None:
    place.run(*INSTALL, tarball)
    verify = ("ansible-galaxy", "collection", "verify", "--offline", "phala.cloud")
    assert "Successfully verified" in place.run(*verify).stdout
    (place.collection / "plugins/inventory/phala.py").write_text("", encoding="utf-8")
    with pytest.raises(AssertionError, match=r"plugins/inventory/phala\.py"):
        place.run(*verify)


def test_upgrade_over_an_older_build(tarball: Path, place: Place) -> None:
    place.run(*INSTALL, older_build(place))
    assert installed_version(place) == "0.9.0"
    assert (place.collection / "docs/gone.md").exists()
    place.run(*INSTALL, "--upgrade", "--offline", tarball)
    assert installed_version(place) == VERSION
    assert not (place.collection / "docs/gone.md").exists()


def older_build(place: Place) -> Path:
    """Build a version 0.9.0 that has a file more."""
    source = place.folder / "older"
    (source / "docs").mkdir(parents=True)
    (source / "docs/gone.md").touch()
    (source / "README.md").touch()
    galaxy = {"namespace": "phala", "name": "cloud", "version": "0.9.0", "readme": "README.md", "authors": ["nobody"]}
    (source / "galaxy.yml").write_text(json.dumps(galaxy), encoding="utf-8")
    place.run("ansible-galaxy", "collection", "build", source)
    return place.folder / "phala-cloud-0.9.0.tar.gz"
