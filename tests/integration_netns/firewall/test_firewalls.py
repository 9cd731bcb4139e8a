# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods get through each firewall that a node may have, nobody else does, and what was there is there afterwards."""

from __future__ import annotations

import subprocess

import pytest

from tests.support import ROOT
from tests.support.firewall.lan import IPV4, IPV6, source_seen
from tests.support.firewall.site_under_test import HEAL, PAGE, Site, page_blocks, through

# As in Debian's examples for /etc/nftables.conf, with a policy, or a last rule, that drops.
POLICY = """\
table inet filter {
    chain input {
        type filter hook input priority filter; policy accept;
    }
    chain forward {
        type filter hook forward priority filter; policy drop;
        ct state established,related accept
        ip saddr { 203.0.113.7, 203.0.113.9 } drop
    }
}
"""
LAST_RULE = """\
table inet filter {
    chain forward {
        type filter hook forward priority filter + 10; policy accept;
        ct state established,related accept
        iifname vmap { "lo" : accept }
        goto refuse
    }
    chain refuse {
        counter log prefix "refused: " reject with icmpx admin-prohibited
    }
}
"""
BY_FAMILY = """\
table ip gate {
    chain way {
        type filter hook forward priority -150; policy drop;
    }
}
table ip6 gate {
    chain way {
        type filter hook forward priority -150; policy drop;
    }
}
"""
# What decides on single pods, as a network policy does, is asked after all.
POLICIES = """\
table inet kube-network-policies {
    chain forward {
        type filter hook forward priority filter - 1; policy accept;
        ip daddr 100.100.1.2 drop
        ip6 daddr fd00:100:0:1::2 drop
    }
}
"""


@pytest.mark.parametrize("rules", [POLICY, LAST_RULE, BY_FAMILY], ids=["policy", "last rule", "by family"])
def test_native_nftables(site: Site, rules: str) -> None:
    site.node.run("nft", "-f", "-", input=rules)
    before = site.ruleset()
    assert site.is_cut_off()

    predicted = site.converge(check=True, diff=True)
    assert site.ruleset() == before
    done = site.converge(diff=True)
    assert [done[key] for key in ("diff", "rules")] == [predicted[key] for key in ("diff", "rules")]
    chains = {"inet filter forward"} if "inet" in rules else {"ip gate way", "ip6 gate way"}
    assert {found["where"] for found in done["firewalls"] if found["name"] == "nftables"} == chains
    for address in (IPV4, IPV6):
        assert site.sources(address) == through(address)
        assert not site.is_router_for_others(address)
    assert not site.converge()["changed"]
    assert site.heal() == ""

    assert site.remove()["changed"]
    assert site.ruleset().startswith(before)
    assert "humanz" not in site.ruleset().lower()
    assert not site.remove()["changed"]
    site.node.run("test", "!", "-e", "/etc/humanz-cni")


def test_native_nftables_that_are_loaded_anew_are_healed(site: Site) -> None:
    site.node.run("nft", "-f", "-", input=POLICY)
    site.converge()
    converged = sorted(site.ruleset().splitlines())
    for damage in (
        "flush ruleset\n" + POLICY,
        "insert rule inet filter forward ip saddr 100.100.0.0/16 drop",
        "flush chain inet filter forward",
    ):
        site.node.run("nft", "-f", "-", input=damage)
        assert "put back by nft: rules in chain inet filter forward\n" in site.heal()
        assert site.heal() == ""
        assert site.sources(IPV4) == through(IPV4)
        assert not site.converge()["changed"]
        site.node.run("nft", "-f", "-", input="flush ruleset\n" + POLICY)
        site.heal()
        assert sorted(site.ruleset().splitlines()) == converged
    # A chain that has gone drops nothing.
    site.node.run("nft", "delete", "table", "inet", "filter")
    assert site.heal() == ""
    assert site.converge()["changed"]
    site.node.run("test", "!", "-e", "/etc/humanz-cni/rules.nft")


def test_network_policies_in_nftables_still_decide(site: Site) -> None:
    site.node.run("nft", "-f", "-", input=POLICIES + POLICY)
    done = site.converge()
    assert {found["where"] for found in done["firewalls"]} == {"inet filter forward"}
    for address in (IPV4, IPV6):
        assert site.sources(address, address.peer_pod) == [address.pod, "", address.node_outside, address.peer]


