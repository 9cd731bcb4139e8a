# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A task that fails halfway puts back what it changed: each module, stopped by a real refusal of the kernel."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.humanz.cni.plugins.action.cni_plugin import pack
from tests.support import installed_plugin
from tests.support.netns.node import Node

UNDONE = ": everything is as it was before this task"
PLACES = "/etc/humanz-cni /etc/sysctl.d /etc/modules-load.d /etc/cni /opt/cni /usr/local/sbin /usr/local/lib/humanz-cni"
KEYS = "net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables net.bridge.bridge-nf-call-ip6tables"
FIREWALL = {"pod_cidrs": ["100.100.0.0/24"], "non_masquerade_cidrs": ["100.100.0.0/16"], "backend": "nft"}
CONF = {"pod_cidrs": ["100.100.0.0/24"], "cluster_cidr": "100.100.0.0/16", "chain": []}


def everything(node: Node) -> str:
    """All that the modules change: files, settings and rules."""
    files = f"find {PLACES} -type f 2> /dev/null | grep -v '/[.]directories' | sort | xargs -r sha256sum"
    rules = "iptables-nft-save | grep -E '^(-|:HUMANZ)' | sed 's/ \\[.*//'"
    return node.run("sh", "-c", f"{files}; sysctl {KEYS}; {rules}").stdout


def read_only(node: Node, path: str) -> None:
    """Have every write to *path*, a file or directory, fail."""
    node.run("mount", "--bind", path, path)
    node.run("mount", "-o", "remount,bind,ro", path)


def fails(node: Node, module: str, args: dict[str, Any], words: str) -> None:
    """Run a module that must fail, for the reason *words*, and change nothing that lasts."""
    before = everything(node)
    result = node.module(module, args)
    assert words in result["msg"]
    assert result["msg"].endswith(UNDONE)
    assert everything(node) == before


@pytest.fixture
def old(node: Node) -> Node:
    """A node that has each module's work of an earlier run."""
    node.run("sysctl", "-qw", *(f"{key}=0" for key in KEYS.split()))
    node.module("pod_firewall", {**FIREWALL, "pod_cidrs": ["100.100.9.0/24"]})
    node.module("cni_conf", {**CONF, "format": "conf", "pod_cidrs": ["100.100.9.0/24"]})
    return node


def test_kernel_settings_are_put_back_when_one_cannot_be_made(old: Node) -> None:
    read_only(old, "/proc/sys/net/ipv4/ip_forward")
    fails(old, "node_kernel", {}, "net.ipv4.ip_forward cannot be set to 1: Read-only file system")
    old.run("umount", "/proc/sys/net/ipv4/ip_forward")
    assert old.module("node_kernel")["changed"]


def test_kernel_settings_are_put_back_when_a_file_cannot_be_written(old: Node) -> None:
    read_only(old, "/etc/modules-load.d")
    fails(old, "node_kernel", {}, "/etc/modules-load.d/humanz-cni.conf cannot be written")


@pytest.mark.parametrize("state", ["present", "absent"])
def test_rules_are_put_back_when_their_file_cannot_be_written(old: Node, state: str) -> None:
    read_only(old, "/etc/humanz-cni")
    assert "100.100.9.0/24 -i humanz-cni0" in everything(old)
    fails(old, "pod_firewall", {**FIREWALL, "state": state}, "/etc/humanz-cni/rules.v4 cannot be written")


@pytest.mark.parametrize("state", ["present", "absent"])
def test_rules_of_nftables_alone_are_put_back_when_their_file_cannot_be_written(node: Node, state: str) -> None:
    node.run("nft", "add table inet local")
    node.run("nft", "add chain inet local forward { type filter hook forward priority 0; policy drop; }")
    node.module("pod_firewall", {**FIREWALL, "backend": "nftables", "pod_cidrs": ["100.100.9.0/24"]})
    read_only(node, "/etc/humanz-cni")
    before = node.run("nft", "list", "ruleset").stdout
    assert "100.100.9.0/24" in before
    result = node.module("pod_firewall", {**FIREWALL, "backend": "nftables", "state": state})
    assert "/etc/humanz-cni/rules.nft cannot be written" in result["msg"]
    assert result["msg"].endswith(UNDONE)
    assert node.run("nft", "list", "ruleset").stdout == before


def test_new_rules_go_again_when_their_file_cannot_be_written(node: Node) -> None:
    node.run("sh", "-c", "mkdir -p /etc/humanz-cni && touch /etc/humanz-cni/other")
    read_only(node, "/etc/humanz-cni")
    fails(node, "pod_firewall", FIREWALL, "/etc/humanz-cni/rules.v4 cannot be written")
    assert "HUMANZ" not in everything(node)


def test_the_old_configuration_stays_when_it_cannot_be_removed(old: Node) -> None:
    path = "/etc/cni/net.d/10-humanz-cni-plugin.conf"
    old.run("mount", "--bind", path, path)
    fails(old, "cni_conf", CONF, "/etc/cni/net.d cannot be changed")


def test_the_plugin_stays_when_its_command_cannot_be_written(node: Node, tmp_path: Path) -> None:
    first = node.module("cni_plugin", {"source": pack(installed_plugin.SOURCE)})
    read_only(node, "/usr/local/sbin")
    changed = tmp_path / "changed"
    shutil.copytree(installed_plugin.SOURCE, changed)
    (changed / "extra.py").write_text("# a newer version\n")
    newer = pack(changed)
    fails(node, "cni_plugin", {"source": newer}, "Read-only file system")
    assert first["library"] in node.run("cat", "/opt/cni/bin/humanz-cni").stdout
    versions = node.run("/opt/cni/bin/humanz-cni", env={"CNI_COMMAND": "VERSION"}, input='{"cniVersion": "1.0.0"}')
    assert json.loads(versions.stdout)["supportedVersions"]
    node.run("umount", "/usr/local/sbin")
    assert node.module("cni_plugin", {"source": newer})["changed"]


ONCE = """\
#!/bin/sh
[ -e /run/used ] && { cat > /dev/null; echo somebody holds the lock >&2; exit 4; }
touch /run/used
exec /usr/sbin/iptables-restore "$@"
"""


def test_what_cannot_be_put_back_is_said(old: Node) -> None:
    """The rules are changed by the time their file cannot be written, and iptables works no more."""
    old.run("sh", "-c", "cat > /usr/local/bin/iptables-restore; chmod 755 /usr/local/bin/iptables-restore", input=ONCE)
    read_only(old, "/etc/humanz-cni")
    path = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    result = old.module("pod_firewall", {**FIREWALL, "backend": "auto"}, path=path)
    assert "rules.v4 cannot be written" in result["msg"]
    assert "not everything could be put back as it was before this task (" in result["msg"]
    assert "somebody holds the lock" in result["msg"]


@pytest.mark.parametrize(
    ("path", "module"),
    [("/opt/cni/bin", "cni_plugin"), ("/usr/local/lib", "cni_plugin"), ("/etc/sysctl.d", "node_kernel")],
)
def test_a_full_disk_is_named_by_the_file_that_did_not_fit(node: Node, path: str, module: str) -> None:
    node.run("mkdir", "-p", path)
    node.run("mount", "-t", "tmpfs", "-o", "size=8k", "none", path)
    node.run("sh", "-c", f"yes > {path}/full 2> /dev/null || true")
    args = {"source": pack(installed_plugin.SOURCE)} if module == "cni_plugin" else {}
    fails(node, module, args, "No space left on device")
    assert node.module(module, args)["msg"].startswith(f"{path}/")
