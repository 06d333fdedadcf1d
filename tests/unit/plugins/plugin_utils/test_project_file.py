# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._project_file import ProjectFileError, choose_profile

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="this Python has no tomllib")


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "phala.toml"


def problem() -> str:
    with pytest.raises(ProjectFileError) as raised:
        choose_profile(None)
    return str(raised.value)


def test_profile_of_an_option_is_used_whatever_the_file_says(file: Path) -> None:
    file.write_text("profile = ")
    assert choose_profile("work", "PHALA_CLOUD_PROFILE") == ("work", "PHALA_CLOUD_PROFILE")
    assert choose_profile("work") == ("work", "")


@pytest.mark.parametrize(
    ("text", "profile"),
    [("profile = 'work'", "work"), ("profile = ' work '", "work"), ("profile = ' '", None), ("name = 'x'", None), ("", None)],
)
def test_profile_is_that_of_the_working_folder(file: Path, text: str, profile: str | None) -> None:
    file.write_text(text)
    assert choose_profile("") == (profile, str(file))


def test_folder_without_the_file_names_no_profile(file: Path) -> None:
    assert choose_profile(None) == (None, str(file))


def test_text_of_the_file_is_utf_8(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "\N{LATIN SMALL LETTER E WITH ACUTE}"
    file.write_text(f"profile = '{name}'", encoding="utf-8")
    monkeypatch.setattr("locale.getpreferredencoding", lambda _do_setlocale=True: "ascii")
    assert choose_profile(None)[0] == name
    file.write_bytes(b"profile = '\xe9'")
    assert problem() == f"{file} cannot be read: it is not UTF-8. Correct the file."


def test_file_that_cannot_be_read_is_an_error_with_the_reason_of_the_system(file: Path) -> None:
    file.mkdir()
    assert problem() == f"{file} cannot be read: Is a directory. Correct the file."


def test_file_with_a_profile_that_is_no_text_is_an_error(file: Path) -> None:
    file.write_text("profile = 7")
    assert problem() == f"{file}: profile is 7. Write the name of a profile in quotes."


def test_broken_file_is_an_error(file: Path) -> None:
    file.write_text("profile = \n")
    assert problem().startswith(f"{file} is not valid TOML: Invalid value (at line 1, column 11). Correct it, or set profile or ")
    assert problem().endswith(" or set profile or PHALA_CLOUD_PROFILE.")


def test_deleted_working_folder_names_no_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def getcwd() -> str:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(os, "getcwd", getcwd)
    monkeypatch.chdir(tmp_path)
    assert choose_profile(None) == (None, "phala.toml")


@pytest.mark.parametrize("missing", [["tomllib"], ["tomllib", "tomli"]])
def test_without_a_parser_only_a_file_that_may_name_a_profile_is_an_error(
    file: Path, monkeypatch: pytest.MonkeyPatch, missing: list[str]
) -> None:
    import tomllib

    monkeypatch.setitem(sys.modules, "tomli", tomllib)
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    file.write_text("name = 'x'")
    assert choose_profile(None) == (None, str(file))
    file.write_text("profile = 'work'")
    if len(missing) == 1:
        assert choose_profile(None) == ("work", str(file))
    else:
        assert problem() == (
            f"{file} cannot be read, because this Python has no tomllib. Install the Python package tomli, or set profile or"
            " PHALA_CLOUD_PROFILE."
        )
