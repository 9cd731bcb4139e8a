# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pod_firewall keeps its own chains and the jumps to them, and nothing else, with either iptables."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.firewall.firewall_rules import Firewall
    from tests.support.netns.node import Node

STATE_FILE = "/etc/humanz-cni/rules.v4"
JUMP = '-A FORWARD -m comment --comment "humanz-cni pod network" -j HUMANZ-FORWARD'
OURS = ("HUMANZ-PREROUTING", "HUMANZ-FORWARD", "HUMANZ-POSTROUTING")

# What Docker, kube-proxy and an administrator leave on a node.
FOREIGN = """\
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER-USER - [0:0]
:KUBE-FORWARD - [0:0]
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A FORWARD -j DOCKER-USER
-A FORWARD -s 203.0.113.7/32 -m comment --comment "quoted \\"word\\"" -j DROP
-A FORWARD -j REJECT --reject-with icmp-port-unreachable
-A DOCKER-USER -j RETURN
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:KUBE-POSTROUTING - [0:0]
-A POSTROUTING -j KUBE-POSTROUTING
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
COMMIT
"""


def without_ours(lines: list[str]) -> list[str]:
    """Return *lines* without our chains, their rules and the jumps to them."""
    return [line for line in lines if not any(chain in line for chain in OURS)]


def test_prediction_is_what_the_first_run_does(firewall: Firewall) -> None:
    before = firewall.save()
    predicted = firewall.converge(check=True, diff=True)
    assert firewall.save() == before
    assert firewall.node.run("test", "-e", "/etc/humanz-cni", check=False).returncode

    done = firewall.converge(diff=True)
    for key in ("changed", "diff", "rules", "backends"):
        assert done[key] == predicted[key]
    assert done["changed"]
    assert done["backends"] == {"iptables": firewall.backend}
    assert sorted(line for line in firewall.save() if line[0] == "-") == sorted(
        line for line in done["rules"]["iptables"] if line[0] == "-"
    )


def test_the_rules_are_those_of_the_blog(firewall: Firewall) -> None:
    firewall.converge()
    saved = firewall.save()
    for rule in (
        '-A HUMANZ-FORWARD -s 100.100.0.0/24 -i humanz-cni0 -m comment --comment "ACCEPT src pods network" -j ACCEPT',
        '-A HUMANZ-FORWARD -d 100.100.0.0/24 -o humanz-cni0 -m comment --comment "ACCEPT dst pods network" -j ACCEPT',
        "-A HUMANZ-POSTROUTING -d 100.100.0.0/16 -j RETURN",
        "-A HUMANZ-POSTROUTING -d 200.0.0.0/24 -j RETURN",
        "-A HUMANZ-POSTROUTING -d 224.0.0.0/4 -j RETURN",
        '-A HUMANZ-POSTROUTING -s 100.100.0.0/24 -m comment --comment "Nat from pods to outside" '
        "-j MASQUERADE --random-fully",
    ):
        assert saved.count(rule) == 1


def test_second_run_writes_nothing(firewall: Firewall) -> None:
    firewall.converge()
    # A chain that is filled anew loses its counters.
    counting = [line.replace("[0:0] -A HUMANZ", "[7:700] -A HUMANZ") for line in firewall.save("-c")]
    firewall.load("\n".join(counting) + "\n")
    assert firewall.save("-c") == counting
    file_before = firewall.node.run("stat", STATE_FILE).stdout

    again = firewall.converge(diff=True)
    assert not again["changed"]
    assert again["diff"]["before"] == again["diff"]["after"]
    assert firewall.save("-c") == counting
    assert firewall.node.run("stat", STATE_FILE).stdout == file_before


