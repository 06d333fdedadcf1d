# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A model of an account that changes between any two requests, without clock, threads and network.

A run of the model is one call of ``fetch_apps``. Before the service answers a request, any number of events happens. The
requests that are under way at one time are answered in a random order, and their responses arrive in a random order.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeVar

from ansible_collections.phala.cloud.plugins.plugin_utils import _paging
from ansible_collections.phala.cloud.plugins.plugin_utils._api import ApiError, Content, Response
from ansible_collections.phala.cloud.plugins.plugin_utils._apps import ShownApp

J = TypeVar("J")
R = TypeVar("R")

ORDERS: Final = ("age", "name", "update")
PAGE_SIZES: Final = (20, 100)
MOST_PAGES: Final = {20: (1, 3, 6), 100: (1, 3)}  # at the beginning of a run
CONCURRENCIES: Final = (1, 8)
RATES: Final = (0.0, 0.02, 0.1, 0.3, 1.0)  # events per request
STATUSES: Final = ("running", "stopped")
UNFILTERED: Final[tuple[_paging.Filter, ...]] = ({},)
FILTERED: Final[tuple[_paging.Filter, ...]] = ({"status": ("running",)},)
SEVERAL: Final[tuple[_paging.Filter, ...]] = ({"status": ("running",)}, {"status": ("stopped",)})


@dataclass
class App:
    """An app with one or two CVMs, each with its status."""

    number: int
    name: float
    updated: int
    statuses: list[str]
    has_flipped: bool = False
    version: int = 0
    content: dict[str, Any] | None = None  # as the service shows the app, until it changes

    @property
    def cvms(self) -> list[str]:
        return [f"{self.number}-{index}" for index in range(len(self.statuses))]

    def touch(self, now: int, _chance: random.Random) -> None:
        self.updated = now
        self._change()

    def rename(self, _now: int, chance: random.Random) -> None:
        self.name = chance.random()
        self._change()

    def trade(self, now: int, chance: random.Random) -> None:
        """Let the CVMs change places."""
        self.statuses.reverse()
        self.touch(now, chance)

    def flip(self, now: int, chance: random.Random) -> None:
        """Change the status of a CVM, once in a run: starting and stopping take longer than reading the list."""
        if not self.has_flipped:
            index = chance.randrange(len(self.statuses))
            self.statuses[index] = "stopped" if self.statuses[index] == "running" else "running"
            self.has_flipped = True
            self.touch(now, chance)

    def _change(self) -> None:
        self.version += 1
        self.content = None

    def shown(self) -> dict[str, Any]:
        if self.content is None:
            cvms = [{"vm_uuid": uuid, "status": status} for uuid, status in zip(self.cvms, self.statuses, strict=True)]
            self.content = {"id": f"id-{self.number}", "app_id": f"app-{self.number}", "name": str(self.name), "cvms": cvms}
        return self.content


@dataclass(frozen=True)
class Settings:
    """The parameters of one run."""

    seed: int
    order: str
    page_size: int
    concurrency: int
    rate: float
    queries: tuple[_paging.Filter, ...]
    apps: int  # at the beginning

    @classmethod
    def draw(cls, seed: int) -> Settings:
        chance = random.Random(seed)
        page_size = chance.choice(PAGE_SIZES)
        return cls(
            seed=seed,
            order=chance.choice(ORDERS),
            page_size=page_size,
            concurrency=chance.choice(CONCURRENCIES),
            rate=chance.choice(RATES),
            queries=chance.choice((UNFILTERED, FILTERED, SEVERAL)),
            apps=chance.randint(0, page_size * chance.choice(MOST_PAGES[page_size])),
        )


