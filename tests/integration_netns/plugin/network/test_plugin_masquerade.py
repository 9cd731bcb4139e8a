# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ipMasq: what leaves the pod network has the node's address; what stays within it keeps its own."""

from __future__ import annotations

import concurrent.futures
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration_netns.plugin.test_plugin_traffic import SERVER, source_seen
from tests.support.netns.node import Node
from tests.support.plugin.runtime import NO_POD, Outcome, Runtime, nested
from tests.support.plugin.system_calls import traced

GUIDE = Path(__file__).resolve().parents[4] / "docs" / "replace-the-bridge-plugin.md"
CONF = nested(("10.9.0.0/24", "fd00:9::/64"), isDefaultGateway=True, ipMasq=True)
# Makes all records such as the releases before wrote, which did not note what they masqueraded.
OLDER = r"""
    cd /run/humanz-cni/net1
    for file in veth*; do
      sed -E 's/"namespace": "[^"]*", //; s/, "ipMasq": \[[^]]*\]//' $file > /run/older
      cat /run/older > $file
    done
    ! grep -E 'namespace|ipMasq' *
"""


def rules(runtime: Runtime) -> str:
    """Return nf_tables' rules."""
    return runtime.node.run("nft", "-s", "list", "ruleset").stdout


@pytest.fixture
def outside(node: Node, make_node: Callable[[], Node]) -> Node:
    """A machine that the node is wired to, which knows no way back to pods."""
    other = make_node()
    node.wire("uplink", other, "eth0")
    node.ip("addr add 192.0.2.1/24 dev uplink")
    other.ip("addr add 192.0.2.2/24 dev eth0")
    for where, device, address in ((node, "uplink", "2001:db8::1"), (other, "eth0", "2001:db8::2")):
        where.ip(f"addr add {address}/64 dev {device} nodad")
    return other


def test_the_outside_sees_the_node_and_pods_see_each_other(runtime: Runtime, outside: Node) -> None:
    first = [ip["address"].partition("/")[0] for ip in runtime.add(CONF, "pod1")["ips"]]
    runtime.add(CONF, "pod2")
    enter = ["nsenter", f"--target={outside.pid}", "--mount", "--net", "--"]
    inside = ["nsenter", f"--target={runtime.node.pid}", "--mount", "--net", "--", "ip", "netns", "exec", "pod2"]
    second = [ip["address"].partition("/")[0] for ip in runtime_addresses(runtime, "pod2")]
    places = [(enter, "192.0.2.2", "192.0.2.1"), (enter, "2001:db8::2", "2001:db8::1")]
    places += [(inside, address, own) for address, own in zip(second, first)]
    for where, address, seen in places:
        server = subprocess.Popen([*where, sys.executable, "-c", SERVER, address], stdout=subprocess.PIPE)
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            assert source_seen(runtime, "pod1", address) == seen
        finally:
            server.kill()
            server.communicate()


def runtime_addresses(runtime: Runtime, pod: str) -> list[dict[str, str]]:
    """Return the pod's addresses, IPv4 first."""
    return [{"address": one} for one in sorted(runtime.addresses("eth0", pod))]


def test_there_is_one_rule_for_a_network_and_family_however_many_pods(runtime: Runtime) -> None:
    runtime.add(CONF, "pod1")
    first = rules(runtime)
    runtime.add(CONF, "pod2")

    assert rules(runtime) == first
    assert first.count("masquerade fully-random") == 2
    assert "chain masq-net1-10.9.0.0/24" in first
    assert 'comment "net1: masquerade"' in first
    runtime.node.run("nft", "--check", "-f", "-", input=first)  # a saved ruleset can be loaded
    assert "ip saddr 10.9.0.0/24 ip daddr != 10.9.0.0/24 ip daddr != 224.0.0.0/4 masquerade" in first
    assert "ip6 saddr fd00:9::/64 ip6 daddr != fd00:9::/64 ip6 daddr != ff00::/8 masquerade" in first


def test_without_ipmasq_there_is_no_rule(runtime: Runtime) -> None:
    runtime.add({**CONF, "ipMasq": False})

    assert rules(runtime) == ""


FLUSHED = {
    "all": "nft flush ruleset",
    "rules, not chains": "nft flush table ip humanz-cni; nft flush table ip6 humanz-cni",
    "IPv6 rules, not chains": "nft flush table ip6 humanz-cni",
    "another rule is there": (
        "nft flush table ip humanz-cni; nft add rule ip humanz-cni masq-net1-10.9.0.0/24 counter comment mine"
    ),
}


