# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults of the list itself: apps that appear, disappear or move while a client reads page after page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from typing_extensions import override

from ..records import App, Cvm
from ..selection import Entry
from .base import Rearrangement

NEWCOMER: Final = App(name="newcomer", cvms=(Cvm(name="newcomer"),))


@dataclass(frozen=True)
class InsertFirst(Rearrangement):
    """Add an app at the front from this request on, so that all others move up."""

    lasting: ClassVar[bool] = True
    app: Entry = NEWCOMER

    @override
    def rearrange(self, fleet: Sequence[Entry], *, start: int) -> Sequence[Entry]:
        return (self.app, *fleet)


@dataclass(frozen=True)
class RemoveFirst(Rearrangement):
    """Remove apps at the front from this request on, so that all others move down."""

    lasting: ClassVar[bool] = True
    count: int = 1

    @override
    def rearrange(self, fleet: Sequence[Entry], *, start: int) -> Sequence[Entry]:
        return fleet[self.count :]


@dataclass(frozen=True)
class Repeat(Rearrangement):
    """Replace the first app of the page by the last one of the page before. The total stays right."""

    @override
    def rearrange(self, fleet: Sequence[Entry], *, start: int) -> Sequence[Entry]:
        if not 0 < start < len(fleet):
            return fleet
        return (*fleet[:start], fleet[start - 1], *fleet[start + 1 :])


@dataclass(frozen=True)
class Reverse(Rearrangement):
    """List the apps in reverse order."""

    @override
    def rearrange(self, fleet: Sequence[Entry], *, start: int) -> Sequence[Entry]:
        return fleet[::-1]
