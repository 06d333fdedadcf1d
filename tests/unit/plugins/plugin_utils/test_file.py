# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Vaulted values that cannot be opened are found wherever they are in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleError, AnsibleParserError

from ansible_collections.phala.cloud.plugins.plugin_utils._file import names_plugin, read_file, report, vault_problem


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
    told = "the vaulted value cannot be decrypted. Pass its password with --ask-vault-pass or --vault-password-file."
    assert vault_problem("option", value) == (place and f"{place}: {told}")


class Plugin:
    """Read a file as ansible-core's plugin object does: with a content, or an error."""

    def __init__(self, result: Any) -> None:
        self._result = result

    def _read_config_data(self, _path: str) -> Any:
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


def problem(path: Path, result: Any) -> str:
    with pytest.raises(AnsibleParserError) as raised:
        read_file(Plugin(result), str(path))
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    return str(raised.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "phala.yml"
    path.write_text("plugin: phala.cloud.phala\n")
    return path


def test_content_of_the_file_is_returned(path: Path) -> None:
    content = {"plugin": "phala.cloud.phala"}
    assert read_file(Plugin(content), str(path)) is content


def test_file_that_is_no_dictionary_is_refused(path: Path) -> None:
    assert (
        problem(path, AttributeError("list"))
        == f"{path} does not contain a dictionary. Begin the file with 'plugin: phala.cloud.phala'."
    )


@pytest.mark.parametrize("line", ["filters: {}", "# plugin: x", "plug in: x", "a: {plugin: x}"])
def test_file_without_a_plugin_line_is_refused(path: Path, line: str) -> None:
    path.write_text(line)
    told = f"{path} has no 'plugin' line. Begin the file with 'plugin: phala.cloud.phala'."
    assert problem(path, AnsibleError("odd")) == told


@pytest.mark.parametrize(
    "line", ["plugin: x", " plugin : x", "a: 1\nplugin: x", "'plugin': x", '{"plugin": x', "$ANSIBLE_VAULT;1.1", ""]
)
def test_error_of_core_is_shown_without_the_lines_of_the_file(path: Path, line: str) -> None:
    path.write_text(line)
    error = AnsibleError("We cannot\n read it.  The offending line appears to be: api_key: phak_1. The offending line")
    assert problem(path, error).startswith(f"{path}: We cannot read it.")
    assert "phak_1" not in problem(path, error)


def test_file_that_cannot_be_read_is_judged_by_the_error_of_core(tmp_path: Path) -> None:
    assert problem(tmp_path / "gone.yml", AnsibleError("it is gone")).startswith(f"{tmp_path}/gone.yml: it is gone")
    (tmp_path / "odd.yml").write_bytes(b"a: \xff")
    assert problem(tmp_path / "odd.yml", AnsibleError("it is odd")).startswith(f"{tmp_path}/odd.yml: it is odd")


def test_beginning_of_a_long_file_decides(path: Path) -> None:
    path.write_text(f"{'#' * 65535}\nplugin: phala.cloud.phala\n")
    assert not names_plugin(str(path))
    path.write_text(f"{'#' * 60000}\nplugin: phala.cloud.phala\n")
    assert names_plugin(str(path))


def test_vaulted_values_that_cannot_be_opened_are_all_reported(path: Path) -> None:
    told = "the vaulted value cannot be decrypted. Pass its password with --ask-vault-pass or --vault-password-file."
    assert problem(path, {"a": Vaulted(None), "b": 1, 7: [Vaulted(None)]}) == (
        f"{path} has 2 problems:\n(1) a: {told}\n(2) 7[0]: {told}"
    )
    assert report("phala.yml", ["a: odd"]) == "phala.yml: a: odd"


@pytest.mark.parametrize(
    ("text", "is_named"),
    [
        ("plugin: phala.cloud.phala", True),
        ("---\nplugin:   'phala.cloud.phala'  # this\nfilters: {}", True),
        ('plugin: "phala.cloud.phala"', True),
        ("plugin: 'phala.cloud.phala\"", False),
        ("plugin: phala.cloud.phala2", False),
        (" plugin: phala.cloud.phala", False),
        ("plugin: phala-cloud-phala", False),
        ("$ANSIBLE_VAULT;1.1\nplugin: phala.cloud.phala", False),
    ],
)
def test_file_that_names_the_plugin_is_recognized(path: Path, text: str, *, is_named: bool) -> None:
    path.write_text(text)
    assert names_plugin(str(path)) is is_named
