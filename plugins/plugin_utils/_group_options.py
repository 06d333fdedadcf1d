# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check the names that a file gives to groups and variables: some are no text, and Ansible has a use for others."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from ansible import constants as C
from ansible.inventory.group import to_safe_group_name
from ansible.utils.vars import isidentifier

from ansible_collections.phala.cloud.plugins.plugin_utils._addresses import is_this_machine
from ansible_collections.phala.cloud.plugins.plugin_utils._option_types import shown

NAMES_OF_GROUPS = frozenset({"all", "ungrouped", "_meta"})
NAMES_OF_JINJA = frozenset({"true", "false", "none"})  # beside those that are Python's, too
NAMES_OF_VARIABLES = frozenset({"omit", *C.INTERNAL_STATIC_VARS})


def is_reserved_name(name: str) -> bool:
    """Return whether a group must not have a name, because plays mean all hosts or this machine by it."""
    return name in NAMES_OF_GROUPS or is_this_machine(name)


def group_name_problems(where: str, name: Any, group: Any, allowed: Collection[str] = ()) -> Iterator[str]:
    """Yield what is wrong with the name of a group that the file gives; one with a template is only known later.

    :param group: the option ``group``
    """
    if not isinstance(name, str) or not name.strip():
        yield f"{where}: expected the name of a group, got {shown(name)}. Write it in quotes."
        return
    safe = to_safe_group_name(name, force=True, silent=True)
    if "{" not in name and name not in allowed and (is_reserved_name(name) or safe in (*NAMES_OF_GROUPS, f"{group}_gateway")):
        yield f"{where}: {name!r} is reserved for this machine, for Ansible or for the gateway. Choose another name."


def variable_name_problems(where: str, name: Any) -> Iterator[str]:
    """Yield what is wrong with the name of a variable that the file gives.

    Since 2.19 ansible-core warns about some of these names itself, with lines of the file, which may contain the API key.
    """
    if not isidentifier(name) or name in NAMES_OF_JINJA:
        yield (
            f"{where}: {name!r} is not a valid variable name. Use letters, digits and '_', do not begin with a digit, and do"
            " not use a word of Jinja2 or Python."
        )
    if name in NAMES_OF_VARIABLES:
        yield f"{where}.{name}: Ansible sets this variable itself. Choose another name, or set 'hostnames' for the host's name."
