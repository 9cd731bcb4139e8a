# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module node_preflight on a node: what it finds of the node's commands, firewalld and container runtime."""

from __future__ import annotations

import pytest
from node import Node
from preflight import problems


def test_missing_commands_are_named_with_their_packages(nested: Node) -> None:
    nested.run("mount", "-t", "tmpfs", "tmpfs", "/usr/sbin")
    assert problems(nested, path="/usr/bin")[:2] == [
        "n1: command iptables: is not on this node: install its package, iptables, or nftables",
        "n1: command iptables-restore: is not on this node: install its package, iptables, or nftables",
    ]
    nested.run("sh", "-c", "echo > /usr/local/bin/nft; chmod +x /usr/local/bin/nft")
    assert problems(nested, path="/usr/bin:/usr/local/bin") == []


@pytest.mark.parametrize(
    ("backend", "present", "missing"),
    [
        ("auto", ["nft"], []),
        ("auto", ["iptables", "iptables-restore"], []),
        ("nft", ["nft", "iptables", "iptables-restore"], ["iptables-nft", "iptables-nft-restore"]),
        ("legacy", ["nft", "iptables-legacy"], ["iptables-legacy-restore"]),
        ("legacy", ["iptables-legacy", "iptables-legacy-restore"], []),
        ("nftables", ["iptables", "iptables-restore"], ["nft"]),
        ("nftables", ["nft"], []),
    ],
)
def test_the_commands_of_a_backend_are_looked_for(
    nested: Node, backend: str, present: list[str], missing: list[str]
) -> None:
    nested.run("mount", "-t", "tmpfs", "tmpfs", "/usr/sbin")
    for name in present:
        nested.run("sh", "-c", f"echo > /usr/local/bin/{name}; chmod +x /usr/local/bin/{name}")
    found = problems(nested, path="/usr/bin:/usr/local/bin", backend=backend)
    assert [line.split(": ")[1] for line in found] == ["command " + name for name in missing]
    assert all(line.endswith("or name another pod_network_firewall_backend") for line in found)


