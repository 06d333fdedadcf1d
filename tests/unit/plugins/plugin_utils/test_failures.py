# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is reported of failed expressions."""

from __future__ import annotations

from ansible_collections.phala.cloud.plugins.plugin_utils._failures import Failure, failed_expressions
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
            advice="Correct the name of the variable, or write a text in quotes of its own: \"'admin'\".",
        ),
        Diagnostic(Level.VERBOSE, "groups.outdated failed for 1 of 2 hosts (h1: it is empty)"),
    ]


def test_error_is_cut() -> None:
    (diagnostic,) = failed_expressions([Failure("groups.a", "h1", "x" * 300)], 1, {"groups.a": "x"})
    assert diagnostic == Diagnostic(
        Level.WARNING, f"groups.a failed for every host (h1: {'x' * 196}...)", advice="Correct the expression, or remove it."
    )
