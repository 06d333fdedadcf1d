# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fleet of one API key, and its pages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .changes import Order, in_order
from .faults.base import Rearrangement
from .selection import AppQuery, Entry, Filters, select
from .shapes import ShapeName, render_bytes


class Slice(NamedTuple):
    """One page of a list: its entries and the numbers of the response."""

    entries: Sequence[Entry]
    page: int
    page_size: int
    total: int

    @property
    def total_pages(self) -> int:
        return -(-self.total // self.page_size)


class Listing(NamedTuple):
    """How the service lists apps: at most `page_size_limit` on a page."""

    page_size_limit: int
    order: Order | None
    case_sensitive: bool


class Account:
    """The fleet of one key. `prerender` names the shapes whose JSON is kept in memory."""

    def __init__(self, fleet: Iterable[Entry], *, prerender: Sequence[ShapeName] = ()) -> None:
        self.fleet = tuple(fleet)
        self._rendered = {shape: _render_all(self.fleet, shape) for shape in prerender}

    @property
    def fleet(self) -> Sequence[Entry]:
        return self._fleet

    @fleet.setter
    def fleet(self, fleet: Sequence[Entry]) -> None:
        self._fleet = fleet
        self._chosen: dict[tuple[str, Listing], Sequence[Entry]] = {}

    def choose(self, filters: Filters, listing: Listing) -> Sequence[Entry]:
        """Return the matching entries. They are kept, because each page of a query needs them."""
        key = (filters.model_dump_json(include=set(filters.given)), listing)
        if key not in self._chosen:
            fold = str if listing.case_sensitive else str.lower
            self._chosen[key] = in_order(select(self._fleet, filters, fold=fold), listing.order)
        return self._chosen[key]

    def render(self, entry: Entry, shape: ShapeName) -> bytes:
        """Return an entry's JSON."""
        kept = self._rendered.get(shape, {}).get(id(entry))
        return render_bytes(entry, shape) if kept is None else kept[1]


def _render_all(fleet: Sequence[Entry], shape: ShapeName) -> dict[int, tuple[Entry, bytes]]:
    """Render each entry once. The entry is kept too, because its id is valid only as long as it exists."""
    return {id(entry): (entry, render_bytes(entry, shape)) for entry in fleet}


def cut(account: Account, query: AppQuery, *, listing: Listing, rearrangements: Sequence[Rearrangement] = ()) -> Slice:
    """Return the page of a query."""
    page_size = min(query.page_size, listing.page_size_limit)
    start = (query.page - 1) * page_size
    for rearrangement in rearrangements:
        if rearrangement.lasting:
            account.fleet = rearrangement.rearrange(account.fleet, start=start)
    chosen = account.choose(query, listing)
    for rearrangement in rearrangements:
        if not rearrangement.lasting:
            chosen = rearrangement.rearrange(chosen, start=start)
    return Slice(chosen[start : start + page_size], page=query.page, page_size=page_size, total=len(chosen))


def page_body(account: Account, part: Slice, shape: ShapeName) -> bytes:
    """Return the page's JSON, made from the JSON of its entries."""
    numbers = {
        "page": part.page,
        "page_size": part.page_size,
        "total": part.total,
        "total_pages": part.total_pages,
    }
    entries = b",".join(account.render(entry, shape) for entry in part.entries)
    return b'{"dstack_apps":[' + entries + b"]," + json.dumps(numbers).encode()[1:]
