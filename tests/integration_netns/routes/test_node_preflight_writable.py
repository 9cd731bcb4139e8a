# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module node_preflight on a node: places that a run could not write to are named, by looking alone."""

from __future__ import annotations

from typing import Any

from tests.support.netns.node import Node
from tests.support.netns.preflight import problems

READ_ONLY = ": {0} is on a read-only file system: correct that"
NET_D = "pod_network_cni_conf_dir /etc/cni/net.d: "
#: What is done, what undoes it, and what is found.
CASES: list[tuple[str, str, list[str]]] = [
    (
        "mount -t tmpfs -o ro tmpfs /usr/local",
        "umount /usr/local",
        [
            "pod_network_library_dir /usr/local/lib/humanz-cni" + READ_ONLY.format("/usr/local"),
            "pod_network_sbin_dir /usr/local/sbin" + READ_ONLY.format("/usr/local"),
        ],
    ),
    (
        "mkdir -p /opt/cni/bin; mount -t tmpfs -o noexec tmpfs /opt/cni",
        "umount /opt/cni; rm -r /opt/cni",
        [
            "pod_network_cni_bin_dir /opt/cni/bin: /opt/cni is on a file system that is mounted with noexec, but"
            " programs must run from there: correct that"
        ],
    ),
    (
        "mkdir -p /etc/cni; ln -s /nowhere /etc/cni/net.d",
        "rm -r /etc/cni",
        [NET_D + "/etc/cni/net.d is a link to /nowhere, which does not exist: correct that"],
    ),
    ("touch /etc/cni", "rm /etc/cni", [NET_D + "/etc/cni is not a directory: correct that"]),
    (
        "mkdir -p /etc/cni/net.d; mount -t tmpfs -o size=64k,nr_inodes=1k tmpfs /etc/cni/net.d;"
        " ! dd if=/dev/zero of=/etc/cni/net.d/zero bs=64k count=2",
        "umount /etc/cni/net.d; rm -r /etc/cni",
        [NET_D + "/etc/cni/net.d is on a file system with less than 64 KiB free: correct that"],
    ),
    (
        "mkdir -p /etc/cni/net.d; mount -t tmpfs -o nr_inodes=2 tmpfs /etc/cni/net.d; touch /etc/cni/net.d/one",
        "umount /etc/cni/net.d; rm -r /etc/cni",
        [NET_D + "/etc/cni/net.d is on a file system without room for another file: correct that"],
    ),
    *(
        (
            f"mkdir -p {directory}/{name}",
            f"rm -r {directory}/{name}",
            [f"{variable}{directory}: {directory}/{name} is a directory: it must be a file: correct that"],
        )
        for variable, directory, name in (
            ("", "/etc/humanz-cni", "rules.v4"),
            ("", "/etc/humanz-cni", "rules.v6-other"),
            ("", "/etc/humanz-cni", "routes"),
            ("", "/etc/humanz-cni", "vxlan"),
            ("", "/etc/humanz-cni", "sysctl.before.json"),
            ("", "/etc/sysctl.d", "99-humanz-cni.conf"),
            ("pod_network_cni_conf_dir ", "/etc/cni/net.d", "10-humanz-cni-plugin.conflist"),
        )
    ),
    (
        "mkdir -p /run/tree; mount -t tmpfs tmpfs /run/tree; mkdir /run/tree/etc; chattr +i /run/tree/etc;"
        " mount --bind /run/tree/etc /etc/sysctl.d",
        "umount /etc/sysctl.d; chattr -i /run/tree/etc; umount /run/tree",
        ["/etc/sysctl.d: /etc/sysctl.d has the attribute immutable (`chattr -i`): correct that"],
    ),
    (
        "mkdir -p /run/readonly; mount -t tmpfs -o ro tmpfs /run/readonly",
        "umount /run/readonly",
        ["pod_network_log_file /run/readonly" + READ_ONLY.format("/run/readonly")],
    ),
    (
        "mount -t tmpfs -o ro tmpfs /etc/systemd/system",
        "umount /etc/systemd/system",
        ["/etc/systemd/system" + READ_ONLY.format("/etc/systemd/system") + ", or set pod_network_persistence to false"],
    ),
]
ANOTHER = ", or set {} to another path"


def unwritable(node: Node, **options: Any) -> list[str]:
    """Return what it finds but that no systemd runs, as none does in a namespace."""
    return [line for line in problems(node, **options) if "systemd does not run on this node" not in line]


def test_places_that_cannot_be_written_are_named(nested: Node) -> None:
    options = {"persistence": True, "log_file": "/run/readonly/humanz.log"}
    for command, undo, expected in CASES:
        nested.run("sh", "-c", "rm -rf /etc/cni /opt/cni; " + command)
        found = unwritable(nested, **options)
        nested.run("sh", "-ec", undo)
        starts = [
            "n1: " + line + (ANOTHER.format(line.partition(" ")[0]) if line.startswith("pod_") else "")
            for line in expected
        ]
        assert len(found) == len(starts), (command, found)
        assert all(line.startswith(start) for line, start in zip(found, starts, strict=True)), (command, found)


def test_kernel_parameters_that_cannot_be_written_are_named_if_they_must_be(nested: Node) -> None:
    settings = (
        "net.ipv4.ip_forward=1",
        "net.bridge.bridge-nf-call-iptables=1",
        "net.bridge.bridge-nf-call-ip6tables=1",
    )
    nested.run("sysctl", "-qw", *settings)
    nested.run("mount", "-o", "bind,ro", "/proc/sys", "/proc/sys")
    assert problems(nested) == []
    nested.run("umount", "/proc/sys")
    nested.run("sysctl", "-qw", "net.ipv4.conf.enp8s0.forwarding=0")
    nested.run("mount", "-o", "bind,ro", "/proc/sys", "/proc/sys")
    (found,) = problems(nested)
    assert found.startswith(
        "n1: sysctl net.ipv4.conf.enp8s0.forwarding: is 0, pods need 1, and this node cannot write it"
    )


def test_it_leaves_no_trace(nested: Node) -> None:
    # Not the time of the last change of an inode: the node's overlay copies a directory up that is opened for a file.
    # And in /var/lib not deeper, where what else the machine does shows through.
    look = "{ find /etc /opt /usr/local /run -xdev -printf '%p %T@\\n'; find /var/lib -maxdepth 1; } | sort"
    before = nested.run("sh", "-c", look).stdout
    assert unwritable(nested, persistence=True, log_file="/var/lib/log/humanz.log") == []
    assert nested.run("sh", "-c", look).stdout == before
