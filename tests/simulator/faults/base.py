# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kinds of fault.

Fault
├── Answer          replaces the service's answer
├── Disturbance     breaks or bends the connection
├── Alteration      changes the JSON of a good answer
├── Rearrangement   changes the fleet in which a page is looked up
└── Delay           answers late
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from ..selection import Entry
from ..transport import Wire


class Reply(NamedTuple):
    """A whole HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Stream(NamedTuple):
    """A response whose body comes piece by piece."""

    status: int
    headers: Mapping[str, str]
    pieces: Iterable[bytes]


class Occasion(NamedTuple):
    """The request at which a fault shows: its id, its page, and how often the fault has shown before."""

    request_id: str
    page: int
    turn: int


class Fault:
    """What the service does wrong at one request."""


class Answer(Fault):
    """Answer without asking the service."""

    def answer(self, occasion: Occasion) -> Stream:
        raise NotImplementedError


class Disturbance(Fault):
    """Play on the wire with the answer that the service would have given."""

    async def play(self, wire: Wire, reply: Reply) -> None:
        raise NotImplementedError


class Alteration(Fault):
    """Change the decoded JSON of a good answer into any other JSON value."""

    def alter(self, answer: dict[str, Any], occasion: Occasion) -> Any:
        raise NotImplementedError


class Rearrangement(Fault):
    """Change the order or number of the apps; `lasting` tells whether they stay so afterwards."""

    lasting: ClassVar[bool] = False

    def rearrange(self, fleet: Sequence[Entry], *, start: int) -> Sequence[Entry]:
        raise NotImplementedError


@dataclass(frozen=True)
class Delay(Fault):
    """Answer well, but only after so many seconds."""

    seconds: float = 1.0
