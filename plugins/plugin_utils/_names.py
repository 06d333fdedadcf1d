# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Give every CVM a host name of its own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from ansible_collections.phala.cloud.plugins.plugin_utils._addresses import is_this_machine
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import Identity
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level

SUFFIX_DIGITS = 8
ALL_DIGITS = 96  # those of the identifier, and of the hash
MAX_LENGTH = 200  # of a name without digits
NAMES_OF_CORE = frozenset({"all", "ungrouped", "_meta"})

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")
_TEXT = "Renamed hosts whose names were already taken"
_REPLICAS = "They are replicas of one app. To choose the names, set hostnames, such as '{{ name }}-{{ vm_uuid[:8] }}'."
_CHOOSE = "Set hostnames to choose the names yourself."
_NOBODY = f"No host has the plain name now. {_CHOOSE}"
_OTHER = f"A host of another source has the plain name. {_CHOOSE}"


@dataclass(frozen=True)
class TakenNames:
    """Names of ``groups``, of ``cvms`` of other sources, and the ``fixed`` names of the CVMs that those list, too."""

    groups: Container[str]
    cvms: Container[str] = ()
    fixed: Mapping[Identity, str] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        return name in self.groups or name in self.cvms or name in NAMES_OF_CORE or is_this_machine(name)


def safe_host_name(text: str) -> str:
    """Return the text as a host name: other characters become ``-``, it begins with no ``-`` or dot, and a long one is cut."""
    return _UNSAFE.sub("-", text).lstrip("-.")[:MAX_LENGTH]


def name_from_identity(identity: Identity) -> str:
    """Return a name for a CVM to which no entry of ``hostnames`` gives one."""
    return f"cvm-{identity.digits(SUFFIX_DIGITS)}"


def assign_names(wanted: Mapping[Identity, str], taken: TakenNames) -> dict[Identity, str]:
    """Give every CVM a name, whatever their order; each one whose name is wanted twice or taken gets digits of its own.

    :param wanted: the names that the CVMs would have if each were alone
    """
    names = {**wanted, **taken.fixed}
    lengths: dict[Identity, int] = {}
    is_taken = cache(taken.has)  # most names stay from round to round
    while True:
        ambiguous = {name for name, count in Counter(names.values()).items() if count > 1 or is_taken(name)}
        clashing = [
            identity
            for identity, name in names.items()
            if name in ambiguous and identity not in taken.fixed and lengths.get(identity, 0) < ALL_DIGITS
        ]
        if not clashing:
            return names
        for identity in clashing:
            length = lengths[identity] = lengths.get(identity, SUFFIX_DIGITS - 1) + 1
            names[identity] = f"{wanted[identity]}-{identity.digits(length)}"


def renamed_hosts(
    wanted: Mapping[Identity, str],
    names: Mapping[Identity, str],
    taken: TakenNames,
    apps: Mapping[Identity, Hashable],
) -> Iterator[Diagnostic]:
    """Yield what there is to say about the hosts which do not have the name that they would have alone.

    :param apps: the key of each CVM's app, which is unique in its account
    """
    sharing = Counter(wanted.values())
    sharers: dict[str, set[Hashable]] = {}
    for identity, plain in wanted.items():
        if sharing[plain] > 1:
            sharers.setdefault(plain, set()).add((identity.account, apps[identity]))
    renamed: dict[str, list[str]] = {}
    for identity, name in names.items():
        plain = wanted[identity]
        if name != plain and identity not in taken.fixed:
            renamed.setdefault(plain, []).append(name)
    lines: dict[tuple[Level, str], list[str]] = {}
    for plain, of_plain in renamed.items():
        are_replicas = sharing[plain] > 1 and len(sharers[plain]) == 1
        kind = _kind(plain, taken, are_replicas=are_replicas)
        lines.setdefault(kind, []).extend(f"{plain} -> {name}" for name in of_plain)
    for (level, advice), subjects in sorted(lines.items()):
        yield Diagnostic(level, _TEXT, subjects=tuple(sorted(subjects)), advice=advice)


def listed_elsewhere(
    wanted: Mapping[Identity, str], names: Mapping[Identity, str], foreign: Container[str]
) -> Iterator[Diagnostic]:
    """Yield a warning for the hosts of other sources that have the name of CVMs which got digits."""
    renamed: dict[str, list[str]] = {}
    for identity, name in names.items():
        if name != wanted[identity] and wanted[identity] in foreign:
            renamed.setdefault(wanted[identity], []).append(name)
    if renamed:
        text = "Hosts of another source have the name of a CVM, but are not that CVM"
        subjects = tuple(f"{plain} is not {', '.join(sorted(renamed[plain]))}" for plain in sorted(renamed))
        yield Diagnostic(Level.WARNING, text, subjects=subjects, advice="Use the new names in the other source.")


def _kind(plain: str, taken: TakenNames, *, are_replicas: bool) -> tuple[Level, str]:
    """Return who should read that a name was taken, and what to do."""
    if plain in taken.cvms:
        return Level.WARNING, _OTHER
    if taken.has(plain) or not are_replicas:
        return Level.WARNING, _NOBODY
    return Level.VERBOSE, _REPLICAS
