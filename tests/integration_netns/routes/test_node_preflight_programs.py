# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module node_preflight on a node: what it finds of the node's commands, firewalld and container runtime."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support import reference_plugins
from tests.support.netns.node import Node
from tests.support.netns.preflight import problems


def put_command(node: Node, name: str) -> None:
    """Put a command there that takes whatever rules it is given, and fails otherwise, as it has nothing to show."""
    program = '#!/bin/sh\n[ "$1" = -f ]\n'
    node.run("sh", "-c", f"cat > /usr/local/bin/{name}; chmod +x /usr/local/bin/{name}", input=program)


def test_missing_commands_are_named_with_their_packages(nested: Node) -> None:
    nested.run("mount", "-t", "tmpfs", "tmpfs", "/usr/sbin")
    assert problems(nested, path="/usr/bin")[:2] == [
        "n1: command iptables: is not on this node: install its package, iptables, or nftables",
        "n1: command iptables-restore: is not on this node: install its package, iptables, or nftables",
    ]
    put_command(nested, "nft")
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
        put_command(nested, name)
    found = problems(nested, path="/usr/bin:/usr/local/bin", backend=backend)
    assert [line.split(": ")[1] for line in found] == ["command " + name for name in missing]
    assert all(line.endswith("or name another pod_network_firewall_backend") for line in found)


@pytest.fixture
def poor(nested: Node) -> Node:
    """A node whose kernel shows no modules and makes no veth and no VXLAN interfaces, as far as `ip` can tell."""
    nested.run("mount", "-t", "tmpfs", "tmpfs", "/sys/module")
    program = (
        '#!/bin/sh\ncase "$*" in *"type v"*) echo "Error: Unknown device type." >&2; exit 2;; esac\n'
        f'exec {nested.run("sh", "-c", "command -v ip").stdout.strip()} "$@"\n'
    )
    nested.run("sh", "-c", "cat > /usr/local/bin/ip; chmod 755 /usr/local/bin/ip", input=program)
    return nested


def test_kinds_of_interfaces_that_the_kernel_lacks_are_found(poor: Node) -> None:
    before = poor.ip("link show")
    path = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    lacks = "n1: this node's kernel does not support interfaces of type %s (Error: Unknown device type.), and "
    veth = lacks % "veth" + "pods need it: boot a kernel that has it"
    assert problems(poor, path=path) == [veth]
    vxlan, other = sorted(problems(poor, path=path, vxlan_device="humanz-vxlan0"), key=lambda line: "veth" in line)
    assert vxlan.startswith(lacks % "vxlan" + "pod_network_cross_subnet vxlan needs it: boot a kernel that has it, or ")
    assert other == veth
    # One that could be loaded is there.
    poor.run(
        "sh", "-c", "cat > /usr/local/bin/modprobe; chmod 755 /usr/local/bin/modprobe", input="#!/bin/sh\nexit 0\n"
    )
    assert problems(poor, path=path, vxlan_device="humanz-vxlan0") == []
    assert poor.ip("link show") == before


@pytest.mark.parametrize("backend", ["nft", "legacy", "nftables"])
def test_rules_that_the_kernel_does_not_take_are_found(nested: Node, backend: str) -> None:
    before = nested.run("sh", "-c", "nft list ruleset; cat /proc/net/ip_tables_names").stdout
    assert problems(nested, backend=backend, masquerade=True) == []
    command = {"nft": "iptables-nft-restore", "legacy": "iptables-legacy-restore", "nftables": "nft"}[backend]
    real = nested.run("sh", "-c", f"command -v {command}").stdout.strip()
    # As if the kernel had no MASQUERADE.
    program = f"#!/bin/sh\nsed 's/MASQUERADE/NOSUCH/;s/masquerade/nosuch/' | {real} \"$@\"\n"
    nested.run("sh", "-c", f"cat > /usr/local/bin/{command}; chmod 755 /usr/local/bin/{command}", input=program)
    path = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    (found,) = problems(nested, path=path, backend=backend, masquerade=True)
    assert found.startswith(
        f"n1: pod_network_firewall_backend {backend}: this node's kernel does not support the rules "
    )
    assert found.endswith("): boot one that does, or choose another")
    assert nested.run("sh", "-c", "nft list ruleset; cat /proc/net/ip_tables_names").stdout == before


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
    remedy = "must be that, or start k3s with flannel-backend: none, which makes it look in "
    gone = ", or remove %s/config.toml if k3s is no longer used here" % directory
    looks = "n1: pod_network_cni_%s: k3s looks in %s: " + remedy + "%s" + gone
    assert problems(nested) == [
        looks % ("conf_dir /etc/cni/net.d", "/k3s/net.d", "/etc/cni/net.d"),
        looks % ("bin_dir /opt/cni/bin", "/var/lib/rancher/k3s/data/cni", "/opt/cni/bin"),
    ]
    nested.run("sh", "-c", "mkdir -p /var/lib/rancher/k3s/data/cni; touch /var/lib/rancher/k3s/data/cni/loopback")
    assert problems(nested, conf_dir="/k3s/net.d", cni_bin_dir="/var/lib/rancher/k3s/data/cni") == []


