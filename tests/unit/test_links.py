# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links between the project's own pages lead somewhere: to a file that there is, and a heading in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("roles/*/README.md")])
REPOSITORY = "https://github.com/humanz/ansible-cni/blob/main/"


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made of its text."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_to_other_pages_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(((?!https?:)[^)\s]+)\)", text):
        if page.name == "contents.md":  # the reference is there once the site is built
            continue
        path, _mark, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


def test_links_from_the_reference_to_guides_lead_somewhere() -> None:
    sources = [*ROOT.glob("plugins/**/*.py"), *ROOT.glob("roles/*/meta/*.yml")]
    links = {link for path in sources for link in re.findall(re.escape(REPOSITORY) + r"([^\s)'\"]+)", path.read_text())}
    assert links
    for link in links:
        path, _mark, anchor = link.partition("#")
        assert (ROOT / path).is_file(), link
        assert not anchor or anchor in headings(ROOT / path), link
