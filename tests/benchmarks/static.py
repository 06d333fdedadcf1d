# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Turn what `ansible-inventory --list --export` printed (first argument) into an inventory file (second argument)."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def main() -> None:
    listed, target = map(Path, sys.argv[1:])
    target.write_text(json.dumps(as_static(json.loads(listed.read_bytes()))), encoding="utf-8")


def as_static(listed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hosts with their variables, and below them every group, as ansible-core's own YAML plugin wants them."""
    groups = {name: group for name, group in listed.items() if name not in ("_meta", "all", "ungrouped")}
    children = {name: _group(group) for name, group in groups.items()}
    return {"all": {"hosts": listed["_meta"]["hostvars"], "children": children}}


def _group(group: Mapping[str, Any]) -> dict[str, Any]:
    members = {kind: dict.fromkeys(group.get(kind, ())) for kind in ("hosts", "children")}
    return {**members, "vars": group.get("vars", {})}


if __name__ == "__main__":
    main()
