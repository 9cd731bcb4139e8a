# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The installed plugin under the tools by which others try theirs: CNI's cnitool, and critest of cri-tools.

critest runs its specs of the network only. Its web servers are busybox under the names that it asks for, see
lab/node/usr/local/lib/lab/pod_image.py; so none of them is left out. Of the others, those of images need a registry,
those of AppArmor and SELinux a kernel with these, and the rest says nothing of a pod network.

cnitool names no attachments to GC, for which the plugin removes nothing, so these are written into the configuration.
"""

from __future__ import annotations

import json
import subprocess
from xml.etree import ElementTree

from tests.support.lab.cluster import lab

NODE, OTHER = "ubuntu-nested-3", "ubuntu-nested-2"
PROGRAMS = "/opt/kubernetes/"
FOCUS = "Networking|portforward|HostNetwork|should support network$"
SPECS = [
    "Multiple Containers [Conformance] when running multiple containers in a pod should support network",
    "Networking runtime should support networking runtime should support DNS config [Conformance]",
    "Networking runtime should support networking runtime should support port mapping with host port and container port"
    " [Conformance]",
    "Networking runtime should support networking runtime should support port mapping with only container port"
    " [Conformance]",
    "Networking runtime should support networking runtime should support set hostname [Conformance]",
    "Security Context NamespaceOption runtime should support HostNetwork is false",
    "Security Context NamespaceOption runtime should support HostNetwork is true",
    "Streaming runtime should support streaming interfaces runtime should support portforward [Conformance]",
    "Streaming runtime should support streaming interfaces runtime should support portforward in host network",
]
SPACE = "cnitool"
# A network of one address, and where verify.yml has its configuration written.
SPARE = ("spare", "/run/cnitool")
SPARE_CONF = "/run/cnitool/10-humanz-cni-plugin.conflist"
# Debian 12's bandwidth crashes in CHECK without; its portmap cannot check the ports of a pod that has no IPv6 address.
CAPABILITIES = {"bandwidth": {"ingressRate": 1000000000, "ingressBurst": 1000000000}}


def node(*argv: str) -> str:
    """Run a command on the node and return what it prints."""
    return lab("exec", NODE, "--", *argv)


def reserved(network: str) -> list[str]:
    """Return the addresses that the plugin holds reserved for *network*."""
    listed = json.loads(node("humanz-cni-ctl", "list", "--output", "json"))["reservations"]
    return [address for each in listed if each["network"] == network for address in each["addresses"]]


class CniTool:
    """cnitool for one network, with the configuration and the plugin as they are on the node."""

    def __init__(self, network: str, directory: str = "/etc/cni/net.d") -> None:
        self.network = network
        capabilities = "CAP_ARGS=" + json.dumps(CAPABILITIES)
        self._environment = ("env", "CNI_PATH=/opt/cni/bin", "NETCONFPATH=" + directory, capabilities)

    def __call__(self, command: str, succeeds: bool = True) -> str:
        """Run a command for the namespace SPACE and return its output; it is to succeed, or not."""
        argv = (*self._environment, PROGRAMS + "cnitool", command, self.network, "/run/netns/" + SPACE)
        done = subprocess.run(
            ("python3", "lab", "exec", NODE, "--", *argv),
            check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert (done.returncode == 0) == succeeds, "cnitool %s %s: %s" % (command, self.network, done.stdout)
        return done.stdout

    def add(self) -> str:
        """Attach the namespace, a new one, and return its address."""
        before = reserved(self.network)
        node("ip", "netns", "add", SPACE)
        address = str(json.loads(self("add"))["ips"][0]["address"]).partition("/")[0]
        assert sorted(reserved(self.network)) == sorted([*before, address]), "what is reserved now"
        return address


def test_cnitool() -> None:
    """The node's own network is given, checked and taken back; a spare one is used up and cleaned up too."""
    tool, before = CniTool("humanz-cni"), reserved("humanz-cni")
    address = tool.add()
    lab("exec", OTHER, "--", "ping", "-c", "1", "-W", "3", address)
    tool("check")
    node("ip", "-n", SPACE, "address", "flush", "dev", "eth0")
    assert address in tool("check", succeeds=False), "what check says names the address"
    tool("del")
    assert "eth0" not in node("ip", "-n", SPACE, "link")
    assert reserved("humanz-cni") == before, "what is reserved now"
    node("ip", "netns", "del", SPACE)

    tool = CniTool(*SPARE)
    tool("status")
    address = tool.add()
    tool("check")
    tool("status")  # of a full pool, which is no reason to call the node not ready
    # The pod vanishes, and so does what the runtime knew of it.
    node("ip", "netns", "del", SPACE)
    node("sh", "-c", "rm /var/lib/cni/results/spare-*")
    assert "nothing was removed" in tool("gc", succeeds=False), "what gc says without a list"
    assert reserved("spare") == [address], "what is reserved now"
    node("sed", "-i", 's,"type": "humanz-cni",&\\, "cni.dev/valid-attachments": [],', SPARE_CONF)
    tool("gc")
    assert reserved("spare") == [], "what is reserved now"
    tool("status")
    node("ip", "link", "del", "spare0")


def test_critest() -> None:
    """The specs pass. Only containerd calls the plugin meanwhile, as a kubelet would end pods that it does not know."""
    report, before = "/tmp/critest.xml", reserved("humanz-cni")
    argv = ("--ginkgo.focus=" + FOCUS, "--ginkgo.no-color", "--ginkgo.succinct", "--ginkgo.junit-report=" + report)
    node("rm", "-f", report)  # what an earlier run reported proves nothing
    node("systemctl", "stop", "kubelet")
    try:
        print(lab("exec", NODE, "--", PROGRAMS + "critest", *argv, check=False), flush=True)
    finally:
        node("systemctl", "start", "kubelet")
    ran = {}
    for case in ElementTree.fromstring(node("cat", report)).iter("testcase"):
        if case.get("status") != "skipped" and case.get("name", "").startswith("[It]"):
            ran[case.get("name", "").partition("[k8s.io] ")[2]] = case.get("status")
    assert sorted(ran) == SPECS, "specs of critest that ran"
    assert [spec for spec, status in ran.items() if status != "passed"] == [], "specs of critest that did not pass"
    assert reserved("humanz-cni") == before, "what is reserved now"