@pytest.mark.parametrize(
    "drift",
    [
        pytest.param("-D HUMANZ-FORWARD 1", id="rule gone"),
        pytest.param("-I HUMANZ-FORWARD 1 -j DROP", id="rule added"),
        pytest.param("-R HUMANZ-FORWARD 1 -s 100.100.9.0/24 -j ACCEPT", id="rule changed"),
        pytest.param("-F HUMANZ-FORWARD", id="chain emptied"),
        pytest.param("-F", id="table flushed"),
        pytest.param("-A FORWARD -j HUMANZ-FORWARD", id="second jump"),
        pytest.param("-R FORWARD 1 -s 100.100.0.0/24 -j HUMANZ-FORWARD", id="jump changed"),
        pytest.param("-D FORWARD 1", id="jump gone"),
        pytest.param("-t nat -F", id="nat table flushed"),
        pytest.param("-t nat -I HUMANZ-POSTROUTING 1 -j ACCEPT", id="nat rule added"),
        pytest.param("-t nat -D POSTROUTING 1", id="nat jump gone"),
    ],
)
def test_drift_is_repaired(firewall: Firewall, drift: str) -> None:
    firewall.converge()
    wanted = firewall.save()
    firewall.iptables(drift)
    drifted = firewall.save()
    assert drifted != wanted
    assert firewall.converge(check=True)["changed"]
    assert firewall.save() == drifted

    assert firewall.converge()["changed"]
    assert firewall.save() == wanted
    assert not firewall.converge()["changed"]


def test_jump_is_put_ahead_of_who_got_ahead(firewall: Firewall) -> None:
    firewall.converge()
    firewall.iptables("-I FORWARD 1 -j DROP")
    firewall.iptables("-I FORWARD 1 -s 203.0.113.7 -j REJECT")
    result = firewall.converge(diff=True)
    assert result["changed"]
    assert "# it stands behind: -A FORWARD -s 203.0.113.7/32 -j REJECT" in result["diff"]["before"]
    forward = [line for line in firewall.save() if line.startswith("-A FORWARD")]
    assert [forward[0], forward[2]] == [JUMP, "-A FORWARD -j DROP"]
    assert not firewall.converge()["changed"]


def test_jump_stays_behind_network_policies(firewall: Firewall) -> None:
    firewall.converge()
    for chain in ("KUBE-ROUTER-FORWARD", "cali-FORWARD", "KUBE-FORWARD"):
        firewall.iptables(f"-N {chain}")
        firewall.iptables(f"-A FORWARD -j {chain}")
    firewall.iptables("-A FORWARD -j DROP")
    result = firewall.converge(diff=True)
    assert "# it stands ahead of: -A FORWARD -j KUBE-ROUTER-FORWARD" in result["diff"]["before"]
    forward = [line for line in firewall.save() if line.startswith("-A FORWARD")]
    assert forward[3] == JUMP
    assert forward[4] == "-A FORWARD -j DROP"
    assert not firewall.converge()["changed"]


def test_nat_jump_comes_before_the_end_of_the_chain(firewall: Firewall) -> None:
    firewall.iptables("-t nat -A POSTROUTING -s 203.0.113.0/24 -j ACCEPT")
    firewall.iptables("-t nat -A POSTROUTING -j RETURN")
    firewall.converge()
    chain = [line.split()[-1] for line in firewall.save() if line.startswith("-A POSTROUTING")]
    assert chain == ["ACCEPT", "HUMANZ-POSTROUTING", "RETURN"]


def test_foreign_rules_are_untouched(firewall: Firewall) -> None:
    firewall.load(FOREIGN)
    before = firewall.save()
    firewall.converge()
    assert without_ours(firewall.save()) == before
    forward = [line for line in firewall.save() if line.startswith("-A FORWARD")]
    assert forward.index(JUMP) == 1

    assert firewall.remove()["changed"]
    assert firewall.save() == before
    assert firewall.node.run("test", "-e", "/etc/humanz-cni", check=False).returncode
    assert not firewall.remove()["changed"]


def test_absent_after_drift_leaves_nothing(firewall: Firewall) -> None:
    before = firewall.save()
    firewall.converge()
    firewall.iptables("-A FORWARD -j HUMANZ-FORWARD")
    firewall.iptables("-t nat -F POSTROUTING")
    firewall.remove()
    assert firewall.save() == before


def test_state_file_replays_our_chains(firewall: Firewall) -> None:
    firewall.converge()
    wanted = firewall.save()
    firewall.iptables("-F HUMANZ-FORWARD")
    firewall.iptables("-t nat -F HUMANZ-POSTROUTING")
    for _replay in range(2):
        firewall.node.run(f"iptables-{firewall.backend}-restore", "--noflush", "-w", "5", STATE_FILE)
        assert firewall.save() == wanted


