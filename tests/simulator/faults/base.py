# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kinds of fault.

Fault
├── Answer          replaces the service's response
├── Disturbance     breaks the connection, or sends the response in another way
├── Alteration      changes the JSON of a good response
├── Rearrangement   changes the list from which a page is taken
└── Delay           delays the response
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
    """A response with its body in pieces."""

    status: int
    headers: Mapping[str, str]
    pieces: Iterable[bytes]


class Occasion(NamedTuple):
    """The request that a fault applies to: its id, its page, and how often the fault has applied before."""

    request_id: str
    page: int
    turn: int


class Fault:
    """What the service does wrong for one request."""


class Answer(Fault):
    """Replace the service's response."""

    def answer(self, occasion: Occasion) -> Stream:
        raise NotImplementedError


class Disturbance(Fault):
    """Disturb how the service's response is sent."""

    async def play(self, wire: Wire, reply: Reply) -> None:
        raise NotImplementedError


class Alteration(Fault):
    """Change the decoded JSON of a good response into any other JSON value."""

    def alter(self, answer: dict[str, Any], occasion: Occasion) -> Any:
        raise NotImplementedError


class Rearrangement(Fault):
    """Change the order or the number of the apps. If it is `lasting`, later requests see the change as well."""

    lasting: ClassVar[bool] = False

    def rearrange(self, fleet: Sequence[Entry], *, start: int) -> Sequence[Entry]:
        raise NotImplementedError


@dataclass(frozen=True)
class Delay(Fault):
    """Send the service's response after this many seconds."""

    seconds: float = 1.0
