# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""macspoofchk: what a pod sends from another hardware address than its own is dropped where it enters the bridge.

A map leads from the port's name to its chain, so that the number of pods does not matter. All of it is in a table of
their own, by names that follow from the attachment's owner: DEL needs no more than that.
"""

from __future__ import annotations

from . import nftables
from .errors import INTERNAL, CNIError
from .owner import ALIAS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .netlink import Message
    from .owner import Owner

FAMILY = 7  # NFPROTO_BRIDGE
_BASE = _MAP = "macspoofchk"
_PREROUTING, _PRIORITY = 0, -300  # before the bridge's own and other NAT
_SOURCE = 6, 6  # offset and length of the source address in an Ethernet header
# errno of a kernel that has no rules of ours: none at all, or none for bridges
_NOTHING_THERE = (2, 22, 93, 95, 97)  # ENOENT, EINVAL, EPROTONOSUPPORT, EOPNOTSUPP, EAFNOSUPPORT


def ensure(of_owner: Owner, mac: bytes) -> None:
    """Let the attachment of *of_owner* send only from the hardware address *mac* (bytes). Raises CNIError."""
    chain = _chain(of_owner)
    expressions = (*nftables.match_link(*_SOURCE, nftables.NOT_EQUAL, mac), nftables.drop())
    try:
        sock = nftables.Socket()
        try:
            if not nftables.has_rule(sock, FAMILY, ALIAS, _BASE, _BASE):
                sock.transaction(*_dispatch())
            sock.transaction(
                nftables.new_chain(FAMILY, ALIAS, chain),
                nftables.flush_chain(FAMILY, ALIAS, chain),  # an ADD that was killed may have left a rule
                nftables.new_rule(FAMILY, ALIAS, chain, expressions, _comment(of_owner)),
                nftables.new_jump(FAMILY, ALIAS, _MAP, nftables.interface(of_owner.host_veth), chain),
            )
        finally:
            sock.close()
    except OSError as exc:
        raise _refused(exc) from exc


def rehearse() -> None:
    """Raise CNIError if the kernel cannot hold the rules; nothing is changed."""
    try:
        sock = nftables.Socket(rehearse=True)
        try:
            sock.transaction(*_dispatch())
        finally:
            sock.close()
    except OSError as exc:
        raise _refused(exc) from exc


def remove(of_owner: Owner) -> bool:
    """Remove what :func:`ensure` has made for *of_owner*; say whether there was anything. Raises CNIError."""
    try:
        sock = nftables.Socket()
        try:
            sock.transaction(
                nftables.delete_element(FAMILY, ALIAS, _MAP, nftables.interface(of_owner.host_veth)),
                nftables.delete_chain(FAMILY, ALIAS, _chain(of_owner)),
            )
        finally:
            sock.close()
    except OSError as exc:
        if exc.errno in _NOTHING_THERE:
            return False
        raise CNIError(INTERNAL, "macspoofchk: nf_tables keeps the rules: %s" % exc.strerror) from exc
    return True


def is_there(of_owner: Owner) -> bool:
    """Say whether the attachment of *of_owner* can only send from the hardware address that it was given."""
    sock = nftables.Socket()
    try:
        return (
            nftables.has_rule(sock, FAMILY, ALIAS, _BASE, _BASE)
            and nftables.has_element(sock, FAMILY, ALIAS, _MAP, nftables.interface(of_owner.host_veth))
            and nftables.has_rule(sock, FAMILY, ALIAS, _chain(of_owner), _comment(of_owner))
        )
    finally:
        sock.close()


def _refused(exc: OSError) -> CNIError:
    return CNIError(INTERNAL, "macspoofchk: nf_tables refuses the rules: %s" % exc.strerror)


def _dispatch() -> tuple[Message, ...]:
    """Return the requests that make the table, the map, and the chain whose one rule looks the port up."""
    return (
        nftables.new_table(FAMILY, ALIAS),
        nftables.new_verdict_map(FAMILY, ALIAS, _MAP, *nftables.INTERFACE_KEY),
        nftables.new_filter_chain(FAMILY, ALIAS, _BASE, _PREROUTING, _PRIORITY),
        nftables.flush_chain(FAMILY, ALIAS, _BASE),
        nftables.new_rule(FAMILY, ALIAS, _BASE, nftables.verdict_of_interface(_MAP), _BASE),
    )


def _chain(of_owner: Owner) -> str:
    return "%s-%s" % (_BASE, of_owner.host_veth)


def _comment(of_owner: Owner) -> str:
    return "%s %s" % (_BASE, of_owner.alias)
