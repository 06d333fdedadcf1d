# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the inventory cache holds, for tests that look for a text in it."""

from __future__ import annotations

import base64
import re
import zlib

# What follows the line break after an entry's code, which is escaped in JSON.
_PACKED = re.compile(r"(?<=\\n)[A-Za-z0-9+/]{40,}=*")


def unpacked(content: str) -> str:
    """Return the content of a file with each packed entry of the cache in it as text."""
    return _PACKED.sub(lambda packed: zlib.decompress(base64.b64decode(packed[0])).decode("utf-8", "replace"), content)
