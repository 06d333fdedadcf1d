# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is reported of failed expressions."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleUndefinedVariable
from jinja2 import UndefinedError

from ansible_collections.phala.cloud.plugins.plugin_utils._failures import Failure, failed_expressions, failure
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level


def test_entry_that_fails_for_every_host_is_a_warning_and_for_some_a_line() -> None:
    failures = [
        Failure("compose.user", "h1", "'admin' is undefined"),
        Failure("groups.outdated", "h1", "it is empty"),
        Failure("compose.user", "h2", "'admin' is undefined"),
    ]
    assert failed_expressions(failures, 2, {"compose.user": "admin", "groups.outdated": "x is version('1')"}) == [
        Diagnostic(
            Level.WARNING,
            "compose.user failed for every host (h1: 'admin' is undefined)",
            advice="Correct the name of the variable. To set a text, put it in quotes: \"'admin'\".",
        ),
        Diagnostic(Level.VERBOSE, "groups.outdated failed for 1 of 2 hosts (h1: it is empty)"),
    ]


def test_error_is_cut() -> None:
    (diagnostic,) = failed_expressions([Failure("groups.a", "h1", "x" * 300)], 1, {"groups.a": "x"})
    assert diagnostic == Diagnostic(
        Level.WARNING, f"groups.a failed for every host (h1: {'x' * 196}...)", advice="Correct the expression, or remove it."
    )


@pytest.mark.parametrize(
    ("entry", "text", "advice"),
    [
        ("compose.a", " admin ", "Correct the name of the variable. To set a text, put it in quotes: \"'admin'\"."),
        ("compose.a", "x.y", "Correct the expression, or remove it."),
        ("groups.a", "admin", "Correct the expression, or remove it."),
        ("compose.b", None, "Correct the expression, or remove it."),
    ],
)
def test_advice_is_for_a_text_without_quotes(entry: str, text: str | None, advice: str) -> None:
    (diagnostic,) = failed_expressions([Failure(entry, "h1", "odd")], 1, {entry: text} if text else {})
    assert diagnostic.advice == advice


def reason(text: Any, error: BaseException, *, is_template: bool = False) -> str | None:
    variables = {"null": None, "app": {"null": None, "list": [None, 1], "a": 1}, "list": [None]}
    found = failure("compose.a", text, "h1", error, variables, is_template=is_template)
    assert found is None or (found.entry, found.host) == ("compose.a", "h1")
    return found.reason if found else None


@pytest.mark.parametrize(
    "text",
    ["null.a", "null['a']", "app.null.a", "app['null'].a", "app['list'][0].a", "list[0].a", "null.a ~ app.a", "app.a + null.a.b"],
)
@pytest.mark.parametrize("error", [AnsibleUndefinedVariable("no a"), UndefinedError("no a"), TypeError("no a")])
def test_part_of_a_null_is_no_failure(text: str, error: BaseException) -> None:
    assert reason(text, error) is None
    assert reason(f"x {{{{ {text} }}}}", error, is_template=True) is None


@pytest.mark.parametrize(
    "text",
    [
        "app.b",
        "app.b.c",
        "app.list[5].a",
        "app[null].a",
        "null",
        "unknown.a",
        "null.a ~ unknown",
        "(null | f).a",
        "app.a.b.c",
        7,
        "a b",
    ],
)
def test_other_undefined_part_is_a_failure(text: Any) -> None:
    assert reason(text, AnsibleUndefinedVariable("no a. And more")) == "no a"


def test_other_error_is_a_failure_also_with_a_null() -> None:
    assert reason("null.a", ValueError("odd")) == "odd"


@pytest.mark.parametrize("link", ["__cause__", "__context__"])
def test_error_within_those_of_core_counts(link: str) -> None:
    error: BaseException = TypeError("inner")
    for text in ("three", "two", "one"):
        outer = ValueError(text)
        setattr(outer, link, error)
        error = outer
    wrapper = ValueError("h1: compose.a: one")
    wrapper.__context__ = error
    assert reason("null.a", wrapper) is None
    assert reason("app.b", wrapper) == "one"
    further = ValueError("zero")
    setattr(further, link, error)
    wrapper.__context__ = further
    assert reason("null.a", wrapper) == "zero"
