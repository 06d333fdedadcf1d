# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read which profile the official CLI uses in a folder, from the folder's ``phala.toml``."""

from __future__ import annotations

import importlib
import os
from typing import Any

from ansible_collections.phala.cloud.plugins.plugin_utils._option_types import OptionError

FILE_NAME = "phala.toml"
PARSERS = ("tomllib", "tomli")  # the first is in Python since 3.11, the second is the same as a package


class ProjectFileError(OptionError):
    """The file cannot be used; the message names it and says what to do."""


def choose_profile(wanted: str | None, wanted_by: str = "") -> tuple[str | None, str]:
    """Return the profile that an option names, else the one that the working folder's file names, and what names it.

    :raises ProjectFileError: when the file is needed and cannot be used
    """
    if wanted:
        return wanted, wanted_by
    path = _working_folder_file()
    return _project_profile(path), path


def _project_profile(path: str) -> str | None:
    """Return the profile that the file names, or None if it names none or does not exist.

    :raises ProjectFileError: when the file is broken, or may name a profile and this Python cannot read it
    """
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectFileError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not UTF-8'}. Correct the file."
        ) from None
    profile = _parsed(path, text).get("profile")
    if profile is not None and not isinstance(profile, str):
        raise ProjectFileError(f"{path}: profile is {profile!r}. Write the name of a profile in quotes.")
    return (profile or "").strip() or None


def _working_folder_file() -> str:
    """Return the path of the file in the working folder, where the CLI looks for it."""
    try:
        return os.path.join(os.getcwd(), FILE_NAME)
    except FileNotFoundError:  # somebody has deleted the folder
        return FILE_NAME


def _parsed(path: str, text: str) -> dict[str, Any]:
    parser = _parser()
    if parser is None:
        if "profile" not in text:
            return {}
        raise ProjectFileError(
            f"{path} cannot be read, because this Python has no tomllib. Install the Python package tomli, or set profile or"
            " PHALA_CLOUD_PROFILE."
        )
    try:
        content: dict[str, Any] = parser.loads(text)
    except (ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise ProjectFileError(
            f"{path} is not valid TOML: {reason}. Correct it, or set profile or PHALA_CLOUD_PROFILE."
        ) from None
    return content


def _parser() -> Any:
    for name in PARSERS:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None
