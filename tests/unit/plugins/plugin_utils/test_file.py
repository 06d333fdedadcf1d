# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Vaulted values that cannot be opened are found wherever they are in a file."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleError

from ansible_collections.phala.cloud.plugins.plugin_utils._file import vault_problem


class Vaulted:
    """A vaulted text as ansible-core has it, which is opened when it is read."""

    def __init__(self, text: str | None) -> None:
        self._text = text

    def __str__(self) -> str:
        if self._text is None:
            raise AnsibleError("Attempting to decrypt but no vault secrets found")
        return self._text


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (Vaulted(None), "option"),
        ({"region": ["US", Vaulted(None)], "node": Vaulted(None)}, "option.region[1]"),
        ([{"key": Vaulted(None)}], "option[0].key"),
        ([Vaulted("text"), "text", 10**5000, None, 1.5, True], None),
    ],
    ids=["alone", "in a list of a dictionary", "in a dictionary of a list", "none"],
)
def test_names_the_first_value_that_cannot_be_opened(value: Any, place: str | None) -> None:
    problem = vault_problem("option", value)
    assert (problem and problem.partition(":")[0]) == place
