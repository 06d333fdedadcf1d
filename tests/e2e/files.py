# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that a tunnel could trip over."""

from __future__ import annotations

import random
from pathlib import Path


def make_random_file(path: Path, *, size: int) -> Path:
    """Write random bytes with lines that s_client would take for commands: at the start, and where a block may begin.

    Size is in bytes. The bytes are the same each time.
    """
    chance = random.Random(0)
    commands = b"Q\nR\nK\nk\nB\n"
    blocks = (commands + chance.randbytes(16384 - len(commands)) for dummy in range(0, size, 16384))
    path.write_bytes(b"".join(blocks)[:size])
    return path
