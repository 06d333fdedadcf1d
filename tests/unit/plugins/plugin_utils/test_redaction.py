# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The key in text that is shown."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._redaction import mask_keys

KEY = "phak_S3cr&t/'k+y\"=="
OTHER_KEY = "Zq8-kept.apart_from:words~"  # without the usual prefix

FORMS: list[Callable[[str], str]] = [
    str,
    repr,
    json.dumps,
    lambda key: json.dumps(json.dumps(key)),
    html.escape,
    quote,
    quote_plus,
    lambda key: quote(key, safe=""),
    lambda key: key[::-1],
    lambda key: base64.b64encode(key.encode()).decode(),
    lambda key: base64.b64encode(key.encode()).decode().rstrip("="),
    lambda key: base64.urlsafe_b64encode(key.encode()).decode(),
    lambda key: key.encode().hex(),
    lambda key: key.encode().hex().upper(),
]


@pytest.mark.parametrize("key", [KEY, OTHER_KEY])
@pytest.mark.parametrize("form", FORMS)
def test_key_is_masked_in_every_form(form: Callable[[str], str], key: str) -> None:
    shown = mask_keys([key])(f"before {form(key)} after")
    assert re.fullmatch(r"""before ['"\\]*\*\*\*['"\\]* after""", shown)


@pytest.mark.parametrize("form", FORMS)
def test_part_after_the_prefix_is_masked_too(form: Callable[[str], str]) -> None:
    part = KEY.removeprefix("phak_")
    assert form(part).strip("'\"") not in mask_keys([KEY])(f"before {form(part)} after")


def test_longest_key_is_masked_first() -> None:
    assert mask_keys(["abcdefgh", "abcdefgh-ijk", "gh-i"])("abcdefgh-ijk abcdefgh gh-i") == "*** *** gh-i"
    assert mask_keys(["zbcdefgh", "a-zbcdefgh"])("a-zbcdefgh zbcdefgh") == "*** ***"


def test_octets_that_are_not_utf_8_are_masked() -> None:
    assert mask_keys(["latin-1-\udce9"])("latin-1-%E9") == "***"


def test_nothing_but_the_key_is_masked() -> None:
    code = base64.b64encode(KEY.encode()).decode()
    assert mask_keys([KEY])(f"401: {KEY}, {quote(KEY, safe='')} and {code}: refused") == "401: ***, *** and ***: refused"


def test_what_looks_like_a_key_is_masked_without_knowing_it() -> None:
    assert mask_keys([])("was it phak_abc.DEF-1 or 'phak_2'?") == "was it *** or '***'?"


@pytest.mark.parametrize("key", ["", "phak_", "phak_short", "a"])
def test_words_are_left_alone_where_the_key_is_too_short_to_tell(key: str) -> None:
    assert mask_keys([key])("a short word, shortly") == "a short word, shortly"


def test_text_without_a_key_stays() -> None:
    text = "503 from https://cloud-api.phala.com/api/v1/apps?page=1 (request id req-1)"
    assert mask_keys([KEY])(text) == text
