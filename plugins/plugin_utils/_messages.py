# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the plugin reports beside the inventory: one kind of value, which is masked and cut in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from typing import NamedTuple

MAX_CHARACTERS = 200  # of a text that the plugin did not write itself
MAX_SUBJECTS = 10  # how many hosts, values or the like one message lists


class Level(IntEnum):
    """Who sees a diagnostic: everybody, or whoever runs Ansible with so many ``-v``."""

    WARNING = 0
    VERBOSE = 1
    VERY_VERBOSE = 2


class Diagnostic(NamedTuple):
    """One message: what happened, with the ``option`` that it is about, the ``subjects`` that it concerns, and ``advice``.

    Texts of the service belong in ``subjects``: :func:`as_line` turns them into text and cuts them.
    """

    level: Level
    text: str
    option: str = ""
    subjects: tuple[object, ...] = ()
    advice: str = ""


Report = Callable[[Diagnostic], None]


def of_account(diagnostic: Diagnostic, account: str) -> Diagnostic:
    """Return a diagnostic that names the account that it is about, if accounts have names."""
    return diagnostic._replace(text=f"account {account!r}: {diagnostic.text}") if account else diagnostic


def has_warning(diagnostics: Iterable[Diagnostic]) -> bool:
    """Return whether there is a warning among some diagnostics."""
    return any(diagnostic.level == Level.WARNING for diagnostic in diagnostics)


def merged(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Return one diagnostic for all that differ only in their subjects, in the order of the first of each."""
    subjects: dict[tuple[Level, str, str, str], dict[object, None]] = {}
    for diagnostic in diagnostics:
        kind = (diagnostic.level, diagnostic.text, diagnostic.option, diagnostic.advice)
        subjects.setdefault(kind, {}).update(dict.fromkeys(diagnostic.subjects))
    return [Diagnostic(level, text, option, tuple(texts), advice) for (level, text, option, advice), texts in subjects.items()]


def as_line(diagnostic: Diagnostic, mask: Callable[[str], str]) -> str:
    """Return the message on one line, without API keys; a text is masked before it is cut, so that no part of a key stays."""
    shown = [mask(str(subject)) for subject in diagnostic.subjects[:MAX_SUBJECTS]]
    subjects = _listed(shown, len(diagnostic.subjects))
    text = ": ".join(filter(None, (mask(diagnostic.option), mask(diagnostic.text), subjects)))
    return f"{text}. {mask(diagnostic.advice)}" if diagnostic.advice else text


def listed(texts: Sequence[str]) -> str:
    """Return the first texts, each cut, and how many more there are."""
    return _listed(texts, len(texts))


def _listed(texts: Sequence[str], count: int) -> str:
    rest = count - MAX_SUBJECTS
    return ", ".join(map(cut, texts[:MAX_SUBJECTS])) + (f" and {rest} more" if rest > 0 else "")


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def quoted(value: object) -> str:
    """Return a value of the service as part of a message."""
    return cut(repr(value))


def cut(text: str) -> str:
    """Return the beginning of a text, with ``...`` where it goes on, and ``?`` for what a terminal would act on."""
    beginning = text[:MAX_CHARACTERS]
    if not beginning.isprintable():
        beginning = "".join(character if character.isprintable() else "?" for character in beginning)
    return beginning if len(text) <= MAX_CHARACTERS else f"{beginning}..."
