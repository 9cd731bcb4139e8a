# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Sphinx extension that links guides and reference to each other, without markup that only Sphinx would understand.

In a guide, a name of the collection's or a variable of a role that stands in backticks leads to its reference. In the
reference, a link to a guide in the repository leads to the site's own page. No other site is asked for anything.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform

COLLECTION = "humanz.cni"
PREFIX = f"ansible_collections.{COLLECTION}."
ROLES = ("pod_network", "verify")
KINDS = ("module", "role", "inventory")
ANSIBLE = "https://docs.ansible.com/ansible/latest/"
ANSIBLE_PAGES = {
    "common_return_values": "reference_appendices/common_return_values.html",
    "action_plugins": "plugins/action.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
}
RELATIVE_LINK = re.compile(r"\]\((?![a-z]+:|#)([^)\s]+)\)")


def labels_of(text: str) -> list[str]:
    """Return the labels that the reference may have for *text*, a name or ``VARIABLE: VALUE`` in a guide."""
    name = text.partition(":")[0].strip()
    if name.startswith(f"{COLLECTION}."):
        return [f"{PREFIX}{name[len(COLLECTION) + 1 :]}_{kind}" for kind in KINDS]
    return [f"{PREFIX}{role}_role__parameter-main__{name}" for role in ROLES if name.startswith(f"{role}_")]


class GuideToReference(SphinxPostTransform):
    """Make a link of each literal of a guide that is the name of something in the reference."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        document = self.env.docname
        if document.startswith("reference/"):
            return
        known = self.env.domains.standard_domain.anonlabels
        for literal in list(self.document.findall(nodes.literal)):
            label = next((label.lower() for label in labels_of(literal.astext()) if label.lower() in known), None)
            if label and not isinstance(literal.parent, nodes.reference):
                page, anchor = known[label]
                uri = self.app.builder.get_relative_uri(document, page)
                link = nodes.reference("", "", internal=True, refuri=f"{uri}#{anchor}")
                literal.replace_self(link)
                link += literal


class ReferenceToGuide(SphinxPostTransform):
    """Lead links to a guide in the repository to the site's own page."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        base = f"{self.config.repository}/blob/main/docs/"
        for link in self.document.findall(nodes.reference):
            uri, _dot, rest = link.get("refuri", "").partition(".md")
            page = "index" if uri == f"{base}README" else uri[len(base) :]
            if uri.startswith(base) and page in self.env.found_docs:
                link["refuri"] = self.app.builder.get_relative_uri(self.env.docname, page) + rest


def lead_out_of_the_site(app: Sphinx, document: str, source: list[str]) -> None:
    """Make links of a guide to files that are no pages, such as ``../CONTRIBUTING.md``, lead to the repository."""
    if app.env.doc2path(document).suffix != ".md":
        return
    directory = posixpath.dirname(f"docs/{document}")

    def absolute(match: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(directory, match.group(1)))
        return match.group() if path.startswith("docs/") else f"]({app.config.repository}/blob/main/{path})"

    source[0] = RELATIVE_LINK.sub(absolute, source[0])


def to_ansible(app: Sphinx, env: BuildEnvironment, wanted: Any, content: nodes.TextElement) -> nodes.reference | None:
    """Return a link to Ansible's own documentation, whose list of labels would have to be fetched, else None."""
    target = wanted["reftarget"]
    collection = re.fullmatch(r"ansible_collections\.(\w+)\.(\w+)\.(\w+_\w+)", target)
    page = ANSIBLE_PAGES.get(target)
    if collection and not target.startswith(PREFIX):
        page = "collections/{}/{}/{}.html".format(*collection.groups())
    return nodes.reference("", "", content, internal=False, refuri=ANSIBLE + page) if page else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register it all, as Sphinx asks for."""
    app.add_config_value("repository", "", "env")
    app.add_post_transform(GuideToReference)
    app.add_post_transform(ReferenceToGuide)
    app.connect("source-read", lead_out_of_the_site)
    app.connect("missing-reference", to_ansible)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