class Account:
    """The service with one account, as the client of ``fetch_apps``."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.chance = random.Random(settings.seed)
        self.now = 0
        self.apps: dict[int, App] = {}
        self.answered = 0
        self.readings = 0
        self.lasting: set[str] = set()  # the CVMs that a query has asked for all the time
        self.gone: set[str] = set()  # the CVMs that no longer existed when the last reading began
        self._contents: dict[bytes, Any] = {}  # of the responses, by their digests
        self._deleted: set[str] = set()
        self._begins_reading = True
        self._sorted: list[App] | None = None
        for _app in range(settings.apps):
            self._create()

    # The client

    def url(self, path: str, parameters: Sequence[tuple[str, str]] = ()) -> str:
        return f"https://service.test/api/v1{path}?{parameters}"

    def stop(self) -> None:
        """Leave it: no try is under way."""

    def get(self, path: str, parameters: Sequence[tuple[str, str]] = ()) -> Response:
        self._change()
        self.now += 1
        self.answered += 1
        page, size = (int(dict(parameters)[name]) for name in ("page", "page_size"))
        if self._begins_reading:
            self._begin_reading()
        apps = self._matching([value for name, value in parameters if name == "status"])
        shown = apps[(page - 1) * size : page * size]
        digest = repr((page, len(apps), [(app.number, app.version) for app in shown])).encode()
        content = {
            "dstack_apps": [app.shown() for app in shown],
            "page": page,
            "page_size": size,
            "total": len(apps),
            "total_pages": -(-len(apps) // size),
        }
        self._contents[digest] = content
        return Response(self.url(path), b"", "application/json", digest, 0.0, ())

    def read(self, response: Response) -> Content:
        return Content(self._contents[response.digest], ())

    def note(self, line: str) -> None:
        """Begin a reading after a line about one that proves nothing."""
        self._begins_reading |= line.startswith("Read ")

    def _begin_reading(self) -> None:
        self._begins_reading = False
        self.readings += 1
        self.gone = set(self._deleted)
        # Without filters, even what exists only throughout the last reading must be listed.
        if self.readings == 1 or self.settings.queries == UNFILTERED:
            self.lasting = {cvm for app in self.apps.values() for cvm in self._asked_for(app)}

    def _asked_for(self, app: App) -> set[str]:
        statuses = {status for query in self.settings.queries for status in query.get("status", STATUSES)}
        return {cvm for cvm, status in zip(app.cvms, app.statuses, strict=True) if status in statuses}

    def _matching(self, statuses: Sequence[str]) -> list[App]:
        if self._sorted is None:
            self._sorted = sorted(self.apps.values(), key=KEYS[self.settings.order])
        return [app for app in self._sorted if statuses[0] in app.statuses] if statuses else self._sorted

    # The events

    def _change(self) -> None:
        rate = self.settings.rate
        while self.chance.random() < rate / (1 + rate):  # so many events on average, and any number at once
            self.now += 1
            self._sorted = None
            event = self.chance.choice((self._create, self._delete, self._replace, self._update))
            event()

    def _create(self) -> None:
        number = len(self.apps) + len(self._deleted)
        statuses = self.chance.choices(STATUSES, k=self.chance.choice((1, 2)))
        self.apps[number] = App(number, self.chance.random(), self.now, statuses)

    def _delete(self) -> None:
        if self.apps:
            app = self.apps.pop(self.chance.choice(list(self.apps)))
            self._deleted.update(app.cvms)
            self.lasting.difference_update(app.cvms)

    def _replace(self) -> None:
        if self.apps:
            self._delete()
            self._create()

    def _update(self) -> None:
        if self.apps:
            app = self.apps[self.chance.choice(list(self.apps))]
            self.chance.choice((App.touch, App.rename, App.trade, App.flip))(app, self.now, self.chance)
            self.lasting.difference_update(set(app.cvms) - self._asked_for(app))


KEYS: Final[dict[str, Callable[[App], Any]]] = {
    "age": lambda app: app.number,
    "name": lambda app: (app.name, app.number),
    "update": lambda app: (-app.updated, app.number),
}


class Workers:
    """Run jobs in the calling thread, in an order in which threads could run them."""

    def __init__(self, limit: int, chance: random.Random) -> None:
        self._limit = limit
        self._chance = chance
        self._idle_chance = random.Random(limit)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *dummy: object) -> None:
        """Leave it: there are no threads."""

    def run(self, work: Callable[[J], R], jobs: Iterable[J], *, while_idle: Callable[[], bool]) -> Iterator[tuple[J, R]]:
        waiting = iter(jobs)
        requested: list[J] = []
        answered: list[tuple[J, R]] = []
        while True:
            requested.extend(islice(waiting, self._limit - len(requested) - len(answered)))
            if not requested and not answered:
                return
            if requested and (not answered or self._chance.random() < 0.5):
                job = requested.pop(self._chance.randrange(len(requested)))
                answered.append((job, work(job)))
                while self._idle_chance.random() < 0.5 and while_idle():
                    """It may do any part of its work."""
            else:
                yield answered.pop(self._chance.randrange(len(answered)))


@dataclass(frozen=True)
class Outcome:
    """How a run ended; a run that ended well has neither missed nor listed wrongly."""

    settings: Settings
    requests: int
    readings: int
    error: ApiError | None = None
    missed: frozenset[str] = frozenset()  # CVMs that existed throughout
    gone: frozenset[str] = frozenset()  # CVMs that were listed and no longer existed when the last reading began


def run(settings: Settings) -> Outcome:
    account = Account(settings)
    try:
        fetched = _paging.fetch_apps(
            account,  # type: ignore[arg-type]
            settings.queries,
            account="",
            page_size=settings.page_size,
            concurrency=settings.concurrency,
            note=account.note,
            start_workers=lambda limit: Workers(limit, account.chance),  # type: ignore[arg-type,return-value]
        )
    except ApiError as error:
        return Outcome(settings, account.answered, account.readings, error)
    listed = set(listed_cvms(settings.queries, fetched.apps))
    missed, gone = frozenset(account.lasting - listed), frozenset(account.gone & listed)
    return Outcome(settings, account.answered, fetched.readings, missed=missed, gone=gone)


def listed_cvms(queries: Sequence[_paging.Filter], apps: Sequence[Sequence[ShownApp]]) -> Iterator[str]:
    for query, found in zip(queries, apps, strict=True):
        for app in found:
            yield from (cvm.core["vm_uuid"] for cvm in app.cvms if cvm.core["status"] in query.get("status", STATUSES))
