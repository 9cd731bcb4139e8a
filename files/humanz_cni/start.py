# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the plugin from the one file that the installer makes of the package's bytecode.

Looking for twenty modules, one by one, in a directory costs ten system calls each, together a sixth of an ADD. The
launcher executes this module's code and calls :func:`start`.
"""

import marshal
import sys
from _frozen_importlib import ModuleSpec

PACKAGE = "humanz_cni"


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
    """Run the plugin from *bytecode*, marshalled code by module name; does not return."""
    sys.meta_path.insert(0, Finder(bytecode))
    from humanz_cni.main import main

    main()
