# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetch all the apps that a set of queries asks for: pages side by side, read again where they do not fit together."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from ansible_collections.phala.cloud.plugins.plugin_utils.api import ApiError, Client, Page

if TYPE_CHECKING:
    from ansible_collections.phala.cloud.plugins.plugin_utils.settings import ApiSettings

J = TypeVar("J")
R = TypeVar("R")

MAX_READINGS = 3  # of a query's pages, while apps move between them


@dataclass
class Fetched:
    """Per query its apps, how many requests and retries that took, and what may be missing."""

    answers: list[list[dict[str, Any]]] = field(default_factory=list)
    requests: int = 0
    retries: int = 0
    warnings: list[str] = field(default_factory=list)


def fetch_apps(access: ApiSettings, queries: Sequence[Mapping[str, Sequence[str]]], note: Callable[[str], None]) -> Fetched:
    """Fetch all apps of all queries.

    :param queries: each with the service's filter names and their values
    :param note: is told of each page, in the calling thread
    :raises ApiError: when one page cannot be had
    """
    client = Client(access)
    readings = [_Reading(access.url, query) for query in queries]
    fetched = Fetched()
    unsettled = readings
    try:
        for _attempt in range(MAX_READINGS):
            _read(client, access.concurrency, unsettled, fetched, note)
            unsettled = [reading for reading in unsettled if not reading.settle()]
            for reading in unsettled:
                note(f"{reading.title}: {reading.fault()}")
    finally:
        client.stop()
    fetched.warnings = [reading.resign() for reading in unsettled]
    fetched.answers = [[reading.apps[identity] for identity in sorted(reading.apps)] for reading in readings]
    return fetched


def _read(client: Client, lanes: int, readings: Sequence[_Reading], fetched: Fetched, note: Callable[[str], None]) -> None:
    """Read every query's first page, which tells how many there are, then all the others."""

    def collect(jobs: Iterable[tuple[_Reading, int]]) -> None:
        for (reading, number), page in _side_by_side(lambda job: client.get_page(job[0].query, job[1]), jobs, lanes):
            reading.add(page)
            fetched.requests += 1 + len(page.retries)
            fetched.retries += len(page.retries)
            for retry in page.retries:
                note(f"tried again: {retry}")
            position = f"page {number} of {max(1, reading.pages[1].page_count)}"
            note(f"{position} of {reading.title}: {len(page.apps)} apps in {page.seconds:.2f} s")

    for reading in readings:
        reading.start()
    collect((reading, 1) for reading in readings)
    collect((reading, number) for reading in readings for number in reading.further_numbers())


class _Reading:
    """The pages of one query as read last, and the apps on them."""

    def __init__(self, url: str, query: Mapping[str, Sequence[str]]) -> None:
        self.query = [(name, value) for name, values in query.items() for value in values]
        self.title = f"{url}/apps{'?' if self.query else ''}{urlencode(self.query)}"
        self.pages: dict[int, Page] = {}
        self.apps: dict[str, dict[str, Any]] = {}
        self._seen: set[str] = set()
        self._barren: set[int] = set()  # numbers of pages that showed no app which others had not shown

    def start(self) -> None:
        self.pages.clear()
        self._seen.clear()
        self._barren.clear()

    def add(self, page: Page) -> None:
        self.pages[page.number] = page
        identities = {_app_identity(app) for app in page.apps}
        if identities <= self._seen:
            self._barren.add(page.number)
        self._seen |= identities

    def further_numbers(self) -> Iterator[int]:
        """Yield the numbers after the first, until two neighbouring pages brought nothing new: a count may be absurd."""
        for number in range(2, self.pages[1].page_count + 1):
            if any(barren + 1 in self._barren for barren in self._barren):
                return
            yield number

    def fault(self) -> str | None:
        """Say what does not add up between the pages, if anything."""
        totals = {page.total for page in self.pages.values()}
        if len(totals) > 1:
            return f"its count of apps went between {min(totals)} and {max(totals)} while its pages were read"
        total = self.pages[1].total
        identities = [_app_identity(app) for page in self.pages.values() for app in page.apps]
        if len(identities) != total or len(set(identities)) != total:
            return f"it counts {total} apps, and its pages show {len(identities)}, {len(set(identities))} of them different"
        return None

    def settle(self) -> bool:
        """Keep the apps that were read and tell whether they are the whole; if not, all readings count, the newest first."""
        whole = self.fault() is None
        if whole:
            self.apps.clear()
        for number in sorted(self.pages):
            self.apps.update((_app_identity(app), app) for app in self.pages[number].apps)
        return whole

    def resign(self) -> str:
        """Return a warning that the apps may not be all of them.

        :raises ApiError: when they are not: when apps are missing that a page should have shown
        """
        pages = self.pages.values()
        is_short = len(self.apps) < min(page.total for page in pages)
        is_repeated = len(self._seen) < sum(len(page.apps) for page in pages)
        if is_short and (is_repeated or not all(page.apps for page in pages)):
            raise ApiError(
                f"GET {self.title}: {self.fault()}, {MAX_READINGS} times: the fleet cannot be had as a whole; run again"
                " later, and tell the service's support if it stays like this"
            )
        return (
            f"{self.title}: {self.fault()}, also in the last of {MAX_READINGS} readings: apps that came or went meanwhile may be"
            " missing or listed still; run again when the account is quiet"
        )


def _app_identity(app: Mapping[str, Any]) -> str:
    return json.dumps([app.get("id"), app.get("app_id")])


def _side_by_side(work: Callable[[J], R], jobs: Iterable[J], lanes: int) -> Iterator[tuple[J, R]]:
    """Yield each job with its result as they come, so many at a time.

    The threads are daemons, for a run that was interrupted must not wait for an answer.
    """
    waiting = iter(jobs)
    lock = threading.Lock()
    results: queue.SimpleQueue[tuple[J, R] | Exception | None] = queue.SimpleQueue()

    def lane() -> None:
        try:
            while True:
                with lock:
                    job = next(waiting)
                results.put((job, work(job)))
        except StopIteration:
            results.put(None)
        except Exception as error:
            results.put(error)

    for _lane in range(lanes):
        threading.Thread(target=lane, daemon=True).start()
    open_lanes = lanes
    while open_lanes:
        result = results.get()
        if isinstance(result, Exception):
            raise result
        if result is None:
            open_lanes -= 1
        else:
            yield result
