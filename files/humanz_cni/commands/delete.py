# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DEL: remove an attachment, as much of it as exists. What is gone already is no error."""

from __future__ import annotations

from ..config import ipam_keys
from ..ipam import data_dirs, store
from ..kernel import links, netlink, owner
from ..network import spoofcheck_elements
from ..primitives import files
from ..protocol.errors import TRY_AGAIN_LATER, CNIError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..kernel.netlink import Message
    from ..protocol.request import Request


def run(request: Request, _finish: object) -> list[str]:
    """Carry out the DEL *request*, and return the addresses that are free by that.

    The link goes first, so that its addresses are free only when nobody uses them any more; and with it what it may
    send from, whether or not today's configuration has such checks.
    """
    of_owner = owner.Owner(request.network, request.container_id, request.ifname)
    stores = data_dirs.stores(request.conf, request.network)
    deleted = delete_link(of_owner, with_checks=_may_be_checked(stores[0], of_owner))
    released = release(stores[0], of_owner)
    for other in stores[1:]:
        if _has_record(other, of_owner):
            released += [one for one in release(other, of_owner) if one not in released]
    delegated = ipam_keys.is_delegated(request.conf)
    if delegated or (deleted and not released):  # another plugin has given the addresses, now or at its ADD
        remove_masquerading(stores[0])
    if delegated:
        from ..ipam import delegate

        delegate.delete(request)
    return released


def remove_masquerading(reservations: store.Store) -> None:
    """Remove the masquerading that no pod of the network of *reservations* needs."""
    from ..network import masquerade_cleanup

    masquerade_cleanup.of_network(reservations)


def delete_link(of_owner: owner.Owner, with_checks: bool = False) -> bool:
    """Delete the veth pair of *of_owner*; return whether there was one.

    :param with_checks: remove what it may send from as well. That goes first, as the kernel frees both at once then,
        and the link is down by then, as it must not be up unchecked. To set it down takes time, so it is not done for
        others.
    """
    sock = netlink.Socket()
    checks = None
    try:
        index = _index(sock, of_owner)
        try:
            checks = spoofcheck_elements.of_checked(of_owner.host_veth) if with_checks else None
            if checks:
                if index and not _carry_out(sock, links.change(index, 0, links.IFF_UP)):
                    index = 0
                spoofcheck_elements.clear(checks, of_owner.host_veth)
        finally:
            deleted = index > 0 and _carry_out(sock, links.delete(index))
    except netlink.NetlinkError as exc:
        raise CNIError(TRY_AGAIN_LATER, "%s cannot be deleted: %s" % (of_owner.host_veth, exc.strerror)) from exc
    finally:
        sock.close()
        if checks:
            checks.close()
    return deleted


def _may_be_checked(reservations: store.Store, of_owner: owner.Owner) -> bool:
    """Return whether the attachment of *of_owner* may have checks: not if its record says so."""
    try:
        record = reservations.record(of_owner) if reservations.exists() else None
    except OSError:  # whoever releases the addresses says so
        return True
    return record is None or record.get("spoofchk", "unknown") is not None


def _carry_out(sock: netlink.Socket, message: Message) -> bool:
    """Carry out *message*; return whether its link is still there: it may have gone with the pod's namespace."""
    try:
        sock.request(message)
    except netlink.NetlinkError as exc:
        if exc.errno == links.ENODEV:
            return False
        raise
    return True


def _index(sock: netlink.Socket, of_owner: owner.Owner) -> int:
    """Return the index of the link of *of_owner*, 0 if there is none."""
    link = owner.find_veth(sock, of_owner)
    return link.index if link else 0


def _has_record(reservations: store.Store, of_owner: owner.Owner) -> bool:
    """Return whether *reservations* have a record of *of_owner*; a directory out of use may be broken."""
    try:
        return files.exists(reservations.path_of(of_owner.host_veth))
    except OSError as exc:
        files.complain(store.io_error(exc, reservations.path).message)
        return False


def release(reservations: store.Store, of_owner: owner.Owner) -> list[str]:
    """Release the addresses of *of_owner*, and return them; first goes what masquerades them and nobody else's."""
    try:
        if not reservations.exists():
            return []
        with reservations.locked():
            record = reservations.record(of_owner)
            if record is None or ("ipMasq" not in record and "namespace" in record):
                return reservations.remove(of_owner, record)
            from ..network import masquerade_cleanup

            candidates = masquerade_cleanup.only_of(reservations, of_owner, record)
            if not candidates:
                return reservations.remove(of_owner, record)
        unneeded = masquerade_cleanup.unneeded(reservations, of_owner, record, candidates)
        with reservations.locked():
            masquerade_cleanup.of_record(reservations, of_owner, record, unneeded)
            return reservations.remove(of_owner)
    except OSError as exc:
        raise store.io_error(exc, reservations.path) from exc
