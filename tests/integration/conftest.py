# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the integration tests share: the stand-in service, and inventories loaded from it in both ways."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.phala.cloud.tests.commands import Completed, run
from ansible_collections.phala.cloud.tests.loading import Loaded, load
from ansible_collections.phala.cloud.tests.simulator import Simulator

PLUGIN = {"plugin": "phala.cloud.phala"}
SECONDS_TO_END = 30


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that start commands, which take most of the time."""
    for item in items:
        if "command" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.command)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the test a home of its own, in which nobody has logged in."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


@pytest.fixture
def impatience() -> Iterator[None]:
    """Fail a test that does not end by itself."""

    def fail(*_signal: Any) -> None:
        pytest.fail(f"it did not end within {SECONDS_TO_END} s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(SECONDS_TO_END)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """Run a stand-in service, to which the environment points; its fleet holds one app of every kind."""
    with Simulator() as service:
        monkeypatch.setenv("PHALA_CLOUD_API_KEY", service.api_key)
        monkeypatch.setenv("PHALA_CLOUD_API_PREFIX", service.url)
        yield service


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes an inventory source: a text as it is, options with the plugin's name before them."""

    def write_source(source: str | Mapping[str, Any] | None = None, *, name: str = "phala.yml") -> Path:
        path = tmp_path / name
        text = source if isinstance(source, str) else yaml.safe_dump({**PLUGIN, **(source or {})}, sort_keys=False)
        path.write_text(text, encoding="utf-8")
        return path

    return write_source


@pytest.fixture
def attempt(write: Callable[..., Path]) -> Callable[..., Loaded]:
    """Return a function that loads a source in this process, whether or not it can be."""

    def attempt_source(source: str | Mapping[str, Any] | None = None, *, name: str = "phala.yml", **options: Any) -> Loaded:
        return load([write(source, name=name)], **options)

    return attempt_source


@pytest.fixture
def load_all() -> Callable[..., Loaded]:
    """Return a function that loads several sources side by side."""

    def load_sources(*sources: Path, **options: Any) -> Loaded:
        loaded = load(sources, **options)
        assert not loaded.failures
        return loaded

    return load_sources


@pytest.fixture
def inventory(attempt: Callable[..., Loaded]) -> Callable[..., Loaded]:
    """Return a function that loads a source in this process."""

    def load_source(*arguments: Any, **options: Any) -> Loaded:
        loaded = attempt(*arguments, **options)
        assert not loaded.failures
        return loaded

    return load_source


@pytest.fixture
def refusal(attempt: Callable[..., Loaded]) -> Callable[..., str]:
    """Return a function that tries to load a source that must fail whole, and gives the reason."""

    def try_source(*arguments: Any, **options: Any) -> str:
        loaded = attempt(*arguments, **options)
        assert loaded.failures, f"loaded after all: {loaded.groups}"
        assert not loaded.hosts
        return loaded.failures[0]  # what follows is said by core's own plugins, which try the file too

    return try_source


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Completed]:
    """Return a function that runs a command of ansible-core."""

    def run_command(name: str, *arguments: str | Path, env: Mapping[str, str] | None = None, typed: str = "") -> Completed:
        return run(name, *arguments, folder=tmp_path, env=env, typed=typed)

    return run_command


@pytest.fixture
def ansible_inventory(write: Callable[..., Path], command: Callable[..., Completed]) -> Callable[..., Completed]:
    """Return a function that runs ``ansible-inventory`` with a source."""

    def run_inventory(
        source: str | Mapping[str, Any] | None,
        *arguments: str | Path,
        name: str = "phala.yml",
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        return command("ansible-inventory", "-i", write(source, name=name), *arguments, env=env)

    return run_inventory
