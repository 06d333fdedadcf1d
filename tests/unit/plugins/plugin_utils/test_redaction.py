# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The key in text that is shown."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils.redaction import redact

KEY = "phak_Zq7/+t&x=Rm"
SECRET = KEY.removeprefix("phak_")


@pytest.mark.parametrize(
    "form",
    [KEY, SECRET, quote(KEY, safe=""), base64.b64encode(KEY.encode()).decode(), KEY.encode().hex(), KEY[::-1]],
    ids=["whole", "without its prefix", "URL-encoded", "base64", "hex", "reversed"],
)
def test_key_is_taken_out_in_every_form(form: str) -> None:
    assert redact(f"401: {form}: refused", KEY) == "401: ***: refused"


def test_what_looks_like_a_key_is_taken_out() -> None:
    assert redact("api_url: 'phak_another' is no URL") == "api_url: '***' is no URL"


@pytest.mark.parametrize("key", ["", "x", "phak_x", "refused"])
def test_text_without_a_key_is_left_alone(key: str) -> None:
    assert redact("401: the request was refused", key) == "401: the request was refused"
