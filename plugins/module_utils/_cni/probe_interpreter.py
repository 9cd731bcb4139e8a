# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program for an interpreter that may be to run the plugin: prints its version and what names its bytecode.

It fails where a module of the standard library is missing that the plugin needs at least, however it starts. Pythons
that are too old get to print their version: so no annotation, and no future import.

This module_util is private to the collection; its interface may change in any release.
"""

import sys

NEEDED = ("fcntl", "hashlib", "importlib.util", "json", "marshal", "posix", "select", "socket", "struct")

if __name__ == "__main__":
    sys.stdout.write("%d.%d.%d %s\n" % (sys.version_info[:3] + (sys.implementation.cache_tag,)))
    for name in NEEDED:
        __import__(name)
    if not hasattr(sys.modules["posix"], "setns"):
        __import__("_ctypes")
    sys.stdout.write(sys.modules["importlib.util"].MAGIC_NUMBER.hex() + "\n")
