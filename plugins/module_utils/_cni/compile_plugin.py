# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program for the interpreter that is to run the plugin: compiles the plugin's package, or its start.

::

    package TARGET DIRECTORY FINAL PACKAGE HEAD-SIZE NAME...    the modules in DIRECTORY into one file
    startup SOURCE TARGET FINAL                                 what the interpreter starts with

FINAL is where the sources will be. ``library`` gives it to the interpreter as a text. The standard library only.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import ast
import marshal
import posix
import sys
from importlib.util import MAGIC_NUMBER
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import CodeType


class Plain(ast.NodeTransformer):
    """Leaves out what is for type checkers only.

    That is annotations, ``if TYPE_CHECKING``, and the __future__ import that leaves annotations unevaluated. All of it
    would be read, and some of it run, at each call.
    """

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        return node.value and ast.copy_location(ast.Assign([node.target], node.value), node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        return None if getattr(node.targets[0], "id", "") == "TYPE_CHECKING" else node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if getattr(node.test, "id", "") == "TYPE_CHECKING" else self.generic_visit(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return None if node.module == "__future__" else node


def source(path: str) -> ast.Module:
    """Return the module in the file *path*, without what is for type checkers only."""
    with open(path, "rb") as stream:
        tree: ast.Module = Plain().visit(ast.parse(stream.read(), path))
    return tree


def linked(tree: ast.Module, name: str, loaded: Sequence[str]) -> ast.Module:
    """Return *tree*, of the module *name*, with what its imports of the modules *loaded* find, as values.

    The start of the plugin gives each module ``sys.modules`` as ``__modules__``. A relative import costs what thirty
    such values do, and an ADD has a hundred of them.
    """
    body: list[ast.stmt] = []
    for node in tree.body:
        found = _found(node, name, loaded) if isinstance(node, ast.ImportFrom) and node.level else None
        body += ast.parse("\n".join(found)).body if found else [node]
    tree.body = body
    return tree


def _found(node: ast.ImportFrom, name: str, loaded: Sequence[str]) -> list[str] | None:
    """Return an assignment for each name that *node* imports into the module *name*, None if one is not *loaded*."""
    base = ".".join([*name.split(".")[: -node.level], *filter(None, [node.module])])
    lines = []
    for alias in node.names:
        module = "%s.%s" % (base, alias.name)
        if module not in loaded and base not in loaded:
            return None
        value = "[%r]" % module if module in loaded else "[%r].%s" % (base, alias.name)
        lines.append("%s = __modules__%s" % (alias.asname or alias.name, value))
    return lines


def compiled(tree: ast.Module, final: str) -> CodeType:
    """Return the code of *tree*, whose file will be *final*; docstrings would be read at each call."""
    code: CodeType = compile(tree, final, "exec", dont_inherit=True, optimize=2)
    return code


def compile_package(target: str, directory: str, final: str, package: str, head: str, *names: str) -> None:
    """Make the file of bytecode, *target*, of the modules *names*, which are paths in *directory*.

    It has a head of fixed size, *head*, with the code that starts the plugin and the index of the rest, then the
    modules one by one, and then, for each operation, together those that it always needs: names that several of them
    have are read once. The index says where the interpreter has its library and its extension modules, too.
    """
    files: dict[str, tuple[str, str]] = {}
    for name in names:
        words = name[: -len(".py")].split("/")
        module = ".".join([package, *(words[:-1] if words[-1] == "__init__" else words)])
        files[module] = "%s/%s" % (directory, name), "%s/%s" % (final, name)
    path, place_of_start = files.pop(package + ".start")
    start = compiled(source(path), place_of_start)
    begin: dict[str, Any] = {}
    exec(start, begin)  # noqa: S102  (it knows what an operation needs)
    rest: list[bytes] = []

    def place(code: CodeType | tuple[CodeType, ...]) -> tuple[int, int]:
        rest.append(marshal.dumps(code))
        return int(head) + sum(map(len, rest[:-1])), len(rest[-1])

    def group(modules: list[str]) -> tuple[CodeType, ...]:
        trees = [linked(source(files[name][0]), name, modules[:number]) for number, name in enumerate(modules)]
        return tuple(compiled(tree, files[name][1]) for tree, name in zip(trees, modules))

    parts = {name: place(compiled(source(path), where)) for name, (path, where) in files.items()}
    groups = {command: place(group(begin["needed"](command))) for command in (*begin["NEEDED"], b"")}
    index: dict[str, Any] = {"size": int(head) + sum(map(len, rest)), "parts": parts, "groups": groups}
    index.update(extensions=extensions(), path=sys.path)
    data = marshal.dumps((start, index))
    if len(data) > int(head):
        raise SystemExit("the head of the bytecode would be %d bytes long, but %s are read" % (len(data), head))
    with open(target, "wb") as stream:
        stream.write(b"".join([data.ljust(int(head), b"\0"), *rest]))


def extensions() -> dict[str, str]:
    """Return where the extension modules are that the plugin loads, by name."""
    names = ["_json", "_sha1", "_socket", "_struct", "fcntl", *(() if hasattr(posix, "setns") else ("_ctypes",))]
    modules: list[Any] = [__import__(name) for name in names]
    return {module.__name__: module.__spec__.origin for module in modules}


def compile_startup(path: str, target: str, final: str) -> None:
    """Make the bytecode, *target*, of the file *path*; its flag is of PEP 552: valid whatever the source is."""
    with open(target, "wb") as stream:
        stream.write(MAGIC_NUMBER + b"\1\0\0\0" + bytes(8) + marshal.dumps(compiled(source(path), final)))


if __name__ == "__main__":
    if sys.argv[1] == "package":
        compile_package(*sys.argv[2:])
    else:
        compile_startup(*sys.argv[2:])
