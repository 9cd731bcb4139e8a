# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package as a whole: versions agree, modules stay small, and it reads on the oldest Python."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import humanz_cni
from humanz_cni import errors, spec

ROOT = Path(__file__).resolve().parents[3]
MODULES = sorted((ROOT / "files" / "humanz_cni").glob("*.py"))
STANDARD = {
    "_ctypes", "_frozen_importlib", "_imp", "_json", "_sha1", "_signal", "_socket", "_struct", "fcntl", "gc", "json",
    "marshal", "posix", "select", "sys", "time",
}  # fmt: skip


def test_its_version_is_the_collections() -> None:
    (version,) = re.findall(r"^version: (\S+)$", (ROOT / "galaxy.yml").read_text(encoding="utf-8"), re.MULTILINE)

    assert humanz_cni.__version__ == version


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_a_module_is_small_and_reads_on_python_3_8(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    ast.parse(text, feature_version=(3, 8))
    assert text.count("\n") < 300
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_it_imports_c_modules_only(path: Path) -> None:
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            imported.add(node.module)
    assert imported <= STANDARD | {"humanz_cni.main"}


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("1.0.0", ""),
        ("0.4.0", ""),
        ("0.10.0", ""),
        ("1", ""),
        ("0.3.1", "config version does not allow CHECK"),
        ("1.1.1", "plugin version does not allow CHECK"),
        ("1.10.0", "plugin version does not allow CHECK"),
    ],
)
def test_versions_are_compared_as_numbers(version: str, said: str) -> None:
    try:
        spec.require_allowed("CHECK", "0.4.0", version)
        message = ""
    except errors.CNIError as error:
        message = error.message
    assert message == said
