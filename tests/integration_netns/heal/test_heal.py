# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program puts back what is missing of ours, leaves what is somebody else's, and is silent when all is there."""

from __future__ import annotations

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.support.kernel_events import Monitor
from tests.support.netns.healed_node import PEERS, PROGRAM, PYTHON
from tests.support.netns.node import LOCK, NOBODY

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.netns.healed_node import HealedNode
    from tests.support.netns.node import Node

MONITORS = [["ip", "monitor", "route", "rule", "link", "address"], ["nft", "monitor"]]

ROUTE_DAMAGE = {
    "flushed": "route flush proto 217",
    "one gone": "route del 100.100.2.0/24",
    "another next hop": "route replace 100.100.1.0/24 via 200.0.0.77 proto 217",
    "a blackhole of ours": "route replace blackhole 100.100.1.0/24 proto 217",
    "interface down and up": "link set enp8s0 down",
}

RULE_DAMAGE = {
    "own chains flushed": ["-F HUMANZ-FORWARD", "-t nat -F HUMANZ-POSTROUTING"],
    "one rule gone": ["-t nat -D HUMANZ-POSTROUTING 1"],
    "rules in another order": [
        "-t nat -D HUMANZ-POSTROUTING 1",
        "-t nat -A HUMANZ-POSTROUTING -d 100.100.0.0/16 -j RETURN",
    ],
    "jump in FORWARD gone": ["-D FORWARD 2"],
    "jump in POSTROUTING gone": ["-t nat -D POSTROUTING 2"],
    "forged sources pass": ["-t raw -F HUMANZ-PREROUTING"],
    "jump in PREROUTING gone": ["-t raw -D PREROUTING 1"],
    "jump twice": ["-A FORWARD -j HUMANZ-FORWARD"],
    "somebody got ahead": ["-D FORWARD -s 203.0.113.7/32 -j DROP", "-I FORWARD 2 -s 203.0.113.7/32 -j DROP"],
    "ahead of Kubernetes": ["-D FORWARD -j KUBE-FORWARD", "-I FORWARD 2 -j KUBE-FORWARD"],
}


@pytest.mark.parametrize("damage", ROUTE_DAMAGE.values(), ids=list(ROUTE_DAMAGE))
def test_routes_are_put_back(healed: HealedNode, damage: str) -> None:
    before = healed.routes()
    healed.node.ip(damage)
    if "down" in damage:
        healed.node.ip("link set enp8s0 up")
        healed.node.ip("addr add fd00:200::10/64 dev enp8s0 nodad")
    assert healed.routes() != before
    done = healed.heal()
    assert (done.returncode, done.stderr) == (0, "")
    assert "put back " in done.stdout
    assert healed.routes() == before
    assert healed.converge() == [False, False]


def test_what_is_to_be_unreachable_is_put_back(nested: Node) -> None:
    networks = ["100.100.0.0/24", "fd00:100::/64"]
    nested.module("node_routes", {"routes": PEERS, "unreachable": networks})
    before = [nested.ip(family, "route show proto 217") for family in ("-4", "-6")]
    for family in ("-4", "-6"):
        nested.ip(f"{family} route flush proto 217")
    done = nested.run(PYTHON, "-I", str(PROGRAM))
    assert all(f"unreachable {network}" in done.stdout for network in networks)
    assert [nested.ip(family, "route show proto 217") for family in ("-4", "-6")] == before
    assert nested.run(PYTHON, "-I", str(PROGRAM)).stdout == ""
    assert nested.module("node_routes", {"routes": PEERS, "unreachable": networks})["changed"] is False


@pytest.mark.parametrize("backend", ["nft", "legacy"])
@pytest.mark.parametrize("damage", RULE_DAMAGE.values(), ids=list(RULE_DAMAGE))
def test_rules_are_put_back(make_healed: Callable[..., HealedNode], backend: str, damage: list[str]) -> None:
    healed = make_healed(backend)
    before = healed.rules()
    for words in damage:
        healed.iptables(words)
    changed = healed.rules()
    done = healed.heal()
    assert (done.returncode, done.stderr) == (0, "")
    # A program that adds nothing but ours: moved rules of others stay where they were put.
    others = [line for line in changed if "HUMANZ" not in line]
    assert [line for line in healed.rules() if "HUMANZ" not in line] == others
    assert sorted(healed.rules()) == sorted(before)
    assert "put back in table " in done.stdout
    assert healed.converge() == [False, False]
    assert healed.heal().stdout == ""