@pytest.fixture
def start_containerd(nested: Node) -> Iterator[Callable[..., None]]:
    """Return a function that starts the real containerd on the node, with a configuration and further words."""
    started = []

    def start(config: str, path: str, socket: str, *words: str) -> None:
        nested.run("sh", "-c", 'mkdir -p "${1%/*}"; printf "%s" "$2" > "$1"', "sh", path, config)
        command = [str(reference_plugins.containerd()), "--config", path, *words]
        started.append(nested.start(*command, stderr=subprocess.DEVNULL))
        # It answers until then; its plugins are started after that.
        while nested.run("test", "-S", socket, check=False).returncode:
            assert started[-1].poll() is None
            time.sleep(0.1)

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_containerd_that_runs_is_asked_where_it_looks(nested: Node, start_containerd: Callable[..., None]) -> None:
    assert problems(nested) == []
    path = "/etc/elsewhere/config.toml"
    config = """version = 2
imports = ["/etc/elsewhere/more.toml"]
[plugins."io.containerd.grpc.v1.cri"]
cni = { bin_dir = "/opt/cni/bin", conf_dir = "/etc/cni/other.d" }
"""
    nested.run("mkdir", "-p", "/etc/elsewhere", "/opt/other")
    nested.run("touch", "/etc/elsewhere/more.toml", "/opt/other/loopback")
    start_containerd(config, path, "/run/containerd/containerd.sock")
    change = "must be that, or set %s in /etc/elsewhere/config.toml and restart containerd"
    other = "n1: pod_network_cni_conf_dir /etc/cni/net.d: containerd looks in /etc/cni/other.d: " + change
    assert problems(nested)[0] == other % "conf_dir to /etc/cni/net.d"
    # What it imports goes over that.
    more = "[plugins.'io.containerd.cri.v1.runtime'.cni]\nbin_dirs = ['/opt/other']\nconf_dir = '/etc/cni/net.d'\n"
    nested.run("sh", "-c", 'printf "%s" "$1" > /etc/elsewhere/more.toml', "sh", "version = 3\n" + more)
    nested.run("sh", "-c", 'printf "%s" "$1" > ' + path, "sh", 'version = 3\nimports = ["more.toml"]\n')
    assert problems(nested, cni_bin_dir="/opt/other") == []
    (found,) = problems(nested)
    assert found.startswith("n1: pod_network_cni_bin_dir /opt/cni/bin: containerd looks in /opt/other: must be that, ")
    nested.run("sh", "-c", "echo '[' > " + path)
    (found,) = problems(nested)
    assert found.startswith("n1: containerd: its configuration cannot be read: `")
    assert found.endswith(": correct /etc/elsewhere/config.toml")


def test_the_containerd_that_others_bring_along_is_asked_too(
    nested: Node, start_containerd: Callable[..., None]
) -> None:
    socket = "/run/k3s/containerd/containerd.sock"
    path = "/var/lib/rancher/rke2/agent/etc/containerd/config.toml"
    config = "version = 3\n[plugins.'io.containerd.cri.v1.runtime']\ncni = { bin_dirs = ['/rke2'] }\n"
    start_containerd(config, path, socket, "-a", socket, "--state", "/run/k3s/containerd")
    (found,) = problems(nested)
    assert found.startswith("n1: pod_network_cni_bin_dir /opt/cni/bin: RKE2 looks in /rke2: must be that, ")


