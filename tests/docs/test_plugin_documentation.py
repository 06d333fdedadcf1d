# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ansible-doc shows of the plugin is true and complete."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.phala.cloud.tests.loading import load
from ansible_collections.phala.cloud.tests.simulator import Simulator

from .fleet import KEY
from .shell import Shell

plugin = importlib.import_module("ansible_collections.phala.cloud.plugins.inventory.phala")
DOCUMENTATION: dict[str, Any] = yaml.safe_load(plugin.DOCUMENTATION)
OPTIONS: dict[str, dict[str, Any]] = DOCUMENTATION["options"]


def sentences(option: str) -> list[str]:
    description = OPTIONS[option]["description"]
    return description if isinstance(description, list) else [description]


@pytest.mark.parametrize("option", OPTIONS)
def test_option_is_described_in_whole_sentences(option: str) -> None:
    assert all(re.fullmatch(r"[A-Z(OCV`].*\.", sentence, re.DOTALL) for sentence in sentences(option))


def test_every_option_that_the_markup_names_exists() -> None:
    named = set(re.findall(r"\bO\((\w+)\)", plugin.DOCUMENTATION))
    assert named <= {*OPTIONS, "cache", "strict", "compose"}


def test_examples_are_one_source_that_works(tmp_path: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHALA_CLOUD_API_KEY", KEY)
    monkeypatch.setenv("PHALA_CLOUD_API_PREFIX", simulator.url)
    monkeypatch.setenv("HOME", str(tmp_path))
    source = tmp_path / "phala.yml"
    source.write_text(plugin.EXAMPLES, encoding="utf-8")
    loaded = load([source], extra_vars={"target": "US-WEST-1"})
    assert not loaded.failures
    assert sorted(loaded.values("phala_name").values()) == ["web-1", "web-2"]


def test_sample_output_of_the_examples_is_real(reader_home: Path, simulator: Simulator) -> None:
    _head, command, output = re.split(r"^#   (ansible-inventory .*)\n(?=#   @all:)", plugin.EXAMPLES, flags=re.MULTILINE)
    shell = Shell(reader_home, simulator.origin, PHALA_CLOUD_API_KEY=KEY)
    (shell.folder / "phala.yml").write_text(plugin.EXAMPLES, encoding="utf-8")
    assert shell.run(command).stdout == re.sub("^#   ", "", output, flags=re.MULTILINE)
