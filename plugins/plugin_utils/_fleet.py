# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Return the fleet of a source from ansible-core's inventory cache, or fetch it from the service."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from ansible_collections.phala.cloud.plugins.plugin_utils._api_errors import UnavailableError
from ansible_collections.phala.cloud.plugins.plugin_utils._apps import App, refuse_unknown_shape
from ansible_collections.phala.cloud.plugins.plugin_utils._cache import FleetCache, StoredFleet
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level, Report
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import Settings


@dataclass(frozen=True)
class Fleet:
    """Per query the apps that the service returned, how many different ones there are, and where they come from."""

    apps: list[list[App]]
    app_count: int
    origin: str


def get_fleet(settings: Settings, store: Any, *, use_cache: bool, report: Report) -> Fleet:
    """Return a fresh fleet from the cache, else from the service, else a stale one where the settings allow it.

    :param store: ansible-core's cache of the plugin, where the settings enable it
    :raises SourceError: when there is none
    """
    if not settings.cache.enabled:
        return _fetch(settings, report)
    (account,) = settings.accounts
    cache = FleetCache(store, settings, report)
    stored = cache.load() if use_cache or settings.cache.stale else None
    age = stored.age(time.time()) if stored else None
    if use_cache and stored and age is not None and (age <= settings.cache.timeout or settings.cache.timeout == 0):
        return _from_cache(stored, f"{account.url} (cache, {age:.0f} s old)")
    try:
        fleet = _fetch(settings, report)
    except UnavailableError as error:
        if not stored or age is None or age > settings.cache.stale:
            raise
        text = f"The inventory is {age:.0f} s old: the service cannot be reached and cache_stale allows it. {error}"
        report(Diagnostic(Level.WARNING, text))
        return _from_cache(stored, f"{account.url} (stale cache, {age:.0f} s old)")
    cache.save(fleet.apps, time.time())
    return fleet


def _from_cache(stored: StoredFleet, origin: str) -> Fleet:
    return Fleet(stored.apps, _count(stored.apps), origin)


def _count(apps: list[list[App]]) -> int:
    """Return how many different apps there are; two queries may have returned the same."""
    return len({(app.get("id"), app["app_id"]) for of_query in apps for app in of_query})


def _fetch(settings: Settings, report: Report) -> Fleet:
    """Fetch the apps of every query, and refuse those of an unknown shape before they are stored."""
    # Imported here because a hit of the cache needs none of it: requests takes longer than all the rest of the plugin.
    from ansible_collections.phala.cloud.plugins.plugin_utils._api import Client
    from ansible_collections.phala.cloud.plugins.plugin_utils._paging import fetch_apps

    (account,) = settings.accounts
    api = settings.api
    started = time.monotonic()
    fetched = fetch_apps(
        Client(account, api, settings.mask, lambda line: report(Diagnostic(Level.WARNING, line))),
        settings.queries,
        page_size=api.page_size,
        concurrency=api.concurrency,
        note=lambda line: report(Diagnostic(Level.VERY_VERBOSE, line)),
    )
    for warning in fetched.faults:
        report(Diagnostic(Level.WARNING, warning))
    refuse_unknown_shape((app for of_query in fetched.apps for app in of_query), account.url)
    seconds = time.monotonic() - started
    origin = f"{account.url} (network, {fetched.requests} requests, {fetched.retries} retries, {seconds:.2f} s)"
    return Fleet(fetched.apps, _count(fetched.apps), origin)
