# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ansible-builder makes of the installed collection and of execution-environment.yml, but for the image itself.

The collection must ask for each library that its code on the controller uses, and for no more, with lower bounds only.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Iterator

import yaml

ROOT = Path(__file__).resolve().parents[2]
ON_THE_CONTROLLER = ("action", "inventory", "plugin_utils")
# The collection itself, and what ansible-core needs anyway.
PRESENT = {"ansible", "ansible_collections", "jinja2", "packaging", "yaml"}
REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?P<bounds>[^#]*?)\s*# from collection humanz\.cni")


def used(tree: ast.AST) -> Iterator[str]:
    """Give the top-level package of each import in *tree*, and the name of each that is looked up on disk."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "find_spec":
            yield from (str(word.value) for word in node.args if isinstance(word, ast.Constant))


def libraries() -> set[str]:
    """Return the third-party libraries that the code on the controller uses."""
    paths = [path for directory in ON_THE_CONTROLLER for path in (ROOT / "plugins" / directory).rglob("*.py")]
    names = {name for path in paths for name in used(ast.parse(path.read_text(encoding="utf-8")))}
    return names - PRESENT - set(sys.stdlib_module_names) - {"__future__"}


def introspect(collections: Path) -> list[str]:
    """Return the Python requirements that ansible-builder finds in *collections*."""
    command = ["ansible-builder", "introspect", str(collections)]
    shown = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: list[str] = yaml.safe_load(shown)["python"]
    return found


def wrong_requirements(requirements: list[str]) -> list[str]:
    found = [match for match in map(REQUIREMENT.fullmatch, requirements) if match]
    names, needed = {match["name"] for match in found}, libraries()
    problems = ["%s: used on the controller, must be in meta/ee-requirements.txt" % name for name in needed - names]
    problems += ["%s: in meta/ee-requirements.txt, but never used" % name for name in names - needed]
    problems += [
        "%s%s: must have a lower bound only" % (match["name"], match["bounds"])
        for match in found
        if not re.fullmatch(r">=[0-9.]+", match["bounds"])
    ]
    return sorted(problems)


def wrong_context() -> list[str]:
    """Create the build context of execution-environment.yml, and return what it lacks."""
    definition = ROOT / "execution-environment.yml"
    image = yaml.safe_load(definition.read_text(encoding="utf-8"))["images"]["base_image"]["name"]
    with tempfile.TemporaryDirectory() as directory:
        command = ["ansible-builder", "create", "--file", str(definition), "--context", directory]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        recipe = Path(directory, "Containerfile").read_text(encoding="utf-8")
        collections = yaml.safe_load(Path(directory, "_build", "requirements.yml").read_text(encoding="utf-8"))
    problems = [] if 'EE_BASE_IMAGE="%s"' % image in recipe else ["Containerfile: is not based on %s" % image]
    if collections != {"collections": [{"name": "humanz.cni"}]}:
        problems.append("_build/requirements.yml: installs %s, must install humanz.cni" % collections)
    return problems


def main() -> int:
    requirements = introspect(Path(sys.argv[1]))
    problems = wrong_requirements(requirements) + wrong_context()
    for problem in problems:
        print(problem, file=sys.stderr)
    print("the execution environment gets %s" % ", ".join(line.partition(" ")[0] for line in requirements))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
