# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package as a whole: versions agree, modules stay small, and it reads on the oldest Python."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import humanz_cni
from ansible_collections.humanz.cni.plugins.module_utils._cni import compile_plugin
from humanz_cni import start
from humanz_cni.protocol import errors, versions

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "files" / "humanz_cni"
ROOMS = sorted({path.parent for path in PACKAGE.glob("*/__init__.py")} - {PACKAGE / "ctl"})
MODULES = sorted([*PACKAGE.glob("*.py"), *(path for room in ROOMS for path in room.glob("*.py"))])
STANDARD = {
    "_ctypes", "_frozen_importlib", "_imp", "_json", "_sha1", "_signal", "_socket", "_struct", "fcntl", "gc", "json",
    "marshal", "posix", "select", "sys", "time",
}  # fmt: skip


def test_its_version_is_the_collections() -> None:
    (version,) = re.findall(r"^version: (\S+)$", (ROOT / "galaxy.yml").read_text(encoding="utf-8"), re.MULTILINE)

    assert humanz_cni.__version__ == version


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_is_small_and_reads_on_python_3_8(path: Path) -> None:
    text = path.read_text(encoding="utf-8")

    ast.parse(text, feature_version=(3, 8))
    assert text.count("\n") < 300
    assert ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_it_imports_c_modules_only(path: Path) -> None:
    imported: set[str | None] = set()
    for node in ast.walk(compile_plugin.source(str(path))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            imported.add(node.module)
    by_sources = {"hashlib", "json", "socket", "struct", "sys"} if path.name == "public.py" else set()
    assert imported <= STANDARD | by_sources | {"humanz_cni.main", "humanz_cni.public"}


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_rooms_own_code_is_its_docstring(room: Path) -> None:
    """The start makes rooms without executing it."""
    tree = ast.parse((room / "__init__.py").read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    assert len(tree.body) == 1


def test_what_is_for_type_checkers_is_not_compiled(tmp_path: Path) -> None:
    """It would be read at each call."""
    written = tmp_path / "written.py"
    written.write_text(
        "from __future__ import annotations\n"
        "import sys\n"
        "TYPE_CHECKING = False\n"
        "if TYPE_CHECKING:\n"
        "    from typing import Any\n"
        "elsewhere: int\n"
        "class Record:\n"
        "    kind: str = 'pod'\n"
        "    def of(self, name: str, *rest: Any, **named: Any) -> dict[str, Any]:\n"
        "        found: list[str] = [name]\n"
        "        if found:\n"
        "            more: int = 1\n"
        "        return found, more\n"
    )
    read = tmp_path / "read.py"
    read.write_text(
        "import sys\n"
        "class Record:\n"
        "    kind = 'pod'\n"
        "    def of(self, name, *rest, **named):\n"
        "        found = [name]\n"
        "        if found:\n"
        "            more = 1\n"
        "        return found, more\n"
    )
    assert ast.dump(compile_plugin.source(str(written))) == ast.dump(ast.parse(read.read_text()))


def test_a_file_that_cannot_be_compiled_is_named(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.py"
    damaged.write_text("def\n")
    with pytest.raises(SyntaxError) as refused:
        compile_plugin.source(str(damaged))
    assert refused.value.filename == str(damaged)


def test_an_import_of_what_is_loaded_is_compiled_as_what_it_finds() -> None:
    written = ast.parse(
        "import posix\n"
        "from . import bridge\n"
        "from ..kernel import links as the_links, owner\n"
        "from ..kernel.links import require\n"
        "from ..kernel import owner, nftables\n"
        "def plug():\n"
        "    from ..kernel import links\n"
    )
    loaded = ["net.kernel.links", "net.kernel.owner", "net.network.bridge"]

    assert ast.unparse(compile_plugin.linked(written, "net.network.vlan", loaded)).splitlines() == [
        "import posix",
        "bridge = __modules__['net.network.bridge']",
        "the_links = __modules__['net.kernel.links']",
        "owner = __modules__['net.kernel.owner']",
        "require = __modules__['net.kernel.links'].require",
        "from ..kernel import owner, nftables",
        "",
        "def plug():",
        "    from ..kernel import links",
    ]


@pytest.mark.parametrize("command", [*start.NEEDED, b""])
def test_what_an_operation_always_needs_is_loaded_in_an_order_that_leaves_no_import(command: bytes) -> None:
    modules = start.needed(command)
    for number, name in enumerate(modules[1:], 1):
        path = ROOT / "files" / (name.replace(".", "/") + ".py")
        tree = compile_plugin.linked(compile_plugin.source(str(path)), name, modules[:number])
        assert [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.level] == [], name


def test_the_interpreters_start_needs_nothing_that_is_for_type_checkers() -> None:
    """Another version of Python than it was compiled for reads its source, and evaluates its annotations."""
    startup = PACKAGE / "startup" / "encodings.py"
    subprocess.run([sys.executable, "-IS", startup], check=True)


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
        versions.require_allowed("CHECK", "0.4.0", version)
        message = ""
    except errors.CNIError as error:
        message = error.message
    assert message == said
