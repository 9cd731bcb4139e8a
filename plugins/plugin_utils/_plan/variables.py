# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the variables that the plan is made of, and says what is wrong with each of them alone. Pure.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

from typing import Any

from ...module_utils._shared.ip_addresses import shown
from .networks import parse_network, parse_next_hop, wrong_network, wrong_next_hop
from .problems import Problem, Unreadable

CLUSTER_VARIABLES = (
    "pod_network_cluster_cidr",
    "pod_network_service_cidr",
    "pod_network_node_cidrs",
    "pod_network_non_masquerade_cidrs",
    "pod_network_allowed_sources",
)
NODE_VARIABLES = ("pod_network_pod_cidr", "pod_network_node_ip")

# What the networks of each variable are like, for whoever sets it.
_EXAMPLES = {
    "pod_network_cluster_cidr": "100.100.0.0/16",
    "pod_network_service_cidr": "10.96.0.0/12",
    "pod_network_node_cidrs": "192.168.1.0/24",
    "pod_network_non_masquerade_cidrs": "192.168.2.0/24, or 192.168.1.5/32 for one host",
    "pod_network_allowed_sources": "192.168.2.0/24, or 192.168.1.5/32 for one host",
    "pod_network_pod_cidr": "100.100.0.0/24",
}


def read_networks(
    owner: str, variable: str, variables: dict[str, Any], problems: list[Problem], required: bool = False
) -> list[Any]:
    """Return the networks of netaddr that *variable* of *owner* has; add what is wrong with others to *problems*.

    :param owner: a node's inventory name, or "cluster"; *variables* are its values by name.
    """
    networks = []
    remedy = "must be in CIDR notation, such as %s" % _EXAMPLES[variable]
    for text in _given(owner, variable, variables, problems, remedy if required else None):
        found = parse_network(text)
        wrong = remedy if found is None else wrong_network(found)
        if wrong:
            problems.append(Problem(owner, "%s %s" % (variable, shown(text)), wrong))
        else:
            networks.append(found)
    return networks


def read_next_hops(node: str, variable: str, variables: dict[str, Any], problems: list[Problem]) -> list[Any]:
    """Return the addresses of netaddr that *variable* of *node* has; add what is wrong with others to *problems*."""
    addresses = []
    remedy = "must be the address by which the other nodes reach this one, such as 200.0.0.10"
    for text in _given(node, variable, variables, problems, remedy):
        try:
            address = parse_next_hop(text)
        except ValueError:
            remedy = "must be an IP address, such as 200.0.0.10"
            problems.append(Problem(node, "%s %s" % (variable, shown(text)), remedy))
            continue
        wrong = wrong_next_hop(address)
        if wrong:
            problems.append(Problem(node, "%s %s" % (variable, shown(text)), wrong))
        else:
            addresses.append(address)
    return addresses


def _given(
    owner: str, variable: str, variables: dict[str, Any], problems: list[Problem], remedy: str | None
) -> list[str]:
    """Return the variable's items; one that is not set is a problem if there is a *remedy*."""
    value = variables.get(variable)
    if isinstance(value, Unreadable):
        what = "%s cannot be read from the inventory (%s)" % (variable, value.reason)
        problems.append(Problem(owner, what, "must depend on nothing but the inventory"))
        return []
    if not _values(value) and remedy:
        problems.append(Problem(owner, "%s is not set" % variable, remedy))
    return _values(value)


def _values(value: Any) -> list[str]:
    """Return the items of a list, of a comma-separated text, or of a single value, as texts."""
    if value is None:
        return []
    items = value if isinstance(value, (list, tuple)) else str(value).split(",")
    return [str(item).strip() for item in items if str(item).strip()]
