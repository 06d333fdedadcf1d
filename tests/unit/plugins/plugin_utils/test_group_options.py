# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._group_options import (
    group_name_problems,
    is_reserved_name,
    variable_name_problems,
)


@pytest.mark.parametrize(
    ("name", "reserved"),
    [
        ("all", True),
        ("ungrouped", True),
        ("_meta", True),
        ("localhost", True),
        ("127.0.0.1", True),
        ("web", False),
        ("ALL", False),
    ],
)
def test_name_of_all_hosts_or_of_this_machine_is_reserved(name: str, *, reserved: bool) -> None:
    assert is_reserved_name(name) is reserved


@pytest.mark.parametrize("name", ["all", "localhost", "phala_gateway", "phala-gateway"])
def test_reserved_name_of_a_group_is_a_problem(name: str) -> None:
    (problem,) = group_name_problems("groups", name, "phala")
    assert problem == f"groups: {name!r} is reserved for this machine, for Ansible or for the gateway. Choose another name."
    assert list(group_name_problems("groups", name, "phala", ["web", name])) == []


@pytest.mark.parametrize("name", ["web", "my web", "{{ name }}", "all{{ x }}", "other_gateway", "phala"])
def test_other_name_of_a_group_is_none(name: str) -> None:
    assert list(group_name_problems("groups", name, "phala")) == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [(7, "7"), (None, "nothing"), (True, "the boolean True"), ("", "''"), (" ", "' '"), (["a"], "the list ['a']")],
)
def test_name_of_a_group_is_text(name: Any, shown: str) -> None:
    (problem,) = group_name_problems("groups", name, "phala")
    assert problem == f"groups: expected the name of a group, got {shown}. Write it in quotes."


@pytest.mark.parametrize("name", ["web-1", "1web", "", "true", "True", "false", "none", "None", "class", "caf\u00e9"])
def test_word_that_is_no_name_of_a_variable_is_a_problem(name: str) -> None:
    (problem,) = variable_name_problems("compose", name)
    assert problem == (
        f"compose: {name!r} is not a valid variable name. Use letters, digits and '_', do not begin with a digit, and do not use"
        " a word of Jinja2 or Python."
    )


@pytest.mark.parametrize("name", ["omit", "hostvars", "inventory_hostname", "groups"])
def test_name_of_a_variable_of_ansible_is_a_problem(name: str) -> None:
    (problem,) = variable_name_problems("compose", name)
    assert problem == (
        f"compose.{name}: Ansible sets this variable itself. Choose another name, or set 'hostnames' for the host's name."
    )


@pytest.mark.parametrize("name", ["web", "ansible_host", "_x1"])
def test_other_name_of_a_variable_is_none(name: str) -> None:
    assert list(variable_name_problems("compose", name)) == []
