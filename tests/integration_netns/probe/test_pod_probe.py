# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A probe pod answers, leaves nothing behind however it ends, and says what is wrong if it cannot be started."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support import IN_CHECKOUT
from tests.support.netns.fleet import OUTSIDE, Fleet
from tests.support.netns.module_server import DRIVER
from tests.support.netns.node import NOBODY, Node

CONF = "/etc/cni/net.d/10-humanz-cni-plugin.conflist"


@pytest.fixture
def node_1(fleet: Fleet) -> Iterator[Node]:
    """A node of the fleet which this test must leave as it was."""
    node = fleet.nodes["node-1"]
    warm_up(node)
    before = state(node)
    yield node
    assert state(node) == before


def warm_up(node: Node) -> None:
    """Let the plugin make the bridge, which stays."""
    if node.run("ip", "link", "show", "humanz-cni0", check=False).returncode:
        node.module("pod_probe", {})
        node.module("pod_probe", {"state": "stopped"})


def state(node: Node) -> dict[str, str]:
    """Return all that a probe pod could leave behind."""
    commands = {
        # without the carrier, which the bridge loses some time after its last port
        "links": "ip -br link | awk '{print $1, $3}' | sort",
        "routes": "ip route | sed 's/ linkdown//'",
        "namespaces": "ip netns list",
        "records": "ls -A /run/humanz-cni-probe 2>&1",
        "reservations": "ls -A /run/humanz-cni/humanz-cni",
        "rules": "iptables-save | grep -v '^[#:]'",
    }
    return {name: node.run("sh", "-c", command, check=False).stdout for name, command in commands.items()}


def processes(node: Node) -> dict[str, int]:
    """Return the process numbers of the probe pod's guard and worker."""
    record = json.loads(node.run("sh", "-c", "cat /run/humanz-cni-probe/*.json").stdout)
    guard = record["guard"]["pid"]
    children = node.run("cat", f"/proc/{guard}/task/{guard}/children").stdout.split()
    return {"guard": guard, "worker": int(children[0])}


def start(node: Node, **args: Any) -> dict[str, Any]:
    started = node.module("pod_probe", args)
    assert "pod" in started, started
    return started


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


def is_gone(node: Node) -> bool:
    return "No such file" in state(node)["records"]


def test_it_says_who_called(node_1: Node) -> None:
    started = start(node_1)
    address, port = started["pod"]["addresses"][0], started["pod"]["port"]
    target = {"address": address, "port": port, "sources": ["pod", "node"]}
    results = node_1.module("pod_probe", {"state": "probed", "targets": [target]})["results"]
    assert [(result["from"], result["seen_as"], result["error"]) for result in results] == [
        ("pod", address, None),
        ("node", "100.100.0.1", None),
    ]
    assert started["node_addresses"] == ["200.0.0.10", "192.168.122.11", "100.100.0.1"]
    assert started["gateways"] == [OUTSIDE]
    assert node_1.module("pod_probe", {"state": "stopped"})["changed"] is False


SUBNETS = ["100.100.0.0/24", "fd00:100::/120"]
LACKING = {
    "nothing": ("true", set()),
    "forwarding of IPv4": (
        "sysctl -qw net.ipv4.ip_forward=0",
        {(4, "did not forward packets {before}: its sysctl net.ipv4.ip_forward was 0")},
    ),
    "forwarding of IPv6": (
        "sysctl -qw net.ipv6.conf.all.forwarding=0",
        {(6, "did not forward packets {before}: its sysctl net.ipv6.conf.all.forwarding was 0")},
    ),
    "forwarding of one interface": (
        "sysctl -qw net.ipv4.ip_forward=0; sysctl -qw net.ipv4.conf.enp8s0.forwarding=1 "
        "net.ipv4.conf.humanz-cni0.forwarding=1",
        {(4, "did not forward what arrived on enp1s0 {before}: its sysctl net.ipv4.ip_forward was 0")},
    ),
    "forwarding that each interface has": (
        "sysctl -qw net.ipv4.ip_forward=0; for each in enp1s0 enp8s0 humanz-cni0; do "
        "sysctl -qw net.ipv4.conf.$each.forwarding=1; done",
        set(),
    ),
    "the bridge up": (
        "ip link set humanz-cni0 down",
        {(4, "had its bridge humanz-cni0 down {before}"), (6, "had its bridge humanz-cni0 down {before}")},
    ),
    "an address of the bridge": (
        "ip addr del 100.100.0.1/24 dev humanz-cni0",
        {(4, "had lost the address 100.100.0.1 of its bridge humanz-cni0 {before}")},
    ),
    "IPv6 of the bridge": (
        "sysctl -qw net.ipv6.conf.humanz-cni0.disable_ipv6=1",
        {(6, "had lost the address fd00:100::1 of its bridge humanz-cni0 {before}")},
    ),
    "the bridge": (
        "ip link del humanz-cni0",
        {
            (family, f"had no bridge humanz-cni0 {{before}}, although it had pods in {subnet}")
            for family, subnet in zip((4, 6), SUBNETS)
        },
    ),
}


