# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at the built docs site: python3 docs_site.py DIRECTORY

Sphinx itself fails for links that lead nowhere. Here: guides and reference link to each other, every page has a search,
fits a phone's screen, and loads nothing from anywhere else.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

OPTION = "reference/pod_network_role.html#ansible-collections-humanz-cni-pod-network-role-parameter-main-"
GUIDE_TO_REFERENCE = {
    "firewalls.html": "reference/pod_firewall_module.html#",
    "dual-stack.html": OPTION + "pod-network-pod-cidr",
    "inventory-from-the-cluster.html": "reference/kubernetes_nodes_inventory.html#",
}
REFERENCE_TO_GUIDE = {
    "reference/pod_firewall_module.html": "../firewalls.html",
    "reference/pod_network_role.html": "../index.html",
}
LOADED = re.compile(
    r"<(?:script|img|iframe)[^>]* src=\"(https?:)?//|<link[^>]* rel=\"stylesheet\"[^>]* href=\"(https?:)?//"
)


def faults(site: Path) -> list[str]:
    """Return what is wrong with the site in the directory *site*."""
    found = []
    pages = {str(path.relative_to(site)): path.read_text(encoding="utf-8") for path in sorted(site.rglob("*.html"))}
    for name, text in pages.items():
        body = text.partition('<div class="content">')[2]
        link = GUIDE_TO_REFERENCE.get(name) or REFERENCE_TO_GUIDE.get(name)
        if link and f'href="{link}' not in body:
            found.append(f"{name}: no link to {link}")
        if '<meta name="viewport" content="width=device-width' not in text:
            found.append(f"{name}: no viewport, so that a phone shows it small")
        if "search.html" not in text and name != "search.html":
            found.append(f"{name}: nowhere to search")
        if LOADED.search(text):
            found.append(f"{name}: loads something from another site")
    missing = {*GUIDE_TO_REFERENCE, *REFERENCE_TO_GUIDE} - set(pages)
    return found + [f"{name}: is not there" for name in sorted(missing)]


def main() -> int:
    found = faults(Path(sys.argv[1]))
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
