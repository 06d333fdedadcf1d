# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Return the fleet of a source from ansible-core's inventory cache, or fetch it from the service."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.phala.cloud.plugins.plugin_utils._api_errors import UnavailableError
from ansible_collections.phala.cloud.plugins.plugin_utils._apps import ShownApp, refuse_unknown_shape, tell_apart
from ansible_collections.phala.cloud.plugins.plugin_utils._cvms import unshown_nodes
from ansible_collections.phala.cloud.plugins.plugin_utils._filters import service_queries
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level, Report, counted
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import Account, Filter, Settings

if TYPE_CHECKING:
    from ansible_collections.phala.cloud.plugins.plugin_utils._cache import StoredFleet
    from ansible_collections.phala.cloud.plugins.plugin_utils._unmatched import Options


class Fleet(NamedTuple):
    """For each account and query what the apps of the response show, how many different ones there are, and where they come from.

    ``options`` are the values that each filter knows, if they were needed, and ``warnings`` those of the fetch.
    """

    apps: list[list[ShownApp]]
    app_count: int
    origin: str
    options: Mapping[str, Sequence[str]]
    warnings: Sequence[str]

    @property
    def nodes(self) -> Sequence[str]:
        """The values of the filter ``node`` that the service knows."""
        return self.options.get("node", ())


def get_fleet(settings: Settings, store: Any, *, use_cache: bool, report: Report) -> Fleet:
    """Return a fresh fleet from the cache, else from the service, else a stale one where the settings allow it.

    The warnings of the fetch are reported again whenever its result comes from the cache.

    :param store: ansible-core's cache of the plugin, None where it is off or cannot be opened
    :raises SourceError: when there is none
    """
    fleet = _get_fleet(settings, store, use_cache=use_cache, report=report)
    for warning in fleet.warnings:
        report(Diagnostic(Level.WARNING, warning))
    return fleet._replace(apps=_per_query(fleet.apps, settings.queries))


def _per_query(apps: Sequence[list[ShownApp]], queries: Sequence[Filter]) -> list[list[ShownApp]]:
    """Return for each account the apps of each query, of which several may be one query of the service.

    Queries that differ only in the plugin's own filters are so.
    """
    sent = list(service_queries(queries).values())
    position_of = {position: number for number, positions in enumerate(sent) for position in positions}
    starts = range(0, len(apps), len(sent))
    return [list(apps[start + position_of[position]]) for start in starts for position in range(len(queries))]


def unmatched_filters(settings: Settings, fleet: Fleet) -> list[Diagnostic]:
    """Return what to report of filters that match no CVM of the fleet; a value may match in one account only."""
    if not _has_filters(settings):
        return []
    # Imported here, like the cache below, because most sources need neither.
    from ansible_collections.phala.cloud.plugins.plugin_utils._unmatched import find_unmatched, report_unmatched

    count = len(settings.queries)
    apps = [[app for of_query in fleet.apps[position::count] for app in of_query] for position in range(count)]
    unmatched = find_unmatched(settings.entries, settings.excludes, settings.queries, apps)
    has_cvms = any(app.cvms for of_query in apps for app in of_query)
    return report_unmatched(unmatched, fleet.options, has_cvms=has_cvms)


def _has_filters(settings: Settings) -> bool:
    return any(settings.queries) or bool(settings.excludes)


def _must_ask_for_options(settings: Settings, apps: Sequence[list[ShownApp]]) -> bool:
    """Return whether a filter may have matched by a value that only the service knows, or a message depends on such values.

    :param apps: the apps of each query that was sent
    """
    if not _has_filters(settings):
        return False
    from ansible_collections.phala.cloud.plugins.plugin_utils._unmatched import find_unmatched, needs_options

    per_query = _per_query(apps, settings.queries)
    unmatched = find_unmatched(settings.entries, settings.excludes, settings.queries, per_query)
    return needs_options(unmatched) or bool(unshown_nodes(settings.queries, per_query))


