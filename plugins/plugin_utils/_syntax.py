# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parse the Jinja2 of an inventory file, without evaluating it; filters and tests need not exist."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.defaults import DEFAULT_NAMESPACE

from ansible_collections.phala.cloud.plugins.plugin_utils._plain_text import plain

FUNCTIONS = frozenset({"lookup", "query", "q", "now", "undef", "omit", *DEFAULT_NAMESPACE})


@cache
def _environment() -> Environment:
    """Return what parses, with the extensions that ansible-core accepts in its settings, and loads them when it is needed."""
    return Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"])  # noqa: S701 - nothing is rendered


def parse_template(text: str) -> nodes.Template:
    """Return the syntax tree of a template.

    :raises TemplateSyntaxError: when it does not parse
    """
    return _environment().parse(plain(text))


def parse_expression(text: str) -> nodes.Template:
    """Return the syntax tree of a template that consists of just an expression.

    :raises TemplateSyntaxError: when the text is not an expression
    """
    tree = _environment().parse("{{ " + plain(text) + "\n}}")
    outputs = [node for output in tree.body if isinstance(output, nodes.Output) for node in output.nodes]
    if len(tree.body) != 1 or len(outputs) != 1:
        raise TemplateSyntaxError("it is not a single expression", 1)
    return tree


def expression_problem(where: str, text: str) -> str | None:
    """Return what is wrong with an expression that does not parse."""
    try:
        parse_expression(text)
    except TemplateSyntaxError as error:
        advice = "Write it without '{{ }}'" if "{{" in text else "Correct it"
        return f"{where}: {str(text)!r} is not a Jinja2 expression: {str(error.message).rstrip('.')}. {advice}."
    return None


def template_problem(where: str, text: str) -> str | None:
    """Return what is wrong with a template that does not parse."""
    try:
        parse_template(text)
    except TemplateSyntaxError as error:
        return f"{where}: {str(text)!r} is not a Jinja2 template: {str(error.message).rstrip('.')}. Correct it."
    return None


def unknown_names(tree: nodes.Template, known: Collection[str]) -> list[str]:
    """Return the variables that a template uses and that are not known, sorted."""
    # Not jinja2.meta, which refuses filters and tests that only ansible-core knows.
    names = list(tree.find_all(nodes.Name))
    own = {node.name for node in names if node.ctx != "load"}
    return sorted({node.name for node in names} - own - FUNCTIONS - frozenset(known))
