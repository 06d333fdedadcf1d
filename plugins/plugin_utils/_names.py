# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Give every CVM a host name of its own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping

from ansible_collections.phala.cloud.plugins.plugin_utils._addresses import is_reserved
from ansible_collections.phala.cloud.plugins.plugin_utils._cvm import Identity
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level

SUFFIX_DIGITS = 8


def safe_host_name(text: str) -> str:
    """Return the text as a host name: other characters become ``-``, and none of them or a dot is at its start."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", text).lstrip("-.")


def name_from_identity(identity: Identity) -> str:
    """Return a name for a CVM to which no entry of ``hostnames`` gives one."""
    return f"cvm-{identity.digits()[:SUFFIX_DIGITS]}"


def assign_names(wanted: Mapping[Identity, str], taken: Collection[str]) -> dict[Identity, str]:
    """Give every CVM a name, whatever their order; each one whose name is wanted twice or taken gets digits of its own.

    :param wanted: the names that the CVMs would have if each were alone
    :param taken: names that no host may have, such as those of groups
    """
    lengths = dict.fromkeys(wanted, 0)
    while True:
        names = {
            identity: f"{name}-{identity.digits()[: lengths[identity]]}" if lengths[identity] else name
            for identity, name in wanted.items()
        }
        counts = Counter(names.values())
        clashing = [identity for identity, name in names.items() if counts[name] > 1 or name in taken or is_reserved(name)]
        if not clashing:
            return names
        for identity in clashing:
            lengths[identity] += 1 if lengths[identity] else SUFFIX_DIGITS


def renamed_hosts(wanted: Mapping[Identity, str], names: Mapping[Identity, str]) -> list[Diagnostic]:
    """Return a warning that lists the hosts which do not have the name that they would have alone."""
    renamed = sorted(f"{wanted[identity]} became {name}" for identity, name in names.items() if name != wanted[identity])
    if not renamed:
        return []
    text = "host names that were not free got digits of the CVM's vm_uuid; set hostnames to choose others"
    return [Diagnostic(Level.WARNING, text, subjects=tuple(renamed))]
