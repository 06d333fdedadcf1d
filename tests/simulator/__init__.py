# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in for the Phala Cloud API: an HTTP service on loopback, for tests and benchmarks.

with Simulator(fleet=make_fleet(cvms=500)) as simulator:
    requests.get(f"{simulator.url}/apps", headers={"X-API-Key": simulator.api_key})
"""

from __future__ import annotations

from .fleet import App, Cvm, Profile, live_cvms, make_fleet
from .server import Simulator
from .service import FAKE_KEY, Recorded
from .shapes import FLAT, NESTED, NUMBERED, SPARSE, render

__all__ = [
    "FAKE_KEY",
    "FLAT",
    "NESTED",
    "NUMBERED",
    "SPARSE",
    "App",
    "Cvm",
    "Profile",
    "Recorded",
    "Simulator",
    "live_cvms",
    "make_fleet",
    "render",
]
