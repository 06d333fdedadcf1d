# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mark the API's text: ansible-core never runs it as a template, and prints it as plain text where it cannot be one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.phala.cloud.plugins.plugin_utils._plain_text import plain

try:
    from ansible.template import trust_as_template
except ImportError:  # before 2.19 text without a mark is trusted
    trust_as_template = None

OVERRIDE_HEADER = "#jinja2:"  # at the start of a text it sets other delimiters for that text
CORE_KEY_PREFIX = "__ansible_"  # an Ansible that reads --list treats an object with such a key as one of its own
CORE_KEY_LEFT_OUT = f"Left out keys that begin with {CORE_KEY_PREFIX}, which Ansible reserves"
MAX_DEPTH = 64  # core walks variables by recursion on every output; far below its limit, far above any real response


class UnpublishableError(Exception):
    """A value cannot be published safely; the message says what it has."""


class TemplateKeyError(UnpublishableError):
    """A dictionary has a key that can be a template."""


def is_possible_template(text: str) -> bool:
    """Return whether any ansible-core could treat the text as a template, with whatever delimiters."""
    return "{" in text or "}" in text or text.lstrip()[: len(OVERRIDE_HEADER)].lower() == OVERRIDE_HEADER


class Marker:
    """Mark values for publication; the texts of a fleet repeat, so each is checked and tagged once."""

    def __init__(self) -> None:
        self._marked: dict[str, str] = {}
        self._keys: set[Any] = set()
        self._dropped: dict[str, str] = {}
        self._takes_any_key = trust_as_template is not None

    def mark_variables(self, variables: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """Return a copy of a host's variables in which every text is marked, and why any variable or key is not in it."""
        self._dropped = {}
        try:
            return self._mark_dict(variables, 0), self._dropped
        except UnpublishableError:
            marked, left_out = {}, self._dropped
        for name, value in variables.items():
            if self._key(name) is None:
                continue
            try:
                marked[name] = self._mark_variable(value)
            except UnpublishableError as reason:
                left_out[name] = f"Left out variables that have {reason}"
        return marked, left_out

    def _mark_variable(self, value: Any) -> Any:
        try:
            return self.mark(value, depth=1)
        except TemplateKeyError:
            # Before 2.19 core drops the mark of a key, and decides by the values alone whether a dictionary's text is a template.
            if not _holds_text(value):
                raise
        self._takes_any_key = True
        try:
            return wrap_var(self.mark(value, depth=1))
        finally:
            self._takes_any_key = False

    def mark(self, value: Any, depth: int = 0) -> Any:
        """Return a copy of a JSON-like value in which every text is marked.

        Text that cannot be a template comes out as plain (since 2.19: trusted) text, all other as unsafe (untrusted).

        :raises UnpublishableError: where it is nested too deeply or, before 2.19, has keys that can be templates
        """
        if isinstance(value, str):
            return self._marked.get(value) or self._mark_text(value)
        if isinstance(value, dict):
            return self._mark_dict(value, depth)
        if isinstance(value, (list, tuple)):
            _refuse_depth(depth)
            return [self.mark(entry, depth + 1) for entry in value]
        if isinstance(value, float) and not math.isfinite(value):
            return None  # 1e999 is JSON, but what core prints for it is not
        return value

    def _mark_dict(self, value: Mapping[Any, Any], depth: int) -> dict[Any, Any]:
        _refuse_depth(depth)
        known, keys = self._marked, self._keys
        marked = {}
        for key, entry in value.items():
            name = key if key in keys else self._key(key)
            if name is None:
                continue
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
        """Return a key as it is published, or None where it is dropped."""
        clean = _clean(key) if isinstance(key, str) else key
        if isinstance(clean, str) and clean.startswith(CORE_KEY_PREFIX):
            self._dropped[clean] = CORE_KEY_LEFT_OUT
            return None
        if not isinstance(key, str) or not is_possible_template(clean):
            self._keys.add(clean)
        elif not self._takes_any_key:
            raise TemplateKeyError("keys that can be templates")
        return clean

    def _mark_text(self, text: str) -> str:
        unmarked = _clean(plain(text))
        marked: str
        if is_possible_template(unmarked):
            marked = wrap_var(unmarked)
        else:
            marked = trust_as_template(unmarked) if trust_as_template else unmarked
        self._marked[text] = marked
        return marked


def _refuse_depth(depth: int) -> None:
    if depth >= MAX_DEPTH:
        raise UnpublishableError(f"more than {MAX_DEPTH} levels")


def _holds_text(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_text, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_holds_text, value))
    return isinstance(value, str)


def _clean(text: str) -> str:
    """Replace lone surrogates, which JSON can hold and no output can encode."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
