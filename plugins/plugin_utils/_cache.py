# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Store fleets in ansible-core's inventory cache, so that no other source or account reads them as its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible.errors import AnsibleError

from ansible_collections.phala.cloud.plugins.plugin_utils._apps import ShownApp
from ansible_collections.phala.cloud.plugins.plugin_utils._cache_form import pack, unpack
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import CORE_VARIABLES
from ansible_collections.phala.cloud.plugins.plugin_utils._filters import PLUGIN_FILTERS, service_queries
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level, Report
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import Settings
from ansible_collections.phala.cloud.plugins.plugin_utils._version import COLLECTION_VERSION

# Of what is stored: another version of the collection, other variables or another order of bytes are another entry.
FORMAT = (7, COLLECTION_VERSION, CORE_VARIABLES, sys.byteorder)


@dataclass(frozen=True)
class StoredFleet:
    """What the apps of each query show, and when they were saved (seconds since the epoch).

    ``options`` are the values that each filter knows, if they were requested, and ``warnings`` those of the fetch.
    """

    apps: list[list[ShownApp]]
    saved: float
    options: Mapping[str, Sequence[str]] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    def age(self, now: float) -> float | None:
        """Return the age in seconds, or None for an entry from the future: the clock was set back."""
        return now - self.saved if now >= self.saved else None


class Seal:
    """Sign what is stored with everything that sets a source apart: its queries, and the API key, which is not stored."""

    def __init__(self, *, key: str, url: str, version: str, queries: Sequence[Mapping[str, Sequence[str]]]) -> None:
        self._key = key.encode()
        self._source = json.dumps([FORMAT, url, version, [sorted(query.items()) for query in queries]])

    @property
    def entry(self) -> str:
        """The name of the entry in the cache."""
        return f"phala_cloud_{self._code('entry')[:40]}"

    def signed(self, fleet: StoredFleet) -> str:
        """Return the fleet as one text, which :meth:`verified` accepts with the same key, URL, version and queries only."""
        apps, rows = pack(fleet.apps)
        text = json.dumps({**vars(fleet), "apps": apps}, separators=(",", ":"))
        # Compressed, because ansible-core keeps the entry in memory as long as the inventory is built.
        content = base64.b64encode(zlib.compress(b"\n".join((text.encode(), rows)), level=1)).decode()
        return f"{self._code(content)}\n{content}"

    def verified(self, entry: Any, *, marked: bool = True) -> StoredFleet | None:
        """Return the fleet of an entry, or None where the entry is damaged or belongs to another source.

        :param marked: as for :func:`unpack`
        """
        code, _newline, content = entry.partition("\n") if isinstance(entry, str) else ("", "", "")
        if not hmac.compare_digest(code.encode("utf-8", "replace"), self._code(content).encode()):
            return None
        stored, rows = _read(content)
        return StoredFleet(**{**stored, "apps": unpack(stored["apps"], rows, marked=marked)})

    def _code(self, content: str) -> str:
        return hmac.new(self._key, f"{self._source}\n{content}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def _read(content: str) -> tuple[dict[str, Any], bytes]:
    """Return the JSON and the rows of an entry; the text of the first is freed before CVMs are made of them."""
    text, _separator, rows = zlib.decompress(base64.b64decode(content)).partition(b"\n")
    return json.loads(text), rows


class FleetCache:
    """The entry of one source in a cache; whatever fails there is a warning, because the service can be asked instead."""

    def __init__(self, store: Any, settings: Settings, report: Report) -> None:
        keys = "\n".join(account.key for account in settings.accounts)
        urls = "\n".join(f"{account.name} {account.url}".strip() for account in settings.accounts)
        queries = [dict(query) for query in service_queries(settings.queries)]
        self._seal = Seal(key=keys, url=urls, version=settings.api.version, queries=queries)
        self._store = store
        self._report = report
        # To mark all texts at once is faster, but not where only a few of the stored CVMs are listed.
        self._marks_texts = not settings.excludes and all(map(frozenset(PLUGIN_FILTERS).isdisjoint, settings.queries))
        _refuse_other_files(store)

    def load(self) -> StoredFleet | None:
        """Return what is stored, however old, or None."""
        try:
            text = self._store.get(self._seal.entry)
        except Exception as error:  # a cache plugin may raise anything
            self._warn("The inventory cache cannot be read, so the plugin asks the service", error)
            return None
        stored = None if text is None else self._seal.verified(text, marked=self._marks_texts)
        if text is not None and stored is None:
            self._warn("The inventory cache has a damaged entry, so the plugin asks the service")
        return stored

    def save(self, fleet: StoredFleet) -> None:
        """Write now: core's own writing comes when the hosts are in the inventory, too late to fail."""
        try:
            self._store[self._seal.entry] = self._seal.signed(fleet)
            self._store.update_cache_if_changed()
        except Exception as error:  # as above, or a value is nested too deeply
            self._warn("The inventory cache cannot be written, so the next run asks the service again", error)
            self._store.pop(self._seal.entry, None)

    def _warn(self, text: str, error: Exception | None = None) -> None:
        subjects = () if error is None else (_reason(error).rstrip("."),)
        self._report(Diagnostic(Level.WARNING, text, subjects=subjects, advice="Check the options of the cache."))


def _refuse_other_files(store: Any) -> None:
    """Let a cache plugin that keeps files read regular files only: nobody may write to a FIFO, and a device may have no end."""
    plugin = getattr(store, "_plugin", None)
    load = getattr(plugin, "_load", None)
    if plugin is None or load is None:
        return

    def load_regular_file(path: str) -> Any:
        if os.path.exists(path) and not os.path.isfile(path):
            raise OSError(f"{path} is not a regular file")
        return load(path)

    plugin._load = load_regular_file


def _reason(error: Exception) -> str:
    """Return what went wrong without the text that core puts around it, which since 2.19 does not have it at all."""
    cause = (error.__cause__ or error.__context__) if isinstance(error, AnsibleError) else None
    return str(cause or error)
