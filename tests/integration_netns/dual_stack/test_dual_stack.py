# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""site.yml, verify.yml and reset.yml with both address families, and with IPv6 alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.netns.two_nodes import OUTSIDE, Cluster, changes

LISTENER = """
import socket
server = socket.create_server(("::", 8080), family=socket.AF_INET6, dualstack_ipv6=True)
print(flush=True)
while True:
    client, peer = server.accept()
    client.sendall(peer[0].replace("::ffff:", "").encode() + b"\\n")
    client.close()
"""
RUNNING = "humanz-probe-running-%d"


@pytest.fixture(scope="module", params=[[[4], [4, 6]], [[6]]], ids=["IPv4, then dual stack", "IPv6 alone"])
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Converged nodes, with pods attached to the first of them; after a reset they are as they were."""
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        before = made.state()
        for made.families in request.param:
            made.playbook("site")
            made.nodes["n1"].module("pod_probe", {"name": RUNNING % len(made.families), "lifetime": 900})
        yield made
        for families in request.param:
            made.nodes["n1"].module("pod_probe", {"name": RUNNING % len(families), "state": "stopped"})
        made.playbook("reset", pod_network_reset_confirmation="yes")
        assert made.state() == before
    finally:
        made.close()


def test_every_pair_and_the_outside_in_every_family(cluster: Cluster) -> None:
    enter = ["nsenter", f"--target={cluster.outside.pid}", "--net", sys.executable, "-c", LISTENER]
    targets = {4: f"{OUTSIDE[4]}:8080", 6: f"[{OUTSIDE[6]}]:8080"}
    with subprocess.Popen(enter, stdout=subprocess.PIPE) as outside:
        assert outside.stdout is not None
        outside.stdout.readline()
        shown = cluster.playbook("verify", verify_outside=[targets[family] for family in cluster.families])
        outside.kill()
    assert changes(shown) == {"0"}
    for family in cluster.families:
        of_family = f", IPv{family}" if len(cluster.families) > 1 else ""
        for title, count in (
            (f"pod to pod{of_family}", 2),
            (f"node to pod{of_family}", 4),
            (f"pod to outside{of_family}", 2),
        ):
            assert any(
                line.strip(' ",').split() == [*title.split(), str(count), str(count), "0"]
                for line in shown.splitlines()
            )


def test_a_lost_route_of_one_family_fails_that_family(cluster: Cluster) -> None:
    lost = cluster.nodes["n1"].ip("-6 route show proto 217 type unicast").strip()
    cluster.nodes["n1"].ip(f"-6 route del {lost.split()[0]}")
    shown = cluster.playbook("verify", status=2, verify_timeout=1)
    cluster.nodes["n1"].ip(f"-6 route add {lost.partition(' metric')[0]} proto 217")
    assert "n1 has no route to fd00:100:0:2::" in shown
    assert "only its default route via fd00:122::1 dev enp1s0 covers it" in shown
    assert "100.100.1." not in shown


def test_a_second_run_changes_nothing(cluster: Cluster) -> None:
    assert changes(cluster.playbook("site")) == {"0"}


def test_routes_lie_in_their_file_and_come_back_from_it(cluster: Cluster) -> None:
    node = cluster.nodes["n1"]
    routes = node.ip("-4 route show proto 217") + node.ip("-6 route show proto 217")
    unreachable = [f"unreachable {cidr}" for cidr in cluster.pod_cidrs(1) if ":" in cidr]
    own = [line.partition(" dev")[0] for line in routes.splitlines() if line.startswith("unreachable")]
    assert own == unreachable
    assert [line.split()[0] for line in routes.splitlines() if " via " in line] == cluster.pod_cidrs(2)
    node.ip("-4 route flush proto 217")
    node.ip("-6 route flush proto 217")
    heal = Path(__file__).resolve().parents[3] / "files" / "host_network" / "heal.py"
    said = node.run(sys.executable, "-I", str(heal)).stdout
    for text in [f"{cidr} via " for cidr in cluster.pod_cidrs(2)] + unreachable:
        assert text in said
    assert node.ip("-4 route show proto 217") + node.ip("-6 route show proto 217") == routes


def test_the_kernel_forwards_what_pods_have(cluster: Cluster) -> None:
    settings = cluster.nodes["n1"].run("sysctl", "-n", "net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding").stdout
    assert settings.split() == [str(int(family in cluster.families)) for family in (4, 6)]


def test_what_a_node_has_is_told_for_each_family(cluster: Cluster) -> None:
    node = cluster.nodes["n1"]
    node.module("pod_probe", {})
    info = node.module("pod_network_info")
    node.module("pod_probe", {"state": "stopped"})
    unreachable = [cidr for cidr in cluster.pod_cidrs(1) if ":" in cidr]
    assert sorted(route["dst"] for route in info["routes"]) == sorted(cluster.pod_cidrs(2) + unreachable)
    ranges = [cidr.replace("/64", "/120") for cidr in cluster.pod_cidrs(1)]
    assert [one["subnets"] for one in info["pool"]["sets"]] == [[cidr] for cidr in ranges]
    # This pod, the one that was attached before, and one that was attached with IPv4 alone.
    assert [one["reserved"] for one in info["pool"]["sets"]] == [{4: 3, 6: 2}[family] for family in cluster.families]
    tools = {4: "iptables-save", 6: "ip6tables-save"}
    assert set(info["rules"]) == {tools[family] for family in cluster.families}
    assert len([address for address in info["bridge"]["addresses"] if "fe80" not in address]) == len(cluster.families)
