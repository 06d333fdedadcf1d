# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of the documentation share: the stand-in service with the account that the pages show."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.phala.cloud.tests.loading import Loaded, load
from ansible_collections.phala.cloud.tests.simulator import Simulator

from .fleet import FLEET, KEY, OTHER_FLEET, OTHER_KEY


@pytest.fixture(scope="session")
def running() -> Iterator[Simulator]:
    """Start the service once."""
    with Simulator(fleet=FLEET, api_key=KEY, accounts={OTHER_KEY: OTHER_FLEET}) as simulator:
        yield simulator


@pytest.fixture
def simulator(running: Simulator) -> Iterator[Simulator]:
    """Hand out the service, and have it behave again afterwards."""
    yield running
    running.forgive()
    running.clear()
    running.fleet = FLEET
    running.page_size_limit = 100


@pytest.fixture
def inventory(simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Loaded]:
    """Return a function that loads a source with these options, of the pages' account."""
    monkeypatch.setenv("PHALA_CLOUD_API_KEY", KEY)
    monkeypatch.setenv("PHALA_CLOUD_API_PREFIX", simulator.url)

    def load_source(**options: Any) -> Loaded:
        source = tmp_path / "phala.yml"
        source.write_text(json.dumps({"plugin": "phala.cloud.phala", **options}), encoding="utf-8")
        return load([source])

    return load_source


@pytest.fixture
def reader_home() -> Iterator[Path]:
    """Give a home whose path has nothing at which core would break the lines of a warning."""
    with tempfile.TemporaryDirectory(prefix="docs") as folder:
        yield Path(folder, "home")
