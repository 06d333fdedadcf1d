# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The glossary names what the code has: variables, groups and status values."""

from __future__ import annotations

import re

from ansible_collections.phala.cloud.plugins.plugin_utils import _unmatched
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import CORE_VARIABLES

from .pages import DOCS, rows

PAGE = DOCS / "glossary.md"
GROUPS = {"phala_gateway"}


def test_every_variable_of_the_glossary_is_a_core_variable() -> None:
    named = set(re.findall(r"`(phala_\w+)`", PAGE.read_text(encoding="utf-8")))
    assert named - GROUPS <= {f"phala_{name}" for name in CORE_VARIABLES}


def test_status_values_are_those_that_the_filter_always_knows() -> None:
    assert [value.strip("`") for value, _meaning in rows(PAGE, "Status")] == list(_unmatched._ALWAYS_KNOWN["status"])


def test_words_are_in_the_order_of_the_alphabet() -> None:
    words = re.findall(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert words == sorted(words, key=str.lower)