def _get_fleet(settings: Settings, store: Any, *, use_cache: bool, report: Report) -> Fleet:
    if store is None:
        return _fetch(settings, report)
    from ansible_collections.phala.cloud.plugins.plugin_utils._cache import FleetCache, StoredFleet

    urls = ", ".join(dict.fromkeys(account.url for account in settings.accounts))
    cache = FleetCache(store, settings, report)
    stored = cache.load() if use_cache or settings.cache.stale else None
    age = stored.age(time.time()) if stored else None
    if use_cache and stored and age is not None and (age <= settings.cache.timeout or settings.cache.timeout == 0):
        return _from_cache(stored, f"{urls} (cache, {age:.0f} s old)")
    try:
        fleet = _fetch(settings, report)
    except UnavailableError as error:
        if not stored or age is None or age > settings.cache.stale:
            raise
        text = f"The inventory is {age:.0f} s old, because the service cannot be reached and cache_stale is set. {error}"
        report(Diagnostic(Level.WARNING, text))
        return _from_cache(stored, f"{urls} (stale cache, {age:.0f} s old)")
    cache.save(StoredFleet(fleet.apps, time.time(), fleet.options, fleet.warnings))
    return fleet


def _from_cache(stored: StoredFleet, origin: str) -> Fleet:
    return Fleet(stored.apps, _count(stored.apps), origin, stored.options, stored.warnings)


def _count(apps: Iterable[Iterable[ShownApp]]) -> int:
    """Return how many different apps there are; two queries may have returned the same."""
    return len({app.key for of_query in apps for app in of_query})


def _fetch(settings: Settings, report: Report) -> Fleet:
    """Fetch the apps of every account: all of them, or none.

    :raises SourceError: an error of an account is more telling than that another account cannot be reached
    """
    fleets: list[Fleet] = []
    unavailable: UnavailableError | None = None
    known: dict[str, Options] = {}
    for account in settings.accounts:
        try:
            fleets.append(_fetch_account(account, settings, report, known))
        except UnavailableError as error:
            unavailable = unavailable or error
    if unavailable:
        raise unavailable
    apps = [of_query for fleet in fleets for of_query in fleet.apps]
    count = sum(fleet.app_count for fleet in fleets)
    names = dict.fromkeys(name for options in known.values() for name in options)
    options = {name: list(dict.fromkeys(chain.from_iterable(each.get(name, ()) for each in known.values()))) for name in names}
    warnings = [warning for fleet in fleets for warning in fleet.warnings]
    return Fleet(apps, count, ", ".join(fleet.origin for fleet in fleets), options, warnings)


def _fetch_account(account: Account, settings: Settings, report: Report, known: dict[str, Options]) -> Fleet:
    """Fetch the apps of every query, and refuse those of an unknown shape before they are stored.

    :param known: gets the values that each service knows, once for all accounts, if they are needed
    """
    # Imported here because a hit of the cache needs none of it: requests takes longer than all the rest of the plugin.
    from ansible_collections.phala.cloud.plugins.plugin_utils._api import Client
    from ansible_collections.phala.cloud.plugins.plugin_utils._filter_options import fetch_filter_options
    from ansible_collections.phala.cloud.plugins.plugin_utils._paging import fetch_apps

    api = settings.api
    started = time.monotonic()
    name = f"account {account.name!r}: " if account.name else ""
    keys = [other.key for other in settings.accounts]
    with Client(account, api, settings.mask, lambda line: report(Diagnostic(Level.WARNING, line)), other_keys=keys) as client:
        fetched = fetch_apps(
            client,
            [dict(query) for query in service_queries(settings.queries)],
            account=account.name,
            page_size=api.page_size,
            concurrency=api.concurrency,
            note=lambda line: report(Diagnostic(Level.VERY_VERBOSE, line)),
        )
        refuse_unknown_shape(fetched.forms, f"{name}{account.url}")
        tell_apart(chain.from_iterable(fetched.apps))
        if account.url not in known and _must_ask_for_options(settings, fetched.apps):
            known[account.url] = fetch_filter_options(client)
    seconds = time.monotonic() - started
    retries = f", {counted(fetched.retries, 'retry', 'retries')}" if fetched.retries else ""
    origin = f"{name}{account.url} ({counted(fetched.requests, 'request')}{retries}, {seconds:.2f} s)"
    return Fleet(fetched.apps, _count(fetched.apps), origin, {}, [f"{name}{fault}" for fault in fetched.faults])
