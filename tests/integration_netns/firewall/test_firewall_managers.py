# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods get through the firewalls that programs keep: firewalld and ufw as they are, Docker's rules as it makes them."""

from __future__ import annotations

from tests.support.firewall.lan import IPV4, IPV6, sources_arrived
from tests.support.firewall.packages import firewalld, install
from tests.support.firewall.site_under_test import Site, page_blocks, through

POLICY_FILE = "/etc/firewalld/policies/humanz-cni.xml"

# By Docker 26, which sets the policy where it was the one to turn forwarding on.
DOCKER = """\
*filter
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
*nat
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
COMMIT
"""
DOCKER_IPV6 = """\
*filter
:FORWARD DROP [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A DOCKER-USER -j RETURN
COMMIT
"""


def assert_open_for_pods_alone(site: Site) -> None:
    for address in (IPV4, IPV6):
        assert site.sources(address) == through(address)
        assert not site.is_router_for_others(address)


def test_docker(site: Site) -> None:
    for command, rules in (("iptables", DOCKER), ("ip6tables", DOCKER_IPV6)):
        site.node.run(f"{command}-restore", input=rules)
    before = site.ruleset()
    assert site.is_cut_off()
    found = site.converge()["firewalls"]
    assert [each["name"] for each in found] == ["Docker", "Docker"]
    assert_open_for_pods_alone(site)
    # Docker puts its jumps first whenever it starts.
    for rule in ("DOCKER-ISOLATION-STAGE-1", "DOCKER-USER"):
        site.node.run("iptables", "-D", "FORWARD", "-j", rule)
        site.node.run("iptables", "-I", "FORWARD", "-j", rule)
    assert_open_for_pods_alone(site)
    assert site.heal() == "put back in table filter of iptables: the jump in FORWARD\n"
    assert not site.converge()["changed"]
    site.remove()
    assert site.ruleset().startswith(before)
    assert "humanz" not in site.ruleset().lower()


def test_ufw(site: Site) -> None:
    install(site.node)
    site.node.run("ufw", "--force", "enable")
    assert site.is_cut_off()
    found = site.converge()["firewalls"]
    assert [(each["name"], each["where"]) for each in found] == [
        ("ufw", "iptables FORWARD, policy DROP"),
        ("ufw", "ip6tables FORWARD, policy DROP"),
    ]
    assert_open_for_pods_alone(site)
    for words in ("reload", "disable", "--force enable"):
        site.node.run("ufw", *words.split())
        assert site.heal() == ""
    assert_open_for_pods_alone(site)
    assert not site.converge()["changed"]
    site.remove()
    assert "humanz" not in site.ruleset().lower()
    assert site.is_cut_off()


def test_firewalld(site: Site) -> None:
    install(site.node)
    with firewalld(site.node):
        assert site.is_cut_off()
        zones = site.node.run("firewall-cmd", "--list-all-zones").stdout
        predicted = site.converge(check=True, diff=True)
        done = site.converge(diff=True)
        assert [done[key] for key in ("diff", "rules")] == [predicted[key] for key in ("diff", "rules")]
        assert {each["name"]: each["handled"] for each in done["firewalls"]} == {"firewalld": "the policy humanz-cni"}
        assert_open_for_pods_alone(site)
        assert not site.converge()["changed"]

        # What is not firewalld's own would be gone now.
        site.node.run("firewall-cmd", "--reload")
        assert_open_for_pods_alone(site)
        assert site.heal() == ""
        assert not site.converge()["changed"]
        assert site.node.run("firewall-cmd", "--list-all-zones").stdout == zones

        policy, table = (site.node.run(*command.split()).stdout for command in page_blocks("firewalld")[0])
        assert 'rule family="ipv6" source address="fd00:100::/64" accept' in policy
        assert "Nat from pods to outside" in table
        # The policy knows addresses alone.
        lan = site.lan
        forged = [
            ([(lan.outside, [forged]), (lan.pod, [address.pod])], lan.peer, address.peer, address.pod)
            for address, forged in ((IPV4, "100.100.0.77"), (IPV6, "fd00:100::77"))
        ]
        assert [sources_arrived(*each) for each in forged] == [[], []]
        site.node.run("nft", "delete", "table", "inet", "humanz-cni")
        # IPv6 is looked after by firewalld's IPv6_rpfilter too.
        assert [sources_arrived(*each) for each in forged] == [["100.100.0.77"], []]

        assert site.remove()["changed"]
        assert site.is_cut_off()
        assert "humanz" not in site.ruleset().lower()
        assert not site.remove()["changed"]
    site.node.run("test", "!", "-e", POLICY_FILE)


def test_firewalld_that_does_not_run_is_told_before_it_starts(site: Site) -> None:
    install(site.node)
    done = site.converge()
    assert done["changed"]
    assert done["firewalls"] == []
    assert done["backends"]["iptables"]
    assert not site.converge()["changed"]
    with firewalld(site.node):
        # Its start empties what iptables has; the healer starts along with it.
        assert "the jump in FORWARD" in site.heal()
        assert_open_for_pods_alone(site)
        # From now on masquerading is where firewalld's reloads leave it alone.
        assert site.converge()["backends"] == {"firewall-cmd": "firewalld", "nft": "nftables"}
        assert_open_for_pods_alone(site)
    assert site.remove()["changed"]
    site.node.run("test", "!", "-e", POLICY_FILE)


def test_a_firewalld_that_is_uninstalled_leaves_nothing_behind(site: Site) -> None:
    install(site.node)
    site.converge()
    assert "chain prerouting" in site.node.run("nft", "list", "table", "inet", "humanz-cni").stdout
    site.node.run("umount", "--lazy", "/usr")
    assert site.converge()["changed"]
    site.node.run("test", "!", "-e", POLICY_FILE)
    assert "table inet humanz-cni" not in site.ruleset()
    assert not site.converge()["changed"]


def test_a_firewalld_without_policies_is_refused_in_words(site: Site) -> None:
    old = "#!/bin/sh\necho 'usage: see firewall-cmd man page' >&2\nexit 2\n"
    site.node.run("sh", "-c", "cat > /usr/local/bin/firewall-cmd; chmod +x /usr/local/bin/firewall-cmd", input=old)
    failed = site.node.module("pod_firewall", site.args, path="/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    assert failed["failed"]
    assert "firewalld on this node is older than 0.9" in failed["msg"]
    assert "systemctl disable --now firewalld" in failed["msg"]
    site.node.run("test", "!", "-e", "/etc/humanz-cni")
