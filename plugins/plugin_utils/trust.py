# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mark the API's text so that no ansible-core runs it as a template, and each prints it plainly where it cannot be one."""

from __future__ import annotations

import math
from typing import Any

from ansible.utils.unsafe_proxy import wrap_var

try:
    from ansible.template import trust_as_template
except ImportError:  # before 2.19 text without a mark is trusted
    trust_as_template = None

OVERRIDE_HEADER = "#jinja2:"  # at the start of a text it names delimiters of the text's own
MAX_DEPTH = 64  # core walks variables by recursion on every output; far below its limit, far above any real answer


class TooDeepError(Exception):
    """A value is nested deeper than ansible-core can be trusted to print."""


def is_possible_template(text: str) -> bool:
    """Tell whether any ansible-core could take the text for a template, with whatever delimiters."""
    return "{" in text or "}" in text or text.lstrip()[: len(OVERRIDE_HEADER)].lower() == OVERRIDE_HEADER


class Marker:
    """Mark values for publication; the texts of a fleet repeat, so each is judged and tagged once."""

    def __init__(self) -> None:
        self._marked: dict[str, str] = {}
        self._keys: set[Any] = set()

    def mark(self, value: Any, depth: int = 0) -> Any:
        """Return a copy of a JSON-like value in which every text is marked.

        Text that cannot be a template comes out as plain (since 2.19: trusted) text, all other as unsafe (untrusted).

        :raises TooDeepError: where the value is nested more than :data:`MAX_DEPTH` levels
        """
        if isinstance(value, str):
            return self._marked.get(value) or self._mark_text(value)
        if isinstance(value, dict):
            return self._mark_dict(value, depth)
        if isinstance(value, (list, tuple)):
            _refuse_depth(depth)
            return [self.mark(entry, depth + 1) for entry in value]
        if isinstance(value, float) and not math.isfinite(value):
            return None  # 1e999 is JSON, but what is printed for it is not
        return value

    def _mark_dict(self, value: dict[Any, Any], depth: int) -> dict[Any, Any]:
        _refuse_depth(depth)
        known, keys = self._marked, self._keys
        marked = {}
        for key, entry in value.items():
            name = key if key in keys else self._key(key)
            # Most of a fleet's values are texts seen before, numbers and nulls: no call for those.
            kind = type(entry)
            if kind is str:
                marked[name] = known.get(entry) or self._mark_text(entry)
            elif entry is None or kind is bool or kind is int:
                marked[name] = entry
            else:
                marked[name] = self.mark(entry, depth + 1)
        return marked

    def _key(self, key: Any) -> Any:
        clean = _clean(key) if isinstance(key, str) else key
        self._keys.add(clean)
        return clean

    def _mark_text(self, text: str) -> str:
        # A text that core marked already is a subclass: join() alone gives a plain copy on every version.
        plain = _clean("".join((text, "")))
        marked: str
        if is_possible_template(plain):
            marked = wrap_var(plain)
        else:
            marked = trust_as_template(plain) if trust_as_template else plain
        self._marked[text] = marked
        return marked


def _refuse_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise TooDeepError


def _clean(text: str) -> str:
    """Replace lone surrogates, which JSON can carry and no output can encode."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
