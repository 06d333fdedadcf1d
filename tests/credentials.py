# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the official CLI stores after a login."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def log_in(folder: Path, **profiles: Mapping[str, Any]) -> Path:
    """Write the profiles into the CLI's folder, the first one current, and return the file."""
    folder.mkdir(exist_ok=True)
    path = folder / "credentials.json"
    content = {"schema_version": 1, "current_profile": next(iter(profiles)), "profiles": profiles}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
