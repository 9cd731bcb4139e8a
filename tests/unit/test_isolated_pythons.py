# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every Python that root starts on a node is isolated: neither variables nor the current directory give it modules."""

from __future__ import annotations

import ast
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pyroute2
import pytest

from ansible_collections.humanz.cni.plugins.module_utils._node.pyroute2_archive import Archive
from ansible_collections.humanz.cni.plugins.module_utils._shared import kernel

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "files" / "host_network" / "units").glob("*.service"))
SOURCES = sorted(path for part in ("files", "plugins") for path in (ROOT / part).rglob("*.py"))
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
ISOLATED = re.compile(r"-[A-Z]*I")
# An interpreter in the first line of a script or in a list, and what follows it.
IN_TEXT = re.compile(r"""(?:#!%\((?:interpreter|command)\)s |\[interpreter, ")(\S*)""")


def options_in(tree: ast.Module) -> Iterator[str]:
    """Generate what follows an interpreter in each command, as far as that is an option."""
    for node in ast.walk(tree):
        words = node.elts if isinstance(node, ast.List) else node.args if isinstance(node, ast.Call) else []
        for word, option in zip(words, words[1:]):
            text = str(option.value) if isinstance(option, ast.Constant) else ""
            interpreter = ast.unparse(word)
            if interpreter == "sys.executable" or (
                re.search(r"interpreter(\.path)?$|^path$", interpreter) and re.fullmatch(r"-[A-Za-z0-9]+", text)
            ):
                yield text
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from IN_TEXT.findall(node.value)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_units_is(path: Path) -> None:
    commands = re.findall(r"^Exec\w+=(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert commands
    assert [line for line in commands if not line.startswith("@interpreter@ -I @directory@/")] == []


def test_what_programs_and_modules_start_is() -> None:
    found = {(path.name, option) for path in SOURCES for option in options_in(ast.parse(path.read_text("utf-8")))}
    assert {name for name, _option in found} == {
        "operator_command.py",
        "install.py",
        "library.py",
        "remove.py",
        "startup.py",
        "pyroute2_archive.py",
    }
    assert [(name, option) for name, option in found if not ISOLATED.match(option)] == []


def test_what_pages_tell_to_type_on_a_node_is() -> None:
    typed = [
        line for page in PAGES for line in page.read_text(encoding="utf-8").splitlines() if "python3 /usr/" in line
    ]
    assert typed == []


EVIL = 'open(%r, "w").close(); raise SystemExit(7)\n'
MODULES = (
    "argparse",
    "glob",
    "healing",
    "pyroute2",
    "shlex",
    "sitecustomize",
    "socket",
    "subprocess",
    "usercustomize",
)


@pytest.fixture
def evil(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A directory with modules by names that programs import, and variables that lead there."""
    directory = tmp_path / "evil"
    directory.mkdir()
    for module in MODULES:
        (directory / f"{module}.py").write_text(EVIL % str(tmp_path / "executed"))
    names = ("PYTHONPATH", "PYTHONSTARTUP", "PYTHONUSERBASE", "HOME")
    return directory, {**os.environ, **dict.fromkeys(names, str(directory))}


def test_the_proof_of_pyroute2_is_not_what_lies_around(
    evil: tuple[Path, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory, environment = evil

    def run(command: list[str]) -> tuple[int, str, str]:
        done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    monkeypatch.setattr(kernel, "ARCHIVE", str(tmp_path))
    archive = os.path.dirname(os.path.dirname(pyroute2.__file__))
    assert Archive(SimpleNamespace(params={}, run_command=run), None)._failure(archive) is None
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_units_program_is_not_what_lies_around(evil: tuple[Path, dict[str, str]], tmp_path: Path, path: Path) -> None:
    directory, environment = evil
    line = path.read_text(encoding="utf-8").partition("\nExecStart=")[2].partition("\n")[0]
    line = line.replace("@interpreter@", sys.executable).replace("@directory@", str(path.parents[1])).replace("%n", "x")
    program = next(word for word in line.split() if word.endswith(".py"))
    # All of its imports, but no repair of this machine.
    imports = f"import runpy; runpy.run_path({program!r}, run_name='imported')"
    command = [*shlex.split(line.partition(program)[0]), "-c", imports]
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "executed").exists()
