# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The spoof checks of pods come back by healing, for pods that live, as ADD made them."""

from __future__ import annotations

import ipaddress
import subprocess
from typing import Any

import pytest

from tests.integration_netns.plugin.network.test_plugin_impersonation import (
    CONF,
    OTHER,
    OTHER6,
    OWN,
    arriving,
    attacks,
    broadcast,
    ipv4,
    link_local,
    rightful,
)
from tests.integration_netns.plugin.network.test_plugin_spoofcheck import mac_of, reaches, ruleset
from tests.support import ROOT
from tests.support.plugin.runtime import Runtime, nested

HEAL = ROOT / "files" / "host_network" / "heal.py"
DAMAGE = {
    "all rules flushed": "flush ruleset",
    "the table deleted": "delete table bridge humanz-cni",
    "the table's rules flushed": "flush table bridge humanz-cni",
    "a rule's chain flushed": "flush chain bridge humanz-cni prerouting",
    "a set of ports flushed": "flush set bridge humanz-cni ports",
    "a set of addresses flushed": "flush set bridge humanz-cni ipv6",
}


def install(runtime: Runtime) -> None:
    """Put the operator's command where healing finds it."""
    command = runtime.executable.parent.parent / "sbin" / "humanz-cni-ctl"
    runtime.node.run("install", "-D", str(command), "/usr/local/sbin/humanz-cni-ctl")


def heal(runtime: Runtime, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the program that heals."""
    done = runtime.node.run("/usr/bin/python3", "-I", str(HEAL), check=False)
    assert done.returncode == status, done
    return done


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=list(DAMAGE))
@pytest.mark.parametrize("key", ["macspoofchk", "ipspoofchk"])
def test_the_checks_of_pods_are_put_back(runtime: Runtime, key: str, damage: str) -> None:
    install(runtime)
    results = [runtime.add({**CONF, key: True}, pod) for pod in ("pod1", "pod2")]
    before = ruleset(runtime)
    assert heal(runtime).stdout == ""
    assert ruleset(runtime) == before
    runtime.node.run("nft", *damage.split())
    if (key, damage) == ("macspoofchk", DAMAGE["a set of addresses flushed"]):
        assert heal(runtime).stdout == ""
        return
    assert ruleset(runtime) != before

    done = heal(runtime)

    assert (done.stderr, ruleset(runtime)) == ("", before)
    assert all(line.startswith("put back the ") for line in done.stdout.splitlines())
    assert ("rules of table bridge humanz-cni" in done.stdout) is ("set" not in damage.split())
    for result in results:
        assert (result["interfaces"][1]["name"] in done.stdout) is (damage not in (
            "flush table bridge humanz-cni", "flush chain bridge humanz-cni prerouting",
        ))  # fmt: skip
    assert heal(runtime).stdout == ""


def test_frames_in_anothers_name_pass_no_more_once_healed(runtime: Runtime) -> None:
    install(runtime)
    for pod in ("pod1", "pod2"):
        runtime.add({**CONF, "ipspoofchk": True}, pod)
    own, other = mac_of(runtime, "pod1"), mac_of(runtime, "pod2")
    wrong = {name: broadcast(frame) for name, frame in attacks(own, other).items()}
    right = {name: broadcast(frame) for name, frame in rightful(own, other).items()}
    last = broadcast(ipv4(own, OWN, other, b"the last frame"))
    runtime.node.run("nft", "flush", "ruleset")
    assert "gratuitous ARP for the gateway" in arriving(runtime, wrong, last)[0]

    heal(runtime)

    assert arriving(runtime, {**wrong, **right}, last) == [set(right), set(right)]
    assert reaches(runtime, "pod1", OTHER)
    for pod in ("pod1", "pod2"):
        runtime.delete({**CONF, "ipspoofchk": True}, pod)
    assert "veth" not in ruleset(runtime)


def test_a_pod_is_checked_again_also_if_the_rules_are_as_they_were_before_it(runtime: Runtime) -> None:
    install(runtime)
    runtime.add({**CONF, "ipspoofchk": True}, "pod1")
    known = ruleset(runtime)
    assert heal(runtime).stdout == ""
    port = runtime.add({**CONF, "ipspoofchk": True}, "pod2")["interfaces"][1]["name"]
    before = ruleset(runtime)
    mac = mac_of(runtime, "pod2")
    addresses = [(name, address) for name in ("ipv6", "nd-target") for address in (OTHER6, link_local(mac))]
    for name, *values in (("ports",), ("mac", mac), ("ipv4", OTHER), *addresses):
        if name == "nd-target":
            values = ["0x" + ipaddress.ip_address(values[0]).packed.hex()]
        element = " . ".join([f'"{port}"', *values])
        runtime.node.run("nft", f"delete element bridge humanz-cni {name} {{ {element} }}")
    assert ruleset(runtime) == known

    assert heal(runtime).stdout == f"put back the spoof checks of 1 port: {port}\n"
    assert ruleset(runtime) == before


LAYER2 = {key: value for key, value in nested().items() if key not in ("ipam", "isGateway")}


@pytest.mark.parametrize("conf", [CONF, LAYER2], ids=["attached without checks", "without addresses"])
def test_only_pods_that_were_checked_are_again(runtime: Runtime, conf: dict[str, Any]) -> None:
    install(runtime)
    port = runtime.add(conf, "pod1")["interfaces"][1]["name"]
    if "ipam" in conf:  # its record says that it has no checks, and so that this is somebody else's
        runtime.node.run("bridge", "fdb", "add", "02:00:00:00:00:99", "dev", port, "master", "static")
    result = runtime.add({**conf, "macspoofchk": True}, "pod2")
    before = ruleset(runtime)
    runtime.node.run("nft", "flush", "ruleset")

    said = heal(runtime).stdout.splitlines()

    assert ruleset(runtime) == before
    assert len(said) == 2
    assert said[1].endswith(f" 1 port: {result['interfaces'][1]['name']}")
    assert ("no record has the IP addresses" in said[1]) is (conf is LAYER2)


def test_a_missing_command_is_named(runtime: Runtime) -> None:
    runtime.add({**CONF, "ipspoofchk": True}, "pod1")

    assert "/usr/local/sbin/humanz-cni-ctl is missing: run humanz.cni.site" in heal(runtime, status=1).stderr
