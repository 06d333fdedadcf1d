# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._cache_options import cache_diagnostics, open_cache
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import CacheSettings

JSONFILE = "ansible.builtin.jsonfile"


class Plugin:
    """Stand for ansible-core's plugin object, whose cache cannot be opened some times."""

    cache = "the cache"

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.tries = 0
        self.options: list[tuple[str, int]] = []

    def set_option(self, name: str, value: int) -> None:
        self.options.append((name, value))

    def load_cache_plugin(self) -> None:
        self.tries += 1
        if self.tries <= self.failures:
            raise OSError(f"failure {self.tries}.")


def open_with(plugin: Plugin, cache: CacheSettings) -> tuple[Any, list[Diagnostic]]:
    reported: list[Diagnostic] = []
    settings: Any = SimpleNamespace(cache=cache)
    return open_cache(plugin, settings, reported.append), reported


@pytest.mark.parametrize(
    ("cache", "plugin"),
    [(CacheSettings(True, 60, 600), JSONFILE), (CacheSettings(False, 60, 0), "memory"), (CacheSettings(True, 60, 0), JSONFILE)],
)
def test_cache_that_works_is_not_remarked_on(cache: CacheSettings, plugin: str) -> None:
    assert list(cache_diagnostics(cache, plugin)) == []


def test_stale_entries_of_a_cache_that_is_off_are_remarked_on() -> None:
    assert list(cache_diagnostics(CacheSettings(False, 60, 600), JSONFILE)) == [
        Diagnostic(Level.WARNING, "cache_stale does nothing, because the cache is off. Set 'cache: true' as well.")
    ]


@pytest.mark.parametrize("name", ["memory", "ansible.builtin.memory", "ansible.legacy.memory"])
def test_cache_in_memory_is_remarked_on(name: str) -> None:
    assert list(cache_diagnostics(CacheSettings(True, 60, 0), name)) == [
        Diagnostic(
            Level.WARNING,
            f"cache: true keeps nothing between runs, because cache_plugin is {name!r}",
            advice="Set cache_plugin: ansible.builtin.jsonfile, and cache_connection to a folder, or remove 'cache: true'.",
        )
    ]


def test_cache_that_is_off_is_not_opened() -> None:
    plugin = Plugin()
    assert open_with(plugin, CacheSettings(False, 60, 600)) == (None, [])
    assert (plugin.tries, plugin.options) == (0, [])


@pytest.mark.parametrize(
    ("timeout", "stale", "options"),
    [
        (60, 600, [("cache_timeout", 600)]),
        (1, 2, [("cache_timeout", 2)]),
        (60, 60, []),
        (60, 0, []),
        (0, 600, []),
    ],
)
def test_entries_are_kept_for_as_long_as_they_may_be_used(timeout: int, stale: int, options: list[tuple[str, int]]) -> None:
    plugin = Plugin()
    assert open_with(plugin, CacheSettings(True, timeout, stale)) == ("the cache", [])
    assert (plugin.tries, plugin.options) == (1, options)


def test_cache_that_opens_the_second_time_is_used() -> None:
    assert open_with(Plugin(failures=1), CacheSettings(True, 60, 0)) == ("the cache", [])


def test_cache_that_does_not_open_is_reported_and_not_used() -> None:
    assert open_with(Plugin(failures=2), CacheSettings(True, 60, 0)) == (
        None,
        [
            Diagnostic(
                Level.WARNING,
                "the inventory cache cannot be opened, so the plugin asks the service",
                option="cache",
                subjects=("failure 2",),
                advice="Check cache_plugin and cache_connection.",
            )
        ],
    )
