# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that the pages tell a reader to type, and which test runs each of them.

A command stands on a line of a ``console`` block behind its prompt: ``$`` on the controller, or ``#`` as root on
a node; other lines of the block are what it prints. Or it stands in a sentence, in backticks and with its options.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import yaml

from tests.support import ROOT

TABLE = ROOT / "tests" / "documented_commands.yml"
NO_TEST = "no test"  # the table's key for commands that none runs, each with its reason
_TYPED = re.compile(r"(kubectl|kubeadm|crictl|ansible-playbook|ansible-galaxy|humanz-cni-ctl) \S+ .+", re.DOTALL)
_BLOCK = re.compile(r"^ *```console\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


class Command(NamedTuple):
    """A command, its prompt, and the lines that it prints according to the page."""

    prompt: str
    text: str
    output: list[str]


def pages() -> list[str]:
    """Return the pages, by their path below the project's directory."""
    docs = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))
    return ["README.md", *docs]


def read(page: str) -> list[Command]:
    """Return the commands of a page in their order."""
    found: list[Command] = []
    for block in _BLOCK.findall((ROOT / page).read_text(encoding="utf-8")):
        for line in block.splitlines():
            prompt, _blank, text = line.strip().partition(" ")
            if prompt in ("$", "#") and text:
                found.append(Command(prompt, text, []))
            elif found:
                found[-1].output.append(line.strip())
    return found


def read_sentences(page: str) -> list[str]:
    """Return the commands that stand in sentences of a page; tables show rather than tell."""
    text = _BLOCK.sub("", (ROOT / page).read_text(encoding="utf-8"))
    spans = re.findall(r"`([^`]+)`", re.sub(r"^ *```.*?^ *```|^\|.*?$", "", text, flags=re.MULTILINE | re.DOTALL))
    return [" ".join(span.split()) for span in spans if _TYPED.fullmatch(span)]


def table() -> dict[str, dict[str, list[str] | dict[str, str]]]:
    """Return the table: by page and test the commands that it runs, and by NO_TEST the others with their reasons."""
    loaded = yaml.safe_load(TABLE.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def run_by(test: str, page: str) -> list[str]:
    """Return the commands of *page* that the table says *test* runs, a path below the project's directory."""
    return list(table()[page][test])
