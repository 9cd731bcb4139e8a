# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two throw-away nodes and an outside, with both families on every wire, for this collection's playbooks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from node import Node

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = {4: "192.168.122.1", 6: "fd00:122::1"}
CLUSTER = {
    4: {"cluster_cidr": "100.100.0.0/16", "service_cidr": "10.96.0.0/12", "node_cidrs": "200.0.0.0/24"},
    6: {"cluster_cidr": "fd00:100::/48", "service_cidr": "fd00:96::/108", "node_cidrs": "fd00:200::/64"},
}
# What the playbooks could change, as text.
STATE = """
ip -br link | sed 's/@if[0-9]*//' | awk '{print $1, $2}' | sort
ip -br addr | sed 's/@if[0-9]*//' | sort
ip -4 route show table main | sort; ip -6 route show table main | sort
for save in iptables-save ip6tables-save; do $save | grep -Ev '^#|^:[A-Z]+ ACCEPT|^COMMIT|^\\*' || true; done
sysctl -a 2> /dev/null | grep -E '^net.(ipv4.ip_forward|ipv[46].conf|bridge)' | sort
find /etc/cni /etc/humanz-cni /etc/sysctl.d /etc/modules-load.d /etc/iproute2 /opt/cni /usr/local/lib/humanz-cni \
    -type f 2> /dev/null | sort
"""


class Cluster:
    """The nodes n1 and n2, whose pods get addresses of ``families``, as of the next playbook.

    :param directory: an empty one, for inventory and Pythons.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.families: list[int] = []
        self.outside = Node()
        self.outside.run("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0")
        self.outside.ip("link add uplink type bridge")
        self.outside.ip("link set uplink up")
        self.outside.ip(f"addr add {OUTSIDE[4]}/24 dev uplink")
        self.outside.ip(f"addr add {OUTSIDE[6]}/64 dev uplink")
        self.nodes = {"n1": Node(), "n2": Node()}
        for number, node in enumerate(self.nodes.values(), 1):
            self._uplink(node, number)
        one, other = self.nodes.values()
        one.wire("enp8s0", other, "enp8s0")
        for number, node in enumerate(self.nodes.values(), 1):
            node.ip(f"addr add 200.0.0.{number}0/24 dev enp8s0")
            node.ip(f"addr add fd00:200::{number}0/64 dev enp8s0")
        self.further: dict[str, dict[str, Any]] = {}  # hosts of the inventory, beside the nodes or instead of them
        (directory / "ansible_collections" / "humanz").mkdir(parents=True)
        self.use(ROOT)

    def use(self, collection: Path) -> None:
        """From now on, have humanz.cni be what lies in the directory *collection*."""
        link = self.directory / "ansible_collections" / "humanz" / "cni"
        link.unlink(missing_ok=True)
        link.symlink_to(collection)

    def _uplink(self, node: Node, number: int) -> None:
        node.run("sysctl", "-qw", "net.ipv6.conf.default.accept_dad=0", "net.ipv4.ip_forward=0")
        node.run("sysctl", "-qw", "net.ipv6.conf.all.forwarding=0")
        node.run("rm", "-rf", "/etc/cni/net.d", "/etc/humanz-cni")
        node.run("mkdir", "-p", "/etc/cni/net.d", "/opt/cni/bin", "/etc/sysctl.d", "/etc/modules-load.d")
        node.wire("enp1s0", self.outside, f"port{number}")
        self.outside.ip(f"link set port{number} master uplink")
        node.ip(f"addr add 192.168.122.1{number}/24 dev enp1s0")
        node.ip(f"addr add fd00:122::1{number}/64 dev enp1s0")
        node.ip(f"route add default via {OUTSIDE[4]}")
        node.ip(f"route add default via {OUTSIDE[6]}")

    def close(self) -> None:
        for node in (*self.nodes.values(), self.outside):
            node.close()

    def pod_cidrs(self, number: int) -> list[str]:
        """The networks of the pods on one node, as the inventory has them."""
        return [{4: f"100.100.{number - 1}.0/24", 6: f"fd00:100:0:{number}::/64"}[one] for one in self.families]

    def _inventory(self) -> dict[str, Any]:
        hosts = {}
        for number, (name, node) in enumerate(self.nodes.items(), 1):
            python = self.directory / f"python-{name}"
            python.write_text(f'#!/bin/sh\nexec nsenter --target={node.pid} --mount --net -- {sys.executable} "$@"\n')
            python.chmod(0o755)
            addresses = {4: f"200.0.0.{number}0", 6: f"fd00:200::{number}0"}
            hosts[name] = {
                "ansible_python_interpreter": str(python),
                "pod_network_pod_cidr": ",".join(self.pod_cidrs(number)),
                "pod_network_node_ip": [addresses[one] for one in self.families],
            }
        variables: dict[str, Any] = {
            "pod_network_" + name: [CLUSTER[one][name] for one in self.families] for name in CLUSTER[4]
        }
        variables.update(ansible_connection="local", pod_network_persistence=False)  # systemd does not run there
        in_order = dict(sorted({**hosts, **self.further}.items()))
        return {"k8s_cluster": {"hosts": in_order, "vars": variables}}

    def playbook(self, name: str, status: int = 0, options: Sequence[str] = (), **variables: Any) -> str:
        """Run the playbook humanz.cni.*name*, which is to end with *status*, and return what it prints.

        :param options: further ones of ansible-playbook.
        """
        inventory = self.directory / "inventory.json"
        inventory.write_text(json.dumps(self._inventory()))
        command = [sys.executable, "-m", "ansible", "playbook", "-i", str(inventory), f"humanz.cni.{name}", *options]
        environment = dict(os.environ, ANSIBLE_COLLECTIONS_PATH=str(self.directory), ANSIBLE_NOCOLOR="1")
        done = subprocess.run(
            [*command, "-e", json.dumps(variables)], env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def state(self) -> dict[str, list[str]]:
        """What the playbooks could change, by node."""
        return {name: node.run("sh", "-c", STATE).stdout.splitlines() for name, node in self.nodes.items()}


def changes(output: str) -> set[str]:
    """The numbers of changed tasks that a recap names."""
    return set(re.findall(r"changed=(\d+)", output))
