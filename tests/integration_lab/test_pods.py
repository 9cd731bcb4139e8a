# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods are containerd's: its libcni calls the plugins, here the reference ones, which the lab has to suit too."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from tests.support.lab.lab_under_test import LabUnderTest

NODE = "ubuntu-nested-1"
CONF = "/etc/cni/net.d/10-reference.conflist"
# A plugin before portmap that writes down what it was called with, then is the reference bridge.
RECORDER = """#!/bin/sh
echo "$CNI_COMMAND $CNI_IFNAME $CNI_NETNS $CNI_ARGS" >> /run/calls
exec /opt/cni/bin/bridge
"""


def configure(lab: LabUnderTest, node: str, subnet: str) -> None:
    """Attach a node's pods by the reference's bridge, and wait until its runtime calls its network ready."""
    ipam = {"type": "host-local", "ranges": [[{"subnet": subnet}]], "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "recorder", "bridge": "reference0", "isGateway": True, "ipMasq": True, "ipam": ipam}
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    conf = json.dumps({"cniVersion": "1.0.0", "name": "reference", "plugins": [bridge, portmap]})
    lab.node(node, "sh", "-c", "cat > /opt/cni/bin/recorder; chmod 755 /opt/cni/bin/recorder", stdin=RECORDER)
    lab.node(node, "sh", "-c", "cat > /etc/cni/net.d/new && mv /etc/cni/net.d/new " + CONF, stdin=conf)
    wait_ready(lab, node)


@pytest.fixture(scope="module")
def network(lab: LabUnderTest) -> Iterator[None]:
    """One node with a pod network."""
    configure(lab, NODE, "100.100.0.0/24")
    yield
    lab.node(NODE, "rm", CONF, "/opt/cni/bin/recorder")


def wait_ready(lab: LabUnderTest, node: str) -> None:
    """Wait until a node's runtime calls its network ready."""
    for _attempt in range(50):
        row = next(line for line in lab.out("status").splitlines() if line.startswith(node))
        if row.endswith("ready"):
            return
        time.sleep(0.1)
    raise AssertionError(row)


@pytest.fixture
def pod(lab: LabUnderTest, network: None) -> Iterator[str]:
    """A pod with a published port; its address."""
    yield lab.out("pod", "run", "--publish", "8088:8080", NODE, "web").strip()
    lab.run("pod", "rm", NODE, "web")


def test_a_pod_is_attached_by_libcni_as_a_kubelet_does(lab: LabUnderTest, pod: str) -> None:
    command, interface, netns, arguments = lab.node(NODE, "tail", "-n", "1", "/run/calls").split()
    assert (command, interface) == ("ADD", "eth0")
    assert netns.startswith("/var/run/netns/cni-")
    assert {"K8S_POD_NAMESPACE=default", "K8S_POD_NAME=web", "IgnoreUnknown=1"} < set(arguments.split(";"))
    assert lab.out("pod", "list", NODE).split() == [NODE, "default", "web", "ready", pod]


def test_the_outside_sees_the_nodes_address(lab: LabUnderTest, pod: str) -> None:
    call = ("python3", "/usr/local/lib/lab/peer.py", "call", "203.0.113.10", "8080")
    assert lab.out("pod", "exec", NODE, "web", "--", *call).strip() == "192.168.122.11"


def test_the_pods_server_sees_its_caller(lab: LabUnderTest, pod: str) -> None:
    assert lab.node(NODE, "python3", "/usr/local/lib/lab/peer.py", "call", pod, "8080").strip() == "100.100.0.1"


def test_a_published_port_leads_to_the_pod(lab: LabUnderTest, pod: str) -> None:
    call = ("python3", "/usr/local/lib/lab/peer.py", "call", "192.168.122.11", "8088")
    assert lab.node("2", *call).strip() == "192.168.122.12"


def test_exec_passes_output_and_exit_code_on(lab: LabUnderTest, pod: str) -> None:
    done = lab.run("pod", "exec", NODE, "web", "--", "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")


def test_rm_detaches_and_is_no_error_twice(lab: LabUnderTest, network: None) -> None:
    lab.run("pod", "run", "--namespace", "kube-system", NODE, "gone")
    # What verify's probes do first, too.
    lab.node(NODE, "sh", "-c", "ip netns add another; ip netns delete another")
    for _twice in range(2):
        lab.run("pod", "rm", "--namespace", "kube-system", NODE, "gone")
    assert lab.node(NODE, "tail", "-n", "1", "/run/calls").startswith("DEL eth0 ")
    assert "veth" not in lab.node(NODE, "ip", "-br", "link")
    assert lab.out("pod", "list", NODE) == ""


def test_a_pod_that_cannot_be_attached_says_why_and_can_be_run_later(lab: LabUnderTest) -> None:
    node = "ubuntu-nested-2"
    done = lab.run("pod", "run", node, "early", check=False)
    assert done.returncode == 1
    assert "cni plugin not initialized" in done.stderr
    configure(lab, node, "100.100.1.0/24")
    assert lab.out("pod", "run", node, "early") == "100.100.1.2\n"
    again = lab.run("pod", "run", node, "early", check=False)
    assert "pod early in namespace default is there already" in again.stderr
    lab.run("pod", "rm", node, "early")
    lab.node(node, "rm", CONF, "/opt/cni/bin/recorder")


def test_a_reboot_keeps_the_disk_empties_run_and_ends_the_pods(lab: LabUnderTest, network: None) -> None:
    lab.run("pod", "run", NODE, "old")
    boot_id = "cat /proc/sys/kernel/random/boot_id"
    before = lab.node(
        NODE, "sh", "-c", "touch /etc/kept /run/lost; ip route add 198.51.100.0/24 dev enp8s0; " + boot_id
    )
    lab.run("reboot", NODE)
    assert lab.node(NODE, "sh", "-c", boot_id) != before
    assert lab.node(NODE, "sh", "-c", "ls /etc/kept /run/lost 2> /dev/null || true").split() == ["/etc/kept"]
    assert "198.51.100.0" not in lab.node(NODE, "ip", "route")
    lab.node("2", "ping", "-c", "1", "-W", "2", "200.0.0.10")
    lab.ansible("ansible", NODE, "-m", "ansible.builtin.ping")
    lab.node(NODE, "rm", "/etc/kept")
    assert lab.out("pod", "list", NODE).split()[:4] == [NODE, "default", "old", "notready"]
    lab.run("pod", "rm", NODE, "old")
    assert lab.out("pod", "list", NODE) == ""
