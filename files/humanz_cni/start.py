# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the plugin from the one file that the installer makes of the package's bytecode.

Finding and importing twenty modules one by one is a fifth of an ADD, half of it Python's import system. So the modules
that an operation always needs are read at once and executed in the order of :data:`NEEDED`, and only what a rare path
needs is imported. Python's own C modules are made from where the installer found them, as looking for them takes twice
as long. The launcher executes this module's code and calls :func:`start`.
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
        ("network", ("sysctls", "bridge", "spoofcheck", "spoofcheck_elements")),
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
            offset, size = self._parts[module.__name__]
            code = marshal.loads(posix.pread(descriptor, size, offset))
            exec(code, module.__dict__)  # noqa: S102  (as a loader does)
        finally:
            posix.close(descriptor)


def start(path: str, descriptor: int, index: dict[str, Any]) -> None:
    """Run the plugin; does not return.

    :param path: the file that the installer made; *descriptor*: the same, open.
    :param index: what the file begins with: ``size`` in bytes; ``parts``, as for Bundle; ``groups``, offset and size of
        the marshalled codes of what a command needs, by command; ``extensions``, the origins of C modules by name; and
        ``path``, where a rare path finds the rest of the standard library.

    Raises EOFError if the file is not as long as it was made; nothing is done then.
    """
    if posix.fstat(descriptor).st_size != index["size"]:
        raise EOFError(path)
    gc.disable()  # the process ends before there is garbage that is worth a search
    sys.path[:] = index["path"]
    command = posix.environ.get(b"CNI_COMMAND", b"")
    sys.setdlopenflags(posix.RTLD_LAZY)  # of a C module's functions few are called
    for name in _EXTENSIONS.get(command, ()):
        if name in index["extensions"]:
            _load_extension(name, index["extensions"][name])
    offset, size = index["groups"].get(command) or index["groups"][b""]
    packages = _execute(needed(command), marshal.loads(posix.pread(descriptor, size, offset)))
    posix.close(descriptor)
    # Only now are they packages whose further modules are looked for.
    for one in packages.values():
        one.__path__ = []
    sys.meta_path.insert(0, Bundle(path, index["size"], index["parts"]))
    packages[PACKAGE].main.main()


def needed(command: bytes) -> list[str]:
    """Return the full names of the modules that *command* always needs, each after those that it imports."""
    rooms = ((".".join((PACKAGE, room)) if room else PACKAGE, names) for room, names in NEEDED.get(command, _ALWAYS))
    return [PACKAGE, *("%s.%s" % (room, name) for room, names in rooms for name in names)]


def _execute(names: list[str], codes: tuple[CodeType, ...]) -> dict[str, Any]:
    """Make the modules *names* of their *codes*, as imports do; return the packages that they are in, by name."""
    packages: dict[str, Any] = {}
    for name, code in zip(names, codes):
        parent, _dot, last = name.rpartition(".")
        module = sys.modules[name] = type(sys)(name)
        module.__package__ = parent or name
        module.__dict__["__modules__"] = sys.modules  # from where the installer has it take what it would import
        if not parent:
            packages[name] = module
        elif parent not in packages:  # a room, whose own code is a docstring
            packages[parent] = sys.modules[parent] = type(sys)(parent)
            setattr(packages[PACKAGE], parent.rpartition(".")[2], packages[parent])
        exec(code, module.__dict__)  # noqa: S102  (as a loader does)
        if parent:
            setattr(packages[parent], last, module)
    return packages


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
