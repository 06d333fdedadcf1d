# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Execution environments, and the tools that read inventories for AWX and automation controller."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.simulator import Simulator

from .conftest import Place

RUNNER = """\
import json, ansible_runner
print(json.dumps(ansible_runner.get_inventory("list", ["phala.yml"], response_format="json", quiet=True)[0]))
"""


@pytest.fixture
def project(tarball: Path, tmp_path: Path, simulator: Simulator) -> Place:
    """Install the collection beside a source for the stand-in service."""
    (tmp_path / "phala.yml").write_text("plugin: phala.cloud.phala\n", encoding="utf-8")
    place = Place(tmp_path, {"PHALA_CLOUD_API_KEY": simulator.api_key, "PHALA_CLOUD_API_PREFIX": simulator.url})
    place.install(tarball)
    return place


@pytest.fixture
def inventory(project: Place) -> Any:
    """What ansible-inventory itself gives."""
    listed = json.loads(project.run("ansible-inventory", "-i", "phala.yml", "--list").stdout)
    assert len(listed["_meta"]["hostvars"]) == 12
    return listed


def test_runner_gives_the_same_inventory(project: Place, inventory: Any) -> None:
    assert json.loads(project.run(sys.executable, "-c", RUNNER).stdout) == inventory


def test_navigator_gives_the_same_inventory(project: Place, inventory: Any) -> None:
    command = ("ansible-navigator", "inventory", "--ee", "false", "-m", "stdout", "-i", "phala.yml", "--list")
    assert json.loads(project.run(*command).stdout) == inventory


def test_builder_sees_the_requirements(tarball: Path, place: Place) -> None:
    place.install(tarball)
    place.run("ansible-builder", "introspect", place.folder / "collections", "--write-pip", "pip", "--write-bindep", "bindep")
    assert "requests" in (place.folder / "pip").read_text(encoding="utf-8")
    assert "openssl" in (place.folder / "bindep").read_text(encoding="utf-8")


def test_builder_creates_an_environment_with_the_collection(tarball: Path, place: Place) -> None:
    definition = {
        "version": 3,
        "images": {"base_image": {"name": "registry.example.org/base:1"}},
        "dependencies": {"galaxy": {"collections": [{"name": str(tarball), "type": "file"}]}},
    }
    (place.folder / "execution-environment.yml").write_text(json.dumps(definition), encoding="utf-8")
    place.run("ansible-builder", "create", "--output-filename", "Containerfile")
    assert (place.folder / "context/Containerfile").exists()
    assert tarball.name in (place.folder / "context/_build/requirements.yml").read_text(encoding="utf-8")
