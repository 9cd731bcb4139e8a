# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links between the project's own pages lead somewhere: to a file that there is, and a heading in it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Iterator

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Galaxy shows these away from the repository, where a relative link leads nowhere.
ON_GALAXY = [ROOT / "README.md", *sorted(ROOT.glob("roles/*/README.md"))]
PAGES = sorted({*ROOT.glob("*.md"), *ROOT.glob(".github/*.md"), *ROOT.glob("docs/**/*.md"), *ON_GALAXY})
OWN = re.compile(r"https://github\.com/humanz/ansible-cni/(blob|tree)/main/([^\s)'\"]+)")
# [text](link), and [name]: link on a line of its own
LINK = re.compile(r"\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$", re.MULTILINE)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """Return the text of *page* without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def headings(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as they are made of its text."""
    found = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


def links(page: Path) -> Iterator[str]:
    """Generate where each link of *page* leads."""
    for inline, defined in LINK.findall(prose(page)):
        yield inline or defined


def relative(page: Path) -> list[str]:
    return [link for link in links(page) if not re.match(r"[a-z]+:", link)]


def leads_somewhere(target: Path, anchor: str) -> bool:
    return target.exists() and (not anchor or anchor in headings(target))


@pytest.mark.parametrize("page", PAGES, ids=map(name, PAGES))
def test_links_to_other_pages_lead_somewhere(page: Path) -> None:
    if page.name == "contents.md":  # the reference is there once the site is built
        return
    for link in relative(page):
        path, _mark, anchor = link.partition("#")
        assert leads_somewhere((page.parent / path).resolve() if path else page, anchor), link


@pytest.mark.parametrize("page", ON_GALAXY, ids=map(name, ON_GALAXY))
def test_galaxy_can_follow_every_link(page: Path) -> None:
    assert [link for link in relative(page) if not link.startswith("#")] == []


@pytest.mark.parametrize("page", PAGES, ids=map(name, PAGES))
def test_every_link_by_name_is_defined_and_every_name_is_used(page: Path) -> None:
    text = prose(page)
    defined = {found.lower() for found in re.findall(r"^\[([^\]]+)\]: ", text, re.MULTILINE)}
    by_name = {found.lower() for found in re.findall(r"\]\[([^\]]+)\]", text)}
    by_text = {found.lower() for found in re.findall(r"\[([^\[\]]+)\](?![\[(:])", text)}
    assert by_name <= defined <= by_name | by_text


def own_links() -> set[tuple[str, str]]:
    """Return what links with the repository's address name: ``blob`` or ``tree``, and the path in it."""
    sources = [*PAGES, *ROOT.glob("plugins/**/*.py"), *ROOT.glob("roles/*/meta/*.yml"), ROOT / "galaxy.yml"]
    return {found for path in sources for found in OWN.findall(path.read_text(encoding="utf-8"))}


def test_links_with_the_repositorys_address_lead_somewhere() -> None:
    found = own_links()
    assert {kind for kind, _path in found} == {"blob", "tree"}
    for kind, link in found:
        path, _mark, anchor = link.partition("#")
        target = ROOT / path
        assert target.is_dir() if kind == "tree" else target.is_file(), link
        assert leads_somewhere(target, anchor), link
