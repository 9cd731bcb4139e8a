# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lost and damaged records: the address of a pod that is alive is never given to another one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.plugin.runtime import Runtime, nested

DUAL = nested(("10.9.0.0/24", "fd00:9::/64"))
SMALL = nested(("10.9.0.0/29",))  # five addresses for pods
LOSSES = {
    "I-01 all of it": "rm -r /run/humanz-cni",
    "I-01 all files": "rm /run/humanz-cni/net1/*",
    "I-01 all files emptied": "for file in /run/humanz-cni/net1/*; do : > $file; done",
    "I-01 lock lost, records damaged": "rm DIR/lock; for file in DIR/*; do echo garbage > $file; done",
    "I-01 lock lost, addresses lost": "rm DIR/lock DIR/10.* DIR/fd*",
    "I-01 lock lost, owners lost": "rm DIR/lock DIR/veth*",
}


def addresses(result: dict[str, Any]) -> list[str]:
    """Return the addresses of a result."""
    return [one["address"] for one in result["ips"]]


def lose(runtime: Runtime, command: str) -> None:
    """Carry out the shell *command* on the node, in which DIR is the network's directory."""
    runtime.node.run("sh", "-c", command.replace("DIR", "/run/humanz-cni/net1"))


@pytest.mark.parametrize("command", LOSSES.values(), ids=LOSSES)
def test_lost_records_are_made_again(runtime: Runtime, command: str) -> None:
    given = [addresses(runtime.add(DUAL, pod)) for pod in ("pod1", "pod2")]
    lose(runtime, command)

    given.append(addresses(runtime.add(DUAL, "pod3")))

    assert len({address for each in given for address in each}) == 6
    for pod, of_pod in zip(("pod1", "pod2", "pod3"), given):
        for address in of_pod:
            path = "/run/humanz-cni/net1/" + address.partition("/")[0]
            assert json.loads(runtime.records()[path])["containerID"] == pod
    for pod in ("pod1", "pod2", "pod3"):
        runtime.delete(DUAL, pod)
    assert runtime.records() == {}


def test_restored_records_count_for_later_pods_too(runtime: Runtime) -> None:
    given = [addresses(runtime.add(SMALL, pod)) for pod in ("pod1", "pod2", "pod3")]
    lose(runtime, "rm -r DIR")

    given += [addresses(runtime.add(SMALL, pod)) for pod in ("pod4", "pod5")]

    assert len({address for (address,) in given}) == 5
    runtime.pod("pod6")
    assert runtime.fail("ADD", SMALL, "pod6")["details"] == "5 of 5 addresses are used"
    runtime.delete(SMALL, "pod2")
    assert [addresses(runtime.add(SMALL, "pod6"))] == given[1:2]


def test_a_pool_that_was_full_when_it_was_lost_is_full(runtime: Runtime) -> None:
    for number in range(5):
        runtime.add(SMALL, f"pod{number}")
    lose(runtime, "rm -r DIR")
    runtime.pod("pod9")

    assert runtime.fail("ADD", SMALL, "pod9")["code"] == 11


def test_twenty_at_once_after_a_loss(runtime: Runtime) -> None:
    taken = {addresses(runtime.add(nested(), f"pod{number}"))[0] for number in range(10)}
    lose(runtime, "rm -r DIR")
    shell = """
        for i in $(seq 20); do ip netns add p$i; done
        for i in $(seq 20); do
          CNI_COMMAND=ADD CNI_CONTAINERID=p$i CNI_NETNS=/run/netns/p$i CNI_IFNAME=eth0 CNI_PATH=/x \
            PLUGIN < /run/conf > /run/result.$i &
        done
        wait
    """
    runtime.node.run("sh", "-c", "cat > /run/conf", input=json.dumps(nested()))

    runtime.node.run("sh", "-c", shell.replace("PLUGIN", str(runtime.executable)))

    results = [json.loads(runtime.node.run("cat", f"/run/result.{number}").stdout) for number in range(1, 21)]
    taken |= {addresses(result)[0] for result in results}
    assert len(taken) == 30


def test_addresses_of_another_network_are_not_taken(runtime: Runtime) -> None:
    runtime.add(nested(name="other", bridge="br2"), "pod1")

    assert addresses(runtime.add(nested(), "pod2")) == ["10.9.0.2/24"]


def test_an_address_that_a_pod_gave_itself_is_not_taken_if_it_is_of_no_range(runtime: Runtime) -> None:
    runtime.add(nested(), "pod1")
    runtime.node.ip("-n pod1 addr add 192.0.2.1/32 dev eth0")
    lose(runtime, "rm -r DIR")

    runtime.add(nested(), "pod2")

    assert "/run/humanz-cni/net1/192.0.2.1" not in runtime.records()


def plug_in_by_hand(runtime: Runtime, pod: str, link: str, address: str) -> None:
    """Attach a pod to the bridge as another plugin would."""
    runtime.pod(pod)
    runtime.node.ip(f"link add {link} type veth peer name eth0 netns {pod}")
    runtime.node.ip(f"link set {link} master br1 up")
    runtime.node.ip(f"-n {pod} addr add {address}/24 dev eth0")
    runtime.node.ip(f"-n {pod} link set eth0 up")


def test_pods_of_the_plugin_that_was_used_before_keep_their_addresses(runtime: Runtime) -> None:
    runtime.node.ip("link add br1 type bridge")
    for number, link in ((2, "veth1a2b3c4d"), (3, "lock"), (4, "10.9.0.9")):
        plug_in_by_hand(runtime, f"old{number}", link, f"10.9.0.{number}")

    assert addresses(runtime.add(SMALL, "pod1")) == ["10.9.0.5/29"]
    assert addresses(runtime.add(SMALL, "pod2")) == ["10.9.0.6/29"]
    runtime.pod("pod3")
    assert runtime.fail("ADD", SMALL, "pod3")["code"] == 11
    runtime.node.run("sh", "-c", "ip link set veth1a2b3c4d down; ip link set veth1a2b3c4d name other0 up")
    assert runtime.fail("ADD", SMALL, "pod3")["code"] == 11
    runtime.node.ip("link delete other0")
    assert addresses(runtime.add(SMALL, "pod3")) == ["10.9.0.2/29"]


DAMAGE = {
    "I-01 emptied": "for file in DIR/*; do : > $file; done",
    "I-01 truncated": "for file in DIR/*; do head -c 40 $file > /run/head; cat /run/head > $file; done",
    "I-01 replaced one by one": "for file in DIR/10.* DIR/veth*; do rm $file; echo garbage > $file; done",
    "I-01 of no boot": "for file in DIR/10.* DIR/veth*; do echo '{\"boot\": 7}' > $file; done",
}


@pytest.mark.parametrize("command", DAMAGE.values(), ids=DAMAGE)
def test_damaged_records_of_living_pods_are_not_reclaimed(runtime: Runtime, command: str) -> None:
    for number in range(5):
        runtime.add(SMALL, f"pod{number}")
    lose(runtime, "cp DIR/lock /run/lock.kept")
    lose(runtime, command)
    lose(runtime, "cat /run/lock.kept > DIR/lock")
    runtime.pod("pod9")

    assert runtime.fail("ADD", SMALL, "pod9")["code"] == 11

    runtime.delete(SMALL, "pod2")
    assert len(addresses(runtime.add(SMALL, "pod9"))) == 1