@pytest.fixture(scope="module")
def dual_stack(fleet: Fleet) -> Iterator[Node]:
    """A node whose pods have addresses of both families, with one pod besides those that a test starts."""
    node = fleet.nodes["node-3"]
    conf = fleet.plugin_conf(SUBNETS[0])
    conf["ipam"]["ranges"].append([{"subnet": SUBNETS[1]}])
    before = node.run("cat", CONF).stdout
    fleet.write_conf(node, {"cniVersion": "1.0.0", "name": "both", "plugins": [conf]})
    start(node, name="humanz-probe-other", lifetime=600)
    yield node
    node.module("pod_probe", {"state": "stopped", "name": "humanz-probe-other"})
    node.ip("link del humanz-cni0")
    node.run("tee", CONF, input=before)


@pytest.mark.parametrize("name", LACKING)
def test_it_tells_what_its_attachment_puts_right(dual_stack: Node, name: str) -> None:
    breaks, lacked = LACKING[name]
    dual_stack.run("sh", "-ec", breaks)
    found = start(dual_stack)["lacked"]
    assert {(one["family"], one["text"]) for one in found} == {
        (family, text.format(before="before its probe pod was attached")) for family, text in lacked
    }
    assert len(found) == len(lacked)
    assert start(dual_stack)["lacked"] == []
    dual_stack.module("pod_probe", {"state": "stopped"})


ON_BRIDGES = """
for each in enp1s0 enp8s0; do
  addresses=$(ip -br -4 addr show dev $each | tr -s ' ' | cut -d' ' -f3-)
  routes=$(ip route show dev $each | grep via)
  ip link add br-$each type bridge
  ip link set br-$each up
  ip addr flush dev $each
  ip link set $each master br-$each
  ip addr add $addresses dev br-$each
  echo "$routes" | while read -r route; do ip route add $route dev br-$each; done
done
sysctl -qw net.ipv4.ip_forward=0
"""


def test_interfaces_to_other_nodes_may_be_bridges(dual_stack: Node) -> None:
    """As they are on hosts of virtual machines, whose own networks are bridges without next hops."""
    dual_stack.module("pod_probe", {"state": "stopped", "name": "humanz-probe-other"})
    dual_stack.run("sh", "-ec", "ip link del humanz-cni0")
    dual_stack.run("sh", "-ec", ON_BRIDGES)
    dual_stack.run("sh", "-ec", "ip link add virbr0 type bridge; ip addr add 10.9.9.1/24 dev virbr0")
    dual_stack.run("sysctl", "-qw", "net.ipv4.conf.br-enp1s0.forwarding=1")
    found = [one["text"].partition(" before ")[0] for one in start(dual_stack)["lacked"]]
    assert found == ["did not forward what arrived on br-enp8s0"]


def test_it_reports_no_change_and_may_be_stopped_twice(node_1: Node) -> None:
    assert start(node_1)["changed"] is False
    for _again in range(2):
        stopped = node_1.module("pod_probe", {"state": "stopped"})
        assert (stopped["changed"], stopped.get("failed")) == (False, None)


def test_icmp_echo_in_both_families(node_1: Node) -> None:
    start(node_1)
    targets = [
        {"address": OUTSIDE, "sources": ["pod", "node"]},
        {"address": "::1", "sources": ["node"]},
        {"address": "192.168.122.99", "sources": ["pod"]},
    ]
    args = {"state": "probed", "targets": targets, "timeout": 2}
    results = node_1.module("pod_probe", args)["results"]
    node_1.module("pod_probe", {"state": "stopped"})
    assert [result["error"] for result in results] == [None, None, None, "no answer in 2 s"]


def test_a_listener_that_says_nothing_is_reached_if_it_may(node_1: Node) -> None:
    start(node_1)
    listener = (
        "import socket, time\nserver = socket.create_server(('100.100.0.1', 8080))\nprint(flush=True)\ntime.sleep(30)"
    )
    enter = ["nsenter", f"--target={node_1.pid}", "--mount", "--net", "--", "python3", "-c", listener]
    with subprocess.Popen(enter, stdout=subprocess.PIPE) as silent:
        assert silent.stdout is not None
        silent.stdout.readline()
        outcomes = []
        for may_be_silent in (True, False):
            target = {"address": "100.100.0.1", "port": 8080, "may_be_silent": may_be_silent}
            args = {"state": "probed", "targets": [target], "timeout": 1.5}
            outcomes.append(node_1.module("pod_probe", args)["results"][0]["error"])
        silent.kill()
    node_1.module("pod_probe", {"state": "stopped"})
    assert outcomes == [None, "no answer in 1.5 s"]


