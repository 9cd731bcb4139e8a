# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DEL: take an attachment away, as much of it as is there. What is gone already is no error."""

from __future__ import annotations

from . import disk, links, netlink, owner, spoofcheck, store
from .errors import TRY_AGAIN_LATER, CNIError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .request import Request


def run(request: Request, _finish: object) -> list[str]:
    """Carry out the DEL *request*, and return the addresses that are free by that.

    The link goes first, so that its addresses are free only when nobody uses them any more. What it may send from goes
    just before, whether or not today's configuration has such checks: so the kernel frees both at once.
    """
    of_owner = owner.Owner(request.network, request.container_id, request.ifname)
    unchecked = None
    try:
        unchecked = spoofcheck.remove(of_owner.host_veth)
    finally:
        delete_link(of_owner)
        if unchecked:
            unchecked.close()
    data_dir, durable = store.data_dir(request.conf)
    released = release(store.Store(data_dir, request.network, durable), of_owner)
    released += _release_elsewhere(data_dir, of_owner)
    if store.is_delegated(request.conf):
        from . import delegate

        delegate.delete(request)
    return released


def delete_link(of_owner: owner.Owner) -> bool:
    """Delete the veth pair of *of_owner*; say whether there was one."""
    sock = netlink.Socket()
    try:
        link = links.get(sock, of_owner.host_veth) or _renamed(sock, of_owner)
        # An ADD that was killed may have left the link without its alias, and somebody may have given it another.
        if link is None or not (_is_of(link, of_owner) or (link.kind == "veth" and not link.alias)):
            return False
        sock.request(links.delete(link.index))
    except netlink.NetlinkError as exc:
        if exc.errno == links.ENODEV:  # it went away with the pod's namespace just now
            return False
        raise CNIError(TRY_AGAIN_LATER, "%s cannot be deleted: %s" % (of_owner.host_veth, exc.strerror)) from exc
    finally:
        sock.close()
    return True


def _renamed(sock: netlink.Socket, of_owner: owner.Owner) -> links.Link | None:
    """Return the Link of *of_owner* whatever it is called now, or None."""
    from . import tables

    return next((link for link in tables.all_links(sock) if _is_of(link, of_owner)), None)


def _is_of(link: links.Link, of_owner: owner.Owner) -> bool:
    return link.kind == "veth" and (link.alias == of_owner.alias or link.mac == of_owner.host_mac)


def _release_elsewhere(data_dir: str, of_owner: owner.Owner) -> list[str]:
    """Release what *of_owner* has by a configuration that named another directory than *data_dir*; return that."""
    from . import elsewhere

    released = []
    for other in elsewhere.data_dirs():
        reservations = store.Store(other, of_owner.network, durable=True)
        if other.rstrip("/") != data_dir.rstrip("/") and _has_record(reservations, of_owner):
            released += [one for one in release(reservations, of_owner) if one not in released]
    return released


def _has_record(reservations: store.Store, of_owner: owner.Owner) -> bool:
    """Say whether *reservations* have a record of *of_owner*; a directory out of use may be broken."""
    try:
        return disk.exists(reservations.path_of(of_owner.host_veth))
    except OSError as exc:
        disk.complain(store.io_error(exc, reservations.path).message)
        return False


def release(reservations: store.Store, of_owner: owner.Owner) -> list[str]:
    """Release the addresses of *of_owner*, and return them."""
    try:
        if not reservations.exists():
            return []
        with reservations.locked():
            return reservations.remove(of_owner)
    except OSError as exc:
        raise store.io_error(exc, reservations.path) from exc
