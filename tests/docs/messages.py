# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page of messages, written from one file, in which each message has an anchor of its own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

SECTIONS: Sequence[Mapping[str, Any]] = yaml.safe_load(Path(__file__).with_name("messages.yml").read_text(encoding="utf-8"))
PAGE = """<!--
SPDX-FileCopyrightText: The phala.cloud collection contributors
SPDX-License-Identifier: GPL-3.0-or-later
-->
<!-- `make pages` writes this page from tests/docs/messages.yml. Change it there. -->

# Messages

All errors and warnings of the plugin, and all lines that it writes with `-v`. Search this page for a part of your message. `…`
stands for text that differs. An error or a warning about an inventory file begins with its path.

Each message has a link of its own, the `#` before it.

{sections}
"""


def messages() -> dict[str, str]:
    """Map each message to what is said about it."""
    return {entry["message"]: entry["advice"] for section in SECTIONS for entry in section["messages"]}


def messages_page() -> str:
    """Return the page with all messages."""
    names = anchors(messages())
    return PAGE.format(sections="\n\n".join("\n".join(_section(section, names)) for section in SECTIONS))


def anchors(texts: Mapping[str, str]) -> dict[str, str]:
    """Map each message to its anchor: its first words, and as many as make it unique."""
    found: dict[str, str] = {}
    for text in texts:
        words = re.findall(r"[a-z0-9]+", text.lower())
        names = ("-".join(words[:count]) for count in range(min(5, len(words)), len(words) + 1))
        found[text] = next(name for name in names if name not in found.values())
    return found


def _section(section: Mapping[str, Any], names: Mapping[str, str]) -> Iterator[str]:
    yield f"## {section['section']}"
    yield ""
    if section["about"]:
        yield f"{section['about']}\n"
    for entry in section["messages"]:
        name = names[entry["message"]]
        yield f'- <a id="{name}" href="#{name}">#</a> `{entry["message"]}`\\'
        yield f"  {entry['advice']}"
