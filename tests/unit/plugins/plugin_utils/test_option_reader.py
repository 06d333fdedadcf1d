# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.loader import inventory_loader

from ansible_collections.phala.cloud.plugins.plugin_utils._option_reader import OptionReader
from ansible_collections.phala.cloud.plugins.plugin_utils._option_types import OptionError


def reader(config: dict[str, Any] | None = None, path: str = "/x/phala.yml", **options: Any) -> OptionReader:
    """Return a reader of a plugin whose templates are rendered by changing {{ a }} to the option a."""

    def template(text: str) -> Any:
        return options.get(text.strip("{ }"), text) if "{" in text else text

    plugin = SimpleNamespace(get_option=options.get, templar=SimpleNamespace(template=template, available_variables={}))
    return OptionReader(plugin, config or {}, path)


def test_all_problems_are_collected() -> None:
    read = reader()

    def fail(text: str) -> int:
        raise OptionError(text)

    assert [read.attempt(lambda: fail("one")), read.attempt(lambda: 2), read.attempt(lambda: fail("three"))] == [None, 2, None]
    assert read.problems == ["one", "three"]


@pytest.mark.parametrize(
    ("value", "maximum", "problem"),
    [
        (1, 3, None),
        (3, 3, None),
        (9, None, None),
        (0, 3, "n: 0 is out of range. Choose a number from 1 to 3."),
        (4, 3, "n: 4 is out of range. Choose a number from 1 to 3."),
        (0, None, "n: 0 is out of range. Choose 1 or more."),
    ],
)
def test_number_is_within_its_bounds(value: int, maximum: int | None, problem: str | None) -> None:
    read = reader(n=value)
    assert read.integer("n", 1, maximum) == value
    assert read.problems == ([problem] if problem else [])


def test_path_of_the_file_is_relative_to_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ca.pem").symlink_to("/")  # which stays as it is named
    monkeypatch.chdir("/")
    read = reader({"ca": "ca.pem"}, str(tmp_path / "phala.yml"), ca="/ca.pem")
    assert read.existing_path("ca") == str(tmp_path / "ca.pem")
    assert read.problems == []


def test_path_of_the_environment_is_taken_as_core_gives_it(tmp_path: Path) -> None:
    read = reader({"ca": None}, str(tmp_path / "phala.yml"), ca="/", none=None)
    assert (read.existing_path("ca"), read.existing_path("none"), read.problems) == ("/", None, [])


def test_path_where_nothing_is_is_a_problem(tmp_path: Path) -> None:
    read = reader({"ca": "ca.pem"}, str(tmp_path / "phala.yml"), ca="/ca.pem")
    read.existing_path("ca")
    assert read.problems == [f"ca: {tmp_path}/ca.pem does not exist. Correct the path."]


@pytest.mark.parametrize(
    ("value", "text"), [("a", "a"), (" a ", " a "), (7, "7"), ("", None), (None, None), ("{{ a }}", "b"), ("{{ n }}", "7")]
)
def test_text_is_rendered(value: Any, text: str | None) -> None:
    assert reader(group=value, a="b", n=7).text("group") == text
    assert reader(a="b", n=7).text_of("group", value) == text


@pytest.mark.parametrize(
    ("value", "kind"), [(True, "a boolean"), (1.5, "a value of type float"), (["a"], "a list"), ({}, "a dict")]
)
def test_other_value_is_no_text(value: Any, kind: str) -> None:
    with pytest.raises(OptionError) as raised:
        reader(group=value).text("group")
    assert str(raised.value).startswith(f"group: expected text, got {kind}")
    assert str(raised.value).endswith(". Write it in quotes.")


@pytest.mark.parametrize("result", ["", " ", None])
def test_template_that_gives_nothing_is_a_problem(result: Any) -> None:
    read = reader()
    read.plugin.templar.template = lambda _text: result
    with pytest.raises(OptionError, match="group: the template gives an empty text") as raised:
        read.text_of("group", "{{ lookup('env', 'A') }}")
    assert str(raised.value).endswith("Set the environment variable A.")


def test_template_that_fails_is_named() -> None:
    def fail(_text: str) -> None:
        raise ValueError("it is odd")

    read = reader()
    read.plugin.templar.template = fail
    with pytest.raises(OptionError, match=r"^group: it is odd"):
        read.text_of("group", "{{ a }}")


def test_template_of_a_key_gives_text() -> None:
    read = reader(a=["phak_1"])
    with pytest.raises(OptionError, match="api_key: expected text, got a list") as raised:
        read.text_of("api_key", "{{ a }}")
    assert "phak_1" not in str(raised.value)
    assert read.text_of("group", "{{ a }}") == "['phak_1']"


def test_entries_of_a_list_are_texts_as_they_are_written() -> None:
    read = reader(hostnames=["a", "{{ b }}", "", 7, " ", None])
    assert read.texts("hostnames", "a name") == ["a", "{{ b }}"]
    assert read.problems == [
        "hostnames[2]: expected a name, got ''.",
        "hostnames[3]: expected a name, got 7.",
        "hostnames[4]: expected a name, got ' '.",
        "hostnames[5]: expected a name, got nothing.",
    ]
    assert reader().texts("hostnames", "a name") == []


def test_source_of_a_value_is_the_file_or_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHALA_CLOUD_API_PREFIX", "https://env.example.org")
    read = OptionReader(inventory_loader.get("phala.cloud.phala"), {"group": "mine", "page_size": "x", "odd": 1}, "phala.yml")
    assert read.given("group") == ("mine", "Direct")
    assert read.given("page_size")[1] == read.given("retries")[1] == "default"
    assert read.source("group") == "group in phala.yml"
    assert read.given("api_url") == ("https://env.example.org", "env: PHALA_CLOUD_API_PREFIX")
    assert read.source("api_url") == "PHALA_CLOUD_API_PREFIX"
