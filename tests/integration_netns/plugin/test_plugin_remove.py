# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module cni_plugin with state=absent: what is the plugin's goes, wherever it is, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.netns.node import Node
from tests.support.plugin.installation import EXECUTABLE, absent, present, tree
from tests.support.plugin.runtime import BLOG, Runtime, nested


def test_absent_refuses_while_pods_are_attached_and_names_them(node: Node) -> None:
    present(node)
    runtime = Runtime(node, Path(EXECUTABLE))
    result = runtime.add(BLOG, ARGS="K8S_POD_NAMESPACE=default;K8S_POD_NAME=demo")
    runtime.add(BLOG, "pod2")  # of no orchestrator
    before = (tree(node), runtime.state())

    refused = absent(node)

    assert refused["failed"] is True
    assert result["interfaces"][1]["name"] in refused["msg"]
    assert "addresses 100.100.1.2 (default/demo), 100.100.1.3; remove the pods first" in refused["msg"]
    assert "humanz-cni-ctl reclaim" in refused["msg"]
    assert (tree(node), runtime.state()) == before


def test_absent_by_force_removes_all_that_is_ours_and_nothing_else(node: Node) -> None:
    node.run("sh", "-c", "ip link add theirs type bridge; ip link add v0 type veth peer name v1; mkdir -p /opt/cni/bin")
    before = (tree(node), sorted(node.ip("-br link").split()))
    present(node)
    runtime = Runtime(node, Path(EXECUTABLE))
    runtime.add(BLOG, "pod1")
    runtime.add(nested(ipMasq=True, macspoofchk=True), "pod2")
    node.ip("link add br1.100 alias humanz-cni type veth peer name veth100")  # what vlan 100 makes
    node.ip("link set veth100 alias humanz-cni master br1")
    node.run("nft", "add table ip theirs")

    result = absent(node, force=True)

    assert result["changed"] is True
    links = sorted(node.ip("-br link").split())
    assert re.findall(r"veth\w+|humanz-cni0|br1", " ".join(links)) == []
    assert (tree(node), links) == before
    assert node.run("nft", "list", "tables").stdout == "table ip theirs\n"
    assert node.run("ls", "/run/humanz-cni", check=False).returncode != 0
    assert absent(node)["changed"] is False


def test_absent_finds_the_rules_by_a_library_of_before_it_had_folders(node: Node) -> None:
    library = present(node)["library"]
    runtime = Runtime(node, Path(EXECUTABLE))
    conf = nested(ipMasq=True)
    runtime.add(conf)
    assert "table ip humanz-cni" in node.run("nft", "list", "tables").stdout
    edit = r"s/^from \.spoof/from .network.spoof/; s/^from \.\./from ./"
    node.run("sh", "-ec", f"cd {library}/humanz_cni; mv network/masquerade.py .; sed -i '{edit}' masquerade.py")

    assert absent(node, force=True)["changed"] is True
    assert node.run("nft", "list", "tables").stdout == ""


def test_absent_takes_the_directories_that_were_missing_and_no_others(node: Node) -> None:
    node.run("mkdir", "/opt/theirs")
    directories: dict[str, Any] = {
        "cni_bin_dir": "/opt/theirs/cni/bin",
        "sbin_dir": "/opt/sbin",
        "library_dir": "/opt/lib/humanz-cni",
    }
    before = node.run("find", "/opt").stdout

    present(node, **directories)
    assert node.run("/opt/sbin/humanz-cni-ctl", "--version").stdout.startswith("humanz-cni-ctl ")
    predicted = node.module("cni_plugin", {"state": "absent", **directories}, check=True, diff=True)
    assert "directories: /opt/theirs/cni\n" in predicted["diff"]["before"]
    assert absent(node, **directories)["changed"] is True

    assert node.run("find", "/opt").stdout == before
    assert absent(node, **directories)["changed"] is False


