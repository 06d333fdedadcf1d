# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decide whether the pages of an app list are the whole list, although the account may change between two requests.

A list of several pages is whole in one of two cases:

- Two readings in a row show the same apps, and every count of both is the number of these apps. The second reading begins
  after the last response of the first, so each of these apps exists in between, and their number leaves no room for others.
- The first page of a reading, after whose response all its other pages are requested, counts as many apps as were seen both
  until then and from then on. So these are the apps of that moment. This needs apps that cannot leave the list and come back:
  a single query without filters.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ansible_collections.phala.cloud.plugins.plugin_utils._messages import counted
from ansible_collections.phala.cloud.plugins.plugin_utils._pages import Identity, Page


@dataclass(frozen=True)
class Shown:
    """What the pages of one query show in one reading. Two are equal if they show and count the same.

    ``fault`` says what does not fit together, and ``claim_fault`` whether a page claims too many pages.
    """

    identities: frozenset[Identity]
    totals: frozenset[int]
    first_total: int
    page_count: int = field(compare=False)
    first_identities: frozenset[Identity] = field(compare=False)
    claim_fault: str | None = field(compare=False)
    fault: str | None = field(compare=False)

    @property
    def has_changed(self) -> bool:
        """Tell whether two pages count differently."""
        return len(self.totals) > 1


class Reading(NamedTuple):
    """What one reading of all queries shows.

    ``states`` has the CVMs of each app, and is None if they changed from page to page. ``has_filters`` tells whether an app
    can leave the list and come back.
    """

    shown: tuple[Shown, ...]
    states: Mapping[Identity, frozenset[Hashable]] | None
    has_filters: bool

    @property
    def is_faultless(self) -> bool:
        """Tell whether all that it shows fits together."""
        return self.states is not None and all(shown.fault is None for shown in self.shown)

    @property
    def has_changed(self) -> bool:
        """Tell whether the count of a query changed."""
        return any(shown.has_changed for shown in self.shown)


def count_pages(total: int, first: Page, page_size: int) -> int:
    """Return how many pages so many apps fill, by the smallest size that the request and the first page suggest."""
    size = min(page_size, first.size, len(first.apps))
    return max(1, -(-total // size)) if size else 1


def show(pages: Mapping[int, Page], page_size: int) -> Shown:
    """Say what the pages of one query show together."""
    identities = frozenset(identity for page in pages.values() for identity in page.identities)
    totals = frozenset(page.total for page in pages.values())
    claim_fault = _claim_fault(pages, page_size)
    count_fault = _count_fault(totals, sum(len(page.apps) for page in pages.values()), len(identities))
    return Shown(
        identities=identities,
        totals=totals,
        first_total=pages[1].total,
        page_count=len(pages),
        first_identities=frozenset(pages[1].identities),
        claim_fault=claim_fault,
        fault=claim_fault or count_fault,
    )


def find_states(pages: Sequence[Page]) -> dict[Identity, frozenset[Hashable]] | None:
    """Return the states of each app's CVMs, or None if two pages show an app in different states."""
    states: dict[Identity, frozenset[Hashable]] = {}
    for page in pages:
        for identity, shown in zip(page.identities, page.states, strict=True):
            if states.setdefault(identity, shown) != shown:
                return None
    return states


def find_whole(
    reading: Reading, previous: Reading | None, seen_before: Collection[Identity]
) -> list[Collection[Identity]] | None:
    """Return the apps of each query if they are proved to be all of them.

    :param previous: the reading before this one
    :param seen_before: the apps of all earlier readings
    """
    only = reading.shown[0]
    is_one_page = len(reading.shown) == 1 and only.page_count == 1 and only.fault is None
    if is_one_page or (previous is not None and is_repeated(reading, previous)):
        return [shown.identities for shown in reading.shown]
    if reading.has_filters or only.claim_fault is not None or (previous is not None and _is_same_fault(only, previous.shown[0])):
        return None
    at_first_page = only.identities.intersection(seen_before).union(only.first_identities)
    return [at_first_page] if len(at_first_page) == only.first_total else None


def is_repeated(reading: Reading, previous: Reading) -> bool:
    """Tell whether two readings show and count the same, and all of it fits together."""
    return reading.is_faultless and previous.is_faultless and reading == previous


def find_contradiction(reading: Reading, previous: Reading | None) -> int | None:
    """Return the position of a query whose pages contradict its count in the same way as in the reading before.

    If a count changed in one of the readings, the list did, and nothing follows.
    """
    if previous is None or reading.has_changed or previous.has_changed:
        return None
    for position, (shown, older) in enumerate(zip(reading.shown, previous.shown, strict=True)):
        if _is_same_fault(shown, older):
            return position
    return None


def describe_doubt(reading: Reading, previous: Reading | None) -> str:
    """Say why the reading does not prove that the list is whole."""
    faults = [shown.fault for shown in sorted(reading.shown, key=lambda shown: not shown.has_changed) if shown.fault]
    if faults:
        return faults[0]
    if reading.states is None:
        return "a CVM changed between two requests"
    return "other apps or CVMs were there in the read before" if previous else "a second read must show the same"


def _is_same_fault(shown: Shown, older: Shown) -> bool:
    """Tell whether a fault looks like the service's own: a change of the list hardly shows the same apps and counts again."""
    return shown.fault is not None and older.fault is not None and shown == older


def _claim_fault(pages: Mapping[int, Page], page_size: int) -> str | None:
    for page in pages.values():
        count = count_pages(page.total, pages[1], page_size)
        if page.page_count > count:
            return f"it counts {counted(page.total, 'app')} on {counted(page.page_count, 'page')}, but they fit on {count}"
    return None


def _count_fault(totals: Collection[int], shown: int, different: int) -> str | None:
    if len(totals) > 1:
        return f"it counts {counted(min(totals), 'app')} on one page and {max(totals)} on another"
    (total,) = totals
    if shown == different == total:
        return None
    return f"it counts {counted(total, 'app')}, but its pages show {shown}" + (
        f", of which {different} are different" * (shown != different)
    )
