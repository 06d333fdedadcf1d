# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find API keys in a response, and mask them there before anything else sees it.

Masking the text of every response would take longer than parsing it, so this looks for what can only be there with the key.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote

from ansible_collections.phala.cloud.plugins.plugin_utils._api_errors import Mask
from ansible_collections.phala.cloud.plugins.plugin_utils._redaction import KEY_PREFIX, SHORTEST_SECRET

# An escape of a printable ASCII character, which may hide the key. Encoders escape quotes and backslashes, and few more.
_HIDING_ESCAPE = re.compile(rb"\\(?:u00[2-7]|/)")


def masking(keys: Iterable[str], mask: Mask) -> Callable[[bytes, Any], Any]:
    """Return a function that takes a body of JSON and its value, and returns the value without the keys."""
    traces = sorted({trace for key in keys for trace in _traces(key)})
    traces_in_bytes = [trace.encode() for trace in traces]

    def masked(body: bytes, content: Any) -> Any:
        if not any(trace in body for trace in traces_in_bytes):
            if b"\\" not in body or not _HIDING_ESCAPE.search(body):
                return content
            text = json.dumps(content, ensure_ascii=False)
            if not any(trace in text for trace in traces):
                return content
        return _masked(content, mask)

    return masked


def _traces(key: str) -> Iterator[str]:
    """Yield texts of which one is in every JSON text that contains the key, also encoded or backwards."""
    short = key.removeprefix(KEY_PREFIX)
    secret = short if len(short) >= SHORTEST_SECRET else key
    octets = secret.encode()
    yield from map(_in_json, (secret, secret[::-1], html.escape(secret), quote(secret, safe=""), quote(secret)))
    yield from (octets.hex(), octets.hex().upper())
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield from (encode(text).decode().rstrip("=") for text in (octets, key.encode()))


def _in_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _masked(content: Any, mask: Mask) -> Any:
    if isinstance(content, str):
        return mask(content)
    if isinstance(content, list):
        return [_masked(value, mask) for value in content]
    if isinstance(content, dict):
        return {mask(name): _masked(value, mask) for name, value in content.items()}
    return content