def test_absent_leaves_a_directory_that_was_missing_to_others_who_use_it_now(node: Node) -> None:
    directories: dict[str, Any] = {"cni_bin_dir": "/opt/theirs/cni/bin"}
    present(node, **directories)
    present(node, **directories)
    node.run("touch", "/opt/theirs/cni/bin/loopback")

    assert absent(node, **directories)["changed"] is True

    assert node.run("find", "/opt/theirs", "-type", "f").stdout == "/opt/theirs/cni/bin/loopback\n"
    assert absent(node, **directories)["changed"] is False


def configured(node: Node, conf: dict[str, Any], name: str = "10-x.conf") -> None:
    """Make *conf* one of the node's CNI configurations."""
    node.run("sh", "-c", f"mkdir -p /etc/cni/net.d; cat > /etc/cni/net.d/{name}", input=json.dumps(conf))


@pytest.mark.parametrize("form", ["nested", "blog", "list"])
def test_absent_finds_what_a_configuration_keeps_elsewhere(node: Node, form: str) -> None:
    conf: dict[str, Any] = {**BLOG, "dataDir": "/var/lib/pods"}
    if form != "blog":
        conf = nested()
        conf["ipam"]["dataDir"] = "/var/lib/pods"
    listed = {"name": conf["name"], "cniVersion": conf["cniVersion"], "plugins": [conf]}
    configured(node, listed if form == "list" else conf)
    node.run("sh", "-c", "echo '{' > /etc/cni/net.d/00-broken.conf")
    present(node)
    runtime = Runtime(node, Path(EXECUTABLE))
    runtime.add(conf)

    refused = absent(node)
    assert refused["failed"] is True
    assert f"addresses {runtime.add(conf, 'pod2')['ips'][0]['address'].rpartition('.')[0]}" in refused["msg"]
    assert absent(node, force=True)["changed"] is True

    assert node.run("ls", "/var/lib/pods", check=False).returncode != 0
    assert absent(node)["changed"] is False


def test_absent_finds_what_a_former_configuration_keeps_elsewhere(node: Node) -> None:
    conf: dict[str, Any] = {**BLOG, "dataDir": "/var/lib/pods"}
    present(node)
    runtime = Runtime(node, Path(EXECUTABLE))
    runtime.add(conf)
    node.run("sh", "-c", "mkdir /var/lib/pods/theirs; touch /var/lib/pods/theirs/lock")

    assert absent(node)["failed"] is True
    assert absent(node, force=True)["changed"] is True

    assert node.run("ls", "/var/lib/pods").stdout == "theirs\n"
    assert node.run("ls", "/run/humanz-cni", check=False).returncode != 0
    assert absent(node)["changed"] is False


def test_absent_leaves_the_references_addresses_in_a_shared_directory(node: Node) -> None:
    """host-local keeps its lock file empty; a network that was attached by it before may have the same name."""
    conf = nested()
    conf["ipam"]["dataDir"] = "/var/lib/cni/networks"
    configured(node, conf)
    theirs = "mkdir -p /var/lib/cni/networks/NAME; cd /var/lib/cni/networks/NAME; touch lock; echo x > 10.9.0.9"
    for name in ("net1", "net2"):
        node.run("sh", "-c", theirs.replace("NAME", name))
    present(node)

    assert absent(node)["changed"] is True

    assert node.run("sh", "-c", "ls /var/lib/cni/networks/*/10.9.0.9 | wc -l").stdout == "2\n"


def test_absent_leaves_a_bridge_that_somebody_else_uses(node: Node) -> None:
    present(node)
    runtime = Runtime(node, Path(EXECUTABLE))
    runtime.add(BLOG)
    runtime.delete(BLOG)
    node.run("sh", "-c", "ip link add v0 type veth peer name v1; ip link set v0 master humanz-cni0")

    absent(node)
    assert "humanz-cni0" in runtime.links()

    node.run("ip", "link", "delete", "v0")
    assert absent(node)["changed"] is True
    assert "humanz-cni0" not in runtime.links()
