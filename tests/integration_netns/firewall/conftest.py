# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node with one iptables backend, and the module under test on it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.firewall.firewall_rules import Firewall
from tests.support.firewall.lan import Lan
from tests.support.firewall.site_under_test import Site
from tests.support.netns.node import Node

EMPTY = """\
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
COMMIT
*raw
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
COMMIT
"""


@pytest.fixture(params=["nft", "legacy"])
def firewall(request: pytest.FixtureRequest, node: Node) -> Firewall:
    """The rules of one node, which has the tables filter, nat and raw but no rule."""
    rules = Firewall(node, request.param)
    rules.load(EMPTY)
    return rules


@pytest.fixture
def site(node: Node, make_node: Callable[[], Node]) -> Site:
    """A node, its surroundings, and no rule anywhere."""
    return Site(Lan(node, make_node))
