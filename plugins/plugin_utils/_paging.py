# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fetch all apps of a set of queries, or fail: read their lists until a reading proves that they are whole."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from ansible_collections.phala.cloud.plugins.plugin_utils._api import ApiError, Client, Response, UnavailableError
from ansible_collections.phala.cloud.plugins.plugin_utils._apps import Form, ShownApp, mark_app
from ansible_collections.phala.cloud.plugins.plugin_utils._filters import parameters
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import counted
from ansible_collections.phala.cloud.plugins.plugin_utils._pages import PATH, Identity, Page, Request, get_page, read_page
from ansible_collections.phala.cloud.plugins.plugin_utils._proof import (
    Reading,
    count_pages,
    describe_doubt,
    find_contradiction,
    find_states,
    find_whole,
    is_repeated,
    show,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._trust import Marker
from ansible_collections.phala.cloud.plugins.plugin_utils._workers import Workers

Filter = Mapping[str, tuple[str, ...]]  # the service's filter names, each with its values
Note = Callable[[str], None]

MAX_READINGS = 6
MAX_PAGES = 10_000  # of one query
APPS_AT_ONCE = 10  # whose texts are marked in one step; few, so that a page which comes meanwhile waits for less than 1 ms
BARREN_PAGES = 2  # pages without a new app, after which a reading requests no further page of the query


class FetchedApps(NamedTuple):
    """Per query its apps, each once and in the order of the pages, what it took to fetch them, and what was replaced in them.

    ``forms`` are those of all entries of CVMs.
    """

    apps: list[list[ShownApp]]
    forms: frozenset[Form]
    requests: int
    retries: int
    readings: int
    faults: tuple[str, ...] = ()


def fetch_apps(
    client: Client,
    queries: Sequence[Filter],
    *,
    account: str,
    page_size: int,
    concurrency: int,
    note: Note,
    start_workers: Callable[[int], Workers] = Workers,
) -> FetchedApps:
    """Fetch all apps of all queries.

    :param account: the name of the client's account
    :param note: called with a line for each page and reading, in the calling thread
    :raises UnavailableError: if the list changed during each of :data:`MAX_READINGS` readings, or if no response came
    :raises ApiError: if a page is invalid, or if the service's counts contradict its pages
    """
    with_states = len(queries) > 1
    lists = [AppList(client, query, account=account, page_size=page_size, with_states=with_states) for query in queries]
    try:
        with start_workers(concurrency) as workers:
            return _Fetch(client, lists, workers, note, max_unread=concurrency - 1).until_whole()
    except BaseException:
        client.stop()
        raise


class AppList:
    """The list of one query, as read last. Only the newest copy of each page is kept."""

    def __init__(self, client: Client, query: Filter, *, account: str, page_size: int, with_states: bool) -> None:
        self.account = account
        self.parameters = parameters(query)
        self.url = client.url(PATH, self.parameters)
        self.page_size = page_size
        self.with_states = with_states
        self.pages: dict[int, Page] = {}
        self.page_count = 1
        self.totals: set[int] = set()
        self._older_pages: dict[int, Page] = {}
        self._early: set[int] = set()  # the pages that this reading requested before its first page had come
        self._seen: set[Identity] = set()
        self._barren_pages = 0

    def begin_reading(self) -> None:
        self._keep({})

    def forget_early_pages(self) -> None:
        """Go on as if no page had been requested before the first one had come."""
        self._keep({number: page for number, page in self.pages.items() if number not in self._early})

    def _keep(self, pages: dict[int, Page]) -> None:
        """Go on with these pages of the reading; the others are older copies from now on."""
        self._older_pages.update((number, page) for number, page in self.pages.items() if number not in pages)
        self.pages = pages
        self.totals = {page.total for page in pages.values()}
        self._early = set()
        self._seen = {identity for page in pages.values() for identity in page.identities}
        self._barren_pages = 0

    def request(self, number: int) -> Request:
        known = self._older_pages.pop(number, None)
        if number > 1 and 1 not in self.pages:
            self._early.add(number)
        return Request(self.account, self.parameters, self.page_size, number, with_states=self.with_states, known=known)

    def further_numbers(self) -> Iterator[int]:
        """Yield the numbers of lacking pages after the first, until pages stop bringing new apps: a count may be absurd."""
        for number in range(2, self.page_count + 1):
            if self._barren_pages >= BARREN_PAGES:
                return
            if number not in self.pages:
                yield number

    def add(self, number: int, page: Page) -> None:
        """Add a page to the reading; the first one says how many there are.

        :raises ApiError: if there are more than :data:`MAX_PAGES`
        """
        self.pages[number] = page
        self.totals.add(page.total)
        if self._seen.issuperset(page.identities):
            self._barren_pages += 1
        self._seen.update(page.identities)
        if number == 1:
            self.page_count = count_pages(page.total, page, self.page_size)
            if self.page_count > MAX_PAGES:
                raise ApiError(
                    f"GET {self.url}: the service counts {counted(page.total, 'app')}, and its first page shows"
                    f" {len(page.apps)}. That"
                    f" makes {self.page_count} pages, but a query may have at most {MAX_PAGES}. Check api_url, or set filters."
                )

    def take(self, identities: Collection[Identity]) -> list[ShownApp]:
        """Return these apps in the order of the pages, in which they are together in memory, and forget the pages."""
        apps: dict[Identity, ShownApp] = {}
        for _number, page in sorted(self.pages.items()):
            apps.update(zip(page.identities, page.apps, strict=True))
        self.pages.clear()
        self._older_pages.clear()
        return [app for identity, app in apps.items() if identity in identities]


class _Fetch:
    """Read the lists of all queries together, and count requests and retries.

    :param max_unread: how many responses may wait while the next pages are requested
    """

    def __init__(self, client: Client, lists: Sequence[AppList], workers: Workers, note: Note, *, max_unread: int) -> None:
        self._client = client
        self._lists = lists
        self._workers = workers
        self._note = note
        self._max_unread = max_unread
        self._unread: deque[tuple[AppList, Request, Response]] = deque()
        self._marker = Marker()
        self._unmarked: list[ShownApp] = []
        self._has_filters = len(lists) > 1 or bool(lists[0].parameters)
        self._requests = 0
        self._retries = 0
        self._faults: dict[str, None] = {}

    def until_whole(self) -> FetchedApps:
        previous: Reading | None = None
        seen_before: set[Identity] = set()
        for number in range(1, MAX_READINGS + 1):
            reading = self._read(expected=previous if previous and previous.is_faultless else None)
            self._check_contradiction(reading, previous)
            whole = find_whole(reading, previous, seen_before)
            if whole is not None:
                forms = frozenset(form for app_list in self._lists for page in app_list.pages.values() for form in page.forms)
                apps = [app_list.take(identities) for app_list, identities in zip(self._lists, whole, strict=True)]
                return FetchedApps(apps, forms, self._requests, self._retries, readings=number, faults=tuple(self._faults))
            doubt = describe_doubt(reading, previous)
            self._note(f"Read {number} of at most {MAX_READINGS} does not prove that the app list is whole: {doubt}")
            seen_before.update(*(shown.identities for shown in reading.shown))
            previous = reading
        raise UnavailableError(
            f"GET {self._client.url(PATH)}: the app list changed during all {MAX_READINGS} reads, so it may be incomplete (in the"
            f" last read, {doubt}). Run the command again."
        )

    def _read(self, *, expected: Reading | None) -> Reading:
        """Read every query's first page, then all the others.

        :param expected: what this reading will probably show, so that all pages are requested at once. If it does not, those that
            were requested before the first page had come prove nothing, and are requested again.
        """
        for app_list in self._lists:
            app_list.begin_reading()
        first_pages = [(app_list, 1) for app_list in self._lists]
        if expected is None:
            self._collect(first_pages)
        else:
            self._collect(chain(first_pages, self._further_pages()))
            if is_repeated(reading := self._reading(), expected):
                return reading
            for app_list in self._lists:
                app_list.forget_early_pages()
        self._collect(self._further_pages())
        return self._reading()

    def _reading(self) -> Reading:
        pages = [page for app_list in self._lists for page in app_list.pages.values()]
        return Reading(
            shown=tuple(show(app_list.pages, app_list.page_size) for app_list in self._lists),
            states=find_states(pages) if len(self._lists) > 1 else {},
            has_filters=self._has_filters,
        )

    def _further_pages(self) -> Iterator[tuple[AppList, int]]:
        """Yield the pages after the first, as long as the reading can prove something.

        If a count changes, only what the pages show can be of use, and only without filters.
        """
        for app_list in self._lists:
            for number in app_list.further_numbers():
                if self._has_filters and any(len(other.totals) > 1 for other in self._lists):
                    return
                yield app_list, number

    def _collect(self, numbers: Iterable[tuple[AppList, int]]) -> None:
        """Request pages, and read those that have come while no other one comes, so that no request waits for that."""
        jobs = ((app_list, app_list.request(number)) for app_list, number in numbers)
        for (app_list, request), response in self._workers.run(self._get_page, jobs, while_idle=self._read_or_mark):
            self._unread.append((app_list, request, response))
            if len(self._unread) > self._max_unread:
                self._read_next()
        while self._unread:
            self._read_next()

    def _read_next(self) -> None:
        app_list, request, response = self._unread.popleft()
        page = read_page(self._client, response, request)
        app_list.add(request.number, page)
        if page is not request.known:
            self._unmarked.extend(page.apps)
        self._requests += 1 + len(response.retries)
        self._retries += len(response.retries)
        self._faults.update(dict.fromkeys(page.faults))
        self._report(app_list, request, response, page)

    def _read_or_mark(self) -> bool:
        """Read a page or mark the texts of some apps, and return whether there was anything left to do.

        What is not marked here is marked when its hosts are built.
        """
        if self._unread:
            self._read_next()
            return True
        apps = self._unmarked[-APPS_AT_ONCE:]
        del self._unmarked[-APPS_AT_ONCE:]
        for app in apps:
            mark_app(app, self._marker)
        return bool(apps)

    def _get_page(self, job: tuple[AppList, Request]) -> Response:
        return get_page(self._client, job[1])

    def _report(self, app_list: AppList, request: Request, response: Response, page: Page) -> None:
        for retry in response.retries:
            self._note(f"Tried again: {retry}")
        position = f"Page {request.number} of {app_list.page_count} of {app_list.url}"
        unchanged = ", unchanged" if page is request.known else ""
        self._note(f"{position}: {counted(len(page.apps), 'app')} in {response.seconds:.2f} s{unchanged}")

    def _check_contradiction(self, reading: Reading, previous: Reading | None) -> None:
        position = find_contradiction(reading, previous)
        if position is not None:
            raise ApiError(
                f"GET {self._lists[position].url}: the service contradicts itself in two reads:"
                f" {reading.shown[position].fault}. The plugin never returns a partial inventory. Run the command again later."
                " If it fails again, report it to the service's support."
            )
