# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node lacks before its probe pod is attached: the plugin's ADD puts that right, and no probe can see it after.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from .._cni import data_dirs
from .._cni.old_bridge import DATA_DIR
from .._trace import obstacles
from .._trace.route_lookups import RouteLookups

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._shared.converge import RunCommand

BEFORE = "before its probe pod was attached"


class BeforeProbe:
    """The node as it is when this is made.

    :param run: runs a command, a list, and returns its status, output and error output.
    :param conf_dir: the CNI configurations.
    """

    def __init__(self, run: RunCommand, conf_dir: str) -> None:
        lookups = RouteLookups(run)
        self._links = lookups.links()
        self._elsewhere = lookups.elsewhere()
        reserved = data_dirs.reservations(data_dirs.networks(DATA_DIR, conf_dir))
        self._pods = [ipaddress.ip_address(address) for address in reserved]
        # Where one of these is off, ADD writes it, and the kernel sets that of each interface along with it.
        self._deaf = {
            family: [name for name in self._links if not obstacles.forwards(family, name)]
            for family in obstacles.FORWARDING
            if not obstacles.forwards_at_all(family)
        }

    def lacked(self, result: dict[str, Any]) -> list[dict[str, Any]]:
        """Return ``[{"family", "text"}]`` for packets of the pod for which ADD returned *result*.

        The texts begin with a verb, as those of ``obstacles`` do.
        """
        hosts = [one.get("name", "") for one in result.get("interfaces", []) if not one.get("sandbox")]
        bridge = hosts[0] if hosts else ""
        found = []
        for ip in result.get("ips", []):
            network = ipaddress.ip_interface(ip["address"]).network
            texts = [*self._forwarding(network.version, bridge), *self._bridge(network, bridge, ip.get("gateway"))]
            found += [{"family": network.version, "text": text} for text in texts]
        return found

    def _forwarding(self, family: int, bridge: str) -> Iterator[str]:
        """Yield which interfaces that packets of pods may come in by did not forward them."""
        ways = [name for name in self._links if name == bridge or name in self._elsewhere]
        deaf = [name for name in ways if name in self._deaf.get(family, ())]
        if deaf:
            what = "packets" if deaf == ways else "what arrived on %s" % ", ".join(deaf)
            yield "did not forward %s %s: its sysctl %s was 0" % (what, BEFORE, obstacles.FORWARDING[family])

    def _bridge(self, network: Any, bridge: str, gateway: str | None) -> Iterator[str]:
        """Yield what the *bridge* lacked that pods of *network* had as their *gateway*."""
        if not gateway or not any(pod in network for pod in self._pods):
            return
        link = self._links.get(bridge)
        if link is None:
            yield "had no bridge %s %s, although it had pods in %s" % (bridge, BEFORE, network)
        elif not link.up:
            yield "had its bridge %s down %s" % (bridge, BEFORE)
        elif gateway not in link.addresses:
            yield "had lost the address %s of its bridge %s %s" % (gateway, bridge, BEFORE)