def test_a_listener_cannot_write_to_the_terminal_of_who_reads_its_words(node_1: Node) -> None:
    start(node_1)
    words = "b'fe80::1%\\x1b[2J\\x07\\n'"
    listener = (
        "import socket\nserver = socket.create_server(('100.100.0.1', 8080))\nprint(flush=True)\n"
        f"server.accept()[0].sendall({words})\nserver.accept()"
    )
    enter = ["nsenter", f"--target={node_1.pid}", "--mount", "--net", "--", "python3", "-c", listener]
    with subprocess.Popen(enter, stdout=subprocess.PIPE) as speaking:
        assert speaking.stdout is not None
        speaking.stdout.readline()
        args = {"state": "probed", "targets": [{"address": "100.100.0.1", "port": 8080}]}
        seen = node_1.module("pod_probe", args)["results"][0]["seen_as"]
        speaking.kill()
    node_1.module("pod_probe", {"state": "stopped"})
    assert seen == "fe80::1%?[2J?"


def test_a_thousand_targets_at_once(node_1: Node) -> None:
    start(node_1)
    pod = json.loads(node_1.run("sh", "-c", "cat /run/humanz-cni-probe/*.json").stdout)
    address = pod["result"]["ips"][0]["address"].split("/")[0]
    nowhere = [{"address": f"100.100.0.{number}", "port": 7217, "sources": ["node"]} for number in range(50, 250)]
    targets = [{"address": address, "port": 7217, "sources": ["pod", "node"]}] * 500 + nowhere
    started = time.monotonic()
    results = node_1.module("pod_probe", {"state": "probed", "targets": targets, "timeout": 2})["results"]
    took = time.monotonic() - started
    node_1.module("pod_probe", {"state": "stopped"})
    assert sum(1 for result in results if result["error"] is None) == 1000
    assert took < 100  # one after the other, those that do not answer take 400


@pytest.mark.parametrize("victim", ["guard", "worker"])
def test_killed_it_leaves_nothing(node_1: Node, victim: str) -> None:
    start(node_1)
    node_1.run("kill", "-9", str(processes(node_1)[victim]))
    wait_until(lambda: is_gone(node_1))


def test_killed_altogether_it_is_taken_away_by_the_next_run(node_1: Node) -> None:
    start(node_1, name="humanz-probe-first")
    both = processes(node_1)
    node_1.run("kill", "-STOP", str(both["worker"]))
    node_1.run("kill", "-9", str(both["guard"]), str(both["worker"]))
    assert node_1.module("pod_network_info")["probes"] == [{"name": "humanz-probe-first", "running": False}]
    start(node_1, name="humanz-probe-second")
    assert node_1.module("pod_network_info")["probes"] == [{"name": "humanz-probe-second", "running": True}]
    node_1.module("pod_probe", {"state": "stopped", "name": "humanz-probe-second"})


# Hands the result on, but not at once.
SLOW = """#!/bin/sh
[ "$CNI_COMMAND" = ADD ] || exit 0
sleep 1
python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["prevResult"]))'
"""


