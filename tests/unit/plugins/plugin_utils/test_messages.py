# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Diagnostics: merged, cut and masked."""

from __future__ import annotations

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._messages import (
    Diagnostic,
    Level,
    as_line,
    counted,
    cut,
    has_warning,
    merged,
    of_account,
    quoted,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._redaction import mask_keys

KEY = "phak_0123456789abcdef"
MASK = mask_keys([KEY])


def warning(text: str, *subjects: str, option: str = "", advice: str = "") -> Diagnostic:
    return Diagnostic(Level.WARNING, text, option, subjects, advice)


@pytest.mark.parametrize(
    ("diagnostic", "text"),
    [
        (warning("text"), "text"),
        (warning("text", "a", "b"), "text: a, b"),
        (warning("text", option="filters.region", advice="Do this."), "filters.region: text. Do this."),
        (warning("text", *map(str, range(10))), "text: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9"),
        (warning("text", *map(str, range(11))), "text: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 1 more"),
        (warning("text", *map(str, range(12))), "text: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"),
        (warning(f"text {KEY}", f"{KEY} a", option=KEY, advice=KEY), "***: text ***: *** a. ***"),
    ],
)
def test_diagnostic_is_one_line_without_the_key(diagnostic: Diagnostic, text: str) -> None:
    assert as_line(diagnostic, MASK) == text


@pytest.mark.parametrize("position", range(178, 202))
def test_subject_is_masked_before_it_is_cut(position: int) -> None:
    text = as_line(warning("text", "x" * position + KEY), MASK)
    assert "phak" not in text
    assert len(text) <= len("text: ") + 200 + len("...")


@pytest.mark.parametrize(("text", "result"), [("x" * 200, "x" * 200), ("x" * 201, "x" * 200 + "..."), ("\x1b[2J\n", "?[2J?")])
def test_text_is_cut_and_printable(text: str, result: str) -> None:
    assert cut(text) == result


def test_value_is_quoted_and_cut() -> None:
    assert (quoted("a\nb"), quoted(7), quoted("x" * 300)) == (r"'a\nb'", "7", "'" + "x" * 199 + "...")


def test_noun_has_the_number_of_its_count() -> None:
    assert [counted(count, "host") for count in (0, 1, 2)] == ["0 hosts", "1 host", "2 hosts"]
    assert counted(2, "entry", "entries") == "2 entries"


def test_diagnostics_that_differ_in_their_subjects_alone_become_one() -> None:
    other, advised = warning("one", "a", option="o"), warning("two", advice="Do this.")
    given = [warning("one", "a"), advised, warning("one", "b"), warning("one", "a"), other]
    assert merged(given) == [warning("one", "a", "b"), advised, other]


def test_diagnostic_names_its_account_if_it_has_a_name() -> None:
    assert of_account(warning("text", "a", option="o"), "me") == warning("account 'me': text", "a", option="o")
    assert of_account(warning("text"), "") == warning("text")


def test_warning_is_found_among_others() -> None:
    verbose = Diagnostic(Level.VERBOSE, "text")
    assert has_warning([verbose, warning("text")])
    assert not has_warning([verbose])
    assert not has_warning([])
