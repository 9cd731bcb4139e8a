# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/migrate-from-flannel.md, node by node and back, while pods of the moved node and of the other one talk.

What flanneld and its CNI plugin set up stands here for flannel: configuration, bridge, routes and rules. Nothing of
flannel runs; the commands about its DaemonSet are run on Kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import documented_commands
from tests.support.netns.node import Node
from tests.support.netns.two_nodes import Cluster, changes

PAGE = "docs/migrate-from-flannel.md"
COMMANDS = documented_commands.run_by("tests/integration_netns/role/test_migration.py", PAGE)
ON_NODE = [command.text for command in documented_commands.read(PAGE) if command.prompt == "#"]
CHECK, SITE, FINAL_SITE, VERIFY, RESET = [command for command in COMMANDS if command not in ON_NODE]
CONF = "/etc/cni/net.d/10-flannel.conflist"
# As flanneld 0.28 makes them.
RULES = """
iptables -t nat -N FLANNEL-POSTRTG
iptables -t nat -A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG
iptables -t nat -A FLANNEL-POSTRTG -s {pods} -d 100.100.0.0/16 -m comment --comment "flanneld masq" -j RETURN
iptables -t nat -A FLANNEL-POSTRTG -s 100.100.0.0/16 -d {pods} -m comment --comment "flanneld masq" -j RETURN
iptables -t nat -A FLANNEL-POSTRTG ! -s 100.100.0.0/16 -d {pods} -m comment --comment "flanneld masq" -j RETURN
iptables -t nat -A FLANNEL-POSTRTG -s 100.100.0.0/16 ! -d 224.0.0.0/4 -m comment --comment "flanneld masq" -j MASQUERADE
iptables -N FLANNEL-FWD
iptables -A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD
iptables -A FLANNEL-FWD -s 100.100.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
iptables -A FLANNEL-FWD -d 100.100.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT
"""
STATE = """
ip -br link | cut -d' ' -f1; ip route | sed 's/ linkdown//'; iptables-save | grep '^-A'
ls /etc/cni/net.d /etc/humanz-cni /run/flannel
"""


class Migration:
    """Two nodes with flannel's network, and a pod on each."""

    def __init__(self, directory: Path) -> None:
        self.cluster = Cluster(directory)
        self.cluster.families = [4]
        self.pods: dict[str, Node] = {}  # those in flannel's network, by their node
        for name, node in self.cluster.nodes.items():
            node.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
            self.set_up_flannel(name)

    def set_up_flannel(self, name: str) -> None:
        """Do on a node what flannel does when it starts there, and when a pod does."""
        node, number = self.cluster.nodes[name], int(name[1])
        node.run(
            "sh",
            "-c",
            f"cat > {CONF}",
            input='{"cniVersion": "0.3.1", "name": "cbr0", "plugins": [{"type": "flannel"}]}',
        )
        node.ip(f"route add 100.100.{2 - number}.0/24 via 200.0.0.{3 - number}0 dev enp8s0")
        node.run("sh", "-ec", "mkdir -p /run/flannel; " + RULES.format(pods=f"100.100.{number - 1}.0/24"))
        node.ip("link add cni0 type bridge")
        node.ip(f"addr add 100.100.{number - 1}.1/24 dev cni0")
        node.ip("link set cni0 up")
        self.pods[name] = pod = Node()
        node.wire("veth0", pod, "eth0")
        node.ip("link set veth0 master cni0")
        pod.ip(f"addr add 100.100.{number - 1}.2/24 dev eth0")
        pod.ip(f"route add default via 100.100.{number - 1}.1")

    def drain(self, name: str) -> None:
        self.cluster.nodes[name].ip("link del veth0")
        self.pods.pop(name).close()

    def type(self, command: str, name: str = "n1", status: int = 0) -> str:
        """Run a page's ``ansible-playbook`` for one node instead of that which it names."""
        _program, playbook, _inventory, _path, *options = command.replace("ubuntu-nested-1", name).split()
        answer = {"pod_network_reset_confirmation": "yes"}
        return self.cluster.playbook(playbook.rpartition(".")[2], *options, status=status, **answer)

    def move(self, name: str) -> None:
        """Remove what flannel has left on a node, run site for it, and start a pod there."""
        for command in ON_NODE:
            self.cluster.nodes[name].run("sh", "-c", command)
        self.type(SITE, name)
        self.cluster.nodes[name].module("pod_probe", {"name": "humanz-probe-" + name, "lifetime": 900})

    def end_pod(self, name: str) -> None:
        self.cluster.nodes[name].module("pod_probe", {"name": "humanz-probe-" + name, "state": "stopped"})

    def reach(self, name: str, other: str) -> None:
        """Assert that flannel's pod on a node and the pod on the other one, whatever its network, exchange packets."""
        self.pods[name].run("ping", "-c1", "-W30", f"100.100.{int(other[1]) - 1}.2")

    def state(self, name: str) -> str:
        """What either network could leave on a node."""
        return self.cluster.nodes[name].run("sh", "-c", STATE, check=False).stdout


@pytest.fixture(scope="module")
def migration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Migration]:
    made = Migration(tmp_path_factory.mktemp("cluster"))
    yield made
    made.cluster.close()


def test_before_it_begins_all_that_is_flannels_is_named_and_stays(migration: Migration) -> None:
    before = migration.state("n1")
    said = migration.type(CHECK, status=2)
    assert "n1: /etc/cni/net.d/10-flannel.conflist would be loaded instead of" in said
    assert "n1: pod_network_pod_cidr 100.100.0.0/24: overlaps the route `100.100.0.0/24 dev cni0" in said
    assert "n1: route 100.100.1.0/24: exists already and is not ours: `100.100.1.0/24 via 200.0.0.20" in said
    assert migration.state("n1") == before
    migration.reach("n1", "n2")


def test_a_node_that_has_moved_and_one_that_has_not_reach_each_others_pods(migration: Migration) -> None:
    stays = migration.state("n2")
    migration.drain("n1")
    migration.move("n1")
    migration.reach("n2", "n1")
    assert migration.state("n2") == stays
    assert "FLANNEL" not in migration.state("n1")
    assert "cni0" not in migration.state("n1").replace("humanz-cni0", "")


def test_a_node_goes_back_to_flannel(migration: Migration) -> None:
    migration.end_pod("n1")
    migration.type(RESET)
    assert "humanz" not in migration.state("n1").lower()
    migration.set_up_flannel("n1")
    migration.reach("n1", "n2")
    migration.reach("n2", "n1")


def test_when_all_have_moved_nothing_is_left_to_change(migration: Migration) -> None:
    for name in ("n1", "n2"):
        migration.drain(name)
        migration.move(name)
    assert changes(migration.type(FINAL_SITE)) == {"0"}
    said = migration.type(VERIFY)
    assert "pod to pod             2       2       0" in said
    for name in ("n1", "n2"):
        assert "flannel" not in migration.state(name).lower()
