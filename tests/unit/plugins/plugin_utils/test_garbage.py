# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._garbage import paused_garbage_collection


@pytest.fixture(autouse=True)
def garbage_collection() -> Iterator[None]:
    """Leave the collector as it was."""
    was_enabled = gc.isenabled()
    yield
    (gc.enable if was_enabled else gc.disable)()


@pytest.mark.parametrize("enabled", [True, False])
def test_collector_is_off_for_a_while_and_then_as_before(*, enabled: bool) -> None:
    (gc.enable if enabled else gc.disable)()
    with paused_garbage_collection():
        assert not gc.isenabled()
    assert gc.isenabled() == enabled


def test_collector_is_back_after_an_error() -> None:
    gc.enable()
    with pytest.raises(ZeroDivisionError), paused_garbage_collection():
        raise ZeroDivisionError
    assert gc.isenabled()
