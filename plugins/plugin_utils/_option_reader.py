# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read one option of an inventory source: from the file or the environment, with its template rendered and its value checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ansible import constants as C
from ansible.utils.path import unfrackpath

from ansible_collections.phala.cloud.plugins.plugin_utils._option_types import OptionError, kind_of, shown, well_typed
from ansible_collections.phala.cloud.plugins.plugin_utils._plain_text import plain
from ansible_collections.phala.cloud.plugins.plugin_utils._templates import empty_template, is_secret, rendered, secret_text

T = TypeVar("T")

DEFAULT = "default"  # core's name for where such a value comes from


class OptionReader:
    """Read options of Ansible's plugin object, and collect all problems instead of stopping at the first.

    :param config: the options of the file
    """

    def __init__(self, plugin: Any, config: Mapping[Any, Any], path: str) -> None:
        self.plugin = plugin
        self.config = config
        self.path = path
        self.problems: list[str] = []
        self.option = plugin.get_option

    def attempt(self, read: Callable[[], T]) -> T | None:
        """Return what a function reads, or None where it finds a problem."""
        try:
            return read()
        except OptionError as problem:
            self.problems.append(str(problem))
            return None

    def source(self, name: str) -> str:
        """Return where the value comes from, as a message names it."""
        _value, origin = self.given(name)
        return f"{name} in {self.path}" if origin == "Direct" else str(origin).removeprefix("env: ")

    def given(self, name: str) -> tuple[Any, str]:
        """Return the value of an option, and its origin in the words of core."""
        # Core's own get_option_and_origin() does not see the file's values before 2.19.
        plugin = self.plugin
        given = well_typed(plugin.option_definitions, self.config)
        value, origin = C.config.get_config_value_and_origin(
            name, plugin_type=plugin.plugin_type, plugin_name=plugin._load_name, direct=given
        )
        return value, str(origin)

    def integer(self, name: str, minimum: int, maximum: int | None = None) -> int:
        """Return a number, and note a problem where it is out of range."""
        value: int = self.option(name)
        if value < minimum or (maximum is not None and value > maximum):
            bounds = f"{minimum} or more" if maximum is None else f"a number from {minimum} to {maximum}"
            self.problems.append(f"{name}: {value} is out of range. Choose {bounds}.")
        return value

    def existing_path(self, name: str) -> str | None:
        """Return a path, and note a problem where nothing is there; one from the file is relative to the file's folder."""
        path: str | None = self.option(name)
        if path and self.config.get(name) is not None:  # one from the environment is relative to the working folder
            path = unfrackpath(plain(self.config[name]), follow=False, basedir=os.path.dirname(os.path.abspath(self.path)))
        if path and not os.path.exists(path):
            self.problems.append(f"{name}: {path} does not exist. Correct the path.")
        return path

    def text(self, name: str) -> str | None:
        """Return a text option with its templates rendered, or None where it is not set.

        :raises OptionError: when a template fails or gives nothing
        """
        return self.text_of(name, self.option(name))

    def text_of(self, name: str, value: Any) -> str | None:
        """Return a text with its templates rendered, or None where there is none.

        :param name: where the value is in the file
        :raises OptionError: when a template fails or gives nothing, or the value is no text
        """
        if value is None or value == "":
            return None
        if isinstance(value, (bool, float, list, dict)):
            raise OptionError(f"{name}: expected text, got {kind_of(value)}. Write it in quotes.")
        result = self.rendered(name, value)
        if result is None or result == "":
            raise empty_template(name, str(value))
        text = secret_text(name, result) if is_secret(name) else str(result)
        if not text.strip():
            raise empty_template(name, str(value))
        return plain(text)

    def texts(self, name: str, expected: str) -> list[str]:
        """Return the texts of a list as they are written; templates in them are not rendered."""
        texts = []
        for position, entry in enumerate(self.option(name) or ()):
            if isinstance(entry, str) and entry.strip():
                texts.append(entry)
            else:
                self.problems.append(f"{name}[{position}]: expected {expected}, got {shown(entry)}.")
        return texts

    def rendered(self, where: str, value: Any) -> Any:
        """Return a value with its template rendered.

        :raises OptionError: when the template fails
        """
        return rendered(self.plugin.templar, where, value)
