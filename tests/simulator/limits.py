# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rate limit of the service, which all clients share."""

from __future__ import annotations

import math
import time
from collections import deque
from email.utils import formatdate
from typing import Final, Literal, NamedTuple

WINDOW: Final = 1.0


class RateLimit(NamedTuple):
    """Allow this many requests in any second. `Retry-After` is in seconds, a date, or missing."""

    requests: int
    retry_after: Literal["seconds", "date"] | None = "seconds"


class Limiter:
    """Count the requests of the last second."""

    def __init__(self) -> None:
        self._allowed: deque[float] = deque()

    def seconds_to_wait(self, limit: RateLimit) -> float:
        """Return 0 and count the request if it is allowed, else the seconds until one is."""
        now = time.monotonic()
        while self._allowed and self._allowed[0] <= now - WINDOW:
            self._allowed.popleft()
        if len(self._allowed) >= limit.requests:
            return self._allowed[-limit.requests] + WINDOW - now
        self._allowed.append(now)
        return 0.0


def retry_after(limit: RateLimit, *, seconds: float, clock_skew: float) -> str | None:
    """Return the value of `Retry-After`: whole seconds, rounded up, or a date of the service's clock."""
    if limit.retry_after is None:
        return None
    if limit.retry_after == "seconds":
        return str(math.ceil(seconds))
    return http_date(clock_skew + math.ceil(seconds))


def http_date(seconds: float) -> str:
    """Return the moment that is this many seconds after now, as HTTP writes it."""
    return formatdate(time.time() + seconds, usegmt=True)
