# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Take the API key out of text that is shown, whoever put it there and in whatever form."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

KEY_PREFIX = "phak_"
MASK = "***"
SHORTEST_SECRET = 8  # characters; a shorter one is no key, and may be part of any word


def redact(text: str, key: str = "") -> str:
    """Return the text without the key, its part after the prefix, and what looks like a key."""
    for form in sorted(set(_forms(key)), key=len, reverse=True):
        text = text.replace(form, MASK)
    return re.sub(rf"{KEY_PREFIX}[^\s'\"]+", MASK, text)


def _forms(key: str) -> Iterator[str]:
    for secret in (key, key.removeprefix(KEY_PREFIX)):
        if len(secret) < SHORTEST_SECRET:
            continue
        octets = secret.encode("utf-8", "surrogateescape")
        escaped = json.dumps(secret)[1:-1]
        code = base64.b64encode(octets).decode()
        yield from (secret, secret[::-1], repr(secret)[1:-1], escaped, json.dumps(escaped)[1:-1], html.escape(secret))
        yield from (quote(octets, safe=""), quote(octets), quote_plus(octets))
        yield from (code, code.rstrip("="), base64.urlsafe_b64encode(octets).decode(), octets.hex(), octets.hex().upper())