def test_options_change_the_rules(firewall: Firewall) -> None:
    firewall.converge(uplink="enp1s0", random_fully=False, bridge="br.10")
    saved = firewall.save()
    assert (
        '-A HUMANZ-POSTROUTING -s 100.100.0.0/24 -o enp1s0 -m comment --comment "Nat from pods to outside" '
        "-j MASQUERADE" in saved
    )
    assert any("-i br.10 " in line for line in saved)
    result = firewall.converge(masquerade=False)
    assert result["changed"]
    assert not [line for line in firewall.save() if "HUMANZ-POSTROUTING" in line]
    assert not firewall.converge(masquerade=False)["changed"]


def test_auto_is_the_iptables_of_the_node(firewall: Firewall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/local/sbin:" + os.environ["PATH"])
    for name in ("", "-restore"):
        target = f"/usr/sbin/iptables-{firewall.backend}{name}"
        firewall.node.run("ln", "-s", target, "/usr/local/sbin/iptables" + name)
    result = firewall.converge(backend="auto")
    assert result["backends"] == {"iptables": firewall.backend}
    assert JUMP in firewall.save()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"pod_cidrs": []}, "pod_cidrs: at least one network"),
        ({"pod_cidrs": ["100.100.0.5/24"]}, "pod_cidrs: 100.100.0.5/24 has host bits set"),
        ({"pod_cidrs": ["pods"]}, "pod_cidrs: pods is not a network in CIDR notation"),
        ({"pod_cidrs": ["fd00::5/64"]}, "pod_cidrs: fd00::5/64 has host bits set"),
        ({"pod_cidrs": ["fd00::%\nCOMMIT\n/64"]}, "pod_cidrs: 'fd00::%\\nCOMMIT\\n/64' is not a network"),
        ({"non_masquerade_cidrs": ["fd00::%eth0/64"]}, "non_masquerade_cidrs: 'fd00::%eth0/64' is not a network"),
        ({"non_masquerade_cidrs": ["0.0.0.0/0"]}, "non_masquerade_cidrs: 0.0.0.0/0"),
        ({"bridge": "humanz-cni-bridge0"}, "bridge: 'humanz-cni-bridge0' must be an interface name"),
        ({"bridge": ""}, "bridge: ''"),
        ({"bridge": "a;reboot"}, "bridge: 'a;reboot' must be an interface name"),
        ({"bridge": 'x"y'}, "must be an interface name"),
        ({"uplink": "eth0\nCOMMIT"}, "uplink: 'eth0\\nCOMMIT' must be an interface name"),
        ({"uplink": False}, "uplink: False must be the name of an interface"),
        ({"uplink": "no"}, "uplink: no must be the name of an interface"),
        ({"uplink": "eth+"}, "uplink: 'eth+' must be an interface name"),
        ({"vxlan_peers": ["200.0.0.20\nCOMMIT"]}, "vxlan_peers: '200.0.0.20\\nCOMMIT' is not an IP address"),
        ({"vxlan_peers": ["200.0.0.20", "fd00:200::20"]}, "200.0.0.20, fd00:200::20 must be all IPv4 or all IPv6"),
        ({"vxlan_port": 65536}, "vxlan_port: 65536 must be a UDP port"),
        ({"state_dir": "/etc/foreign"}, "/etc/foreign/rules.v4 was not written by this collection"),
        ({"plan": "/tmp/plan"}, "plan is on the controller"),
    ],
)
def test_bad_input_changes_nothing(firewall: Firewall, args: dict[str, object], message: str) -> None:
    before = firewall.save()
    firewall.node.run("sh", "-c", "mkdir /etc/foreign; echo mine > /etc/foreign/rules.v4")
    given = {"pod_cidrs": ["100.100.0.0/24"], "backend": firewall.backend, **args}
    result = firewall.node.module("pod_firewall", given)
    assert result["failed"]
    assert message in result["msg"]
    assert firewall.save() == before
    assert firewall.node.run("test", "-e", "/etc/humanz-cni", check=False).returncode


def test_node_without_iptables(node: Node) -> None:
    node.run("mount", "-t", "tmpfs", "tmpfs", "/usr/sbin")
    result = node.module("pod_firewall", {"pod_cidrs": ["100.100.0.0/24"]})
    assert result["failed"]
    assert "install the package iptables" in result["msg"]
    assert not node.module("pod_firewall", {"state": "absent"})["changed"]
