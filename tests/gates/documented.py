# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks ansible-doc for every plugin and role of the installed collection, and fails for what it cannot show.

Also fails for a module that is not in the action group ``all``, which module_defaults are given to.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = "humanz.cni"


def ansible_doc(kind: str, names: list[str]) -> dict[str, dict[str, Any]]:
    """Return what ``ansible-doc --json`` shows of *names*, by fully qualified name."""
    answer = subprocess.run(
        ["ansible-doc", "--json", "--type", kind, *names], check=True, stdout=subprocess.PIPE, text=True
    )
    shown: dict[str, dict[str, Any]] = json.loads(answer.stdout)
    return shown


def main() -> int:
    modules = [f"{COLLECTION}.{path.stem}" for path in sorted(ROOT.glob("plugins/modules/*.py"))]
    inventories = [f"{COLLECTION}.{path.stem}" for path in sorted(ROOT.glob("plugins/inventory/*.py"))]
    roles = [f"{COLLECTION}.{path.name}" for path in sorted(ROOT.glob("roles/*")) if path.is_dir()]
    shown = ansible_doc("module", modules)
    missing = [
        f"{name}: no {part}"
        for name in modules
        for part in ("doc", "examples", "return")
        if not shown.get(name, {}).get(part)
    ]
    shown = ansible_doc("inventory", inventories)
    missing += [
        f"{name}: no {part}"
        for name in inventories
        for part in ("doc", "examples")
        if not shown.get(name, {}).get(part)
    ]
    shown = ansible_doc("role", roles)
    # Ansible would check the specification of a role without variables on each host, too.
    missing += [
        f"{name}: no argument specification"
        for name in roles
        if not shown.get(name, {}).get("entry_points")
        and (ROOT / "roles" / name.rpartition(".")[2] / "defaults").exists()
    ]
    group = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["action_groups"]["all"]
    missing += [f"{name}: not in action group all" for name in modules if name.rpartition(".")[2] not in group]
    for line in missing:
        print(line, file=sys.stderr)
    counts = f"{len(modules)} modules, {len(inventories)} inventory plugins and {len(roles)} roles"
    print(f"ansible-doc shows {counts} of {COLLECTION}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