@pytest.mark.parametrize("backend", ["nft", "legacy"])
def test_rules_of_ipv6_are_put_back(make_healed: Callable[..., HealedNode], backend: str) -> None:
    healed = make_healed(backend)
    args = {"pod_cidrs": ["100.100.0.0/24", "fd00:100::/64"], "backend": backend}
    assert healed.node.module("pod_firewall", args)["changed"]
    for words in ("-F", "-X", "-t nat -F HUMANZ-POSTROUTING", "-t raw -F", "-t raw -X"):
        healed.node.run(f"ip6tables-{backend}", *words.split())
    done = healed.heal()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"put back in table nat of ip6tables-{backend}: chain HUMANZ-POSTROUTING",
        f"put back in table raw of ip6tables-{backend}: chain HUMANZ-PREROUTING, the jump in PREROUTING",
        f"put back in table filter of ip6tables-{backend}: chain HUMANZ-FORWARD, the jump in FORWARD",
    ]
    assert not healed.node.module("pod_firewall", args)["changed"]
    assert healed.heal().stdout == ""


def test_parameters_of_the_bridge_are_put_back_once_there_is_one(healed: HealedNode) -> None:
    run, key = healed.node.run, "net.ipv6.conf.humanz-cni0"
    healed.node.module("node_kernel", {"pod_cidrs": ["100.100.0.0/24"]})
    assert healed.heal().stdout == ""

    healed.node.ip("link add humanz-cni0 type bridge")
    done = healed.heal()

    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.splitlines()) == [
        "put back net.ipv4.conf.humanz-cni0.accept_redirects = 0 (it was 1)",
        "put back net.ipv4.conf.humanz-cni0.accept_source_route = 0 (it was 1)",
        f"put back {key}.accept_dad = 0 (it was 1)", f"put back {key}.accept_ra = 0 (it was 1)",
        f"put back {key}.accept_redirects = 0 (it was 1)", f"put back {key}.disable_ipv6 = 1 (it was 0)",
    ]  # fmt: skip
    run("sysctl", "-qw", f"{key}.accept_ra=2")
    assert healed.heal().stdout == f"put back {key}.accept_ra = 0 (it was 2)\n"
    assert healed.heal().stdout == ""


FORWARDING = "net.ipv4.conf.{}.forwarding"
SWITCHED_OFF = {
    "IPv4": ["net.ipv4.ip_forward"],
    "IPv4 by its other name": ["net.ipv4.conf.all.forwarding"],
    "IPv6": ["net.ipv6.conf.all.forwarding"],
    "bridged packets": ["net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables"],
    "other nodes": [FORWARDING.format("enp8s0")],
    "uplink": [FORWARDING.format("enp1s0")],
    "bridge": [FORWARDING.format("humanz-cni0")],
    "all of them": [FORWARDING.format("all"), "net.ipv6.conf.all.forwarding", "net.bridge.bridge-nf-call-iptables"],
}
KERNEL = {"pod_cidrs": ["100.100.0.0/24", "fd00:100::/64"], "next_hops": ["200.0.0.20"], "masquerade": True}


@pytest.fixture
def forwarding(healed: HealedNode) -> HealedNode:
    """A node that forwards, but not on eth0 and eth1, which carry no packets of pods."""
    healed.node.ip("link add humanz-cni0 type bridge")
    healed.node.ip("link add eth0 type veth peer name eth1")
    on = ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]
    healed.node.run("sysctl", "-qw", *on, f"{FORWARDING.format('eth0')}=0", "net.ipv6.conf.eth1.forwarding=0")
    assert healed.node.module("node_kernel", KERNEL)["changed"]
    healed.heal()
    return healed


