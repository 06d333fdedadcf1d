# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decide which fault applies to which request."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable
from dataclasses import InitVar, dataclass, field
from typing import NamedTuple, Protocol

from .base import Fault


class Request(Protocol):
    """The part of a request that decides whether a fault applies."""

    @property
    def path(self) -> str:
        """The path of its URL."""

    @property
    def page(self) -> int:
        """The page that it asks for."""


class Showing(NamedTuple):
    """A fault that applies, and how often it did before."""

    fault: Fault
    turn: int


@dataclass(kw_only=True)
class Rule:
    """A fault and the requests that it applies to; `times=None` means always."""

    fault: Fault
    times: int | None
    page: int | None
    path: str | None
    probability: float
    seed: InitVar[int]
    turn: int = field(default=0, init=False)

    def __post_init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    @property
    def spent(self) -> bool:
        return self.times is not None and self.turn >= self.times

    def applies(self, request: Request) -> bool:
        if self.spent or self.page not in (None, request.page) or not request.path.endswith(self.path or ""):
            return False
        return self.probability >= 1 or self._random.random() < self.probability


class Rules:
    """A queue of faults. The first one that applies to a request is used, and removed after its last time."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    def extend(self, rules: Iterable[Rule]) -> None:
        with self._lock:
            self._rules.extend(rules)

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def next(self, request: Request) -> Showing | None:
        """Return the fault for a request."""
        with self._lock:
            for rule in self._rules:
                if rule.applies(request):
                    return self._show(rule)
        return None

    def _show(self, rule: Rule) -> Showing:
        showing = Showing(rule.fault, rule.turn)
        rule.turn += 1
        if rule.spent:
            self._rules.remove(rule)
        return showing
