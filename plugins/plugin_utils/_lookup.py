# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look up a name or dotted path in the variables, where ansible-core would render the very same value a hundred times slower."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from functools import cache
from keyword import kwlist
from typing import Any

from ansible_collections.phala.cloud.plugins.plugin_utils._syntax import FUNCTIONS
from ansible_collections.phala.cloud.plugins.plugin_utils._trust import is_possible_template

try:
    from ansible.template import is_trusted_as_template
except ImportError:  # before 2.19 core evaluates every expression
    is_trusted_as_template = None

NOT_FOUND = object()

_PATH = re.compile(r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*)*")
_WORDS = FUNCTIONS | {*kwlist, "true", "false", "none", "self"}  # of Jinja2, which mean something else than a variable
_METHODS = frozenset(dir(dict))  # which Jinja2 prefers to the key of that name


def looked_up(expression: Any, variables: Mapping[str, Any], overridden: Container[str] = ()) -> Any:
    """Return the value of an expression, or ``NOT_FOUND`` where ansible-core must evaluate it.

    A value is found only if it has the same type, value and mark as core's on every version. Core reports missing names.

    :param overridden: the names that have another value than in ``variables``
    """
    if not isinstance(expression, str) or (is_trusted_as_template and not is_trusted_as_template(expression)):
        return NOT_FOUND
    names = _names(expression)
    if not names or names[0] in overridden:
        return NOT_FOUND
    value: Any = variables
    for name in names:
        kind = type(value)
        if kind is not dict or name not in value:
            return NOT_FOUND
        value = value[name]
    return value if _is_rendered_as_itself(value) else NOT_FOUND


@cache
def _names(expression: str) -> tuple[str, ...]:
    """Return the names of a path of which no core makes anything else, none of any other expression."""
    if not _PATH.fullmatch(expression):
        return ()
    names = tuple(expression.split("."))
    return () if names[0] in _WORDS or not _METHODS.isdisjoint(names[1:]) else names


def _is_rendered_as_itself(value: Any) -> bool:
    kind = type(value)
    if value is None or kind is bool or kind is int:
        return True
    return isinstance(value, str) and not hasattr(value, "__UNSAFE__") and not is_possible_template(value)
