# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose packets are too large for whom: only nodes of one network are compared, and each loss is said once."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.humanz.cni.plugins.plugin_utils._plan.packet_sizes import SHOWN, losses

HERE, THERE, SIX = "200.0.0.0/24", "200.0.1.0/24", "fd00:200::/64"


def end(node: str, sends: int, takes: int, network: str = HERE, device: str = "eth0") -> dict[str, Any]:
    return {"node": node, "network": network, "device": device, "sends": sends, "takes": takes}


@pytest.mark.parametrize(
    "ends",
    [
        [],  # nobody could be looked at
        [end("n1", 9000, 9000)],
        [end("n1", 1500, 1500), end("n2", 1500, 1500)],
        [end("n1", 1400, 9000), end("n2", 1500, 1500)],  # one that sets a smaller pod_network_mtu
        [end("n1", 9000, 9000), end("n2", 1500, 1500, THERE)],  # the router between them answers
        [end("n1", 1450, 1500), end("n2", 1400, 1450)],  # the pods' MTU is less by what tunnels need
    ],
)
def test_nothing_is_lost(ends: list[dict[str, Any]]) -> None:
    assert losses(ends) is None


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        (
            [end("n1", 9000, 9000), end("n2", 1500, 1500, device="eth1")],
            "in 200.0.0.0/24 pods send up to 9000 bytes by eth0 of n1; at most 1500 bytes pass eth1 of n2.",
        ),
        # Tunnels take something away, and not enough.
        (
            [end("n1", 8950, 9000), end("n2", 1450, 1500)],
            "in 200.0.0.0/24 pods send up to 8950 bytes by eth0 of n1; at most 1500 bytes pass eth0 of n2.",
        ),
        # Whoever is in the middle is named on both sides, so that one look tells all.
        (
            [end("n1", 9000, 9000), end("n2", 1500, 1500), end("n3", 1400, 1400), end("n4", 1400, 1400)],
            "in 200.0.0.0/24 pods send up to 9000 bytes by eth0 of n1, up to 1500 bytes by eth0 of n2; "
            "at most 1400 bytes pass eth0 of n3, eth0 of n4, at most 1500 bytes pass eth0 of n2.",
        ),
        ([end("n1", 9000, 9000, SIX), end("n2", 1500, 1500, SIX)], "in fd00:200::/64 pods send up to 9000 bytes"),
        # With both families on one interface it is one loss.
        (
            [end(name, size, size, network) for network in (HERE, SIX) for name, size in (("n1", 9000), ("n2", 1500))],
            "lost: in 200.0.0.0/24 and fd00:200::/64 pods send up to 9000 bytes by eth0 of n1; "
            "at most 1500 bytes pass eth0 of n2. Give",
        ),
        (
            [
                end(name, size, size, network)
                for network in (HERE, THERE)
                for name, size in ((network[6], 9000), ("b", 1500))
            ],
            "in 200.0.0.0/24 pods send up to 9000 bytes by eth0 of 0; at most 1500 bytes pass eth0 of b; "
            "in 200.0.1.0/24 pods send up to 9000 bytes by eth0 of 1; at most 1500 bytes pass eth0 of b.",
        ),
        (
            [end("n1", 1400, 1400), *(end(f"m{number}", 1500, 1500) for number in range(SHOWN + 3))],
            f"eth0 of m{SHOWN - 1} and 3 more; at most 1400 bytes pass eth0 of n1.",
        ),
    ],
)
def test_what_is_lost(ends: list[dict[str, Any]], said: str) -> None:
    found = losses(ends)
    assert found is not None
    assert said in found
