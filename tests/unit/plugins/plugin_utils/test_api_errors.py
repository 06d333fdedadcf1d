# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The errors of the wire, and other people's text in them."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._api_errors import ApiError, UnavailableError, safe_text

KEY = "phak_0123456789abcdef"


def mask(text: str) -> str:
    return text.replace(KEY, "***")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        (12, "12"),
        (None, "None"),
        ("Grüße", "Grüße"),
        ("\x1b[2J a\r\nb\t\x00", "?[2J a??b??"),
        ("\u202egnp.exe", "?gnp.exe"),
        (f"the key {KEY}", "the key ***"),
        ("x" * 200, "x" * 200),
        ("x" * 201, "x" * 200 + "..."),
    ],
)
def test_shown_text_is_short_printable_and_without_the_key(text: Any, expected: str) -> None:
    assert safe_text(text, mask) == expected


@pytest.mark.parametrize("position", range(180, 201))
def test_key_is_masked_before_the_text_is_cut(position: int) -> None:
    text = safe_text("x" * position + KEY, mask)
    assert KEY[:5] not in text


def test_unavailable_is_an_error_of_the_service() -> None:
    error = UnavailableError("no", may_pass=True, retry_after=2.5, is_throttled=True)
    assert isinstance(error, ApiError)
    assert (str(error), error.may_pass, error.retry_after, error.is_throttled) == ("no", True, 2.5, True)
    other = ApiError("no")
    assert (other.may_pass, other.retry_after, other.is_throttled) == (False, None, False)
