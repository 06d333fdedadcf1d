# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The version that the service sees."""

from __future__ import annotations

from pathlib import Path

import yaml

from ansible_collections.phala.cloud.plugins.plugin_utils._version import COLLECTION_VERSION


def test_version_is_that_of_the_collection() -> None:
    galaxy = yaml.safe_load(Path(__file__).parents[4].joinpath("galaxy.yml").read_text())
    assert galaxy["version"] == COLLECTION_VERSION
