# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes this checkout importable: ``ansible_collections.humanz.cni``, ``humanz_cni`` and ``lab``."""

from __future__ import annotations

import sys
import types
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def _namespace(name: str, path: Path | None) -> None:
    module = types.ModuleType(name)
    module.__path__ = [str(path)] if path else []
    sys.modules[name] = module


_namespace("ansible_collections", None)
_namespace("ansible_collections.humanz", None)
_namespace("ansible_collections.humanz.cni", ROOT)
sys.path.insert(0, str(ROOT / "files"))
sys.path.append(str(ROOT))  # for lab
