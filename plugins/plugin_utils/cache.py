# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Seal the service's answers for ansible-core's inventory cache, so that no other source or account reads them for its own."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FORMAT = 1  # of what is stored: another format is another entry


@dataclass(frozen=True)
class StoredAnswers:
    """What the service answered to each query, and when (seconds since the epoch)."""

    answers: list[list[Any]]
    saved: float

    def age(self, now: float) -> float | None:
        """Return the age in seconds, or None where the clock says that it is not yet."""
        return now - self.saved if now >= self.saved else None


class Seal:
    """What sets one source's answers apart from all others: the API key above all, which stays out of the cache itself."""

    def __init__(self, *, key: str, url: str, version: str, queries: Sequence[Mapping[str, Sequence[str]]]) -> None:
        self._key = key.encode()
        self._source = json.dumps([FORMAT, url, version, [sorted(query.items()) for query in queries]])

    @property
    def entry(self) -> str:
        """The name of the entry in the cache."""
        return f"phala_cloud_{self._code('entry')[:40]}"

    def close(self, answers: list[list[Any]], saved: float) -> str:
        """Return the answers as one text that only the same key, URL, version and queries open again."""
        content = json.dumps({"saved": saved, "answers": answers})
        return f"{self._code(content)}\n{content}"

    def open(self, text: Any) -> StoredAnswers | None:
        """Return the answers of an entry, or None where it is damaged, of another source or no entry at all."""
        code, _newline, content = text.partition("\n") if isinstance(text, str) else ("", "", "")
        if not hmac.compare_digest(code.encode("utf-8", "replace"), self._code(content).encode()):
            return None
        stored = json.loads(content)
        return StoredAnswers(stored["answers"], stored["saved"])

    def _code(self, content: str) -> str:
        return hmac.new(self._key, f"{self._source}\n{content}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