@pytest.mark.parametrize("keys", SWITCHED_OFF.values(), ids=list(SWITCHED_OFF))
def test_parameters_that_pods_need_are_put_back_and_those_of_others_stay(
    forwarding: HealedNode, keys: list[str]
) -> None:
    shown = ["sysctl", "net.ipv4.ip_forward", "net.ipv4.conf", "net.ipv6.conf", "net.bridge"]
    before = forwarding.node.run(*shown).stdout
    forwarding.node.run("sysctl", "-qw", *(f"{key}=0" for key in keys))
    done = forwarding.heal()
    assert (done.returncode, done.stderr) == (0, "")
    for key in keys:
        name = "net.ipv4.ip_forward" if key == FORWARDING.format("all") else key
        assert f"put back {name} = 1 (it was 0)" in done.stdout.splitlines()
    assert forwarding.node.run(*shown).stdout == before
    assert forwarding.heal().stdout == ""
    assert forwarding.node.module("node_kernel", KERNEL)["changed"] is False


def test_an_interface_that_forwards_again_by_its_owners_wish_stays_so(forwarding: HealedNode) -> None:
    forwarding.node.run("sysctl", "-qw", f"{FORWARDING.format('eth0')}=1")
    assert forwarding.heal().stdout == ""


def test_a_parameter_that_cannot_be_put_back_is_named_and_the_others_are(forwarding: HealedNode) -> None:
    path = "/proc/sys/net/ipv4/ip_forward"
    forwarding.node.run("sysctl", "-qw", "net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0")
    forwarding.node.run("sh", "-ec", f"mount --bind {path} {path}; mount -o remount,bind,ro {path}")
    done = forwarding.heal()
    assert done.returncode == 1
    assert "cannot put back net.ipv4.ip_forward = 1: Read-only file system" in done.stderr
    assert "put back net.ipv6.conf.all.forwarding = 1 (it was 0)" in done.stdout


def test_a_module_whose_parameters_are_missing_is_loaded(forwarding: HealedNode) -> None:
    """This kernel has it built in, so that a directory hides its parameters, and a program shows them again."""
    forwarding.node.run("mount", "-t", "tmpfs", "none", "/proc/sys/net/bridge")
    done = forwarding.heal()
    assert done.returncode == 1
    assert "cannot put back net.bridge.bridge-nf-call-ip6tables, net.bridge.bridge-nf-call-iptables (modprobe -a " in (
        done.stderr
    )
    forwarding.node.run("sysctl", "-qw", "net.ipv4.ip_forward=0")
    modprobe = forwarding.node.run("sh", "-ec", "command -v modprobe").stdout.strip()
    forwarding.node.run("mount", "--bind", "/dev/null", modprobe)
    done = forwarding.heal()
    assert "(modprobe -a br_netfilter: modprobe: Permission denied)" in done.stderr
    assert "put back net.ipv4.ip_forward = 1 (it was 0)" in done.stdout
    forwarding.node.run("umount", modprobe)
    program = "#!/bin/sh\n[ \"$*\" = '-a br_netfilter' ] && umount /proc/sys/net/bridge\n"
    forwarding.node.run("tee", "/run/modprobe", input=program)
    forwarding.node.run("sh", "-ec", f"chmod +x /run/modprobe; mount --bind /run/modprobe {modprobe}")
    done = forwarding.heal()
    assert (done.returncode, done.stdout, done.stderr) == (0, "loaded again: br_netfilter\n", "")


def test_ipv6_of_the_bridge_stays_where_it_has_an_address_or_the_cluster_has_ipv6(healed: HealedNode) -> None:
    run, key = healed.node.run, "net.ipv6.conf.humanz-cni0.disable_ipv6"
    healed.node.module("node_kernel", {"pod_cidrs": ["100.100.0.0/24"]})
    healed.node.ip("link add humanz-cni0 type bridge")
    healed.node.ip("addr add fd00:100::1/64 dev humanz-cni0 nodad")
    assert key not in healed.heal().stdout
    healed.node.ip("addr del fd00:100::1/64 dev humanz-cni0")
    assert healed.heal().stdout == f"put back {key} = 1 (it was 0)\n"

    for further in ({"pod_cidrs": ["100.100.0.0/24", "fd00:100::/64"]}, {"ipv6_link_local": True}):
        run("sysctl", "-qw", f"{key}=0")
        assert healed.node.module("node_kernel", {"pod_cidrs": ["100.100.0.0/24"], **further})["changed"]
        assert healed.heal().stdout == ""
        assert healed.node.module("node_kernel", {"pod_cidrs": ["100.100.0.0/24"]})["changed"]
    assert healed.node.module("node_kernel", {"state": "absent"})["changed"]
    assert healed.heal().stdout == ""


