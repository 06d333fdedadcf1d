# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of the service and the settings of its behaviour, without HTTP."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from .accounts import Account, Listing
from .changes import Fleet, Order, change_cvm, swap
from .faults.answers import Blocked
from .faults.base import Fault
from .faults.rules import Rule, Rules
from .fleet import make_fleet
from .records import App, Cvm
from .selection import Entry
from .shapes import FLAT, NESTED, NUMBERED, ShapeName, shape_of

FAKE_KEY: Final = "phak_simulator-key-that-opens-nothing"
LARGEST_PAGE: Final = 100


@dataclass(frozen=True)
class Recorded:
    """One request; header names are lower-case, `at` is in seconds of the monotonic clock."""

    id: str
    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    at: float = field(default_factory=time.monotonic)

    def values(self, name: str) -> list[str]:
        """Return all values of a query parameter, in order."""
        return [value for key, value in self.query if key == name]

    @property
    def page(self) -> int:
        """Return the requested page, or 1 if it is not a number."""
        value = (self.values("page") or ["1"])[-1]
        return int(value) if value.isdecimal() else 1


class Pending(NamedTuple):
    """A change of a CVM at a moment of the monotonic clock."""

    at: float
    account: Account
    cvm: Cvm
    fields: Mapping[str, Any]


