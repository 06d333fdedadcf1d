# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one API key may see, and how it is cut into pages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .faults.base import Rearrangement
from .selection import AppQuery, Entry, Filters, select
from .shapes import ShapeName, render_bytes


class Slice(NamedTuple):
    """One page of a list: its entries and the numbers that go with them."""

    entries: Sequence[Entry]
    page: int
    page_size: int
    total: int

    @property
    def total_pages(self) -> int:
        return -(-self.total // self.page_size)


class Account:
    """The fleet behind one key; `prerender` keeps each entry's JSON, for the price of its memory."""

    def __init__(self, fleet: Iterable[Entry], *, prerender: Sequence[ShapeName] = ()) -> None:
        self.fleet = tuple(fleet)
        self._rendered = {shape: _render_all(self.fleet, shape) for shape in prerender}

    @property
    def fleet(self) -> Sequence[Entry]:
        return self._fleet

    @fleet.setter
    def fleet(self, fleet: Sequence[Entry]) -> None:
        self._fleet = fleet
        self._chosen: dict[str, Sequence[Entry]] = {}

    def choose(self, filters: Filters) -> Sequence[Entry]:
        """Return what the filters choose; remembered, for each page of one query asks again."""
        if not filters.given:
            return self._fleet
        key = filters.model_dump_json(include=set(filters.given))
        if key not in self._chosen:
            self._chosen[key] = select(self._fleet, filters)
        return self._chosen[key]

    def render(self, entry: Entry, shape: ShapeName) -> bytes:
        """Return an entry's JSON, the kept one where there is one."""
        kept = self._rendered.get(shape, {}).get(id(entry))
        return render_bytes(entry, shape) if kept is None else kept[1]


def _render_all(fleet: Sequence[Entry], shape: ShapeName) -> dict[int, tuple[Entry, bytes]]:
    """Render each entry once; the entry is kept too, for an id is only good as long as its owner lives."""
    return {id(entry): (entry, render_bytes(entry, shape)) for entry in fleet}


def cut(account: Account, query: AppQuery, *, limit: int, rearrangement: Rearrangement | None = None) -> Slice:
    """Cut a query's page out of the fleet, of at most `limit` entries."""
    page_size = min(query.page_size, limit)
    start = (query.page - 1) * page_size
    if rearrangement is not None and rearrangement.lasting:
        account.fleet = rearrangement.rearrange(account.fleet, start=start)
    chosen = account.choose(query)
    if rearrangement is not None and not rearrangement.lasting:
        chosen = rearrangement.rearrange(chosen, start=start)
    return Slice(chosen[start : start + page_size], page=query.page, page_size=page_size, total=len(chosen))


def page_body(account: Account, part: Slice, shape: ShapeName) -> bytes:
    """Return the answer's JSON, put together from that of its entries."""
    numbers = {
        "page": part.page,
        "page_size": part.page_size,
        "total": part.total,
        "total_pages": part.total_pages,
    }
    entries = b",".join(account.render(entry, shape) for entry in part.entries)
    return b'{"dstack_apps":[' + entries + b"]," + json.dumps(numbers).encode()[1:]