ADDRESSES = ["100.100.0.1/24", "fd00:100::1/64"]
OFF = "sysctl -qw net.ipv6.conf.{}.disable_ipv6=1"
LOST = {
    "IPv6 of the bridge": (OFF.format("humanz-cni0"), "net.ipv6.conf.humanz-cni0.disable_ipv6", ADDRESSES[1:]),
    "IPv6 of the bridge for a while": (
        OFF.format("humanz-cni0") + "; sysctl -qw net.ipv6.conf.humanz-cni0.disable_ipv6=0",
        None,
        ADDRESSES[1:],
    ),
    "all addresses": ("ip addr flush dev humanz-cni0 scope global", None, ADDRESSES),
    "IPv6 of the interface to nodes behind a router": (OFF.format("vx/1"), "net.ipv6.conf.vx/1.disable_ipv6", []),
}


@pytest.mark.parametrize("name", LOST)
def test_the_bridge_gets_ipv6_and_its_addresses_back(healed: HealedNode, name: str) -> None:
    damage, key, addresses = LOST[name]
    healed.node.module("node_kernel", {**KERNEL, "devices": ["vx.1"]})
    healed.node.ip("link add vx.1 type vxlan id 1 dstport 4789")
    healed.node.ip("link add humanz-cni0 type bridge")
    healed.node.ip("link set humanz-cni0 alias humanz-cni")
    healed.heal()
    assert healed.node.ip("-o addr show dev humanz-cni0 scope global") == ""  # the plugin has yet to bring it up
    healed.node.ip("link set humanz-cni0 up")
    healed.heal()
    shown = healed.node.ip("-o addr show dev humanz-cni0 scope global")
    assert [word for word in shown.split() if "/" in word] == ADDRESSES
    assert "tentative" not in shown
    healed.node.run("sh", "-ec", damage)

    done = healed.heal()

    assert (done.returncode, done.stderr) == (0, "")
    assert healed.node.ip("-o addr show dev humanz-cni0 scope global") == shown
    said = [f"put back {key} = 0 (it was 1)"] if key else []
    said += [f"put back the address {address} of humanz-cni0" for address in addresses]
    assert done.stdout.splitlines() == said
    assert healed.heal().stdout == ""
    healed.node.ip("link set humanz-cni0 alias somebodys")
    healed.node.ip("addr flush dev humanz-cni0 scope global")
    assert healed.heal().stdout == ""


def test_the_bridge_that_pods_are_on_is_set_up_again(healed: HealedNode) -> None:
    healed.node.module("node_kernel", KERNEL)
    healed.node.ip("link add humanz-cni0 type bridge")
    healed.node.ip("link set humanz-cni0 alias humanz-cni")
    healed.node.ip("link set humanz-cni0 up")
    healed.heal()
    shown = healed.node.ip("-o addr show dev humanz-cni0 scope global")
    healed.node.ip("link set humanz-cni0 down")
    assert healed.heal().stdout == ""  # without a pod, the next one sets it up
    healed.node.ip("link add veth0 type veth peer name pod0")
    healed.node.ip("link set veth0 master humanz-cni0")

    done = healed.heal()

    assert (done.returncode, done.stderr) == (0, "")
    said = ["set up the bridge humanz-cni0", "put back the address fd00:100::1/64 of humanz-cni0"]
    assert done.stdout.splitlines() == said
    assert healed.node.ip("-o addr show dev humanz-cni0 scope global") == shown
    assert healed.heal().stdout == ""
    healed.node.ip("link set humanz-cni0 alias somebodys down")
    assert healed.heal().stdout == ""


@pytest.mark.parametrize("backend", ["nft", "legacy"])
def test_everything_is_put_back_after_all_rules_are_gone(make_healed: Callable[..., HealedNode], backend: str) -> None:
    healed = make_healed(backend)
    for table in ("filter", "nat", "raw"):
        healed.iptables(f"-t {table} -F")
        healed.iptables(f"-t {table} -X")
    if backend == "nft":
        healed.node.run("nft", "flush", "ruleset")
    healed.node.ip("route flush proto 217")
    assert healed.heal().returncode == 0
    assert healed.converge() == [False, False]