@pytest.mark.parametrize("command", FLUSHED.values(), ids=FLUSHED)
def test_s_092_flushed_rules_are_put_back_by_the_next_add_and_missed_by_check(runtime: Runtime, command: str) -> None:
    result = runtime.add(CONF, "pod1")
    first = rules(runtime)
    assert runtime.call("CHECK", {**CONF, "prevResult": result}) == Outcome(0, "", "")
    runtime.node.run("sh", "-c", command)

    assert "not masqueraded" in runtime.fail("CHECK", {**CONF, "prevResult": result})["msg"]
    runtime.add(CONF, "pod2")
    assert rules(runtime) == first


def test_two_networks_have_a_rule_each(runtime: Runtime) -> None:
    runtime.add(CONF, "pod1")
    runtime.add(nested(("10.8.0.0/24",), name="net2", bridge="br2", ipMasq=True), "pod2")

    assert rules(runtime).count("masquerade fully-random") == 3


def test_twenty_first_pods_at_once_make_one_rule(runtime: Runtime) -> None:
    shell = """
        for i in $(seq 20); do ip netns add p$i; done
        for i in $(seq 20); do
          CNI_COMMAND=ADD CNI_CONTAINERID=p$i CNI_NETNS=/run/netns/p$i CNI_IFNAME=eth0 CNI_PATH=/x \
            PLUGIN < /run/conf || touch /run/failed &
        done
        wait
        test ! -e /run/failed
    """
    runtime.node.run("sh", "-c", "cat > /run/conf", input=json.dumps(CONF))

    runtime.node.run("sh", "-c", shell.replace("PLUGIN", str(runtime.executable)))

    assert rules(runtime).count("masquerade fully-random") == 2


def test_other_tables_are_left_alone(runtime: Runtime) -> None:
    runtime.node.run("nft", "add table ip theirs; add chain ip theirs c { type nat hook postrouting priority 100; }")
    before = rules(runtime)

    runtime.add(CONF)

    assert before in rules(runtime)


@pytest.mark.parametrize("command", ["ADD", "STATUS"])
@pytest.mark.parametrize(("backend", "code"), [("iptables", 2), ("ebtables", 7)])
def test_s_035_another_backend_is_refused_with_the_reason(
    runtime: Runtime, backend: str, code: int, command: str
) -> None:
    runtime.pod("pod1")
    conf = {**CONF, "cniVersion": "1.1.0", "ipMasqBackend": backend}
    before = runtime.state()

    error = runtime.fail(command, conf)

    assert error["code"] == code
    assert error["msg"].startswith(f'ipMasqBackend: "{backend}" is ')
    assert "nftables" in error["msg"]
    assert runtime.state() == before
    runtime.delete(conf)


@pytest.mark.parametrize("further", [{"ipMasqBackend": "nftables"}, {"ipMasqBackend": "iptables", "ipMasq": False}])
def test_a_backend_that_is_ours_or_not_asked_for(runtime: Runtime, further: dict[str, Any]) -> None:
    result = runtime.add({**CONF, **further})

    assert rules(runtime).count("masquerade") == (
        0 if "ipMasq" in further else 4
    )  # of each rule its comment says it too
    runtime.delete({**CONF, **further, "prevResult": result})


