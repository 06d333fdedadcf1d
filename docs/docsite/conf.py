# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sphinx: README, the guides and the plugin's documentation as one site; build.py puts the sources together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "phala.cloud"
copyright = "The phala.cloud collection contributors"  # noqa: A001
root_doc = "index"
extensions = ["myst_parser", "sphinx_antsibull_ext"]
exclude_patterns = ["collections/index*", "collections/environment_variables.rst", "collections/deprecations.rst"]
exclude_patterns += ["collections/phala/index.rst", "collections/phala/cloud/index.rst"]

# Links to headings are written as GitHub has them.
myst_heading_anchors = 4

# The generator refers to pages of Ansible's own documentation, which is not at hand when this is built.
nitpicky = False
suppress_warnings = ["ref.ref", "ref.envvar"]

# What the pages show is to be typed as it stands: --list, not an en dash.
smartquotes = False

html_theme = "furo"
html_title = "phala.cloud"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["site.css"]


def leave_out_contents(_app: Sphinx, _page: str, source: list[str]) -> None:
    """Take the list of headings out of the generated page: the theme has it at the side, and says so in red."""
    source[0] = source[0].replace(".. contents::\n   :local:\n   :depth: 1\n", "")


def setup(app: Sphinx) -> None:
    app.connect("source-read", leave_out_contents)
