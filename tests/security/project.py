# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A folder with inventory sources, to be read in this process or by the real commands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from ansible_collections.phala.cloud.tests.commands import Completed, run
from ansible_collections.phala.cloud.tests.loading import PLUGIN, Loaded, load

KEY: Final = "phak_Zq7/+t&x=Rm~Jw%K?vBs"
"""A key that reads differently once it is URL-encoded."""


@dataclass(frozen=True)
class Project:
    """Sources that ask one service, and try once unless they say otherwise."""

    folder: Path
    url: str

    def write(self, *, name: str = "phala.yml", **options: Any) -> Path:
        """Write a source; an option that is None is left out."""
        source = {"plugin": PLUGIN, "api_url": self.url, "api_key": KEY, "timeout": 10, "retries": 0, **options}
        path = self.folder / name
        path.write_text(yaml.safe_dump({name: value for name, value in source.items() if value is not None}, sort_keys=False))
        return path

    def read(self, *, use_cache: bool = True, verbosity: int = 0, **options: Any) -> Loaded:
        """Write a source and read it in this process."""
        return load([self.write(**options)], flush_cache=not use_cache, verbosity=verbosity)

    def list(self, *arguments: str, env: Mapping[str, str] | None = None, **options: Any) -> Completed:
        """Write a source and have ``ansible-inventory`` list it."""
        return self.run("ansible-inventory", "-i", self.write(**options), *(arguments or ["--list"]), env=env)

    def run(self, command: str, *arguments: str | Path, env: Mapping[str, str] | None = None, **options: Any) -> Completed:
        return run(command, *arguments, folder=self.folder, env=env, **options)