def test_an_exemption_of_the_guide_keeps_the_pods_address(runtime: Runtime, outside: Node) -> None:
    """With -j ACCEPT of iptables it would not: each chain of nat is asked until one has changed the address."""
    (exemption,) = re.findall(r"```text\n(table ip exempt.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    runtime.node.run("nft", "-f", "-", input=exemption.replace("172.16.0.0/12", "192.0.2.0/24"))
    runtime.add(CONF, "pod1")
    outside.ip("route add 10.9.0.0/24 via 192.0.2.1")
    enter = ["nsenter", f"--target={outside.pid}", "--mount", "--net", "--"]
    server = subprocess.Popen([*enter, sys.executable, "-c", SERVER, "192.0.2.2"], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        assert source_seen(runtime, "pod1", "192.0.2.2") == "10.9.0.2"
    finally:
        server.kill()
        server.communicate()


def test_s_024_rules_are_in_the_nodes_namespace(runtime: Runtime) -> None:
    runtime.add({**CONF, "macspoofchk": True})

    assert rules(runtime).count("masquerade fully-random") == 2
    assert runtime.node.run("ip", "netns", "exec", "pod1", "nft", "list", "ruleset").stdout == ""


@pytest.mark.parametrize("key", ["ipMasq", "macspoofchk", "ipspoofchk"])
def test_a_kernel_without_netfilter_is_named_and_nothing_is_left(runtime: Runtime, key: str) -> None:
    conf = {**nested(), key: True}
    runtime.add(nested(), "pod2")
    runtime.pod("pod1")
    before = runtime.state()

    lacking = ["-o", "/dev/null", "-e", "inject=socket:error=EPROTONOSUPPORT:when=3"]
    outcome = traced(runtime, "ADD", conf, lacking)

    assert outcome.document["msg"] == (
        f"{key}: nf_tables refuses the rules: Protocol not supported: "
        "the kernel lacks a module of nf_tables that this needs"
    )
    assert "Traceback" not in outcome.error
    assert runtime.state() == before


def masqueraded(runtime: Runtime) -> set[str]:
    """Return the names of the chains of ours."""
    return set(re.findall(r"chain (masq-[^ ]+)", rules(runtime)))


MINIMAL = {"cniVersion": "0.3.1", "name": "net1", "type": "humanz-cni", "ipam": {"type": "host-local"}}
LATER: dict[str, dict[str, Any]] = {
    "the same": CONF,
    "ipMasq turned off": {**CONF, "ipMasq": False},
    "another subnet": nested(("10.7.0.0/24",)),
    "no addresses": {**CONF, "ipam": {}},
    "hardly anything, as Multus sends": MINIMAL,
}
BOTH = {"masq-net1-10.9.0.0/24", "masq-net1-fd00_9__/64"}


@pytest.mark.parametrize("later", LATER.values(), ids=LATER)
@pytest.mark.parametrize("prepare", ["true", OLDER], ids=["", "records of an older release"])
def test_del_of_the_last_pod_that_needs_them_removes_the_rules(
    runtime: Runtime, later: dict[str, Any], prepare: str
) -> None:
    for pod in ("pod1", "pod2"):
        runtime.add(CONF, pod)
    runtime.node.run("sh", "-c", prepare)
    runtime.add({**CONF, "ipMasq": False}, "pod3")
    runtime.add(nested(("10.8.0.0/24",), name="net2", bridge="br2", ipMasq=True), "pod4")

    runtime.delete(later, "pod1")
    assert masqueraded(runtime) == {*BOTH, "masq-net2-10.8.0.0/24"}
    runtime.delete(later, "pod2")
    assert masqueraded(runtime) == {"masq-net2-10.8.0.0/24"}
    runtime.delete(later, "pod2")


def test_pods_of_an_older_release_keep_the_rules(runtime: Runtime) -> None:
    """Their records do not say whether they need them."""
    runtime.add(CONF, "pod1")
    runtime.node.run("sh", "-c", OLDER)
    runtime.add(CONF, "pod2")

    runtime.delete(CONF, "pod2")

    assert masqueraded(runtime) == BOTH


@pytest.mark.parametrize(
    "damage", ["echo '{' > $1", "sed 's/, .addresses.: [^]]*.//' $1 > /run/other; cat /run/other > $1"]
)
def test_a_damaged_record_takes_no_rules_of_others_along(runtime: Runtime, damage: str) -> None:
    """It may be for any address, but others' records are for theirs."""
    host = runtime.add(CONF, "pod1")["interfaces"][1]["name"]
    runtime.add(CONF, "pod2")
    runtime.node.run("sh", "-ec", damage, "sh", f"/run/humanz-cni/net1/{host}")

    runtime.delete(CONF, "pod1")

    assert masqueraded(runtime) == BOTH
    runtime.delete(CONF, "pod2")
    assert masqueraded(runtime) == set()


@pytest.mark.parametrize("last", ["DEL", "ADD that fails"])
def test_pods_with_records_elsewhere_keep_the_rules(runtime: Runtime, last: str) -> None:
    """So it is where dataDir has changed."""
    after = nested(ipMasq=True)
    before = {**after, "ipam": {**after["ipam"], "dataDir": "/run/before"}}
    runtime.add(before, "pod1")

    if last == "DEL":
        runtime.add(after, "pod2")
        runtime.delete(after, "pod2")
    else:
        runtime.pod("pod2")
        assert runtime.call("ADD", after, "pod2", through=("/bin/sh", "-c", 'exec "$0" > /dev/full')).status == 1

    assert masqueraded(runtime) == {"masq-net1-10.9.0.0/24"}
    runtime.delete(after, "pod1")
    assert masqueraded(runtime) == set()


def test_gc_takes_no_rules_from_a_pod_that_comes_meanwhile(runtime: Runtime) -> None:
    """Not for a moment: chains that are made again have other handles."""
    result = runtime.add(CONF, "pod1")
    runtime.node.run("sh", "-c", "mv /run/humanz-cni/net1 /run/kept; mkdir /run/humanz-cni/net1")
    runtime.node.ip(f"link delete {result['interfaces'][1]['name']}")
    before = runtime.node.run("nft", "-a", "list", "ruleset").stdout
    conf = {**CONF, "cniVersion": "1.1.0", "cni.dev/valid-attachments": []}
    lock = [*runtime.command({})[:5], "flock", "/run/humanz-cni/net1/lock", "sh", "-c", "echo held; cat"]

    with subprocess.Popen(lock, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with concurrent.futures.ThreadPoolExecutor() as executor:
            collection = executor.submit(runtime.call, "GC", conf, **NO_POD)
            inode = runtime.node.run("stat", "-c", ":%i ", "/run/humanz-cni/net1/lock").stdout.strip("\n")
            while not collection.done() and not any(
                "->" in line and inode in line for line in Path("/proc/locks").read_text().splitlines()
            ):
                pass
            runtime.node.run("sh", "-c", "rm /run/kept/lock; mv /run/kept/* /run/humanz-cni/net1")
            holder.stdin.close()
            assert collection.result() == Outcome(0, "", "")

    assert runtime.node.run("nft", "-a", "list", "ruleset").stdout == before


def test_the_rules_of_networks_with_long_names_are_told_apart(runtime: Runtime) -> None:
    confs = [nested(name="n" * 90 + end, bridge=f"br{end}", ipMasq=True) for end in "12"]
    runtime.add(confs[0], "pod1")
    runtime.add({**confs[1], "isGateway": False}, "pod2")
    assert len(masqueraded(runtime)) == 2
    runtime.node.run("nft", "--check", "-f", "-", input=rules(runtime))

    runtime.delete(confs[0], "pod1")
    assert len(masqueraded(runtime)) == 1
    runtime.delete(confs[1], "pod2")
    assert masqueraded(runtime) == set()


def test_an_add_that_fails_later_leaves_no_rules(runtime: Runtime) -> None:
    runtime.pod("pod1")

    outcome = runtime.call("ADD", CONF, through=("/bin/sh", "-c", 'exec "$0" > /dev/full'))

    assert outcome.status == 1
    assert masqueraded(runtime) == set()


def test_a_reclaimed_pod_takes_its_rules_along(runtime: Runtime) -> None:
    conf = nested(("10.9.0.0/30",), ipMasq=True, macspoofchk=True)
    host = runtime.add(conf, "pod1")["interfaces"][1]["name"]
    runtime.node.run("ip", "netns", "delete", "pod1")
    runtime.node.run("sh", "-c", f"while ip link show {host}; do sleep 0.05; done")
    runtime.node.run("sh", "-c", 'sed -i -E \'s/"time": [0-9]+/"time": 1000/\' /run/humanz-cni/net1/*[0-9a-f]')
    assert host in rules(runtime)

    runtime.add({**conf, "ipMasq": False, "macspoofchk": False}, "pod2")

    assert masqueraded(runtime) == set()
    assert host not in rules(runtime)


def test_ten_that_come_and_go_at_once_have_the_rules_for_as_long_as_any_is_there(runtime: Runtime) -> None:
    pods = [f"pod{number}" for number in range(10)]
    for pod in pods:
        runtime.pod(pod)

    def come_and_go(pod: str) -> None:
        for _time in range(5):
            runtime.add(CONF, pod)
            assert masqueraded(runtime) == BOTH
            runtime.delete(CONF, pod)

    with concurrent.futures.ThreadPoolExecutor(4) as executor:
        list(executor.map(come_and_go, pods))

    assert masqueraded(runtime) == set()
