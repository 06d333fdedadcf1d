# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The picture is what the script draws of the inventory that comes out today."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

from ansible_collections.phala.cloud.tests.simulator import Simulator

from .draw import draw
from .fleet import KEY
from .pages import DOCS
from .reader import settle
from .shell import Shell

PICTURE = DOCS / "overview.svg"


def test_picture_is_drawn_from_what_comes_out(reader_home: Path, simulator: Simulator) -> None:
    shell = Shell(reader_home, simulator.origin, PHALA_CLOUD_API_KEY=KEY)
    (shell.folder / "phala.yml").write_text("plugin: phala.cloud.phala\n", encoding="utf-8")
    inventory = json.loads(shell.run("ansible-inventory -i phala.yml --list").stdout)
    settle(PICTURE, draw(inventory))


def test_picture_is_well_formed_and_fit_for_light_and_dark_pages() -> None:
    text = PICTURE.read_text(encoding="utf-8")
    assert ET.fromstring(text).tag.endswith("svg")
    assert "prefers-color-scheme: dark" in text
