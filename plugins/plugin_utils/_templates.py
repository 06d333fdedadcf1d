# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Render the templates of options, and say why one fails, without the values that it sees: one of them may be the API key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ansible.errors import AnsibleUndefinedVariable
from jinja2 import TemplateSyntaxError

from ansible_collections.phala.cloud.plugins.plugin_utils._messages import cut
from ansible_collections.phala.cloud.plugins.plugin_utils._option_types import OptionError, kind_of
from ansible_collections.phala.cloud.plugins.plugin_utils._syntax import parse_template, unknown_names

SECRET_OPTIONS = ("api_key",)
_NO_GROUP_VARS = "group_vars and host_vars are not known when an inventory is read"
_OF_ENVIRONMENT = re.compile(r"""\b(?:lookup|query|q)\(\s*['"](?:ansible\.builtin\.)?env['"]\s*,\s*['"]([^'"]+)['"]""")
# How core begins a message about a lookup, before 2.19 and since.
_LOOKUP_FAILED = re.compile(
    r"An unhandled exception occurred while running the lookup plugin |lookup plugin \(|The lookup plugin '|The '[^']+' lookup "
)
MAX_WRAPPERS = 4


def is_secret(where: str) -> bool:
    """Return whether an option, or one of an account, holds an API key."""
    return where.rpartition(".")[2] in SECRET_OPTIONS


def rendered(templar: Any, where: str, value: Any) -> Any:
    """Return a value with its template rendered.

    :param where: the option, as messages name it
    :raises OptionError: when the template fails
    """
    if not isinstance(value, str):
        return value
    try:
        return templar.template(value)
    except AnsibleUndefinedVariable as error:
        raise OptionError(_undefined(where, value, error, templar.available_variables)) from None
    except Exception as error:  # before 2.19 a template raises whatever Python raises in it
        raise OptionError(_failed(where, error)) from None


def empty_template(where: str, template: str) -> OptionError:
    """Return the error of a template that gives an empty text."""
    if names := _OF_ENVIRONMENT.findall(template):
        listed = " and ".join(names)
        return OptionError(f"{where}: the template gives an empty text. Set the environment variable {listed}.")
    return OptionError(
        f"{where}: the template gives an empty text. Pass the variable with -e NAME=VALUE, or correct the template."
    )


def secret_text(where: str, value: Any) -> str:
    """Return an API key that a template gave.

    :raises OptionError: when it is not text; a lookup may give a list, and ``from_json`` a dictionary
    """
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return str(value)
    raise OptionError(
        f"{where}: expected text, got {kind_of(value)}. Let the template select the key, such as with '| first' or '.api_key'."
    )


def _undefined(where: str, template: str, error: Exception, variables: Mapping[str, Any]) -> str:
    missing = _unknown_names(template, variables)
    if missing:
        reason = f"{' and '.join(map(repr, missing))} {'is' if len(missing) == 1 else 'are'} undefined"
    else:
        reason = "a part of the template is undefined" if is_secret(where) else first_sentence(error)
    ways = "Use -e @FILE, a vaulted value in this file, or PHALA_CLOUD_API_KEY" if is_secret(where) else "Use -e NAME=VALUE"
    return f"{where}: {reason}. {_NO_GROUP_VARS}. {ways}."


def _unknown_names(template: str, variables: Mapping[str, Any]) -> list[str]:
    try:
        return unknown_names(parse_template(template), variables)
    except TemplateSyntaxError:
        return []


def _failed(where: str, error: Exception) -> str:
    if not is_secret(where):
        return f"{where}: {first_sentence(error)}. Correct the template, or pass the variable with -e NAME=VALUE."
    cause = _lookup_failure(error)
    if cause is None:
        return f"{where}: the template fails with {_name(error)}. Correct the template."
    return f"{where}: a lookup failed: {cause}. Check its arguments, and that its collection and Python packages are installed."


def _lookup_failure(error: Exception) -> str | None:
    """Return what a lookup says that failed before it had a value; what a filter says may show the key."""
    if _LOOKUP_FAILED.match(str(error)):
        return cut(" ".join(str(error).split())).rstrip(".")
    return None


def _name(error: Exception) -> str:
    """Return the type of the error that core wraps; chains of errors may be circles."""
    inner: BaseException = error
    for _link in range(MAX_WRAPPERS):
        inner = inner.__cause__ or inner
    return type(inner).__name__


def first_sentence(error: BaseException) -> str:
    """Return what core says first; below that it quotes the value."""
    return next(iter(str(error).splitlines()), type(error).__name__).split(". ")[0].rstrip(".")


@contextmanager
def seeing(templar: Any, variables: Mapping[str, Any]) -> Iterator[None]:
    """Let the templates of the block see these variables, and those afterwards what they saw before."""
    before, templar.available_variables = templar.available_variables, variables
    try:
        yield
    finally:
        templar.available_variables = before
