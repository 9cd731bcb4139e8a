# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cycle that our units would close is found, and named by what somebody else's unit says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from ansible_collections.humanz.cni.plugins.action import node_persistence
from ansible_collections.humanz.cni.plugins.module_utils._node import boot_order

FILES = node_persistence.read(node_persistence.SOURCE)
NORMAL = {
    "docker.service": "containerd.service firewalld.service network-online.target",
    "containerd.service": "network.target",
    "network-online.target": "network.target systemd-networkd-wait-online.service",
    "network.target": "network-pre.target",
    "multi-user.target": "docker.service kubelet.service",
    "nftables.service": "sysinit.target",
}


def run_of(after: dict[str, str], before: dict[str, str], gone: str = "") -> Callable[..., tuple[int, str, str]]:
    """Return what answers for systemctl; an alias has the unit's name."""

    def run(command: list[str]) -> tuple[int, str, str]:
        blocks = []
        for name in command[command.index("--") + 1 :]:
            unit = "netfilter-persistent.service" if name == "iptables.service" else name
            names = unit if unit == name else unit + " " + name
            state = "loaded" if unit in {**after, **before} and unit != gone else "not-found"
            texts = (names, state, after.get(unit, ""), before.get(unit, ""))
            blocks.append("Names=%s\nLoadState=%s\nAfter=%s\nBefore=%s" % texts)
        return 0, "\n\n".join(blocks) + "\n", ""

    return run


def problems(after: dict[str, str], before: dict[str, str] | None = None, gone: str = "") -> list[str]:
    return boot_order.problems(run_of({**NORMAL, **after}, before or {}, gone), "systemctl")


@pytest.mark.parametrize("unit", [boot_order.BOOT, boot_order.CHECK, boot_order.HEAL])
def test_the_order_is_that_of_the_units(unit: str) -> None:
    words: dict[str, list[str]] = {"After": [], "Before": []}
    for line in FILES["units/" + unit].splitlines():
        key, _equals, value = line.partition("=")
        words.get(key, []).extend(value.split())
    assert sorted(words["After"]) == sorted(boot_order.AFTER[unit])
    assert words["Before"] == [*(boot_order.RUNTIMES if unit == boot_order.BOOT else ())]


def test_a_usual_node_has_no_cycle() -> None:
    assert problems({}) == []


@pytest.mark.parametrize(
    ("after", "before", "begins"),
    [
        (
            {"nftables.service": "docker.service"},
            {},
            "unit nftables.service: starts after docker.service, which starts after humanz-cni.service, which starts "
            "after nftables.service: systemd would skip one of them at boot: have nftables.service not start ",
        ),
        ({"ufw.service": "a.service", "a.service": "kubelet.service", "kubelet.service": ""}, {}, "unit ufw"),
        ({"ufw.service": "multi-user.target"}, {}, "unit ufw.service: starts after multi-user.target"),
        ({"ufw.service": "humanz-cni.service"}, {}, "unit ufw.service: starts after humanz-cni.service, which "),
        ({"ufw.service": "humanz-cni-heal.service"}, {}, "unit ufw.service: starts after humanz-cni-heal.service"),
        ({"ufw.service": ""}, {"docker.service": "ufw.service"}, "unit ufw.service: starts after docker.service"),
        ({"netfilter-persistent.service": "k3s.service", "k3s.service": ""}, {}, "unit "),
    ],
    ids=["firewall", "in-between", "target", "ours", "healer", "said-by-the-other", "alias"],
)  # fmt: skip
def test_a_cycle_is_named(after: dict[str, str], before: dict[str, str], begins: str) -> None:
    found = problems(after, before)
    assert found
    assert found[0].startswith(begins)
    assert found[0].endswith("or set pod_network_persistence to false")


def test_a_unit_that_is_not_installed_is_in_no_cycle() -> None:
    assert problems({"nftables.service": "docker.service"}, gone="docker.service") == []
