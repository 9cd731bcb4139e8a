# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ipMasq: what leaves a pod network gets the node's address. One chain for each network and subnet, none for a pod.

The chains are in a table of their own, so that no other tool's rules are touched and a flush of theirs does not matter.
Traffic within the subnet and to multicast groups keeps its source, as with the reference's rules.
"""

from __future__ import annotations

import _sha1

from ..kernel import nftables
from ..kernel.netlink import NetlinkError
from ..kernel.owner import ALIAS
from ..primitives.address import Network
from ..protocol.errors import rules_refused
from .spoofcheck import NOTHING_THERE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..kernel.netlink import Message

FAMILIES = {"ip": 2, "ip6": 10, "bridge": 7}  # NFPROTO_IPV4, NFPROTO_IPV6, NFPROTO_BRIDGE
_SOURCE, _DESTINATION = {32: 12, 128: 8}, {32: 16, 128: 24}
_MULTICAST = {32: "224.0.0.0/4", 128: "ff00::/8"}
_FAMILY = {32: 2, 128: 10}
_NAME_LENGTH = 80
_ENOENT = 2


def ensure(name: str, of: list[Network], rehearse: bool = False) -> None:
    """Masquerade what leaves the subnets *of* (Networks) of the network *name*, where that is not done already.

    :param rehearse: only try whether the kernel can. Raises CNIError if it cannot.
    """
    if not of:
        return
    try:
        sock = nftables.Socket(rehearse)
        try:
            for subnet in of:
                family = _FAMILY[subnet.address.bits]
                if not nftables.has_rule(sock, family, ALIAS, _chain(name, subnet), _comment(name)):
                    sock.transaction(*_creation(family, name, subnet))
        finally:
            sock.close()
    except OSError as exc:
        raise rules_refused("ipMasq", exc) from exc


def is_there(name: str, subnet: Network) -> bool:
    """Return whether what leaves *subnet* of the network *name* is masqueraded."""
    sock = nftables.Socket()
    try:
        return nftables.has_rule(sock, _FAMILY[subnet.address.bits], ALIAS, _chain(name, subnet), _comment(name))
    finally:
        sock.close()


def tables() -> list[str]:
    """Return the families (of FAMILIES) in which there are rules of ours; none where there is no nf_tables."""
    try:
        sock = nftables.Socket()
        try:
            return [name for name, family in FAMILIES.items() if nftables.has_table(sock, family, ALIAS)]
        finally:
            sock.close()
    except OSError as exc:
        if exc.errno in NOTHING_THERE:
            return []
        raise


def remove(families: list[str]) -> None:
    """Remove the rules of all networks in *families*, as :func:`tables` names them."""
    sock = nftables.Socket()
    try:
        for name in families:
            sock.transaction(nftables.delete_table(FAMILIES[name], ALIAS))
    finally:
        sock.close()


def subnets(name: str) -> list[Network]:
    """Return the subnets of the network *name* that there are rules for. Other tables' chains are not looked at."""
    found: list[Network | None] = []
    for family_name in tables():
        sock = nftables.Socket()
        try:
            found += [_subnet_of(name, chain) for chain in nftables.chains(sock, FAMILIES[family_name], ALIAS)]
        finally:
            sock.close()
    return [subnet for subnet in found if subnet]


def remove_chains(name: str, of: list[Network]) -> None:
    """Remove the rules of the network *name* for the subnets *of*. What is gone already is no error."""
    if not of:
        return
    sock = nftables.Socket()
    try:
        for subnet in of:
            try:
                sock.transaction(nftables.delete_chain(_FAMILY[subnet.address.bits], ALIAS, _chain(name, subnet)))
            except NetlinkError as exc:
                if exc.errno != _ENOENT:
                    raise
    finally:
        sock.close()


def _creation(family: int, name: str, subnet: Network) -> tuple[Message, ...]:
    bits = subnet.address.bits
    chain = _chain(name, subnet)
    expressions = (
        *nftables.match_address(_SOURCE[bits], subnet, nftables.EQUAL),
        *nftables.match_address(_DESTINATION[bits], subnet, nftables.NOT_EQUAL),
        *nftables.match_address(_DESTINATION[bits], Network.parse(_MULTICAST[bits]), nftables.NOT_EQUAL),
        nftables.masquerade(),
    )
    return (
        nftables.new_table(family, ALIAS),
        nftables.new_source_nat_chain(family, ALIAS, chain),
        nftables.flush_chain(family, ALIAS, chain),  # another ADD may have been faster
        nftables.new_rule(family, ALIAS, chain, expressions, _comment(name)),
    )


def _comment(name: str) -> str:
    return "%s: masquerade" % name


def _chain(name: str, subnet: Network) -> str:
    """Return the chain's name, which ``nft`` can read back; a network's name of any length and a subnet fit."""
    return "masq-%s-%s" % (_short(name), str(subnet).replace(":", "_"))


def _short(name: str) -> str:
    """Return *name*, or where it is too long its beginning and a digest: no two networks have the same."""
    return name if len(name) <= _NAME_LENGTH else "%s-%s" % (name[:59], _sha1.sha1(name.encode()).hexdigest()[:20])


def _subnet_of(name: str, chain: str) -> Network | None:
    """Return the Network whose *chain* of the network *name* it is, or None if it is another's."""
    start = "masq-%s-" % _short(name)
    if not chain.startswith(start):
        return None
    try:
        return Network.parse(chain[len(start) :].replace("_", ":"))
    except ValueError:  # of a network whose name begins alike
        return None
