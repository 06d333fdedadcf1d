# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Text without the marks that ansible-core puts on it."""

from __future__ import annotations


def plain(text: str) -> str:
    """Return a text without the marks of core, which names of hosts and groups must not have."""
    # A marked text is of a subclass, which str() keeps on some versions and join() on none.
    return text if text.__class__ is str else "".join((text, ""))
