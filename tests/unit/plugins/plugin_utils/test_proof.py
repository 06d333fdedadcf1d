# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from collections.abc import Hashable, Mapping

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._apps import read_apps
from ansible_collections.phala.cloud.plugins.plugin_utils._pages import Identity, Page
from ansible_collections.phala.cloud.plugins.plugin_utils._proof import (
    Reading,
    Shown,
    count_pages,
    describe_doubt,
    find_contradiction,
    find_states,
    find_whole,
    show,
)

PAGE_SIZE = 2


def identities(names: str) -> frozenset[Identity]:
    return frozenset((name, "null") for name in names)


def make_page(names: str, total: int, *, page_count: int = 0, size: int = PAGE_SIZE, states: str = "") -> Page:
    """Return a page of apps, each named with a letter; each digit of ``states`` is the state of one app."""
    return Page(
        digest=b"",
        apps=read_apps([{"app_id": name} for name in names], account="")[0],
        forms=frozenset(),
        identities=tuple((name, "null") for name in names),
        states=tuple(frozenset(state) for state in states),
        size=size,
        total=total,
        page_count=page_count,
        faults=(),
    )


def shown(*pages: str, total: int | None = None, page_count: int = 0) -> Shown:
    """Return what these pages show; by default, they count what they show."""
    count = sum(map(len, pages)) if total is None else total
    return show({number: make_page(names, count, page_count=page_count) for number, names in enumerate(pages, 1)}, PAGE_SIZE)


def changed(*pages: tuple[str, int]) -> Shown:
    return show({number: make_page(names, total) for number, (names, total) in enumerate(pages, 1)}, PAGE_SIZE)


def reading(
    *lists: Shown,
    states: Mapping[Identity, frozenset[Hashable]] | None = None,
    same_states: bool = True,
    has_filters: bool = False,
) -> Reading:
    return Reading(lists, states or {} if same_states else None, has_filters or len(lists) > 1)


# Pages


@pytest.mark.parametrize(
    ("total", "shown_count", "size", "requested", "expected"),
    [
        (0, 0, 100, 100, 1),
        (5, 0, 100, 100, 1),
        (1, 1, 100, 100, 1),
        (100, 100, 100, 100, 1),
        (101, 100, 100, 100, 2),
        (600, 100, 100, 100, 6),
        (250, 100, 1000, 100, 3),
        (250, 50, 100, 100, 5),
        (250, 100, 50, 100, 5),
        (250, 250, 250, 100, 3),
        (10**12, 100, 100, 100, 10**10),
    ],
)
def test_counts_pages_by_the_smallest_size(total: int, shown_count: int, size: int, requested: int, expected: int) -> None:
    assert count_pages(total, make_page("x" * shown_count, total, size=size), requested) == expected


@pytest.mark.parametrize(
    ("pages", "total", "page_count", "fault"),
    [
        ([""], 0, 0, None),
        ([""], 0, 1, None),
        (["a"], 1, 1, None),
        (["ab", "c"], 3, 2, None),
        (["ab", "c"], 3, 1, None),
        (["ab", "c"], 3, 3, "it counts 3 apps on 3 pages, but they fit on 2"),
        ([""], 0, 2, "it counts 0 apps on 2 pages, but they fit on 1"),
        ([""], 5, 1, "it counts 5 apps, but its pages show 0"),
        (["ab", "c"], 4, 2, "it counts 4 apps, but its pages show 3"),
        (["ab", "cd"], 3, 2, "it counts 3 apps, but its pages show 4"),
        (["ab", "bc"], 4, 2, "it counts 4 apps, but its pages show 4, of which 3 are different"),
        (["ab", "bc"], 3, 2, "it counts 3 apps, but its pages show 4, of which 3 are different"),
        (["aa"], 2, 1, "it counts 2 apps, but its pages show 2, of which 1 are different"),
    ],
)
def test_finds_what_does_not_fit_together(pages: list[str], total: int, page_count: int, fault: str | None) -> None:
    assert shown(*pages, total=total, page_count=page_count).fault == fault


def test_says_how_a_count_changed() -> None:
    assert changed(("ab", 4), ("c", 3), ("", 5)).fault == "it counts 3 apps on one page and 5 on another"


