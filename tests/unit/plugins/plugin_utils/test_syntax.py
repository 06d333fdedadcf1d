# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from jinja2 import TemplateSyntaxError

from ansible_collections.phala.cloud.plugins.plugin_utils._syntax import (
    expression_problem,
    parse_expression,
    parse_template,
    template_problem,
    unknown_names,
)


@pytest.mark.parametrize("text", ["a", "a | unknown_filter", "a is unknown_test"])
def test_expression_needs_no_filter_or_test_to_exist(text: str) -> None:
    assert expression_problem("compose", text) is None


@pytest.mark.parametrize("text", ["a }}{{ b", "a }} and {{ b", "a }}{% if b %}{% endif %}{{ c"])
def test_text_that_is_not_one_expression_is_a_syntax_error_of_the_first_line(text: str) -> None:
    with pytest.raises(TemplateSyntaxError) as raised:
        parse_expression(text)
    assert raised.value.lineno == 1


def test_problem_of_an_expression_says_how_to_correct_it() -> None:
    assert expression_problem("compose", "a }}{{ b") == (
        "compose: 'a }}{{ b' is not a Jinja2 expression: it is not a single expression. Write it without '{{ }}'."
    )
    assert expression_problem("compose", "a b") == (
        "compose: 'a b' is not a Jinja2 expression: expected token 'end of print statement', got 'b'. Correct it."
    )


def test_problem_of_a_template_says_where_it_is() -> None:
    assert template_problem("name", "a {{ b }}") is None
    assert template_problem("name", "a {{ b") == (
        "name: 'a {{ b' is not a Jinja2 template: unexpected end of template, expected 'end of print statement'. Correct it."
    )
    assert template_problem("name", "{{ b.}}") == "name: '{{ b.}}' is not a Jinja2 template: expected name or number. Correct it."


def test_extensions_of_ansible_core_are_known() -> None:
    assert template_problem("name", "{% do a %}{% for b in c %}{% break %}{% endfor %}") is None


def test_unknown_names_are_sorted_without_own_known_and_global_ones() -> None:
    tree = parse_template("{% set own = z %}{{ own }} {{ known }} {{ a }} {{ lookup('env') }} {{ range(3) }} {{ a }}")
    assert unknown_names(tree, ["known"]) == ["a", "z"]
