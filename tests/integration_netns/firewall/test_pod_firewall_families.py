# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPv4, IPv6 and both: each family has its own rules and file, and one without pods is left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.firewall.firewall_rules import Firewall

IPV4 = {"pod_cidrs": ["100.100.0.0/24"], "non_masquerade_cidrs": ["100.100.0.0/16", "200.0.0.0/24"]}
IPV6 = {"pod_cidrs": ["fd00:100::/64"], "non_masquerade_cidrs": ["fd00:100::/48", "fd00:200::/64"]}
BOTH: dict[str, Any] = {key: IPV4[key] + IPV6[key] for key in IPV4}
BROKEN = "#!/bin/sh\necho called: $0 >&2\nexit 4\n"
ABSENT_DIRECTORY = ("test", "!", "-e", "/etc/humanz-cni")


def ours(firewall: Firewall, command: str) -> list[str]:
    return [line for line in firewall.save(command=command) if "HUMANZ" in line]


def files(firewall: Firewall) -> list[str]:
    return firewall.node.run("ls", "/etc/humanz-cni").stdout.split()


def breaks(firewall: Firewall, command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every call of *command* on the node fail."""
    for name in (command, command + "-restore"):
        path = f"/usr/local/sbin/{name.replace('tables', f'tables-{firewall.backend}', 1)}"
        firewall.node.run("sh", "-c", f"cat > {path}; chmod +x {path}", input=BROKEN)
    monkeypatch.setenv("PATH", "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin")


def test_both_families(firewall: Firewall) -> None:
    predicted = firewall.converge(**BOTH, check=True, diff=True)
    assert ours(firewall, "iptables") + ours(firewall, "ip6tables") == []
    done = firewall.converge(**BOTH, diff=True)
    assert [done[key] for key in ("diff", "rules")] == [predicted[key] for key in ("diff", "rules")]
    assert done["backends"] == {"iptables": firewall.backend, "ip6tables": firewall.backend}
    assert "# ip6tables\n*nat\n" in done["diff"]["after"]
    for rule in (
        '-A HUMANZ-FORWARD -s fd00:100::/64 -i humanz-cni0 -m comment --comment "ACCEPT src pods network" -j ACCEPT',
        '-A HUMANZ-FORWARD -d fd00:100::/64 -o humanz-cni0 -m comment --comment "ACCEPT dst pods network" -j ACCEPT',
        "-A HUMANZ-POSTROUTING -d fd00:100::/48 -j RETURN",
        "-A HUMANZ-POSTROUTING -d fd00:200::/64 -j RETURN",
        "-A HUMANZ-POSTROUTING -d ff00::/8 -j RETURN",
        '-A HUMANZ-POSTROUTING -s fd00:100::/64 -m comment --comment "Nat from pods to outside" '
        "-j MASQUERADE --random-fully",
    ):
        assert ours(firewall, "ip6tables").count(rule) == 1
    assert files(firewall) == ["rules.v4", "rules.v6"]
    assert not firewall.converge(**BOTH)["changed"]

    firewall.iptables("-F HUMANZ-FORWARD", "ip6tables")
    assert firewall.converge(**BOTH)["changed"]
    assert not firewall.converge(**BOTH)["changed"]

    assert firewall.remove()["changed"]
    assert ours(firewall, "iptables") + ours(firewall, "ip6tables") == []
    firewall.node.run(*ABSENT_DIRECTORY)
    assert not firewall.remove()["changed"]


@pytest.mark.parametrize(
    ("kept", "command", "gone", "file"),
    [(IPV4, "iptables", "ip6tables", "rules.v4"), (IPV6, "ip6tables", "iptables", "rules.v6")],
    ids=["IPv6 goes", "IPv4 goes"],
)
def test_a_family_that_leaves_the_plan_is_cleared(
    firewall: Firewall, kept: dict[str, Any], command: str, gone: str, file: str
) -> None:
    firewall.converge(**BOTH)
    before = ours(firewall, command)
    assert firewall.converge(**kept)["changed"]
    assert ours(firewall, command) == before
    assert ours(firewall, gone) == []
    assert files(firewall) == [file]
    assert not firewall.converge(**kept)["changed"]


@pytest.mark.parametrize(("family", "other"), [(IPV6, "iptables"), (IPV4, "ip6tables")], ids=["IPv6 only", "IPv4 only"])
def test_the_other_familys_command_is_not_used(
    firewall: Firewall, family: dict[str, Any], other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks(firewall, other, monkeypatch)
    assert firewall.converge(**family)["changed"]
    assert not firewall.converge(**family)["changed"]
    # That it would be seen.
    failed = firewall.node.module("pod_firewall", {**BOTH, "backend": firewall.backend})
    assert f"called: /usr/local/sbin/{other}-{firewall.backend}" in failed["msg"]


def test_to_remove_nothing_makes_no_table(firewall: Firewall) -> None:
    tables = "cat /proc/net/ip6_tables_names 2> /dev/null; nft list tables ip6; ls /etc/humanz-cni 2> /dev/null; true"
    before = firewall.node.run("sh", "-c", tables).stdout
    assert not firewall.remove()["changed"]
    assert firewall.node.run("sh", "-c", tables).stdout == before == ""
