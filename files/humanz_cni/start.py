# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the plugin from the one file that the installer makes of the package's bytecode.

Finding and importing twenty modules one by one is a fifth of an ADD, half of it Python's import system. So the modules
that an operation always needs are executed in the order of :data:`NEEDED`, and only what a rare path needs is imported.
The launcher executes this module's code and calls :func:`start`.
"""

import marshal
import posix
import sys

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


class Finder:
    """Finds the package's modules in *bytecode* and loads them."""

    def __init__(self, bytecode):
        self._bytecode = bytecode

    def find_spec(self, name, path=None, target=None):
        """Return the spec of the module *name* if it is one of the package's."""
        if name not in self._bytecode:
            return None
        from _frozen_importlib import ModuleSpec

        return ModuleSpec(name, self, is_package=name == PACKAGE)

    def create_module(self, spec):
        """Leave making the module to the import system."""

    def exec_module(self, module):
        """Run the module's code."""
        code = marshal.loads(self._bytecode[module.__name__])
        exec(code, module.__dict__)  # noqa: S102  (running a module's code is what a loader does)


def start(bytecode):
    """Run the plugin from *bytecode*, marshalled code by module name; does not return."""
    package = _execute(bytecode, PACKAGE)
    for name in NEEDED.get(posix.environ.get(b"CNI_COMMAND"), _ALWAYS):
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