@pytest.mark.parametrize("backend", ["nft", "legacy"])
def test_nothing_is_written_or_said_when_all_is_there(make_healed: Callable[..., HealedNode], backend: str) -> None:
    healed = make_healed(backend)
    namespace = f"/proc/{healed.node.pid}/ns/net"
    with Monitor(namespace, *MONITORS[0]) as routes, Monitor(namespace, *MONITORS[1]) as rules:
        for _run in range(3):
            done = healed.heal()
            assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        healed.node.ip("route add 198.51.100.0/24 via 200.0.0.20")
        assert routes.up_to("198.51.100.0/24") == []
        healed.node.run("nft", "add", "table", "inet", "seen")
        assert rules.up_to("add table inet seen") == []


HOLDERS = {
    "kernel": "route add {} dev enp1s0 proto kernel scope link",
    "boot": "route add {} via 200.0.0.77",
    "static": "route add {} via 200.0.0.77 proto static",
    "bird": "route add {} via 200.0.0.77 proto bird",
    "blackhole": "route add blackhole {} proto static",
    "unreachable": "route add unreachable {}",
    "another metric": "route add {} via 200.0.0.77 metric 50",
    "multipath": "route add {} nexthop via 200.0.0.77 nexthop via 200.0.0.78",
    "another type of service": "route add {} tos 0x10 via 200.0.0.77",
}


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=list(HOLDERS))
def test_a_prefix_that_somebody_holds_is_left_to_them(healed: HealedNode, holder: str) -> None:
    healed.node.ip("route flush proto 217")
    healed.node.ip(holder.format("100.100.1.0/24"))
    theirs = healed.routes()
    done = healed.heal()
    assert done.returncode == 1
    assert "route 100.100.1.0/24 exists already and is not ours: " in done.stderr
    assert sorted(healed.routes()) == sorted([*theirs, "100.100.2.0/24 via 200.0.0.30 dev enp8s0 proto humanz-cni"])
    # A conflict is not waited for.
    assert healed.heal("--wait", "3600", timeout=300).returncode == 1


def test_nothing_is_ever_pruned(healed: HealedNode) -> None:
    healed.node.ip("route add 100.100.9.0/24 via 200.0.0.77 proto 217")
    healed.node.ip("route add 100.100.1.0/24 via 200.0.0.77 proto 217 metric 9")
    healed.node.ip("route add 100.100.1.0/24 via 200.0.0.77 proto 217 table 300")
    healed.node.ip("route del 100.100.2.0/24")
    before = healed.routes()
    assert healed.heal().returncode == 0
    assert set(healed.routes()) - set(before) == {"100.100.2.0/24 via 200.0.0.30 dev enp8s0 proto humanz-cni"}
    assert set(before) <= set(healed.routes())


@pytest.mark.parametrize(
    ("gone", "back"),
    [
        ("addr del 200.0.0.10/24 dev enp8s0", "addr add 200.0.0.10/24 dev enp8s0"),
        ("rule del priority 32766", "rule add lookup main priority 32766"),
    ],
)
def test_a_next_hop_that_comes_late_is_waited_for(healed: HealedNode, gone: str, back: str) -> None:
    healed.node.ip("route flush proto 217")
    healed.node.ip(gone)
    refused = healed.heal()
    assert refused.returncode == 1
    assert "cannot put back" in refused.stderr
    assert "2 routes: 100.100.1.0/24 via 200.0.0.20, 100.100.2.0/24 via 200.0.0.30" in refused.stderr
    enter = ["nsenter", f"--target={healed.node.pid}", "--net", "--"]
    late = subprocess.Popen([*enter, "sh", "-c", f"sleep 1; ip {back}"])
    waited = healed.heal("--wait", "30")
    late.wait()
    assert (waited.returncode, waited.stderr) == (0, "")
    assert healed.converge() == [False, False]


