# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the plugin from the one file that the installer makes of the package's bytecode.

Finding and importing twenty modules one by one is a fifth of an ADD, half of it Python's import system. So the modules
that an operation always needs are executed in the order of :data:`NEEDED`, and only what a rare path needs is imported.
Python's own extension modules are loaded from where the installer found them, as looking for them takes twice as long.
The launcher executes this module's code and calls :func:`start`.
"""

import _imp
import gc
import marshal
import posix
import sys
from _frozen_importlib import ModuleSpec

PACKAGE = "humanz_cni"

_ALWAYS = ("errors", "spec", "disk", "jsontext", "request", "main")
_KERNEL = ("address", "netlink", "links", "owner", "store")
# command -> modules, each after those that it imports
NEEDED = {
    b"ADD": (
        *_ALWAYS, *_KERNEL, "fields", "ranges", "routes", "arguments", "netconf", "bridge", "netns", "pool", "result",
        "attach",
    ),
    b"DEL": (*_ALWAYS, *_KERNEL, "detach"),
}  # fmt: skip
# command -> extension modules that these import
_EXTENSIONS = {
    b"ADD": ("_json", "_struct", "_socket", "_sha1", "fcntl", "_ctypes"),
    b"DEL": ("_json", "_struct", "_socket", "_sha1", "fcntl"),
}


class Finder:
    """Finds the package's modules in *bytecode* and loads them."""

    def __init__(self, bytecode):
        self._bytecode = bytecode

    def find_spec(self, name, path=None, target=None):
        """Return the spec of the module *name* if it is one of the package's."""
        if name in self._bytecode:
            return ModuleSpec(name, self, is_package=name == PACKAGE)
        return None

    def create_module(self, spec):
        """Leave making the module to the import system."""

    def exec_module(self, module):
        """Run the module's code."""
        code = marshal.loads(self._bytecode[module.__name__])
        exec(code, module.__dict__)  # noqa: S102  (running a module's code is what a loader does)


def start(bytecode):
    """Run the plugin; does not return.

    :param bytecode: marshalled code by name of a module; as ``extensions`` paths by name of an extension module.
    """
    gc.disable()  # the process ends before there is garbage that is worth a search
    command = posix.environ.get(b"CNI_COMMAND")
    paths = bytecode.pop("extensions")
    for name in _EXTENSIONS.get(command, ()):
        if name in paths:
            _load_extension(name, paths[name])
    package = _execute(bytecode, PACKAGE)
    for name in NEEDED.get(command, _ALWAYS):
        setattr(package, name, _execute(bytecode, "%s.%s" % (PACKAGE, name)))
    # Only now is it a package whose further modules are looked for.
    package.__path__ = []
    sys.meta_path.insert(0, Finder(bytecode))
    package.main.main()


def _execute(bytecode, name):
    """Make the module *name* as an import does, and return it; what it imports must be there."""
    module = sys.modules[name] = type(sys)(name)
    module.__package__ = PACKAGE
    exec(marshal.loads(bytecode[name]), module.__dict__)  # noqa: S102  (see Finder)
    return module


def _load_extension(name, path):
    """Load the extension module *name* from *path*, if it is still there."""
    try:
        module = _imp.create_dynamic(ModuleSpec(name, None, origin=path))
    except ImportError:
        return  # whoever imports it looks for it
    _imp.exec_dynamic(module)
    sys.modules[name] = module
