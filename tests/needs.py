# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What some tests need beyond Python, git and make."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

REQUIRED = "PHALA_E2E_REQUIRED"  # CI sets it to 1


def skip_or_fail(reason: str) -> NoReturn:
    """Skip the test for what this machine lacks; fail it where everything must be tested."""
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{reason}, and {REQUIRED} is set")
    pytest.skip(reason)