# What `crio status config` says, as far as it matters, and what `crio config` does, with defaults in comments.
CRIO = """[crio]
  root = "/var/lib/containers/storage"
  [crio.network]
    cni_default_network = "%s"
    network_dir = "%s"
    plugin_dirs = ["/opt/cni/bin/", "/usr/libexec/cni/"]
"""
CRIO_FILES = """
# The default CNI network name to be selected. If not set or "", then
# CRI-O will pick-up the first one found in network_dir.
# cni_default_network = ""

# Path to the directory where CNI configuration files are located.
network_dir = "/etc/cni/other.d"

# Paths to directories where CNI plugin binaries are located.
# plugin_dirs = [
#\t"/opt/cni/bin/",
# ]
"""


def test_a_cri_o_that_runs_is_asked_where_it_looks(nested: Node) -> None:
    """CRI-O's program is a stand-in, as it is in none of the registries that tests use."""

    def answer(words: str, text: str) -> None:
        script = '#!/bin/sh\n[ "$*" = "%s" ] || exit 1\ncat <<END\n%sEND\n' % (words, text)
        nested.run("sh", "-c", "cat > /usr/local/bin/crio; chmod 755 /usr/local/bin/crio", input=script)

    nested.run("sh", "-c", "mkdir -p /run/crio /etc/cni/net.d; touch /run/crio/crio.sock")
    (found,) = problems(nested)
    assert found.startswith(
        "n1: CRI-O runs here, and none of `crio status config`, `crio-status config`, `crio config`"
    )

    answer("status config", CRIO % ("", "/etc/cni/net.d/"))
    assert problems(nested) == []
    several = problems(nested, cni_bin_dir="/opt/other", conf_dir="/etc/cni/ours.d")
    assert [line.partition(", or set")[0] for line in several] == [
        "n1: pod_network_cni_conf_dir /etc/cni/ours.d: CRI-O looks in /etc/cni/net.d/: must be that",
        "n1: pod_network_cni_bin_dir /opt/other: CRI-O looks in /opt/cni/bin/, /usr/libexec/cni/: must be one of these",
    ]
    answer("status config", CRIO % ("crio", "/etc/cni/net.d/"))
    (found,) = problems(nested)
    assert found.startswith(
        "n1: pod_network_name humanz-cni: CRI-O attaches pods to the network crio and to no other: "
    )
    answer("config", CRIO_FILES)
    (found,) = problems(nested)
    assert found.startswith(
        "n1: pod_network_cni_conf_dir /etc/cni/net.d: CRI-O looks in /etc/cni/other.d: must be that,"
    )

    answer("status config", CRIO % ("", "/etc/cni/net.d/"))
    for name, start in (
        ("10-crio-bridge.conflist", " would be loaded instead of"),
        ("11-crio-ipv4-bridge.conflist", ": is CRI-O's own network,"),
    ):
        nested.run("sh", "-c", f"echo '{{}}' > /etc/cni/net.d/{name}")
        (found,) = problems(nested)
        assert found.startswith(f"n1: /etc/cni/net.d/{name}{start}")
        assert problems(nested, foreign="keep") == []
        nested.run("rm", f"/etc/cni/net.d/{name}")


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
        "after nftables.service: systemd would skip one of them at boot"
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
        (None, "", {"protocol": 16}, "protocol 16: is dhcp's: choose a number from 19 to 185"),
        (None, "", {"log_file": "cni.log"}, "pod_network_log_file: cni.log must be an absolute path"),
        (None, "", {"cni_bin_dir": "false"}, "pod_network_cni_bin_dir: false must be an absolute path without"),
        (None, "", {"conf_dir": "net.d"}, "pod_network_cni_conf_dir: net.d must be an absolute path without .., such"),
        (None, "", {"library_dir": "/opt/c ni"}, "pod_network_library_dir: '/opt/c ni' must be an absolute path of"),
        (None, "", {"sbin_dir": "false"}, "pod_network_sbin_dir: 'false' must be an absolute path of"),
        (None, "", {"heal_interval": -1}, "pod_network_heal_interval: -1 must be a number of seconds"),
        (
            None,
            "",
            {"cni_bin_dir": "/usr/local/sbin/"},
            "pod_network_sbin_dir /usr/local/sbin: is pod_network_cni_bin_dir",
        ),
    ],
)
def test_what_a_later_module_would_refuse_is_found(
    nested: Node, path: str | None, text: str, options: dict[str, object], begins: str
) -> None:
    if path:
        script(nested, path, text)
    (found,) = problems(nested, **options)
    assert found.startswith("n1: " + begins)
