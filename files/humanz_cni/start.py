# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the plugin from the one file that the installer makes of the package's bytecode.

Finding and importing twenty modules one by one is a fifth of an ADD, half of it Python's import system. So the modules
that an operation always needs are executed in the order of :data:`NEEDED`, and only what a rare path needs is imported.
Python's own C modules are made from where the installer found them, as looking for them takes twice as long.
The launcher executes this module's code and calls :func:`start`.
"""

from __future__ import annotations

import _imp
import gc
import marshal
import posix
import sys
from _frozen_importlib import ModuleSpec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType
    from typing import Any

PACKAGE = "humanz_cni"

# command -> rooms, from the lowest on, with their modules, each after those that it imports; "" is the package itself
_ALWAYS = (
    ("primitives", ("files", "jsontext", "signals")),
    ("protocol", ("errors", "versions", "request")),
    ("", ("main",)),
)
NEEDED = {
    b"ADD": (
        ("primitives", ("address", "files", "jsontext", "signals")),
        ("protocol", ("errors", "versions", "request", "cni_args")),
        ("kernel", ("netlink", "links", "route", "owner", "netns")),
        ("config", ("ipam_keys", "typed", "ranges", "routes", "netconf")),
        ("ipam", ("store", "allocate")),
        ("network", ("sysctls", "bridge", "spoofcheck")),
        ("commands", ("result", "add")),
        ("", ("log", "main")),
    ),
    b"DEL": (
        ("primitives", ("address", "files", "jsontext", "signals")),
        ("protocol", ("errors", "versions", "request", "cni_args")),
        ("kernel", ("netlink", "links", "owner")),
        ("config", ("ipam_keys",)),
        ("ipam", ("store", "data_dirs")),
        ("network", ("spoofcheck", "spoofcheck_elements")),
        ("commands", ("delete",)),
        ("", ("log", "main")),
    ),
}
# command -> C modules that these import
_EXTENSIONS = {
    b"ADD": ("_json", "_struct", "_socket", "_sha1", "fcntl", "_ctypes"),
    b"DEL": ("_json", "_struct", "_socket", "_sha1", "fcntl"),
}


class Bundle:
    """The file *path* of the package's bytecode, as the installer made it, in the place of a directory of modules.

    :param size: of the file, in bytes.
    :param parts: offset and size of each module's marshalled code, by the module's name.
    """

    def __init__(self, path: str, size: int, parts: dict[str, tuple[int, int]]) -> None:
        self._path = path
        self._size = size
        self._parts = parts

    def execute(self, name: str, descriptor: int) -> ModuleType:
        """Make the module *name* as an import does, and return it; *descriptor* is the open file."""
        module = sys.modules[name] = type(sys)(name)
        module.__package__ = name.rpartition(".")[0] or name
        exec(self._code(name, descriptor), module.__dict__)  # noqa: S102  (it is what a loader does)
        return module

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """Return the spec of the module *name* if it is one of the package's."""
        if name in self._parts:
            # A loader by what it does: to import the base class would take longer than an ADD.
            is_package = any(one.startswith(name + ".") for one in self._parts)
            return ModuleSpec(name, self, is_package=is_package)  # type: ignore[arg-type]
        return None

    def create_module(self, spec: ModuleSpec) -> None:
        """Leave making the module to the import system."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the code of a module that is imported. Raises ImportError if the file is another one meanwhile."""
        descriptor = posix.open(self._path, posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            if posix.fstat(descriptor).st_size != self._size:
                raise ImportError("%s was replaced" % self._path)
            exec(self._code(module.__name__, descriptor), module.__dict__)  # noqa: S102  (it is what a loader does)
        finally:
            posix.close(descriptor)

    def _code(self, name: str, descriptor: int) -> CodeType:
        offset, size = self._parts[name]
        code: CodeType = marshal.loads(posix.pread(descriptor, size, offset))
        return code


def start(path: str, descriptor: int, index: dict[str, Any]) -> None:
    """Run the plugin; does not return.

    :param path: the file that the installer made; *descriptor*: the same, open.
    :param index: what the file begins with: ``size`` in bytes, ``parts`` as for Bundle, ``extensions``, the origins of
        C modules by name, and ``path``, where a rare path finds the rest of the standard library.

    Raises EOFError if the file is not as long as it was made; nothing is done then.
    """
    if posix.fstat(descriptor).st_size != index["size"]:
        raise EOFError(path)
    gc.disable()  # the process ends before there is garbage that is worth a search
    sys.path[:] = index["path"]
    command = posix.environ.get(b"CNI_COMMAND", b"")
    for name in _EXTENSIONS.get(command, ()):
        if name in index["extensions"]:
            _load_extension(name, index["extensions"][name])
    bundle = Bundle(path, index["size"], index["parts"])
    package = bundle.execute(PACKAGE, descriptor)
    rooms = {"": package}
    for room, names in NEEDED.get(command, _ALWAYS):
        if room not in rooms:  # its own code is a docstring
            rooms[room] = sys.modules["%s.%s" % (PACKAGE, room)] = type(sys)("%s.%s" % (PACKAGE, room))
            setattr(package, room, rooms[room])
        for name in names:
            full = "%s.%s" % (rooms[room].__name__, name)
            setattr(rooms[room], name, bundle.execute(full, descriptor))
    posix.close(descriptor)
    # Only now are they packages whose further modules are looked for.
    for one in rooms.values():
        one.__path__ = []
    sys.meta_path.insert(0, bundle)
    package.main.main()


def _load_extension(name: str, origin: str) -> None:
    """Make the C module *name*, which is ``built-in`` or in the file *origin*, if that is still so."""
    spec = ModuleSpec(name, None, origin=origin)
    try:
        if origin == "built-in":
            module = _imp.create_builtin(spec)
            _imp.exec_builtin(module)
        else:
            module = _imp.create_dynamic(spec)
            _imp.exec_dynamic(module)
    except ImportError:
        return  # whoever imports it looks for it
    sys.modules[name] = module
