# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check the types of options against the documentation, more strictly than ansible-core, and suggest what was meant."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterable, Mapping
from difflib import SequenceMatcher
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.phala.cloud.plugins.plugin_utils._errors import SourceError
from ansible_collections.phala.cloud.plugins.plugin_utils._file import vault_problem

NEAR = 0.7  # of 1.0 for equal names; 'regoin' is 0.83 near to 'region'


class OptionError(SourceError):
    """A problem of the inventory file or of what it refers to; the message names the option."""


def well_typed(definitions: Mapping[str, Any], given: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the options of the file that ansible-core accepts as they are, so that it does not stop at the first wrong one."""
    return {
        name: _cast(definitions[name], value)
        for name, value in given.items()
        if name in definitions and type_problem(name, definitions[name], value) is None
    }


def type_problem(name: str, definition: Mapping[str, Any], value: Any) -> str | None:
    """Return what is wrong with an option's type or choice; ansible-core reads ``validate_certs: flase`` as false."""
    if value is None:
        return None
    if problem := vault_problem(name, value):
        return problem
    value = _cast(definition, value)
    expected, fits = _TYPES.get(str(definition.get("type")), ("a value", _anything))
    if not fits(value):
        got = kind_of(value) if name == "api_key" else shown(value)  # it holds the key, in whatever type
        advice = " Write it in quotes." if definition.get("type") == "str" and isinstance(value, (bool, float)) else ""
        return f"{name}: expected {expected}, got {got}.{advice}"
    choices = definition.get("choices")
    if not choices:
        return None
    if isinstance(value, str) and definition.get("type") == "list":
        value = [single.strip() for single in value.split(",")]  # as core does
    for single in value if isinstance(value, list) else [value]:
        if single not in choices:
            return f"{name}: invalid value {single!r}. {suggest(single, choices)}"
    return None


def suggest(name: Any, known: Iterable[str]) -> str:
    """Ask whether the nearest known name was meant, or return the names to choose from."""
    nearest = near(name, known)
    return f"Did you mean {nearest!r}?" if nearest else f"Choose {one_of(known)}."


def one_of(names: Iterable[str]) -> str:
    """Return names in quotes, as those of which the user chooses one."""
    *others, last = map(repr, sorted(names))
    return f"{', '.join(others)} or {last}" if others else last


def near(name: Any, known: Iterable[str]) -> str | None:
    """Return the known name that is nearest to a name, None where none of them is near."""
    text = str(name).lower()
    ratio, nearest = max(((SequenceMatcher(None, text, other.lower()).ratio(), other) for other in known), default=(0.0, ""))
    return nearest if ratio >= NEAR else None


def kind_of(value: Any) -> str:
    """Return the kind of a value that must not be shown."""
    if isinstance(value, (list, tuple)):
        return "a list"
    kinds = {bool: "a boolean", Mapping: "a dictionary", type(None): "nothing"}
    return next((name for kind, name in kinds.items() if isinstance(value, kind)), f"a value of type {type(value).__name__}")


def shown(value: Any) -> str:
    """Return a value as a message shows it."""
    return "nothing" if value is None else f"{_kind(value)} {value!r}".strip()


def _kind(value: Any) -> str:
    kinds = {bool: "the boolean", Mapping: "the dictionary", list: "the list"}
    return next((name for kind, name in kinds.items() if isinstance(value, kind)), "")


def _cast(definition: Mapping[str, Any], value: Any) -> Any:
    """Return an unquoted value as it was written, where YAML made something else of it."""
    kind = definition.get("type")
    if kind == "str" and isinstance(value, datetime.date):
        return value.isoformat()  # api_version: 2026-01-21
    if kind == "list" and isinstance(value, str) and not definition.get("choices"):
        return [value]  # one condition or template, in which a comma is no separator
    return value


def _anything(_value: Any) -> bool:
    return True


def _is_boolean(value: Any) -> bool:
    try:
        boolean(value)
    except TypeError:
        return False
    return True


def _is_integer(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]+", value.strip()) is not None)


def _is_text(value: Any) -> bool:
    # A vaulted text is not a str before ansible-core 2.19, so this lists what is not text instead.
    return not isinstance(value, (dict, list, bool, float, bytes))


_TYPES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "bool": ("true or false", _is_boolean),
    "boolean": ("true or false", _is_boolean),
    "int": ("a whole number", _is_integer),
    "integer": ("a whole number", _is_integer),
    "dict": ("a dictionary", lambda value: isinstance(value, Mapping)),
    "list": ("a list", lambda value: isinstance(value, (list, str))),
    "str": ("text", _is_text),
    "path": ("a path", lambda value: isinstance(value, str)),
}