def test_without_iptables(site: Site) -> None:
    """Nothing but nft: masquerading is in a table of its own."""
    site.node.run("sh", "-c", "mkdir /run/sbin; cp /usr/sbin/nft /run/sbin; mount --bind /run/sbin /usr/sbin")
    site.node.run("nft", "-f", "-", input=POLICY)
    before = site.ruleset()
    predicted = site.converge(check=True, diff=True)
    assert site.ruleset() == before
    done = site.converge(diff=True)
    assert [done[key] for key in ("diff", "rules")] == [predicted[key] for key in ("diff", "rules")]
    assert done["backends"] == {"nft": "nftables"}
    assert not site.converge()["changed"]
    for address in (IPV4, IPV6):
        assert site.sources(address) == through(address)
        assert not site.is_router_for_others(address)
    converged = sorted(site.ruleset().splitlines())
    assert site.heal() == ""
    lost = "delete element inet humanz-cni non_masquerade_ipv4 { 200.0.0.0/24 }"
    for damage in ("flush ruleset\n" + POLICY, "flush table inet humanz-cni", lost):
        site.node.run("nft", "-f", "-", input=damage)
        assert "table inet humanz-cni" in site.heal()
        assert sorted(site.ruleset().splitlines()) == converged
        assert not site.converge()["changed"]
    site.node.run("nft", "-f", "/etc/humanz-cni/rules.nft")
    assert sorted(site.ruleset().splitlines()) == converged

    site.args["masquerade_ipv6"] = False
    assert site.converge()["changed"]
    assert source_seen(site.lan.pod, site.lan.outside, IPV6.outside) == IPV6.pod
    assert site.remove()["changed"]
    assert site.ruleset() == before
    site.node.run("test", "!", "-e", "/etc/humanz-cni")


@pytest.mark.parametrize(
    ("priority", "why"), [("filter", "is incompatible, use 'nft' tool."), ("filter + 10", "CHAIN_ADD failed")]
)
def test_a_table_that_iptables_cannot_use(site: Site, priority: str, why: str) -> None:
    """An administrator's own table by iptables' name, which holds what iptables has no words for."""
    rules = LAST_RULE.replace("inet", "ip").replace("icmpx", "icmp").replace("chain forward", "chain FORWARD")
    rules = rules.replace("filter + 10", priority)
    site.node.run("nft", "-f", "-", input=rules)
    failed = site.node.module("pod_firewall", site.args)
    assert failed["failed"]
    assert why in failed["msg"]
    assert ": set backend (pod_network_firewall_backend) to nftables" in failed["msg"]
    before = site.ruleset()
    site.args["backend"] = "nftables"
    assert site.converge()["changed"]
    assert not site.converge()["changed"]
    assert site.sources(IPV4) == through(IPV4)
    assert site.remove()["changed"]
    assert site.ruleset() == before


def test_from_iptables_to_nftables_and_back(site: Site) -> None:
    site.converge()
    by_iptables = site.ruleset()
    site.args["backend"] = "nftables"
    assert site.converge()["changed"]
    assert not site.converge()["changed"]
    assert "HUMANZ" not in site.ruleset()
    assert site.node.run("ls", "/etc/humanz-cni").stdout.split() == ["rules.nft"]
    assert site.sources(IPV4) == through(IPV4)
    site.args["backend"] = "auto"
    assert site.converge()["changed"]
    assert sorted(site.ruleset().splitlines()) == sorted(by_iptables.splitlines())


@pytest.mark.parametrize(("backend", "other"), [("nft", "legacy"), ("legacy", "nft")])
def test_the_other_iptables_drops(site: Site, backend: str, other: str) -> None:
    """Rules that one iptables makes are not seen by the other one, but hold."""
    site.args["backend"] = backend
    for command in ("iptables", "ip6tables"):
        site.node.run(f"{command}-{other}", "-P", "FORWARD", "DROP")
        site.node.run(f"{command}-{other}", "-A", "FORWARD", "-s", "203.0.113.7" if command == "iptables" else "::7")
    assert site.is_cut_off()
    saved = [site.node.run(f"{command}-{other}", "-S").stdout for command in ("iptables", "ip6tables")]

    predicted = site.converge(check=True, diff=True)
    done = site.converge(diff=True)
    assert [done[key] for key in ("diff", "rules")] == [predicted[key] for key in ("diff", "rules")]
    assert done["backends"][f"ip6tables-{other}"] == other
    assert {"name": "iptables", "where": f"iptables-{other} FORWARD, policy DROP", "handled": "a jump ahead of it"} in (
        done["firewalls"]
    )
    for address in (IPV4, IPV6):
        assert site.sources(address) == through(address)
        assert not site.is_router_for_others(address)
    assert not site.converge()["changed"]
    site.node.run(f"iptables-{other}", "-F", "HUMANZ-FORWARD")
    assert site.heal() == f"put back in table filter of iptables-{other}: chain HUMANZ-FORWARD\n"
    assert not site.converge()["changed"]
    page = (ROOT / "docs" / "persistence.md").read_text(encoding="utf-8")
    kept = site.node.run("find", "/etc/humanz-cni", "-type", "f").stdout.split()
    assert [path for path in kept if f"`{path}`" not in page] == []

    assert site.remove()["changed"]
    assert [site.node.run(f"{command}-{other}", "-S").stdout for command in ("iptables", "ip6tables")] == saved
    site.node.run("test", "!", "-e", "/etc/humanz-cni")