@pytest.mark.parametrize(
    ("later_total", "later_count", "is_false"), [(2, 1, False), (2, 2, True), (4, 2, False), (5, 3, False), (5, 4, True)]
)
def test_judges_the_claim_of_each_page_by_its_own_count(later_total: int, later_count: int, *, is_false: bool) -> None:
    pages = {1: make_page("ab", 4, page_count=2), 2: make_page("cd", later_total, page_count=later_count)}
    assert (show(pages, PAGE_SIZE).claim_fault is not None) == is_false


def test_shows_apps_and_counts_of_all_pages() -> None:
    result = changed(("ab", 3), ("bc", 4))
    assert (result.identities, result.totals, result.page_count) == (identities("abc"), frozenset((3, 4)), 2)
    assert (result.first_identities, result.first_total) == (identities("ab"), 3)


def test_finds_the_states_of_all_apps() -> None:
    pages = [make_page("ab", 2, states="12"), make_page("bc", 2, states="23")]
    assert find_states(pages) == {(name, "null"): frozenset(state) for name, state in ("a1", "b2", "c3")}


def test_finds_no_states_if_an_app_changed() -> None:
    assert find_states([make_page("ab", 2, states="12"), make_page("bc", 2, states="13")]) is None


# Proof


@pytest.mark.parametrize("has_filters", [False, True])
@pytest.mark.parametrize("names", ["", "a", "ab"])
def test_one_page_of_one_query_is_whole(names: str, *, has_filters: bool) -> None:
    assert find_whole(reading(shown(names), has_filters=has_filters), None, set()) == [identities(names)]


@pytest.mark.parametrize("only", [shown("a", total=2), shown("ab", total=1), shown("aa"), shown("ab", page_count=2)])
def test_one_page_that_contradicts_itself_is_not_whole(only: Shown) -> None:
    assert find_whole(reading(only), None, set()) is None


@pytest.mark.parametrize("has_filters", [False, True])
def test_two_pages_are_not_whole_after_one_reading(*, has_filters: bool) -> None:
    assert find_whole(reading(shown("ab", "c"), has_filters=has_filters), None, set()) is None


def test_pages_of_two_queries_are_not_whole_after_one_reading() -> None:
    assert find_whole(reading(shown("a"), shown("b")), None, set()) is None


def test_two_equal_readings_are_whole() -> None:
    one, other = shown("ab", "cd"), shown("ac", "db")
    assert find_whole(reading(one, has_filters=True), reading(other, has_filters=True), set()) == [identities("abcd")]


def test_two_equal_readings_of_several_queries_are_whole() -> None:
    both = reading(shown("ab", "c"), shown("cd"))
    assert find_whole(both, both, set()) == [identities("abc"), identities("cd")]


@pytest.mark.parametrize(
    ("now", "before"),
    [
        (shown("ab", "c"), shown("ab", "d")),
        (shown("ab", "c"), shown("ab", "cd")),
        (shown("ab", "c"), shown("ab", "bc")),
        (shown("ab", "bc"), shown("ab", "c")),
        (shown("ab", "c", total=4), shown("ab", "c", total=4)),
        (changed(("ab", 3), ("c", 4)), changed(("ab", 3), ("c", 4))),
        (shown("ab", "c", page_count=3), shown("ab", "c")),
        (shown("ab", "c"), shown("ab", "c", page_count=3)),
    ],
)
def test_different_or_faulty_readings_are_not_whole(now: Shown, before: Shown) -> None:
    assert find_whole(reading(now, has_filters=True), reading(before, has_filters=True), set()) is None


def test_apps_that_trade_queries_are_not_whole() -> None:
    assert find_whole(reading(shown("a"), shown("b")), reading(shown("b"), shown("a")), identities("ab")) is None


def test_states_that_differ_between_readings_are_not_whole() -> None:
    lists = (shown("ab"), shown("bc"))
    now, before = (reading(*lists, states={("a", "null"): frozenset((state,))}) for state in (1, 2))
    assert find_whole(now, before, set()) is None


def test_states_that_differ_within_both_readings_are_not_whole() -> None:
    now = reading(shown("ab"), shown("bc"), same_states=False)
    assert find_whole(now, now, set()) is None