def test_a_firewalld_without_policies_is_found(nested: Node) -> None:
    """Of firewalld 0.8 only the answer is there: its command does not know the option."""
    script = "#!/bin/sh\necho unrecognized arguments: --policy >&2\nexit 2\n"
    nested.run("sh", "-c", "cat > /usr/local/bin/firewall-cmd; chmod 755 /usr/local/bin/firewall-cmd", input=script)
    (found,) = problems(nested, path="/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    assert found.startswith("n1: firewalld on this node is older than 0.9 and has no policies")


def test_a_k3s_that_runs_flannel_looks_elsewhere(nested: Node) -> None:
    cni = "[plugins.cri.cni]\nbin_dir = '/var/lib/rancher/k3s/data/cni'\nconf_dir = '/k3s/net.d'\n"
    directory = "/var/lib/rancher/k3s/agent/etc/containerd"
    nested.run("sh", "-c", 'mkdir -p %s; echo "$1" > %s/config.toml' % (directory, directory), "sh", cni)
    remedy = "must be that, or k3s be started with flannel-backend: none, which makes it look in "
    gone = ", or remove %s/config.toml if k3s is no longer used here" % directory
    looks = "n1: pod_network_cni_%s: k3s looks in %s: " + remedy + "%s" + gone
    assert problems(nested) == [
        looks % ("conf_dir /etc/cni/net.d", "/k3s/net.d", "/etc/cni/net.d"),
        looks % ("bin_dir /opt/cni/bin", "/var/lib/rancher/k3s/data/cni", "/opt/cni/bin"),
    ]
    nested.run("sh", "-c", "mkdir -p /var/lib/rancher/k3s/data/cni; touch /var/lib/rancher/k3s/data/cni/loopback")
    assert problems(nested, conf_dir="/k3s/net.d", cni_bin_dir="/var/lib/rancher/k3s/data/cni") == []


def test_a_containerd_that_runs_may_look_elsewhere(nested: Node) -> None:
    cni = '[plugins."io.containerd.grpc.v1.cri".cni]\nbin_dir = "/opt/other"\nconf_dir = "/etc/cni/net.d"\n'
    write = 'mkdir -p /etc/containerd /run/containerd /opt/other; echo "$1" > /etc/containerd/config.toml'
    nested.run("sh", "-c", write, "sh", cni)
    assert problems(nested) == []
    nested.run("touch", "/run/containerd/containerd.sock")
    assert problems(nested) == [
        "n1: pod_network_cni_bin_dir /opt/cni/bin: containerd looks in /opt/other: must be that, or set"
        " bin_dir to /opt/cni/bin in /etc/containerd/config.toml and restart containerd"
    ]
    (lacking,) = problems(nested, cni_bin_dir="/opt/other")
    assert lacking.startswith(
        "n1: CNI plugin loopback: is not in /opt/other, and containerd starts no pod without it: "
    )
    nested.run("touch", "/opt/other/loopback")
    assert problems(nested, cni_bin_dir="/opt/other") == []


BIN = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def script(node: Node, path: str, text: str) -> None:
    node.run("sh", "-c", 'mkdir -p "${0%/*}"; printf %s "$1" > "$0"; chmod 755 "$0"', path, text)


def test_a_node_without_systemd_is_found_before_anything_is_changed(nested: Node) -> None:
    (found,) = problems(nested, persistence=True)
    assert found.startswith("n1: pod_network_persistence true: systemd does not run on this node")
    assert problems(nested, persistence=False) == []


def test_a_firewall_that_systemd_would_leave_out_at_boot_is_found(nested: Node) -> None:
    """systemctl is a stand-in: it knows of nftables, which a drop-in has start after Docker, and of Docker."""
    shows = """#!/bin/sh
    [ "$1" = show ] || exit 1
    case $2 in *NeedDaemonReload*) plain=yes;; esac
    for name; do
        case $name in -*|show) continue;; esac
        state=not-found after=
        case $name in nftables.service) state=loaded after=docker.service;; docker.service) state=loaded;; esac
        printf 'Id=%s\\nNames=%s\\nLoadState=%s\\nAfter=%s\\nBefore=\\n' "$name" "$name" $state "$after"
        [ -z "$plain" ] || printf 'ActiveState=inactive\\nUnitFileState=\\nNeedDaemonReload=no\\n'
        echo
    done
    """
    script(nested, "/usr/local/bin/systemctl", shows)
    nested.run("mkdir", "-p", "/run/systemd/system")
    (found,) = problems(nested, path=BIN, persistence=True)
    assert found.startswith(
        "n1: unit nftables.service: starts after docker.service, which starts after humanz-cni.service, which starts "
        "after nftables.service: systemd would leave one of them out at boot"
    )
    result = nested.module("node_persistence", {"files": {"": ""}, "heal_interval": 30}, path=BIN)
    assert result["failed"]
    nested.run("test", "!", "-e", "/etc/systemd/system/humanz-cni.service")


@pytest.mark.parametrize(
    ("path", "text", "options", "begins"),
    [
        ("/etc/sysctl.d/99-humanz-cni.conf", "mine\n", {}, "/etc/sysctl.d/99-humanz-cni.conf was not written by"),
        ("/etc/humanz-cni/rules.v4", "mine\n", {}, "/etc/humanz-cni/rules.v4 was not written by this collection"),
        ("/etc/systemd/system/humanz-cni.service", "mine\n", {}, "/etc/systemd/system/humanz-cni.service was not"),
        ("/usr/local/lib/humanz-cni/heal.py", "mine\n", {}, "/usr/local/lib/humanz-cni/heal.py was not written by"),
        (
            "/opt/old",
            "#!/bin/sh\necho 3.7.3 cpython-37\n",
            {"interpreter": "/opt/old"},
            "pod_network_python_interpreter: ",
        ),
        (None, "", {"interpreter": "/opt/none"}, "pod_network_python_interpreter: /opt/none does not exist"),
        (None, "", {"protocol": 2}, "protocol 2: is kernel's: take a number from 19 to 185"),
        (None, "", {"log_file": "cni.log"}, "pod_network_log_file: cni.log must be an absolute path"),
        (None, "", {"heal_interval": -1}, "pod_network_heal_interval: -1 must be a number of seconds"),
        (None, "", {"cni_bin_dir": "/usr/local/sbin/"}, "pod_network_cni_bin_dir /usr/local/sbin/: is where"),
    ],
)
def test_what_a_later_module_would_refuse_is_found(
    nested: Node, path: str | None, text: str, options: dict[str, object], begins: str
) -> None:
    if path:
        script(nested, path, text)
    (found,) = problems(nested, **options)
    assert found.startswith("n1: " + begins)
