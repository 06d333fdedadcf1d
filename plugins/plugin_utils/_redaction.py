# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Remove API keys from text that is shown, in whatever form they are in it."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

try:
    from ansible.module_utils.secrets import register_secret
except ImportError:  # before ansible-core 2.22
    register_secret = None

KEY_PREFIX = "phak_"
MASK = "***"
SHORTEST_SECRET = 8  # characters; a shorter one is not a key, and may be part of any word

_KEY_LIKE = re.compile(rf"{KEY_PREFIX}[^\s'\"]+")


class Mask:
    """Replace the keys, in every form that a server or a library may show them in, and whatever looks like a key."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._forms = sorted({form for key in keys for form in _forms(key)}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text without the keys."""
        for form in self._forms:
            text = text.replace(form, MASK)
        return _KEY_LIKE.sub(MASK, text)


def mask_keys(keys: Iterable[str]) -> Mask:
    """Return a mask of these keys, and let ansible-core mask them in its own output, which it can since 2.22."""
    secrets = [key for key in keys if len(key) >= SHORTEST_SECRET]
    if register_secret:
        for secret in secrets:
            register_secret(secret)
    return Mask(secrets)


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