@pytest.mark.parametrize(
    ("now", "seen_before", "whole"),
    [
        (changed(("ab", 3), ("cd", 4)), "abc", "abc"),  # d came after the first page
        (changed(("ab", 3), ("c", 3)), "abcx", "abc"),  # x went before it
        (changed(("ab", 3), ("bc", 3)), "c", "abc"),
        (changed(("ab", 2), ("c", 3)), "", "ab"),
        (changed(("ab", 3), ("cd", 4)), "ab", None),
        (changed(("ab", 3), ("cd", 4)), "abcd", None),
        (changed(("ab", 4), ("c", 3)), "abcd", None),  # d may have gone before the first page
    ],
)
def test_count_of_a_first_page_proves_the_apps_seen_before_and_after(now: Shown, seen_before: str, whole: str | None) -> None:
    found = find_whole(reading(now), None, set(identities(seen_before)))
    assert found == (None if whole is None else [identities(whole)])


def test_count_of_a_first_page_proves_nothing_with_filters() -> None:
    now = changed(("ab", 3), ("cd", 4))
    assert find_whole(reading(now, has_filters=True), None, identities("abc")) is None


def test_count_of_a_first_page_proves_nothing_if_more_pages_are_claimed() -> None:
    now = shown("ab", "c", page_count=3)
    assert find_whole(reading(now), reading(now), identities("abc")) is None


def test_count_of_a_first_page_proves_nothing_if_the_fault_looks_like_the_services_own() -> None:
    """The service claims one more page on each page, and counts accordingly."""
    now = changed(("ab", 4), ("cd", 6))
    assert find_whole(reading(now), None, identities("abcd")) == [identities("abcd")]
    assert find_whole(reading(now), reading(now), identities("abcd")) is None
    shrunk = changed(("ab", 6), ("cd", 4))
    assert find_whole(reading(now), reading(shrunk), identities("abcd")) == [identities("abcd")]


# Contradiction and doubt


@pytest.mark.parametrize("fault", [shown("ab", "c", total=4), shown("ab", "bc"), shown("ab", page_count=2), shown("", total=5)])
def test_same_fault_twice_is_a_contradiction(fault: Shown) -> None:
    assert find_contradiction(reading(fault), reading(fault)) == 0
    assert find_contradiction(reading(shown("x"), fault), reading(shown("y"), fault)) == 1


@pytest.mark.parametrize(
    ("now", "before"),
    [
        (shown("ab", "c", total=4), shown("ab", "d", total=4)),
        (shown("ab", "c", total=4), shown("ab", "c", total=5)),
        (shown("ab", "bc", total=3), shown("ab", "c")),
        (shown("ab", "c"), shown("ab", "bc", total=3)),
        (shown("ab", "c"), shown("ab", "c")),
        (changed(("ab", 3), ("c", 4)), changed(("ab", 3), ("c", 4))),
    ],
)
def test_change_is_not_a_contradiction(now: Shown, before: Shown) -> None:
    assert find_contradiction(reading(now), reading(before)) is None


def test_first_reading_is_not_a_contradiction() -> None:
    assert find_contradiction(reading(shown("ab", total=4)), None) is None


def test_change_of_another_query_is_not_a_contradiction() -> None:
    """A reading ends early if a count changes, and the other lists are then read in part."""
    part, change = shown("ab", total=4), changed(("xy", 3), ("z", 4))
    assert find_contradiction(reading(part, change), reading(part, shown("xy", "z"))) is None
    assert find_contradiction(reading(part, shown("xy", "z")), reading(part, change)) is None


@pytest.mark.parametrize(
    ("now", "previous", "doubt"),
    [
        (reading(shown("ab", "c")), None, "a second read must show the same"),
        (reading(shown("ab", "c")), reading(shown("ab", "d")), "other apps or CVMs were there in the read before"),
        (reading(shown("a"), shown("b"), same_states=False), None, "a CVM changed between two requests"),
        (reading(shown("ab", total=4)), None, "it counts 4 apps, but its pages show 2"),
        (reading(shown("ab", total=4), same_states=False), None, "it counts 4 apps, but its pages show 2"),
        (
            reading(shown("ab", total=4), changed(("ab", 3), ("c", 4))),
            None,
            "it counts 3 apps on one page and 4 on another",
        ),
    ],
)
def test_describes_the_doubt(now: Reading, previous: Reading | None, doubt: str) -> None:
    assert describe_doubt(now, previous) == doubt
