# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests, benchmarks and molecule's scenarios share.

Importing it makes the code of this checkout importable: as ``ansible_collections.humanz.cni`` and ``humanz_cni``.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Before ``python -m tests.support.NAME``, for a process that starts in another directory, such as on a node.
IN_CHECKOUT = ("env", f"--chdir={ROOT}")


def _make_importable() -> None:
    for name in ("ansible_collections", "ansible_collections.humanz", "ansible_collections.humanz.cni"):
        if name not in sys.modules:
            module = sys.modules[name] = types.ModuleType(name)
            module.__path__ = [str(ROOT)] if name.endswith(".cni") else []
    sys.path.insert(0, str(ROOT / "files"))


_make_importable()
