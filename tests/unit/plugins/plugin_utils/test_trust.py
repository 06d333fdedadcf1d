# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import string
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.utils.unsafe_proxy import wrap_var
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.phala.cloud.plugins.plugin_utils import _trust
from ansible_collections.phala.cloud.plugins.plugin_utils._plain_text import plain
from ansible_collections.phala.cloud.plugins.plugin_utils._trust import (
    CORE_KEY_LEFT_OUT,
    MAX_DEPTH,
    Marker,
    UnpublishableError,
    is_plain_key,
    is_possible_template,
)
from ansible_collections.phala.cloud.tests.comparing import shape_and_marks

try:
    from ansible.template import is_trusted_as_template, trust_as_template
except ImportError:  # before 2.19 text without a mark is trusted
    NEEDS_TRUST = False

    def is_trusted_as_template(value: Any) -> bool:
        return not hasattr(value, "__UNSAFE__")

    def trust_as_template(value: str) -> str:
        return value
else:
    NEEDS_TRUST = True


HARMLESS = [
    "",
    "web",
    "US-WEST-1",
    "dstack-dev-0.5.7-9b6a5239",
    "a % b",
    "$x",
    "jinja2:",
    " #jinja",
    "x #jinja2: y",
    "\N{SNOWMAN}",
]
SUSPECT = [
    "{{ 7 * 7 }}",
    "{",
    "}",
    "a {% raw",
    "{# x #}",
    "#jinja2:x",
    " \t#JINJA2: a:'[['",
    "#Jinja2:variable_start_string:'[%'",
]


@pytest.mark.parametrize(("texts", "possible"), [(HARMLESS, False), (SUSPECT, True)], ids=["harmless", "suspect"])
def test_template_is_told_by_its_braces_or_header(texts: list[str], *, possible: bool) -> None:
    assert {text: is_possible_template(text) for text in texts} == dict.fromkeys(texts, possible)


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_text_is_plain_and_trusted(text: str) -> None:
    marked = Marker().mark(text)
    assert marked == text
    assert is_trusted_as_template(marked)
    assert json.dumps(marked) == json.dumps(text)


@pytest.mark.parametrize("text", SUSPECT)
def test_suspect_text_is_not_trusted(text: str) -> None:
    marked = Marker().mark(text)
    assert marked == text
    assert not is_trusted_as_template(marked)


@pytest.mark.parametrize("text", HARMLESS)
def test_mark_that_core_put_on_harmless_text_is_taken_off(text: str) -> None:
    assert is_trusted_as_template(Marker().mark(wrap_var(text)))


@given(st.text(alphabet=string.ascii_letters + "{}%#: \n\t'[]()*7|", max_size=40) | st.sampled_from(SUSPECT))
def test_no_marked_text_is_run(text: str) -> None:
    templar = Templar(loader=DataLoader(), variables={"x": Marker().mark(text)})
    assert str(templar.template(Marker().mark(text))) == text


def test_values_are_marked_at_every_depth_and_copied() -> None:
    value = {"a": ["{{ 1 }}", {"b": "{{ 2 }}", "c": "plain"}], "d": ({"e": "#jinja2:"},)}
    marked = Marker().mark(value)
    assert marked == {"a": ["{{ 1 }}", {"b": "{{ 2 }}", "c": "plain"}], "d": [{"e": "#jinja2:"}]}
    texts = [marked["a"][0], marked["a"][1]["b"], marked["a"][1]["c"], marked["d"][0]["e"]]
    assert [is_trusted_as_template(text) for text in texts] == [False, False, True, False]
    marked["a"].clear()
    assert value["a"]


def test_json_types_stay_what_they_are() -> None:
    value: dict[str, Any] = {"i": 1, "f": 1.0, "b": True, "n": None, "l": [], "d": {}, "s": "1", "big": 10**30}
    marked = Marker().mark(value)
    assert marked == value
    assert {name: type(entry) for name, entry in marked.items() if name != "s"} == {
        name: type(entry) for name, entry in value.items() if name != "s"
    }


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_number_that_json_cannot_print_is_null(number: float) -> None:
    assert Marker().mark({"a": [number]}) == {"a": [None]}


def test_lone_surrogates_are_replaced() -> None:
    marked = Marker().mark({"\ud800": "a\udfffb", "\N{SNOWMAN}": "\N{PILE OF POO}"})
    assert json.dumps(marked, ensure_ascii=False).encode()
    assert marked["\N{SNOWMAN}"] == "\N{PILE OF POO}"


def test_marks_are_the_same_however_many_texts_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["web", "{{ 1 }}", "db", "web", "{{ 1 }}", "\ud800"]
    marked = Marker().mark(texts)
    for count in (1, 2):
        monkeypatch.setattr(_trust, "MAX_REMEMBERED", count)
        marker = Marker()
        again = marker.mark(texts)
        assert len(marker._marked) <= count
        assert [(text, type(text)) for text in again] == [(text, type(text)) for text in marked]


