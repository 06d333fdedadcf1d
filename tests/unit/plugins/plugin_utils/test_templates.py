# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from ansible.errors import AnsibleUndefinedVariable

from ansible_collections.phala.cloud.plugins.plugin_utils._option_types import OptionError
from ansible_collections.phala.cloud.plugins.plugin_utils._templates import (
    empty_template,
    first_sentence,
    is_secret,
    rendered,
    secret_text,
    seeing,
)

NOT_KNOWN = "group_vars and host_vars are not known when an inventory is read"


class Templar:
    """Answer templates with a function instead of Jinja2."""

    def __init__(self, template: Callable[[str], Any], **variables: Any) -> None:
        self.template = template
        self.available_variables = variables


def failing(error: BaseException, **variables: Any) -> Templar:
    def template(_text: str) -> Any:
        raise error

    return Templar(template, **variables)


def problem(where: str, error: BaseException, template: str = "{{ x }}", **variables: Any) -> str:
    with pytest.raises(OptionError) as raised:
        rendered(failing(error, **variables), where, template)
    assert raised.value.__suppress_context__
    return str(raised.value)


@pytest.mark.parametrize(
    ("where", "secret"),
    [("api_key", True), ("accounts[0].api_key", True), ("api_key.x", False), ("api_url", False), ("my_api_key", False)],
)
def test_key_is_secret_wherever_it_is(where: str, *, secret: bool) -> None:
    assert is_secret(where) is secret


def test_text_is_rendered_and_other_values_are_not() -> None:
    templar = Templar(str.upper)
    assert rendered(templar, "group", "a") == "A"
    assert [rendered(templar, "group", value) for value in (7, None, ["a"])] == [7, None, ["a"]]


@pytest.mark.parametrize(
    ("template", "variables", "reason"),
    [
        ("{{ a }}", {}, "'a' is undefined"),
        ("{{ b ~ a }}", {"c": 1}, "'a' and 'b' are undefined"),
        ("{{ b.c }}", {"b": {}}, "it has no c"),
        ("{{ b", {}, "it has no c"),
    ],
)
def test_undefined_variable_is_named(template: str, variables: dict[str, Any], reason: str) -> None:
    error = AnsibleUndefinedVariable("it has no c. And more")
    assert problem("group", error, template, **variables) == f"group: {reason}. {NOT_KNOWN}. Use -e NAME=VALUE."


@pytest.mark.parametrize(
    ("template", "reason"), [("{{ a }}", "'a' is undefined"), ("{{ b.c }}", "a part of the template is undefined")]
)
def test_undefined_variable_of_a_key_is_named_without_the_words_of_core(template: str, reason: str) -> None:
    error = AnsibleUndefinedVariable("phak_secret has no c")
    ways = "Use -e @FILE, a vaulted value in this file, or PHALA_CLOUD_API_KEY"
    assert problem("api_key", error, template, b="phak_secret") == f"api_key: {reason}. {NOT_KNOWN}. {ways}."


def test_failure_is_reported_in_the_words_of_core() -> None:
    assert problem("group", ValueError("it is odd. x = phak_1")) == (
        "group: it is odd. Correct the template, or pass the variable with -e NAME=VALUE."
    )


def test_failure_of_a_key_is_reported_by_the_type_of_the_inner_error() -> None:
    error = ValueError("phak_secret")
    error.__cause__ = RuntimeError("phak_secret")
    error.__cause__.__cause__ = KeyError("phak_secret")
    assert problem("api_key", error) == "api_key: the template fails with KeyError. Correct the template."


def test_type_of_the_fourth_inner_error_is_the_last_that_counts() -> None:
    error: BaseException = EOFError()
    for kind in (KeyError, ValueError, TypeError, OSError, RuntimeError):
        outer = kind()
        outer.__cause__ = error
        error = outer
    assert problem("api_key", error) == "api_key: the template fails with KeyError. Correct the template."


@pytest.mark.parametrize(
    "words",
    [
        "An unhandled exception occurred while running the lookup plugin 'x'.",
        "lookup plugin (x) not found.",
        "The lookup plugin 'x' failed.",
        "The 'x' lookup  failed.",
    ],
)
def test_failed_lookup_of_a_key_is_reported_in_the_words_of_core(words: str) -> None:
    shown = " ".join(words.split()).rstrip(".")
    check = "Check its arguments, and that its collection and Python packages are installed."
    assert problem("api_key", ValueError(words)) == f"api_key: a lookup failed: {shown}. {check}"


@pytest.mark.parametrize(
    ("template", "advice"),
    [
        ("{{ a }}", "Pass the variable with -e NAME=VALUE, or correct the template."),
        ("{{ lookup('env', 'A') }}", "Set the environment variable A."),
        ("{{ q( \"ansible.builtin.env\" ,\"A\") ~ query('env', 'B') }}", "Set the environment variable A and B."),
        ("{{ lookup('file', 'A') }}", "Pass the variable with -e NAME=VALUE, or correct the template."),
    ],
)
def test_empty_template_names_the_environment_variable(template: str, advice: str) -> None:
    assert str(empty_template("group", template)) == f"group: the template gives an empty text. {advice}"


@pytest.mark.parametrize(("value", "text"), [("a", "a"), (7, "7")])
def test_key_is_text(value: Any, text: str) -> None:
    assert secret_text("api_key", value) == text


@pytest.mark.parametrize(("value", "kind"), [(["phak_1"], "a list"), ({"a": "phak_1"}, "a dictionary"), (True, "a boolean")])
def test_key_that_is_no_text_is_refused_without_it(value: Any, kind: str) -> None:
    with pytest.raises(OptionError) as raised:
        secret_text("api_key", value)
    assert str(raised.value) == (
        f"api_key: expected text, got {kind}. Let the template select the key, such as with '| first' or '.api_key'."
    )


@pytest.mark.parametrize(
    ("text", "sentence"), [("One. Two.", "One"), ("One.\nTwo", "One"), ("a.b c.", "a.b c"), ("", "KeyError"), ("One..", "One")]
)
def test_first_sentence_is_shown(text: str, sentence: str) -> None:
    assert first_sentence(KeyError() if not text else ValueError(text)) == sentence


def test_templates_see_other_variables_for_a_while() -> None:
    templar = Templar(str, a=1)
    with contextlib.suppress(KeyError), seeing(templar, {"b": 2}):
        assert templar.available_variables == {"b": 2}
        raise KeyError
    assert templar.available_variables == {"a": 1}
