# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Have the service's answers from ansible-core's inventory cache or from the service."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleParserError

from ansible_collections.phala.cloud.plugins.plugin_utils.cache import Seal, StoredAnswers
from ansible_collections.phala.cloud.plugins.plugin_utils.redaction import redact
from ansible_collections.phala.cloud.plugins.plugin_utils.settings import Settings

if TYPE_CHECKING:
    from ansible_collections.phala.cloud.plugins.plugin_utils.paging import Fetched


@dataclass(frozen=True)
class Answers:
    """Per query its apps, as the service gave them, and in words where they come from."""

    apps: list[list[dict[str, Any]]]
    origin: str

    @property
    def app_count(self) -> int:
        """How many different apps there are; two queries may have found the same."""
        return len({f"{app.get('id')} {app.get('app_id')}" for apps in self.apps for app in apps})


def get_answers(plugin: Any, settings: Settings, *, use_cache: bool) -> Answers:
    """Return a fresh answer of the cache, else the service's, else a stale one where the settings allow it.

    :raises AnsibleParserError: when there is none
    """
    if not settings.cache.enabled:
        return _from_service(settings, plugin.display.vv, plugin.display.warning)
    api = settings.api
    seal = Seal(key=api.key, url=api.url, version=api.version, queries=settings.queries)
    _let_stale_answers_live(plugin, settings)
    stored = _load(plugin, seal) if use_cache or settings.cache.stale else None
    age = stored.age(time.time()) if stored else None
    if use_cache and stored and age is not None and (age <= settings.cache.timeout or settings.cache.timeout == 0):
        return Answers(stored.answers, f"{api.url} (cache, {age:.0f} s old)")
    try:
        answers = _from_service(settings, plugin.display.vv, plugin.display.warning)
    except ServiceUnavailableError as error:
        if not stored or age is None or age > settings.cache.stale:
            raise
        plugin.display.warning(
            f"The inventory is {age:.0f} s old: the service cannot be reached and cache_stale allows it. {error}"
        )
        return Answers(stored.answers, f"{api.url} (stale cache, {age:.0f} s old)")
    _save(plugin, seal, answers)
    return answers


class ServiceUnavailableError(AnsibleParserError):
    """The service cannot be reached or cannot answer now."""


def _from_service(settings: Settings, note: Callable[[str], None], warn: Callable[[str], None]) -> Answers:
    started = time.monotonic()
    fetched = _fetch(settings, note)
    for warning in fetched.warnings:
        warn(redact(warning, settings.api.key))
    seconds = time.monotonic() - started
    return Answers(
        fetched.answers,
        f"{settings.api.url} (network, {fetched.requests} requests, {fetched.retries} retries, {seconds:.2f} s)",
    )


def _fetch(settings: Settings, note: Callable[[str], None]) -> Fetched:
    # Imported here because a hit of the cache needs none of it: requests takes longer than all the rest of the plugin.
    from ansible_collections.phala.cloud.plugins.plugin_utils.api import REQUESTS_IMPORT_ERROR, ApiError, UnavailableError
    from ansible_collections.phala.cloud.plugins.plugin_utils.paging import fetch_apps

    if REQUESTS_IMPORT_ERROR:
        advice = f"run '{sys.executable} -m pip install requests'"
        raise AnsibleParserError(f"the Python package requests cannot be imported ({REQUESTS_IMPORT_ERROR}): {advice}")
    key = settings.api.key
    try:
        return fetch_apps(settings.api, settings.queries, lambda line: note(redact(line, key)))
    except UnavailableError as error:
        raise ServiceUnavailableError(redact(str(error), key)) from None  # since 2.19 core shows each cause's message, again
    except ApiError as error:
        raise AnsibleParserError(redact(str(error), key)) from None


# The cache


def _let_stale_answers_live(plugin: Any, settings: Settings) -> None:
    """Have the cache plugin keep answers for as long as they may be served; how fresh they are is told by their own time."""
    if 0 < settings.cache.timeout < settings.cache.stale:
        plugin.set_option("cache_timeout", settings.cache.stale)
        plugin.load_cache_plugin()


def _load(plugin: Any, seal: Seal) -> StoredAnswers | None:
    try:
        text = plugin.cache.get(seal.entry)
    except Exception as error:  # a cache plugin may raise anything, and is never worth more than a fetch
        plugin.display.warning(f"The inventory cache cannot be read, so the service is asked: {error}")
        return None
    if text is None:
        return None
    stored = seal.open(text)
    if stored is None:
        plugin.display.warning("The inventory cache holds a damaged entry, so the service is asked.")
    return stored


def _save(plugin: Any, seal: Seal, answers: Answers) -> None:
    """Write now, for core's own writing comes when the hosts are in the inventory, too late to fail."""
    plugin.cache[seal.entry] = seal.close(answers.apps, time.time())
    try:
        plugin.update_cache_if_changed()
    except Exception as error:  # as above
        plugin.display.warning(f"The inventory cache cannot be written, so the next run asks the service again: {error}")
        plugin.cache.pop(seal.entry)