class Service:
    """The accounts, the behaviour and the requests of the service. You can set each attribute at any time.

    `fleet` and `apps` together are the fleet of `api_key`; `accounts` are further keys, each with its own fleet.
    Anything in them that is not an `App` is served as it is. If `pages` is set, they are served instead, each a JSON
    value or a `Body`. `key_version` is the API version of requests without the header. After a restart, a CVM keeps
    its status for `status_lag` seconds, and is `starting` for `seconds_to_start`. The proxy in front of the service
    blocks user agents that begin with one of `blocked_agents`, with the response `blocked`.

    Filters in `ignored_filters` do not select anything, and the others ignore letter case without `case_sensitive`.

    Before each request, `evolve` may return a changed fleet of `api_key`, made with the functions of `changes`. Lists
    are in `order`, or in the order of the fleet.
    """

    def __init__(
        self,
        *,
        fleet: Iterable[Entry] | None = None,
        apps: Iterable[Entry] = (),
        api_key: str = FAKE_KEY,
        accounts: Mapping[str, Iterable[Entry]] | None = None,
        delay: float = 0.0,
        page_size_limit: int = LARGEST_PAGE,
        key_version: str = "2025-10-28",
        ignore_version: ShapeName | None = None,
        prerender: bool = False,
    ) -> None:
        self.api_key = api_key
        self.page_size_limit = page_size_limit
        self.key_version = key_version
        self.ignore_version = ignore_version
        self.prerender = prerender
        self.requests: list[Recorded] = []
        self.peak = 0
        self.rules = Rules()
        self._in_flight = 0
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._accounts: dict[str, Account] = {}
        self._pending: list[Pending] = []
        self.forgive()
        self.delay = delay
        apps = tuple(apps)
        self.fleet = (*_default_fleet(fleet, apps), *apps)
        for key, entries in (accounts or {}).items():
            self.add_account(key, entries)

    @property
    def listing(self) -> Listing:
        return Listing(self.page_size_limit, self.order, self.case_sensitive)

    @property
    def fleet(self) -> Sequence[Entry]:
        return self._accounts[self.api_key].fleet

    @fleet.setter
    def fleet(self, entries: Iterable[Entry]) -> None:
        self.add_account(self.api_key, entries)

    def add_account(self, key: str, fleet: Iterable[Entry]) -> None:
        """Set the fleet of a key."""
        self._accounts[key] = Account(fleet, prerender=self._prerendered_shapes())

    def blocks(self, request: Recorded) -> bool:
        """Return whether the proxy in front of the service blocks a request, because of its user agent."""
        return request.headers.get("user-agent", "").startswith(tuple(self.blocked_agents))

    def restart(self, account: Account, cvm: Cvm) -> None:
        """Let a CVM restart: its status changes after `status_lag`, and again after `seconds_to_start`."""
        start = time.monotonic() + self.status_lag
        self._pending += [
            Pending(start, account, cvm, {"status": "starting", "progress": "running"}),
            Pending(start + self.seconds_to_start, account, cvm, {"status": "running", "progress": None}),
        ]

    def change_fleet(self, request: Recorded) -> None:
        """Make the changes that are due before a request."""
        if self.evolve is not None:
            self._accounts[self.api_key].fleet = self.evolve(self.fleet, request)
        now = time.monotonic()
        due = [pending for pending in self._pending if pending.at <= now]
        self._pending = [pending for pending in self._pending if pending.at > now]
        for pending in sorted(due, key=lambda pending: pending.at):
            pending.account.fleet = _changed(pending.account.fleet, pending.cvm, pending.fields)

    def account(self, key: str | None) -> Account | None:
        return None if key is None else self._accounts.get(key)

    def shape(self, version: str | None) -> ShapeName:
        """Return the shape for the `X-Phala-Version` header, or for the key's own version if there is no header."""
        return self.ignore_version or shape_of(version or self.key_version)

    def misbehave(
        self,
        *faults: Fault,
        times: int | None = 1,
        page: int | None = None,
        path: str | None = None,
        probability: float = 1.0,
        seed: int = 0,
    ) -> None:
        """Queue faults: each applies to `times` requests (None: to all) before the next one does.

        They apply only to requests for `page`, to paths that end in `path`, and with `probability` only to some
        requests, the same ones for the same seed.
        """
        when: dict[str, Any] = {"times": times, "page": page, "path": path, "probability": probability, "seed": seed}
        self.rules.extend(Rule(fault=fault, **when) for fault in faults)

    def forgive(self) -> None:
        """Reset everything that changes the behaviour, except the options of the constructor; reset `delay`, too."""
        self.rules.clear()
        self.delay = 0.0
        self.pages: Sequence[Any] | None = None
        self.blocked_agents: Sequence[str] = ("Python-urllib",)
        self.blocked = Blocked()
        self.evolve: Callable[[Fleet, Recorded], Fleet] | None = None
        self.order: Order | None = None
        self.case_sensitive = True
        self.ignored_filters: Collection[str] = ()
        self.status_lag = 0.0
        self.seconds_to_start = 0.0

    def clear(self) -> None:
        """Forget the requests."""
        with self._lock:
            self.requests.clear()
            self.peak = self._in_flight

    def record(self, *, method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str]) -> Recorded:
        """Keep a request, with a new id."""
        request = Recorded(f"req-{next(self._ids):08d}", method, path, query, headers)
        self.requests.append(request)
        return request

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Count the requests that are in progress at once, for `peak`."""
        with self._lock:
            self._in_flight += 1
            self.peak = max(self.peak, self._in_flight)
        try:
            yield
        finally:
            with self._lock:
                self._in_flight -= 1

    def _prerendered_shapes(self) -> tuple[ShapeName, ...]:
        if not self.prerender:
            return ()
        return (self.ignore_version,) if self.ignore_version else (FLAT, NUMBERED, NESTED)


def _changed(fleet: Sequence[Entry], cvm: Cvm, fields: Mapping[str, Any]) -> Sequence[Entry]:
    """Return the fleet with other fields in this CVM, which may have changed since, or be gone."""
    for app in (entry for entry in fleet if isinstance(entry, App)):
        for candidate in app.live_cvms:
            if candidate.is_same_as(cvm):
                return swap(fleet, app, change_cvm(app, candidate, **fields))
    return fleet


def _default_fleet(fleet: Iterable[Entry] | None, apps: Sequence[Entry]) -> Iterable[Entry]:
    if fleet is not None:
        return fleet
    return () if apps else make_fleet()
