# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the file of a source, and show none of its lines if it is wrong: one of them may have the API key."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleError, AnsibleParserError

MAX_BEGINNING = 65536  # characters

# What YAML makes of a value that is not vaulted. The class of a vaulted value changed in ansible-core 2.19.
_OTHER_TYPES = (str, bytes, int, float, type(None))


def read_file(plugin: Any, path: str) -> Mapping[Any, Any]:
    """Return the content of the file, and give its options to the plugin.

    Ansible-core shows the lines around what it cannot read, and around a vaulted value that it cannot open.

    :raises AnsibleParserError: without lines of the file
    """
    try:
        config: Mapping[Any, Any] = plugin._read_config_data(path)
    except AttributeError:  # core's own, of a file that holds a list or a text
        raise AnsibleParserError(
            f"{path} does not contain a dictionary. Begin the file with 'plugin: phala.cloud.phala'."
        ) from None
    except AnsibleError as error:
        if not _has_plugin_line(path):
            raise AnsibleParserError(f"{path} has no 'plugin' line. Begin the file with 'plugin: phala.cloud.phala'.") from None
        reason = " ".join(str(error).partition("The offending line")[0].split())
        raise AnsibleParserError(f"{path}: {reason}") from None
    if problems := [problem for name, value in config.items() if (problem := vault_problem(str(name), value))]:
        raise AnsibleParserError(report(path, problems))
    return config


def names_plugin(path: str) -> bool:
    """Return whether a file, whatever its name, is meant for this plugin."""
    return re.search(r"""^plugin:\s*(['"]?)phala\.cloud\.phala\1\s*(#.*)?$""", _beginning(path), re.MULTILINE) is not None


def _has_plugin_line(path: str) -> bool:
    text = _beginning(path)
    return not text or re.search(r"""^\s*\{?\s*['"]?plugin['"]?\s*:""", text, re.MULTILINE) is not None


def _beginning(path: str) -> str:
    """Return the beginning of a file, nothing where it is not a text file, or encrypted as a whole."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(MAX_BEGINNING)
    except (OSError, ValueError):
        return ""
    return "" if text.startswith("$ANSIBLE_VAULT") else text


def report(path: str, problems: Sequence[str]) -> str:
    """Return the problems of a file as one message."""
    if len(problems) == 1:
        return f"{path}: {problems[0]}"
    numbered = "\n".join(f"({number}) {problem}" for number, problem in enumerate(problems, start=1))
    return f"{path} has {len(problems)} problems:\n{numbered}"


def vault_problem(where: str, value: Any) -> str | None:
    """Return what is wrong with the first vaulted value in an option's value that cannot be opened."""
    for place, single in _leaves(where, value):
        if not isinstance(single, _OTHER_TYPES):
            try:
                str(single)
            except Exception:  # core's own, or that of a text which is not UTF-8
                return (
                    f"{place}: the vaulted value cannot be decrypted. Pass its password with --ask-vault-pass or"
                    " --vault-password-file."
                )
    return None


def _leaves(where: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield each single value, with its place in the file, such as ``filters.region`` or ``host_filters[0]``."""
    if isinstance(value, Mapping):
        for name, entry in value.items():
            yield from _leaves(f"{where}.{name}", entry)
    elif isinstance(value, (list, tuple, set)):
        for position, entry in enumerate(value):
            yield from _leaves(f"{where}[{position}]", entry)
    else:
        yield where, value