def test_another_default_iptables_takes_the_rules_along(site: Site) -> None:
    """As after ``update-alternatives --set iptables /usr/sbin/iptables-legacy``."""
    site.args["backend"] = "nft"
    site.converge()
    site.args["backend"] = "legacy"
    assert site.converge()["changed"]
    assert not site.converge()["changed"]
    assert "HUMANZ" not in site.ruleset()
    assert site.sources(IPV4) == through(IPV4)


def test_a_table_that_its_owner_alone_may_change_is_named(site: Site) -> None:
    """As firewalld's may be, and any other program's: nft refuses, and nothing is left half done."""
    before = site.ruleset()
    owner = subprocess.Popen(
        ["nsenter", f"--target={site.node.pid}", "--net", "--", "nft", "-i"], stdin=subprocess.PIPE, text=True
    )
    assert owner.stdin is not None
    try:
        owner.stdin.write("add table inet theirs { flags owner; }\n")
        owner.stdin.write("add chain inet theirs forward { type filter hook forward priority 0; policy drop; }\n")
        owner.stdin.flush()
        while "policy drop" not in site.ruleset():
            assert owner.poll() is None
        failed = site.node.module("pod_firewall", site.args)
        assert failed["failed"]
        assert "Pods are cut off by chains that drop: inet theirs forward. " in failed["msg"]
        assert "accept this: nft insert rule inet theirs forward iifname" in failed["msg"]
        assert "everything is as it was before this task" in failed["msg"]
        site.node.run("test", "!", "-e", "/etc/humanz-cni")
    finally:
        owner.communicate("quit\n")
    assert "HUMANZ" not in site.ruleset()
    assert "inet theirs" not in site.ruleset()
    assert site.ruleset().startswith(before)


def test_the_pages_commands_show_what_it_says(site: Site) -> None:
    """The page is docs/firewalls.md."""
    site.node.run("nft", "-f", "-", input=POLICY)
    site.converge()
    said = ["\n".join(_outputs(site, commands)) for commands in page_blocks("The rules")]
    for comment in ("ACCEPT src pods network", "ACCEPT dst pods network", "Nat from pods to outside"):
        assert comment in said[0]
    assert "-s fd00:100::/64" in said[0]
    native, alone = page_blocks("nftables")
    shown = [line for line in PAGE.splitlines() if line.startswith(("iifname", "oifname"))]
    assert len(shown) == 2
    assert all(line in output for line in shown for output in _outputs(site, native))
    site.args["backend"] = "nftables"
    site.converge()
    assert "Nat from pods to outside" in _outputs(site, alone)[0]
    assert "hook forward" in _outputs(site, page_blocks("Messages")[0])[0]
    # firewalld's are run where it runs.
    assert PAGE.count("```console") == 5


def _outputs(site: Site, commands: list[str]) -> list[str]:
    return [site.node.run(*command.split()).stdout for command in commands]


LATER = {
    "nft, by policy": ("nft -f -", POLICY, "chain inet filter forward of nftables"),
    "nft, by its last rule": ("nft -f -", LAST_RULE.replace("goto", "drop #"), "chain inet filter forward of nftables"),
    "the other iptables": ("iptables-legacy -P FORWARD DROP", "", "FORWARD of iptables-legacy"),
    "IPv6 of the other iptables": ("ip6tables-legacy -A FORWARD -j REJECT", "", "FORWARD of ip6tables-legacy"),
}
SAID = "%s drops what none of its rules accepts, and has no rule for pods: run humanz.cni.site for this node\n"


@pytest.mark.parametrize("how", LATER)
def test_what_drops_pods_since_the_last_run_is_named_and_left_to_the_next(site: Site, how: str) -> None:
    command, rules, name = LATER[how]
    site.args["backend"] = "nft"
    site.converge()
    assert site.heal() == ""
    site.node.run(*command.split(), input=rules)
    before = site.ruleset()
    done = site.node.run("/usr/bin/python3", "-I", str(HEAL), check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "", SAID % name)
    assert site.ruleset() == before
    assert site.converge()["changed"]
    assert site.heal() == ""
    for address in (IPV4, IPV6):
        assert site.sources(address) == through(address)


def test_what_drops_others_alone_is_not_named(site: Site) -> None:
    site.args["pod_cidrs"] = site.args["pod_cidrs"][:1]
    site.converge()
    site.node.run("ip6tables-nft", "-P", "FORWARD", "DROP")
    site.node.run("nft", "-f", "-", input=POLICIES)
    site.node.run(
        "nft", "add chain inet kube-network-policies late { type filter hook input priority 0; policy drop; }"
    )
    assert site.heal() == ""
