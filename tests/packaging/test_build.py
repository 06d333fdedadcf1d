# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""``make build`` builds what ``ansible-galaxy`` builds, twice the same."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from tests.tools.build import repack
from tests.tools.release import find_problems

from .conftest import Place

SECONDS = 1_800_000_000


def held(tarball: bytes) -> dict[str, tuple[bytes | None, int]]:
    """Return each file of a tarball with its content and mode, without the two lists that are sorted."""
    with tarfile.open(fileobj=io.BytesIO(tarball)) as archive:
        files = {member.name: (archive.extractfile(member), member.mode) for member in archive}
        return {
            name: (file.read() if file else None, mode)
            for name, (file, mode) in files.items()
            if name not in ("FILES.json", "MANIFEST.json")
        }


def build(place: Place, source: Path, name: str) -> bytes:
    place.run("ansible-galaxy", "collection", "build", "--output-path", place.folder / name, source)
    (tarball,) = (place.folder / name).glob("*.tar.gz")
    return tarball.read_bytes()


def make_source(folder: Path, names: str) -> Path:
    """Make a small collection whose files are made in this order."""
    folder.mkdir()
    galaxy = {"namespace": "phala", "name": "cloud", "version": "1.0.0", "readme": "README.md", "authors": ["nobody"]}
    (folder / "galaxy.yml").write_text(json.dumps(galaxy), encoding="utf-8")
    for name in ("README.md", *names):
        (folder / name).touch()
    return folder


def test_order_and_time_of_files_make_no_difference(place: Place) -> None:
    first = build(place, make_source(place.folder / "one", "abcdef"), "first")
    other = make_source(place.folder / "two", "fedcba")
    os.utime(other / "c", (1, 1))
    second = build(place, other, "second")
    assert repack(first, seconds=SECONDS) == repack(second, seconds=SECONDS)


def test_content_is_that_of_ansible_galaxy(tarball: Path) -> None:
    built = tarball.read_bytes()
    assert held(repack(built, seconds=SECONDS)) == held(built)


def test_repacked_collection_is_installed_and_verified(tarball: Path, place: Place) -> None:
    repacked = place.folder / tarball.name
    repacked.write_bytes(repack(tarball.read_bytes(), seconds=SECONDS))
    place.install(repacked)
    assert "Successfully verified" in place.run("ansible-galaxy", "collection", "verify", "--offline", "phala.cloud").stdout


@pytest.fixture
def releasable(tmp_path: Path) -> Path:
    """Make the files of a commit that may be released as 2.0.0."""
    (tmp_path / "changelogs/fragments").mkdir(parents=True)
    urls = dict.fromkeys(("repository", "documentation", "homepage", "issues"), "https://forge.example.com/phala.cloud")
    (tmp_path / "galaxy.yml").write_text(json.dumps({"version": "2.0.0", **urls}), encoding="utf-8")
    (tmp_path / "changelogs/changelog.yaml").write_text(json.dumps({"releases": {"2.0.0": {}}}), encoding="utf-8")
    (tmp_path / "CHANGELOG.md").write_text("## v2\\.0\\.0\n", encoding="utf-8")
    return tmp_path


def test_commit_that_is_ready_may_be_released(releasable: Path) -> None:
    assert list(find_problems("2.0.0", releasable)) == []


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("changelogs/fragments/1.yml", "", "changelogs/fragments has 1.yml: run antsibull-changelog release"),
        (
            "changelogs/changelog.yaml",
            "releases: {1.0.0: {}}",
            "the changelog has no version 2.0.0: run antsibull-changelog release",
        ),
        ("CHANGELOG.md", "## v1\\.0\\.0\n", "the changelog has no version 2.0.0: run antsibull-changelog release"),
    ],
)
def test_changelog_that_lacks_something_stops_the_release(releasable: Path, name: str, content: str, problem: str) -> None:
    (releasable / name).write_text(content, encoding="utf-8")
    assert list(find_problems("2.0.0", releasable)) == [problem]


def test_tag_of_another_version_stops_the_release(releasable: Path) -> None:
    assert list(find_problems("2.0.1", releasable)) == ["galaxy.yml has version 2.0.0: tag the commit that sets 2.0.1"]


def test_placeholder_stops_the_release(releasable: Path) -> None:
    galaxy = json.loads((releasable / "galaxy.yml").read_text(encoding="utf-8"))
    galaxy["homepage"] = "https://example.org/phala.cloud"
    (releasable / "galaxy.yml").write_text(json.dumps(galaxy), encoding="utf-8")
    assert list(find_problems("2.0.0", releasable)) == ["galaxy.yml has placeholders: replace homepage"]
