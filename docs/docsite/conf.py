# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sphinx's settings for the docs site; ``docs/docsite/build`` lays out what they apply to."""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

galaxy = yaml.safe_load((HERE.parents[1] / "galaxy.yml").read_text(encoding="utf-8"))

project = "humanz.cni"
author = "The humanz.cni maintainers"
project_copyright = f"2026, {author}"
version = release = galaxy["version"]
repository = galaxy["repository"]

extensions = ["myst_parser", "sphinx_antsibull_ext", "site_links"]
myst_heading_anchors = 3
# The language of a block is a hint for colours: a shortened example need not be whole.
suppress_warnings = ["misc.highlighting_failure"]
highlight_language = "none"

html_theme = "furo"
html_title = f"humanz.cni {version}"
html_short_title = project
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "source_repository": repository,
    "source_branch": "main",
    "source_directory": "docs/",
    "top_of_page_buttons": [],
}