def test_a_run_that_is_killed_while_the_pod_is_made_leaves_nothing(node_1: Node) -> None:
    node_1.run("tee", "/opt/cni/bin/slow", input=SLOW)
    node_1.run("chmod", "+x", "/opt/cni/bin/slow")
    good = node_1.run("cat", CONF).stdout
    node_1.run("tee", CONF, input=json.dumps(dict(conf(), plugins=[*conf()["plugins"], {"type": "slow"}])))
    enter = [
        "nsenter",
        f"--target={node_1.pid}",
        "--mount",
        "--net",
        "--",
        *IN_CHECKOUT,
        sys.executable,
        *DRIVER,
        "pod_probe",
    ]
    with subprocess.Popen(enter, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as module:
        assert module.stdin is not None
        module.stdin.write("{}")
        module.stdin.close()
        wait_until(lambda: not is_gone(node_1))
        module.kill()
    node_1.run("tee", CONF, input=good)
    wait_until(lambda: is_gone(node_1))


def test_its_lifetime_ends_it(node_1: Node) -> None:
    start(node_1, lifetime=5)
    wait_until(lambda: is_gone(node_1))
    probed = node_1.module("pod_probe", {"state": "probed", "targets": [{"address": OUTSIDE}]})
    assert "its lifetime is over" in probed["msg"]


def test_terminated_it_cleans_up(node_1: Node) -> None:
    start(node_1)
    node_1.run("kill", f"-{signal.SIGTERM.value}", str(processes(node_1)["guard"]))
    wait_until(lambda: is_gone(node_1))


def test_two_runs_do_not_disturb_each_other(node_1: Node) -> None:
    one, two = (start(node_1, name=f"humanz-probe-{name}")["pod"]["addresses"] for name in ("one", "two"))
    assert one != two
    node_1.module("pod_probe", {"state": "stopped", "name": "humanz-probe-one"})
    target = {"address": two[0], "port": 7217, "sources": ["node"]}
    args = {"state": "probed", "name": "humanz-probe-two", "targets": [target]}
    assert node_1.module("pod_probe", args)["results"][0]["error"] is None
    node_1.module("pod_probe", {"state": "stopped", "name": "humanz-probe-two"})


def conf(**changes: Any) -> dict[str, Any]:
    return {
        "cniVersion": "1.0.0",
        "name": "humanz-cni",
        "plugins": [dict(Fleet.plugin_conf("100.100.0.0/24"), **changes)],
    }


FULL = {"type": "host-local", "subnet": "100.100.0.0/24", "rangeStart": "100.100.0.250", "rangeEnd": "100.100.0.250"}
FAULTS = {
    "no file": (
        None,
        "conf_missing",
        "no CNI configuration: /etc/cni/net.d holds no file named *.conf, *.conflist, *.json",
    ),
    "no JSON": (
        "{",
        "conf_broken",
        "/etc/cni/net.d/10-humanz-cni-plugin.conflist is not a CNI configuration: Expecting",
    ),
    "no name": (dict(conf(), name=""), "conf_broken", "the key name is missing"),
    "no plugins": (dict(conf(), plugins=[]), "conf_broken", "the key plugins must be a list of at least one plugin"),
    "no such plugin": (
        conf(type="nowhere"),
        "plugin_missing",
        "the CNI plugin nowhere is not an executable in /opt/cni/bin",
    ),
    "a chained plugin is missing": (
        dict(conf(), plugins=[*conf()["plugins"], {"type": "nowhere"}]),
        "plugin_missing",
        "the CNI plugin nowhere is not an executable in /opt/cni/bin",
    ),
    "an unknown version": (
        dict(conf(), cniVersion="9.9.9"),
        "plugin_failed",
        "failed with code 1: incompatible CNI versions",
    ),
    "a broken value": (conf(mtu="much"), "plugin_failed", "ADD of the CNI plugin humanz-cni failed with code"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault(node_1: Node, name: str) -> None:
    content, reason, message = FAULTS[name]
    good = node_1.run("cat", CONF).stdout
    if content is None:
        node_1.run("rm", CONF)
    else:
        node_1.run("tee", CONF, input=content if isinstance(content, str) else json.dumps(content))
    started = node_1.module("pod_probe", {})
    node_1.run("tee", CONF, input=good)
    assert started["reason"] == reason
    assert message in started["msg"]


def test_a_full_pool(node_1: Node) -> None:
    good = node_1.run("cat", CONF).stdout
    node_1.run("tee", CONF, input=json.dumps(conf(ipam=FULL)))
    start(node_1, name="humanz-probe-last")
    pool = node_1.module("pod_network_info")["pool"]
    started = node_1.module("pod_probe", {"name": "humanz-probe-late"})
    node_1.module("pod_probe", {"state": "stopped", "name": "humanz-probe-last"})
    node_1.run("tee", CONF, input=good)
    assert [(one_set["reserved"], one_set["total"]) for one_set in pool["sets"]] == [(1, 1)]
    assert started["plugin_error"]["command"] == "ADD"
    assert "no IP addresses available" in started["msg"]


def test_a_name_that_is_none_of_ours_is_refused(node_1: Node) -> None:
    assert "must match" in node_1.module("pod_probe", {"name": "../eth0"})["msg"]


@pytest.mark.parametrize("address", ["fe80::1%lo", "localhost"])
def test_a_target_that_is_no_address_is_refused(node_1: Node, address: str) -> None:
    result = node_1.module("pod_probe", {"state": "probed", "targets": [{"address": address}]})
    assert "is not an IP address: it must be an address such as 200.0.0.10" in result["msg"]


def test_a_user_keeps_no_pod_from_being_taken_away(node_1: Node) -> None:
    start(node_1)
    with ThreadPoolExecutor() as pool, node_1.holder("/run/humanz-cni-probe", *NOBODY):
        stopped = pool.submit(node_1.module, "pod_probe", {"state": "stopped"})
        assert stopped.result(timeout=60)["changed"] is False


def test_check_mode_starts_nothing(node_1: Node) -> None:
    assert node_1.module("pod_probe", {}, check=True)["skipped"] is True
