# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which fault shows at which request."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable
from typing import NamedTuple

from .base import Fault


class Showing(NamedTuple):
    """A fault that shows, and how often it has shown before."""

    fault: Fault
    turn: int


class Rule:
    """A fault and when it shows; `times=None` is for ever."""

    def __init__(self, fault: Fault, *, times: int | None, page: int | None, probability: float, seed: int) -> None:
        self.fault = fault
        self.turn = 0
        self._times = times
        self._page = page
        self._probability = probability
        self._random = random.Random(seed)

    @property
    def spent(self) -> bool:
        return self._times is not None and self.turn >= self._times

    def applies(self, page: int) -> bool:
        if self.spent or self._page not in (None, page):
            return False
        return self._probability >= 1 or self._random.random() < self._probability


class Rules:
    """A queue: at each request the first fault that applies shows, and makes room when it is spent."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    def extend(self, rules: Iterable[Rule]) -> None:
        with self._lock:
            self._rules.extend(rules)

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def next(self, page: int) -> Showing | None:
        """Return what shows at a request for this page."""
        with self._lock:
            for rule in self._rules:
                if rule.applies(page):
                    return self._show(rule)
        return None

    def _show(self, rule: Rule) -> Showing:
        showing = Showing(rule.fault, rule.turn)
        rule.turn += 1
        if rule.spent:
            self._rules.remove(rule)
        return showing
