# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab's Kubernetes cluster, asked by kubectl, and its nodes. The lab is the one that HUMANZ_LAB_NAME names."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any, Callable

import pytest

from tests.support import ROOT

CALL = ("/usr/bin/python3", "-I", "/usr/local/lib/lab/peer.py", "call")
FOURTH = "ubuntu-nested-4"


def lab(*argv: str, stdin: str | None = None, check: bool = True) -> str:
    """Run a command of the lab and return what it prints; what it says when it fails goes to our stderr."""
    done = subprocess.run(
        ("python3", "lab", *argv), cwd=ROOT, check=check, stdout=subprocess.PIPE, text=True, input=stdin or ""
    )
    return done.stdout.strip()


def kubectl(*argv: str, stdin: str | None = None) -> str:
    """Run kubectl as the administrator."""
    return lab("kubectl", "--", *argv, stdin=stdin)


def items(*argv: str) -> list[dict[str, Any]]:
    """Return the objects that kubectl lists."""
    found: list[dict[str, Any]] = json.loads(kubectl("get", "--output=json", *argv))["items"]
    return found


def pods(app: str) -> list[dict[str, Any]]:
    """Return the running pods of *app*: name, ip, node."""
    found = [
        {"name": pod["metadata"]["name"], "ip": pod["status"]["podIP"], "node": pod["spec"]["nodeName"]}
        for pod in items("pods", "--selector=app=%s" % app, "--field-selector=status.phase=Running")
        if "deletionTimestamp" not in pod["metadata"]
    ]
    return sorted(found, key=lambda pod: (pod["node"], pod["name"]))


def nodes() -> dict[str, dict[str, Any]]:
    """Return by name each node's address, pod CIDR, uplink address and whether it is ready."""
    return {
        node["metadata"]["name"]: {
            "ip": next(each["address"] for each in node["status"]["addresses"] if each["type"] == "InternalIP"),
            "cidr": node["spec"]["podCIDR"],
            "uplink": "192.168.122.%d" % (10 + int(node["metadata"]["name"].rsplit("-", 1)[1])),
            "ready": {each["type"]: each["status"] for each in node["status"]["conditions"]}["Ready"],
        }
        for node in items("nodes")
    }


def from_pod(pod: dict[str, Any], *servers: tuple[str, str]) -> list[str]:
    """Return the address that each of the servers, an address and a port, saw *pod* call from."""
    return kubectl("exec", pod["name"], "--", *_calls(servers)).splitlines()


def from_node(node: str, *servers: tuple[str, str]) -> list[str]:
    """Return the address that each of the servers saw *node* call from."""
    return lab("exec", node, "--", *_calls(servers)).splitlines()


def _calls(servers: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """One command for all of them, as kubectl takes longer than a call."""
    return "/bin/sh", "-ec", "; ".join(" ".join((*CALL, *server)) for server in servers)


def wait_for(what: str, seen: Callable[[], bool]) -> None:
    """Wait until *what* is seen; the test fails if it is not."""
    deadline = time.monotonic() + 300
    while not seen():
        if time.monotonic() > deadline:
            pytest.fail("waited in vain for " + what)
        time.sleep(1)


def wait_until_gone(app: str, left: int) -> None:
    """Wait until *app* has no more than *left* pods, ending ones included."""
    wait_for("the end of pods of " + app, lambda: len(items("pods", "--selector=app=%s" % app)) <= left)


def one_per_node(app: str) -> list[dict[str, Any]]:
    """Return a running pod of *app* on each node."""
    return list({pod["node"]: pod for pod in pods(app)}.values())


def gateway(node: dict[str, Any]) -> str:
    """Return the first address of the node's pod CIDR, which is its bridge's."""
    return str(node["cidr"]).rsplit(".", 1)[0] + ".1"


def reservations() -> list[dict[str, Any]]:
    """Return what the plugin holds reserved on all nodes, and the pods without a reservation."""
    found = []
    for name in nodes():
        found += json.loads(lab("exec", name, "--", "humanz-cni-ctl", "list", "--output", "json"))["reservations"]
    return found
