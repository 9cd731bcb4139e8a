# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sets the pods' bridge up and gives it back the addresses that are their gateways, for heal.py.

The kernel takes those of IPv6 away when IPv6 is disabled on the bridge, and keeps them so when it is enabled again. The
comments ``# address: ADDRESS/LENGTH dev BRIDGE`` in the file of kernel parameters name them. The plugin's ADD gives a
bridge its first ones before it sets it up; a bridge that has ports was up before.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from .commands import Run

ADDRESS = "# address: "


def put_back(lines: list[str], run: Run) -> tuple[list[str], list[str]]:
    """Add the addresses that *lines* name to a bridge that has none of their family; return what sysctls does.

    One that is down although pods are on it is set up before.
    """
    done: list[str] = []
    wrong: list[str] = []
    shown: dict[str, list[str] | None] = {}
    for line in [line[len(ADDRESS) :] for line in lines if line.startswith(ADDRESS)]:
        address, _dev, device = line.split()
        if device not in shown:
            set_up(device, run, done, wrong)
            shown[device] = families(device, run)
        family, option = ("inet6", ["nodad"]) if ":" in address else ("inet", ["broadcast", "+"])
        present = shown[device]
        if present is None or family in present:
            continue
        status, _output, error = run(["ip", "address", "replace", address, "dev", device, *option])
        if status:
            wrong.append("cannot put back the address %s of %s: %s" % (address, device, error.strip()))
        else:
            done.append("put back the address %s of %s" % (address, device))
    return done, wrong


def set_up(device: str, run: Run, done: list[str], wrong: list[str]) -> None:
    """Set *device* up if it is a bridge of the plugin's that has ports."""
    link, ports = find(device, run), "/sys/class/net/%s/brif" % device
    if link is None or "UP" in link.get("flags", []) or not (os.path.isdir(ports) and os.listdir(ports)):
        return
    status, _output, error = run(["ip", "link", "set", device, "up"])
    if status:
        wrong.append("cannot set up the bridge %s: %s" % (device, error.strip()))
    else:
        done.append("set up the bridge %s" % device)


def families(device: str, run: Run) -> list[str] | None:
    """Return the families that *device* has addresses of, or None if it is no bridge of the plugin's that is up."""
    link = find(device, run)
    if link is None or "UP" not in link.get("flags", []):
        return None
    return [one["family"] for one in link.get("addr_info", []) if one.get("scope") == "global"]


def find(device: str, run: Run) -> dict[str, Any] | None:
    """Return *device* as ``ip -j`` shows it with its addresses, or None if it is no bridge of the plugin's."""
    status, output, _error = run(["ip", "-j", "-d", "address", "show", "dev", device])
    found: list[dict[str, Any]] = [link for link in json.loads(output or "[]") if link] if status == 0 else []
    return next((link for link in found if link.get("ifalias", "").startswith("humanz-cni")), None)
