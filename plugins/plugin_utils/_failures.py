# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is reported of expressions that fail for hosts, and which failures are not reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ansible.errors import AnsibleUndefinedVariable
from jinja2 import TemplateSyntaxError, UndefinedError, nodes

from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level, cut
from ansible_collections.phala.cloud.plugins.plugin_utils._syntax import parse_expression, parse_template, unknown_names
from ansible_collections.phala.cloud.plugins.plugin_utils._templates import MAX_WRAPPERS, first_sentence

_MISSING = object()
_OF_NULL = (AnsibleUndefinedVariable, UndefinedError, TypeError)  # what core raises for an attribute or a part of a null


class Failure(NamedTuple):
    """An entry of an option, such as ``groups.outdated``, that failed for a host, and why."""

    entry: str
    host: object
    reason: str


def failure(
    entry: str, text: Any, host: object, error: BaseException, variables: Mapping[str, Any], *, is_template: bool = False
) -> Failure | None:
    """Return the failure of an expression or template, None if it only uses an attribute of a null.

    :param error: what core raised, or what that error was raised for
    """
    error = error.__context__ or error  # core wraps what happened, and puts the names of entry and host before it
    if any(isinstance(link, _OF_NULL) for link in _chain(error)) and _uses_part_of_null(
        text, variables, parse_template if is_template else parse_expression
    ):
        return None
    return Failure(entry, host, first_sentence(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it was raised for; chains of core's errors may be circles."""
    link: BaseException | None = error
    for _link in range(MAX_WRAPPERS):
        if link is None:
            return
        yield link
        link = link.__cause__ or link.__context__


def failed_expressions(failures: Iterable[Failure], hosts: int, texts: Mapping[str, Any]) -> list[Diagnostic]:
    """Return a warning for each entry that failed for every host, and a line at ``-v`` for each that failed for some.

    :param hosts: how many hosts there are
    :param texts: the expressions by their entries
    """
    by_entry: dict[str, list[Failure]] = {}
    for failed in failures:
        by_entry.setdefault(failed.entry, []).append(failed)
    diagnostics = []
    for entry, failed_hosts in by_entry.items():
        first, count = failed_hosts[0], len(failed_hosts)
        example = cut(f"{first.host}: {first.reason}")
        if count < hosts:
            diagnostics.append(Diagnostic(Level.VERBOSE, f"{entry} failed for {count} of {hosts} hosts ({example})"))
        else:
            advice = _advice(entry, texts.get(entry))
            diagnostics.append(Diagnostic(Level.WARNING, f"{entry} failed for every host ({example})", advice=advice))
    return diagnostics


def _advice(entry: str, text: Any) -> str:
    if entry.startswith("compose.") and isinstance(text, str) and text.strip().isidentifier():
        return f"Correct the name of the variable. To set a text, put it in quotes: \"'{text.strip()}'\"."
    return "Correct the expression, or remove it."


def _uses_part_of_null(text: Any, variables: Mapping[str, Any], parse: Callable[[str], nodes.Template]) -> bool:
    """Return whether an expression uses an attribute or a part of a variable that is null, and only known variables."""
    try:
        tree = parse(text)
    except (TemplateSyntaxError, TypeError):
        return False
    if unknown_names(tree, variables):
        return False
    wholes: list[nodes.Node] = [part.node for part in tree.find_all(nodes.Getattr)]
    wholes += [part.node for part in tree.find_all(nodes.Getitem)]
    return any(_value(whole, variables) is None for whole in wholes)


def _value(node: nodes.Node, variables: Mapping[str, Any]) -> Any:
    """Return the value of a variable or of an attribute of one, without evaluating anything else."""
    if isinstance(node, nodes.Name):
        return variables.get(node.name, _MISSING)
    if isinstance(node, nodes.Getattr):
        return _part(_value(node.node, variables), node.attr)
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        return _part(_value(node.node, variables), node.arg.value)
    return _MISSING


def _part(value: Any, name: Any) -> Any:
    try:
        return value[name]
    except (TypeError, KeyError, IndexError):
        return _MISSING
