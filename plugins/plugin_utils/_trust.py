# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mark the API's text: ansible-core never runs it as a template, and prints it as plain text where it cannot be one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
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
MAX_REMEMBERED = 10_000  # marked texts; a text that repeats comes again soon, and most others never do
TEXTS_AT_ONCE = 100  # few enough that most of the time none of them needs a closer look
MAX_DEPTH = 64  # core walks variables by recursion on every output; far below its limit, far above any real response


class UnpublishableError(Exception):
    """A value cannot be published safely; the message says what it has."""


class TemplateKeyError(UnpublishableError):
    """A dictionary has a key that can be a template."""


def is_possible_template(text: str) -> bool:
    """Return whether any ansible-core could treat the text as a template, with whatever delimiters."""
    return "{" in text or "}" in text or ("#" in text and text.lstrip()[: len(OVERRIDE_HEADER)].lower() == OVERRIDE_HEADER)


def is_plain_key(key: str) -> bool:
    """Return whether the key of an object is published as it is, on every ansible-core."""
    return key.isascii() and not is_possible_template(key) and not key.startswith(CORE_KEY_PREFIX)


class _Keys(dict[Any, Any]):
    """The keys of dictionaries as they are published, None where one is dropped; ``dropped`` says why.

    :raises TemplateKeyError: where a key can be a template, and ``takes_any`` is false
    """

    def __init__(self) -> None:
        self.takes_any = trust_as_template is not None
        self.dropped: dict[str, str] = {}

    def __missing__(self, key: Any) -> Any:
        if not isinstance(key, str):  # not remembered, because 1, 1.0 and True are one key
            return key
        kind = type(key)
        clean = _clean(key)
        if clean.startswith(CORE_KEY_PREFIX):
            self.dropped[clean] = CORE_KEY_LEFT_OUT
            return None
        if is_possible_template(clean):
            if not self.takes_any:
                raise TemplateKeyError("keys that can be templates")
        elif kind is str:
            self[key] = clean
        return clean


class Marker:
    """Mark values for publication; the texts of a fleet repeat, so the last ones are remembered."""

    def __init__(self) -> None:
        self._marked: dict[str, str] = {}
        self._keys = _Keys()

    def mark_variables(
        self, variables: Mapping[str, Any], names: Mapping[str, str | None] | None = None
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """Return a copy of a host's variables in which every text is marked, and why any variable or key is not in it.

        :param names: the final name of each variable, None where it is left out; without it they keep their names
        """
        finals = self._keys if names is None else names
        left_out = self._keys.dropped = {}
        try:
            return self._mark_dict(variables, 0, finals), left_out
        except UnpublishableError:
            marked = {}
        for name, value in variables.items():
            final = finals[name]
            if final is None:
                continue
            try:
                marked[final] = self._mark_variable(value)
            except UnpublishableError as reason:
                left_out[final] = f"Left out variables that have {reason}"
        return marked, left_out

    def _mark_variable(self, value: Any) -> Any:
        try:
            return self.mark(value, depth=1)
        except TemplateKeyError:
            # Before 2.19 core drops the mark of a key, and decides by the values alone whether a dictionary's text is a template.
            if not _holds_text(value):
                raise
        self._keys.takes_any = True
        try:
            return wrap_var(self.mark(value, depth=1))
        finally:
            self._keys.takes_any = False

    def mark(self, value: Any, depth: int = 0) -> Any:
        """Return a copy of a JSON-like value in which every text is marked.

        Text that cannot be a template comes out as plain (since 2.19: trusted) text, all other as unsafe (untrusted).

        :raises UnpublishableError: where it is nested too deeply or, before 2.19, has keys that can be templates
        """
        if isinstance(value, str):
            return self._marked.get(value) or self._mark_text(value)
        if isinstance(value, dict):
            return self._mark_dict(value, depth, self._keys)
        if isinstance(value, (list, tuple)):
            _refuse_depth(depth)
            return [self.mark(entry, depth + 1) for entry in value]
        if isinstance(value, float) and not math.isfinite(value):
            return None  # 1e999 is JSON, but what core prints for it is not
        return value

    def mark_scalars(self, values: Sequence[Any]) -> list[Any]:
        """Return what :meth:`mark` returns for each value, with one look at many texts, of which most are plain.

        :param values: texts without a mark, numbers and nulls
        """
        texts = [value for value in values if isinstance(value, str)]
        parts = (texts[start : start + TEXTS_AT_ONCE] for start in range(0, len(texts), TEXTS_AT_ONCE))
        marked = chain.from_iterable(map(self._mark_texts, parts))
        return [next(marked) if isinstance(value, str) else self.mark(value) for value in values]

    def _mark_texts(self, texts: Sequence[str]) -> Iterable[str]:
        joined = "".join(texts)
        if not joined.isascii() or any(sign in joined for sign in "{}#"):
            return map(self._mark_text, texts)
        return map(trust_as_template, texts) if trust_as_template else texts

    def _mark_dict(self, value: Mapping[Any, Any], depth: int, names: Mapping[Any, Any]) -> dict[Any, Any]:
        _refuse_depth(depth)
        known = self._marked
        marked: dict[Any, Any] = {}
        for key, entry in value.items():
            name = names[key]
            if name is None:
                continue
            # Most of a fleet's values are texts seen before, numbers and nulls: no call for those.
            kind = type(entry)
            if kind is str:
                marked[name] = known.get(entry) or self._mark_text(entry)
            elif entry is None or kind is bool or kind is int:
                marked[name] = entry
            elif kind is dict:
                marked[name] = self._mark_dict(entry, depth + 1, self._keys)
            else:
                marked[name] = self.mark(entry, depth + 1)
        return marked

    def _mark_text(self, text: str) -> str:
        bare = plain(text)
        unmarked = _clean(bare)
        marked: str
        if is_possible_template(unmarked):
            marked = wrap_var(unmarked)
        else:
            marked = trust_as_template(unmarked) if trust_as_template else unmarked
        if len(self._marked) >= MAX_REMEMBERED:
            self._marked.clear()
        self._marked[bare] = marked
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
