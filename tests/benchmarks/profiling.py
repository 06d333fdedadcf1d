# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Say where the time inside the plugin's parse() goes."""

from __future__ import annotations

import subprocess
import sys

from .services import ROOT
from .subjects import Bench


def profile(bench: Bench, hosts: int, *, calls: bool) -> None:
    """Print the seconds of each stage, or the calls that take longest, while a fleet of this size is loaded."""
    source = bench.phala(hosts, rounds=1).arguments[3]
    options = ["--calls"] if calls else []
    # In a process of its own, which may import Ansible.
    subprocess.run(
        [sys.executable, "-m", f"{__package__}.stages", source, *options], cwd=ROOT, env=dict(bench.environment), check=True
    )
