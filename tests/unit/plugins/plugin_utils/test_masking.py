# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The API key in a response, in whatever form."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._masking import masking

KEYS = [
    "phak_0123456789abcdefghij",
    "Zq8-another.kind/of+key~",
    "phak_S3cr&t/'k+y\"=\\=",
    "phak_short",
    "phak_1234567",
    "phak_12345678",
]
FORMS: list[Callable[[str], str]] = [
    str,
    html.escape,
    quote,
    lambda key: quote(key, safe=""),
    lambda key: key[::-1],
    lambda key: base64.b64encode(key.encode()).decode(),
    lambda key: base64.urlsafe_b64encode(key.encode()).decode().rstrip("="),
    lambda key: key.encode().hex(),
    lambda key: key.encode().hex().upper(),
]
# A part after the prefix that is short may be in any word, so only the whole key is a trace.
KEYS_AND_PARTS = [*((key, key) for key in KEYS), *((key, key[5:]) for key in KEYS if key.startswith("phak_") and len(key) > 12)]
ENCODERS: list[Callable[[Any], str]] = [
    json.dumps,
    lambda value: json.dumps(value, ensure_ascii=False),
    lambda value: json.dumps(value).replace("/", "\\/"),
]


def mask_with(form: str) -> Callable[[str], str]:
    return lambda text: text.replace(form, "***")


def masked(key: str, form: str, body: str) -> Any:
    return masking([key], mask_with(form))(body.encode(), json.loads(body))


@pytest.mark.parametrize(("key", "part"), KEYS_AND_PARTS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("encode", ENCODERS)
def test_key_is_masked_in_every_form(key: str, part: str, form: Callable[[str], str], encode: Callable[[Any], str]) -> None:
    text = form(part)
    content = {"name": f"a {text} b", "list": [1, None, True, 2.5, [text]], f"x{text}": {"deep": text}, "other": 'é\n\\ "'}
    assert masked(key, text, encode(content)) == {
        "name": "a *** b",
        "list": [1, None, True, 2.5, ["***"]],
        "x***": {"deep": "***"},
        "other": 'é\n\\ "',
    }


@pytest.mark.parametrize(
    "escaped", ["\\u0070hak_0123456789abcdefghij", "phak_012345678\\u0039abcdefghij", "phak\\u005f0123456789abcdefghij"]
)
@pytest.mark.parametrize("before", ["", "\\\\", "\\n\\/"])
def test_key_is_found_behind_escapes(escaped: str, before: str) -> None:
    value = masked(KEYS[0], KEYS[0], f'["{before}{escaped}"]')
    assert value[0].endswith("***")


@pytest.mark.parametrize(
    "body", ['["\\\\u0070hak_0123456789abcdefghij"]', '["\\u0026 \\/ \\n"]', '["phak_", "plain"]', "null", "12"]
)
def test_content_without_the_key_stays_the_same_object(body: str) -> None:
    content = json.loads(body)
    calls: list[str] = []
    mask = masking([KEYS[1]], lambda text: calls.append(text) or text)  # type: ignore[func-returns-value]
    assert mask(body.encode(), content) is content
    assert calls == []


def test_short_part_behind_the_prefix_is_not_a_trace() -> None:
    body = b'["shorter is 1234567"]'
    assert masking(["phak_1234567"], lambda _text: "***")(body, json.loads(body)) == ["shorter is 1234567"]
    body = b'["12345678"]'
    assert masking(["phak_12345678"], lambda _text: "***")(body, json.loads(body)) == ["***"]