@pytest.mark.parametrize("count", [1, 2, 100])
@given(st.lists(st.none() | st.integers() | st.floats() | st.sampled_from([*HARMLESS, *SUSPECT, "\ud800"])))
def test_many_scalars_are_marked_like_each_of_them(count: int, values: list[Any]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_trust, "TEXTS_AT_ONCE", count)
        found = Marker().mark_scalars(values)
    assert shape_and_marks(found) == shape_and_marks([Marker().mark(value) for value in values])


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        *((key, True) for key in ("", "a", "a-b c", "#", "a__ansible_")),
        *((key, False) for key in ("\ud800", "{", "}", "#jinja2: x", "__ansible_", "__ansible_x")),
    ],
)
def test_key_is_plain_where_every_core_publishes_it_as_it_is(key: str, *, expected: bool) -> None:
    assert is_plain_key(key) is expected


@pytest.mark.parametrize("wrap", [lambda value: [value], lambda value: {"a": value}])
def test_value_of_too_many_levels_is_refused(wrap: Any) -> None:
    value: Any = "x"
    for _level in range(MAX_DEPTH):
        value = wrap(value)
    assert Marker().mark(value) == value
    with pytest.raises(UnpublishableError):
        Marker().mark(wrap(value))


def mark_variables(variables: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the marked variables, and why the others are left out."""
    return Marker().mark_variables(variables)


def test_variables_are_marked() -> None:
    marked, left_out = mark_variables({"a": "plain", "b": ["{{ 1 }}"], "c": None})
    assert (marked, left_out) == ({"a": "plain", "b": ["{{ 1 }}"], "c": None}, {})
    assert (is_trusted_as_template(marked["a"]), is_trusted_as_template(marked["b"][0])) == (True, False)


@pytest.mark.parametrize("wrap", [lambda value: [value], lambda value: {"a": value}])
def test_variable_of_too_many_levels_is_left_out_alone(wrap: Any) -> None:
    edge: Any = "x"
    for _level in range(MAX_DEPTH - 1):
        edge = wrap(edge)
    assert mark_variables({"a": edge}) == ({"a": edge}, {})
    marked, left_out = mark_variables({"deep": wrap(edge), "__ansible_type": "x", "a": edge, "b": ["{{ 1 }}"]})
    assert marked == {"a": edge, "b": ["{{ 1 }}"]}
    reason = f"Left out variables that have more than {MAX_DEPTH} levels"
    assert left_out == {"__ansible_type": CORE_KEY_LEFT_OUT, "deep": reason}


@pytest.mark.parametrize("first", [1, [[float("nan")]]], ids=str)
def test_variables_get_their_final_names_or_none(first: Any) -> None:
    for _level in range(0 if first == 1 else MAX_DEPTH):
        first = [first]
    names = {"first": "p_first", "left": None, "last": "p_last"}
    marked, left_out = Marker().mark_variables({"first": first, "left": 2, "last": "x"}, names)
    assert (sorted({*marked, *left_out}), marked["p_last"]) == (["p_first", "p_last"], "x")
    assert list(left_out) == ([] if first == 1 else ["p_first"])


KEYED = [
    {"{{ 7 * 7 }}": "text"},
    {"{{ 7 * 7 }}": 1},
    {"a": [{"#jinja2: x": ["{{ 1 }}"]}]},
    {"a": [{"}": [None, 1.5, True]}]},
    {"a": ({"{": {"b": "text"}},)},
]


@pytest.mark.parametrize("value", KEYED, ids=str)
def test_key_that_can_be_a_template_is_never_run(value: dict[str, Any]) -> None:
    marked, left_out = mark_variables({"x": value, "y": "text"})
    assert set(marked) | set(left_out) == {"x", "y"}
    assert set(left_out) <= {"x"}
    assert marked["y"] == "text"
    if "x" in marked:
        resolved = Templar(loader=DataLoader(), variables=marked).template(trust_as_template("{{ x }}"))
        assert json.dumps(resolved) == json.dumps(value)


@pytest.mark.parametrize("value", KEYED[:2], ids=str)
def test_key_that_can_be_a_template_is_published_wherever_core_keeps_its_mark(value: dict[str, Any]) -> None:
    marked, left_out = mark_variables({"x": value})
    holds_text = "text" in value.values()
    assert ("x" in marked) == (NEEDS_TRUST or holds_text)
    assert [reason for reason in left_out.values() if "keys" not in reason] == []
    if holds_text and not NEEDS_TRUST:
        assert not is_trusted_as_template(marked["x"]["{{ 7 * 7 }}"])


def test_key_that_can_be_a_template_is_published_only_beside_text_where_core_drops_its_mark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_trust, "trust_as_template", None)
    numbers, texts = {"{{ a }}": {"b": (1, None)}}, {"{{ a }}": {"b": ({"c": "text"}, 1)}}
    marked, left_out = mark_variables({"n": numbers, "t": texts, "tt": [texts], "nn": [numbers], "x": "y"})
    listed = {"{{ a }}": {"b": [{"c": "text"}, 1]}}
    assert marked == {"t": listed, "tt": [listed], "x": "y"}
    assert left_out == dict.fromkeys(("n", "nn"), "Left out variables that have keys that can be templates")


def test_marks_are_taken_off_for_names() -> None:
    for marked in (wrap_var("{{ x }}"), trust_as_template("{{ x }}")):
        assert (plain(marked), plain(marked).__class__) == ("{{ x }}", str)
    unmarked = "x"
    assert plain(unmarked) is unmarked