def test_both_families(healed: HealedNode) -> None:
    prefixes = {"fd00:100:1::/64": 6, "fd02::/32": 6, "fd01::5/128": 6, "100.100.1.5/32": 4}
    peers = [{"dst": dst, "via": {4: "200.0.0.20", 6: "fd00:200::20"}[one]} for dst, one in prefixes.items()]
    assert healed.node.module("node_routes", {"routes": peers, "force": True})["changed"]
    before = healed.routes()
    done = healed.heal()
    assert (done.stdout, done.stderr) == ("", "")
    healed.node.ip("-6 route flush proto 217")
    healed.node.ip("route flush proto 217")
    assert healed.heal().returncode == 0
    assert healed.routes() == before


# The same program, with less patience.
IMPATIENT = """
import sys
sys.path.insert(0, sys.argv.pop(1))
import heal
heal.PATIENCE = 0.5
sys.exit(heal.main())
"""
HELD = "nothing was checked, as /run/humanz-cni-lock/node is locked{}: see `fuser -v /run/humanz-cni-lock/node`\n"


@pytest.mark.parametrize("options", [[], ["--wait", "30", "--unit", "humanz-cni.service"]], ids=["repair", "boot"])
@pytest.mark.parametrize(("name", "said"), [("", ""), ("7 node_routes", " by process 7, node_routes")])
def test_who_cannot_get_the_lock_says_who_has_it_and_fails(
    healed: HealedNode, options: list[str], name: str, said: str
) -> None:
    healed.node.ip("route flush proto 217")
    with healed.node.run_at_work(name):
        done = healed.node.run(PYTHON, "-Ic", IMPATIENT, str(PROGRAM.parent), *options, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", HELD.format(said))
    assert healed.node.ip("route show proto 217") == ""
    assert healed.heal().stdout.startswith("put back 2 routes: ")
    assert healed.node.run("ls", "/run/humanz-cni-lock", check=False).returncode


def test_a_module_at_work_is_waited_for_also_at_boot(healed: HealedNode) -> None:
    healed.node.ip("route flush proto 217")
    with healed.node.run_at_work("7 node_routes") as module, ThreadPoolExecutor() as pool:
        done = pool.submit(healed.heal, "--wait", "30", "--unit", "humanz-cni.service")
        time.sleep(1)
        assert not done.done()
        module.communicate("end\n")
        assert done.result().stdout.startswith("put back 2 routes: ")


def test_the_module_that_waits_for_the_unit_is_not_kept_waiting_by_it(healed: HealedNode) -> None:
    with healed.node.run_at_work("7 node_persistence, which waits for humanz-cni.service"):
        done = healed.heal("--wait", "30", "--unit", "humanz-cni.service")
    said = "nothing was checked, as an Ansible run is in progress, which waits for this unit\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")


def test_a_full_run_turns_no_healing_off(healed: HealedNode) -> None:
    lock = LOCK.rpartition("/")[0]
    mount = f"mkdir {lock}; mount -t tmpfs -o size=4k,mode=700 tmpfs {lock}"
    healed.node.run("sh", "-ec", f"{mount}; ! dd if=/dev/zero of={lock}/zero bs=4k count=2")
    healed.node.ip("route flush proto 217")
    done = healed.heal()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("put back 2 routes: ")


def test_a_user_turns_no_healing_off(healed: HealedNode) -> None:
    healed.node.ip("route flush proto 217")
    with healed.node.holder("/run", *NOBODY):
        done = healed.heal("--wait", "3")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("put back 2 routes: ")
        assert healed.converge() == [False, False]


def test_without_state_files_there_is_nothing_to_do(healed: HealedNode) -> None:
    healed.node.module("node_routes", {"state": "absent"})
    healed.node.module("pod_firewall", {"state": "absent", "backend": healed.backend})
    before = healed.routes() + healed.rules()
    done = healed.heal()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert healed.routes() + healed.rules() == before


def test_a_file_without_jumps_heals_the_chains(healed: HealedNode) -> None:
    healed.node.run("sed", "-i", "/^# jump/d", "/etc/humanz-cni/rules.v4")
    healed.iptables("-F HUMANZ-FORWARD")
    healed.iptables("-D FORWARD 2")
    assert healed.heal().stdout == "put back in table filter of iptables-nft: chain HUMANZ-FORWARD\n"
    assert healed.heal().stdout == ""


