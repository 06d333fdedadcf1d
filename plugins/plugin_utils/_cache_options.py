# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read ansible-core's options of the inventory cache, and open the cache without losing the inventory where that fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level, Report
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import CacheSettings, Settings

_MEMORY = ("memory", "ansible.builtin.memory", "ansible.legacy.memory")
_ADVICE = "Check cache_plugin and cache_connection."


def cache_diagnostics(cache: CacheSettings, cache_plugin: str) -> Iterator[Diagnostic]:
    """Yield a warning for each option of the cache that does nothing."""
    if cache.stale and not cache.enabled:
        text = "cache_stale does nothing, because the cache is off. Set 'cache: true' as well."
        yield Diagnostic(Level.WARNING, text)
    if cache.enabled and cache_plugin in _MEMORY:
        text = f"cache: true keeps nothing between runs, because cache_plugin is {str(cache_plugin)!r}"
        advice = "Set cache_plugin: ansible.builtin.jsonfile, and cache_connection to a folder, or remove 'cache: true'."
        yield Diagnostic(Level.WARNING, text, advice=advice)


def open_cache(plugin: Any, settings: Settings, report: Report) -> Any:
    """Return ansible-core's cache of the plugin, or None where it is off or cannot be opened.

    It keeps entries for as long as they may be used. The plugin itself decides how fresh an entry is, by the time that is
    stored in it.
    """
    if not settings.cache.enabled:
        return None
    if 0 < settings.cache.timeout < settings.cache.stale:
        plugin.set_option("cache_timeout", settings.cache.stale)
    try:
        plugin.load_cache_plugin()
    except Exception:  # a cache plugin may raise anything, also because another run has just made its folder
        try:
            plugin.load_cache_plugin()
        except Exception as error:
            text = "the inventory cache cannot be opened, so the plugin asks the service"
            report(Diagnostic(Level.WARNING, text, option="cache", subjects=(str(error).rstrip("."),), advice=_ADVICE))
            return None
    return plugin.cache
