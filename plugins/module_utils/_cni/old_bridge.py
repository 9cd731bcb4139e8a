# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node still has of pod CIDRs that are no longer its own: the bridge's addresses, and the CNI configuration.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import ipaddress
import json
import os
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .._shared import option_checks
from .._shared.converge import ConvergeError, Resource
from .._shared.kernel import Kernel
from . import data_dirs, network_conf

if TYPE_CHECKING:
    from typing import TypedDict

    from .._shared.converge import RunCommand
    from .._shared.ip_addresses import Address, Network

    class State(TypedDict):
        addresses: list[str]
        files: dict[str, str]


DATA_DIR = "/run/humanz-cni"
SHOWN = 10


class OldNetwork(Resource):
    """The bridge's addresses in pod CIDRs that the node had, and our CNI configurations that hand such addresses out.

    Such a pod CIDR is in one of these configurations, or a part of the cluster's networks. An address that somebody
    else gave the bridge is in neither, and stays.

    Where the node gives pods addresses of another part of the same pod CIDR from now on, the bridge's address stays,
    with another prefix length, and so do pods that have addresses of that part.

    The state is a dict of ``addresses``, such as 100.100.0.1/24, and ``files``, path to text. Wanted are no such files,
    and no addresses but those of the node's pod networks.
    """

    def __init__(
        self,
        run: RunCommand | None,
        bridge: str,
        pod_cidrs: Iterable[str],
        cluster_cidrs: Iterable[str],
        name: str,
        conf_dir: str,
        pod_ranges: Iterable[str] = (),
    ) -> None:
        """Take *pod_cidrs*, canonical, which the node has from now on, and the CNI network's *name*.

        :param pod_ranges: the parts of *pod_cidrs* that pods get addresses of; all of them if there are none.
        :param run: AnsibleModule.run_command; without it nothing can be applied.
        """
        self._run = run
        self._bridge = bridge
        self._pod_cidrs = [ipaddress.ip_network(cidr) for cidr in pod_cidrs]
        self._ranges = [ipaddress.ip_network(cidr) for cidr in pod_ranges] or self._pod_cidrs
        self._cluster_cidrs = [ipaddress.ip_network(cidr) for cidr in cluster_cidrs]
        self._name = name
        self._conf_dir = conf_dir
        self._conf = network_conf.CniConf(conf_dir)

    def read(self) -> State:
        """Return the state."""
        with Kernel() as kernel:
            found = [one for family in (socket.AF_INET, socket.AF_INET6) for one in kernel.addresses(family)]
        interfaces = [
            ipaddress.ip_interface("%s/%d" % (one.address, one.prefixlen))
            for one in found
            if one.device == self._bridge
        ]
        texts = self._conf.read()
        ours = [network for text in texts.values() for network in [*_subnets(text), *self._ranges]]
        return {
            "addresses": sorted(
                str(one) for one in interfaces if one.network in ours or self._is_of_cluster(one.network)
            ),
            "files": {path: text for path, text in texts.items() if any(map(self._is_old, _subnets(text)))},
        }

    def desired(self, actual: State) -> State:
        """Return the state without what is old; ConvergeError where pods would lose their network."""
        problem = self.problem(actual)
        if problem:
            raise ConvergeError(problem)
        return {"addresses": sorted(filter(None, map(self._followed, actual["addresses"]))), "files": {}}

    def problem(self, actual: State) -> str | None:
        """Return why the node cannot leave what it has, *actual*, and what to do; None if it can."""
        networks = [ipaddress.ip_interface(one).network for one in actual["addresses"]]
        networks += [one for text in actual["files"].values() for one in _subnets(text)]
        old = list(dict.fromkeys(str(one) for one in networks if self._is_old(one)))
        stays = all(option_checks.is_within(one, self._pod_cidrs) for one in networks if self._is_old(one))
        pods = (self._outside() if stays else self._ports() + self._outside()) if old else []
        if not pods:
            return None
        pod_cidrs = ", ".join(map(str, self._ranges))
        return (
            "pod_network_pod_cidr %s: pods of this node are in %s (%s): remove them first, by `kubectl drain` and, "
            "for those of DaemonSets, `crictl rmp --force` while kubelet is stopped; `humanz-cni-ctl reclaim` releases "
            "addresses of pods that are gone" % (pod_cidrs, ", ".join(old), ", ".join(pods[:SHOWN]))
        )

    def render(self, state: State) -> str:
        """Return the state in the syntax of ``ip address``, followed by the files."""
        lines = ["%s dev %s" % (address, self._bridge) for address in state["addresses"]]
        return "".join("%s\n" % line for line in lines) + self._conf.render(state["files"])

    def result(self, actual: State, desired: State) -> dict[str, Any]:
        """Return the return values."""
        gone = [one for one in actual["addresses"] if one not in desired["addresses"]]
        return {"addresses": gone, "files": sorted(actual["files"])}

    def apply(self, actual: State, desired: State) -> None:
        """Remove the configuration first, so that no pod is attached by it any more; see once more that none was."""
        self._conf.apply(actual["files"], desired["files"])
        if not any(self._is_old(ipaddress.ip_interface(one).network) for one in desired["addresses"]):
            self.desired(actual)
        for verb, one, other in (("del", actual, desired), ("add", desired, actual)):
            for address in one["addresses"]:
                if address not in other["addresses"]:
                    self._ip(verb, address)

    def _ip(self, verb: str, address: str) -> None:
        command = ["ip", "address", verb, address, "dev", self._bridge]
        if verb == "add" and ":" in address:
            command.append("nodad")  # as the plugin does, or pods would wait for their gateway
        status, _output, error = self._run(command)  # type: ignore[misc]  # who only reads gives none
        if status:
            raise ConvergeError("`%s`: %s" % (" ".join(command), error.strip()))

    def _is_old(self, network: Network) -> bool:
        return network not in self._ranges

    def _followed(self, address: str) -> str | None:
        """Return what becomes of the bridge's *address*: it stays, or gets another prefix length, or goes (None)."""
        interface = ipaddress.ip_interface(address)
        if not self._is_old(interface.network):
            return address
        same = [one for one in self._ranges if one.version == interface.version and interface.ip in one]
        if same and option_checks.is_within(interface.network, self._pod_cidrs):
            return "%s/%d" % (interface.ip, same[0].prefixlen)
        return None

    def _is_of_cluster(self, network: Network) -> bool:
        return option_checks.is_within(network, self._cluster_cidrs)

    def _ports(self) -> list[str]:
        """Return the names of the bridge's ports, which tell of attached pods."""
        directory = "/sys/class/net/%s/brif" % self._bridge
        return sorted(os.listdir(directory)) if os.path.isdir(directory) else []

    def _outside(self) -> list[str]:
        """Return the addresses that are reserved outside the networks of pods from now on, with their pods' names."""
        networks = data_dirs.networks(DATA_DIR, self._conf_dir)
        paths = [path for path in networks if os.path.basename(path) == self._name]
        reserved = data_dirs.reservations(paths)
        outside = [one for one in reserved if not self._covers(ipaddress.ip_address(one))]
        return data_dirs.with_pods(paths, outside)

    def _covers(self, address: Address) -> bool:
        return any(address.version == cidr.version and address in cidr for cidr in self._ranges)


def _subnets(text: str) -> list[Network]:
    """Return the networks from which the configuration *text*, one of ours, gives pods addresses."""
    conf = json.loads(text)
    plugin = conf["plugins"][0] if "plugins" in conf else conf
    try:
        ranges = plugin["ipam"]["ranges"] if "ipam" in plugin else [[plugin]]
        return [ipaddress.ip_network(one["subnet"]) for several in ranges for one in several]
    except (LookupError, TypeError, ValueError):  # somebody has edited it, and it gives nobody an address
        return []