@pytest.mark.parametrize(
    ("path", "text", "words"),
    [
        ("/etc/humanz-cni/routes", "route add 100.100.1.0/24", "cannot be understood: route add 100.100.1.0/24"),
        (
            "/etc/humanz-cni/rules.v4",
            "*nat\n:HUMANZ-POSTROUTING - [0:0]\n-A HUMANZ-POSTROUTING -j NOBODY",
            "table nat of iptables: ",
        ),
        (
            "/etc/humanz-cni/rules.v4",
            "# command: iptables-none\n*nat\n:HUMANZ-X - [0:0]",
            "iptables-none: No such file",
        ),
        ("/etc/humanz-cni/rules.v4", "# jump: -A FORWARD -j HUMANZ-X", "/etc/humanz-cni/rules.v4: IndexError: "),
        ("/etc/humanz-cni/vxlan", "link", "/etc/humanz-cni/vxlan: IndexError: "),
    ],
)
def test_a_file_that_cannot_be_replayed_is_named(healed: HealedNode, path: str, text: str, words: str) -> None:
    healed.node.run("tee", path, input=text + "\n")
    healed.node.ip("route flush proto 217")
    done = healed.heal()
    assert done.returncode == 1
    assert words in done.stderr
    # The other file is replayed all the same.
    assert (healed.node.ip("route show proto 217") == "") == path.endswith("routes")


@pytest.mark.parametrize("path", ["routes", "rules.v4"])
def test_a_file_that_a_broken_disk_left_empty_is_named_and_the_next_run_writes_it_anew(
    healed: HealedNode, path: str
) -> None:
    before = healed.node.run("cat", f"/etc/humanz-cni/{path}").stdout
    healed.node.run("truncate", "--size=0", f"/etc/humanz-cni/{path}")
    done = healed.heal()
    said = f"/etc/humanz-cni/{path}: is empty: run humanz.cni.site for this node\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
    assert sorted(healed.converge()) == [False, True]
    assert healed.node.run("cat", f"/etc/humanz-cni/{path}").stdout == before
    healed.node.run("truncate", "--size=0", f"/etc/humanz-cni/{path}")
    assert healed.node.module("node_routes", {"state": "absent"})["changed"]
    assert healed.node.module("pod_firewall", {"state": "absent", "backend": healed.backend})["changed"]
    healed.node.run("test", "!", "-e", "/etc/humanz-cni")


def test_a_link_to_nothing_is_somebodys(healed: HealedNode) -> None:
    healed.node.run("ln", "-sf", "/dev/null", "/etc/humanz-cni/routes")
    failed = healed.node.module("node_routes", {"routes": [{"dst": "100.100.1.0/24", "via": "200.0.0.20"}]})
    assert "/etc/humanz-cni/routes was not written by this collection" in failed["msg"]


THEIRS = r'table inet theirs { chain a { type filter hook forward priority 0; policy drop; comment "caf\351";\n}\n}\n'


def test_a_comment_that_is_no_utf8_keeps_nothing_from_being_said(healed: HealedNode) -> None:
    healed.node.run("sh", "-ec", "printf '%s' | nft -f -" % THEIRS)
    healed.node.ip("route flush proto 217")
    done = healed.heal()
    assert done.stdout == "put back 2 routes: 100.100.1.0/24 via 200.0.0.20, 100.100.2.0/24 via 200.0.0.30\n"
    assert done.stderr.startswith("chain inet theirs a of nftables drops what none of its rules accepts")
    assert done.returncode == 3


def test_an_nft_that_does_not_run_keeps_nothing_from_being_said(healed: HealedNode) -> None:
    healed.node.run("sh", "-ec", "printf '?' > /run/nft; chmod +x /run/nft; mount --bind /run/nft $(command -v nft)")
    healed.node.ip("route flush proto 217")
    done = healed.heal()
    assert done.stdout.startswith("put back 2 routes: ")
    assert done.stderr == "cannot find out what drops pods' packets: Refused: nft: Exec format error\n"
    assert done.returncode == 3


def test_a_firewall_of_somebody_else_fails_the_unit_that_reports_and_not_that_of_the_boot() -> None:
    units = {
        name: (PROGRAM.parent / "units" / name).read_text()
        for name in ("humanz-cni.service", "humanz-cni-heal.service")
    }
    assert [name for name, text in units.items() if "\nSuccessExitStatus=3\n" in text] == ["humanz-cni.service"]
