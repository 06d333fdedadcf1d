# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.phala.cloud.plugins.plugin_utils import _written
from ansible_collections.phala.cloud.plugins.plugin_utils._written import (
    NOT_RENDERED,
    as_written,
    decrypted,
    unrendered_template,
)


class Vaulted:
    """Stand for a vaulted text, which opens when it is shown."""

    def __init__(self, text: str | None) -> None:
        self._text = text

    def __str__(self) -> str:
        if self._text is None:
            raise ValueError("wrong password")
        return self._text


def test_vaulted_text_is_text_at_any_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_written, "Vaulted", Vaulted)
    closed = Vaulted(None)
    value = {"a": Vaulted("one"), "b": [Vaulted("{{ two }}"), {"c": closed}], "d": 3}
    assert decrypted(value) == {"a": "one", "b": ["{{ two }}", {"c": closed}], "d": 3}
    assert type(decrypted(Vaulted("{{ two }}"))) is type(wrap_var("{{ two }}"))


@pytest.mark.parametrize("name", NOT_RENDERED)
@pytest.mark.parametrize("value", ["{{ a }}", "{", "}"])
def test_template_of_an_option_that_is_not_rendered_is_a_problem(name: str, value: str) -> None:
    advice = "looks like a template, but this option does not accept one. Write the text itself."
    assert unrendered_template(name, value) == f"{name}: {value!r} {advice}"


@pytest.mark.parametrize(("name", "value"), [("group", "phala"), ("group", ["{"]), ("api_key", "{{ a }}")])
def test_other_values_are_no_problem(name: str, value: Any) -> None:
    assert unrendered_template(name, value) is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0123", "0123"),
        ("0x1f", "0x1f"),
        ("12:30", "12:30"),
        ("1_000", "1_000"),
        ("1000", 1000),
        ("'0123'", "0123"),
        ("true", True),
        ("1.50", 1.5),
        ("[0123, 7, [0x1f]]", ["0123", 7, ["0x1f"]]),
        ("{a: 0123, b: {c: 12:30}}", {"a": "0123", "b": {"c": "12:30"}}),
    ],
)
def test_word_of_a_text_option_stays_as_it_is_written(text: str, value: Any) -> None:
    source = f"opt: {text}\nother: {text}\n"
    config = yaml.safe_load(source)
    assert as_written(config, source, ["opt"]) == {"opt": value, "other": config["other"]}


def test_value_that_core_made_of_something_else_is_kept() -> None:
    """As merges, aliases and duplicates do."""
    assert as_written({"a": [1, 2], "b": 5, "c": {"d": 3}}, "a: [01]\nb: [07]\nc: {e: 03}\n", "abc") == {
        "a": [1, 2],
        "b": 5,
        "c": {"d": 3},
    }


@pytest.mark.parametrize("source", ["opt: !odd [", "[0123]", "", "0123"])
def test_file_that_is_no_plain_mapping_is_left_alone(source: str) -> None:
    assert as_written({"opt": 83}, source, ["opt"]) == {"opt": 83}
