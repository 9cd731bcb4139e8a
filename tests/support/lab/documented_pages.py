# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages in docs/ tell the reader to type and to write."""

from __future__ import annotations

import re
import textwrap

from tests.support import ROOT, documented_commands


def _blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page in one language, in order."""
    text = (ROOT / "docs" / page).read_text()
    found = re.findall(r"^ *```%s\n(.*?)^ *```" % language, text, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for block in found]


def prompted(page: str) -> list[tuple[str, str]]:
    """The commands of a page in order, each with its prompt: ``$`` on the controller, ``#`` on a node."""
    return [(command.prompt, command.text) for command in documented_commands.read("docs/" + page)]


def commands(page: str, prompt: str = "$") -> list[str]:
    """The commands of a page with this prompt, in order."""
    return [command for mark, command in prompted(page) if mark == prompt]


def files(page: str) -> dict[str, str]:
    """The YAML files of a page, whose first line is a comment that names the file, by name."""
    return {block.partition("\n")[0][2:]: block for block in _blocks(page, "yaml") if block.startswith("# ")}
