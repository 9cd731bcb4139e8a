# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A converged node: its routes and rules, and the program that puts them back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.netns.healed_node import HealedNode
from tests.support.netns.node import Node, wire_up


@pytest.fixture
def make_healed(make_node: Callable[[], Node]) -> Callable[..., HealedNode]:
    """Return a function that makes a converged node with the backend nft or legacy."""

    def make(backend: str = "nft") -> HealedNode:
        healed = HealedNode(wire_up(make_node(), make_node()), backend)
        # Somebody else's rules, which stand where they are.
        healed.iptables("-N KUBE-FORWARD")
        healed.iptables("-A FORWARD -j KUBE-FORWARD")
        healed.iptables("-A FORWARD -s 203.0.113.7/32 -j DROP")
        healed.iptables("-t nat -A POSTROUTING -s 172.17.0.0/16 -j MASQUERADE")
        assert healed.converge() == [True, True]
        return healed

    return make


@pytest.fixture
def healed(make_healed: Callable[..., HealedNode]) -> HealedNode:
    """A converged node."""
    return make_healed()
