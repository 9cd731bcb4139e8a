# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GC: remove what is left of attachments of this network that the runtime no longer knows.

An error stops nothing: as much as possible is removed, then all errors are reported as one.
"""

from __future__ import annotations

from ..config import ipam_keys, netconf
from ..config.typed import field
from ..ipam import data_dirs, delegate, records, stale, store
from ..ipam.record import find_owner, foreign_link
from ..kernel import dumps, netlink
from ..kernel.owner import Owner, marks
from ..network import masquerade_cleanup, spoofcheck_elements, spoofcheck_rules
from ..primitives import files
from ..protocol.errors import INVALID_CONFIG, CNIError, invalid_config
from . import delete

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    from ..ipam.record import Record
    from ..protocol.request import Request

    T = TypeVar("T")
    Records = dict[str, Record]  # by file name

# The second one is what the specification called it at first.
_KEYS = ("cni.dev/valid-attachments", "cni.dev/attachments")


def run(request: Request, _finish: object) -> list[str]:
    """Carry out the GC *request*, and return the addresses that are free by that.

    CNIError says what could not be removed. Where the runtime does not know what is valid, only that goes which
    :mod:`stale` would take as well.
    """
    network = request.network
    listed = valid(request.conf, network)
    stores = data_dirs.stores(request.conf, network)
    problems: list[CNIError] = []
    records = {one: _attempt(problems, one.path, _records, one) or {} for one in stores}
    keep = None if listed is None else {holder.host_veth for holder in listed}
    if keep is not None:
        _detach(network, records.values(), keep, problems)
    _remove_checks(problems)
    gone = []
    for reservations, of_store in records.items():
        if of_store:
            released = _attempt(problems, reservations.path, _stale, reservations, of_store, network, keep) or {}
            _attempt(problems, reservations.path, _forget, reservations, released, problems)
            gone += [name for name in released if store.is_address(name)]
    _attempt(problems, network, masquerade_cleanup.of_network, stores[0])
    _attempt(problems, network, netconf.load, request)
    if ipam_keys.is_delegated(request.conf):
        _attempt(problems, network, lambda: delegate.Plugin(request).call("GC"))
    if problems:
        raise CNIError(problems[0].code, "; ".join(one.message for one in problems), problems[0].details)
    return gone


def _records(reservations: store.Store) -> Records:
    return dict(records.every(reservations)) if reservations.exists() else {}


def _detach(network: str, records: Iterable[Records], keep: set[str], problems: list[CNIError]) -> None:
    """Delete the links of *network* that are not to be kept. *keep* also gets those that cannot be deleted."""
    for holder in _holders(network, records):
        if holder.host_veth not in keep:
            before = len(problems)
            _attempt(problems, holder.host_veth, delete.delete_link, holder)
            if len(problems) > before:
                keep.add(holder.host_veth)  # its pod may be alive, so its addresses are not free


def _stale(reservations: store.Store, records: Records, network: str, keep: set[str] | None) -> Records:
    if keep is None:
        return stale.find(reservations, store.boot_id())
    kernel = stale.KernelView(boot=None)
    return {name: record for name, record in records.items() if not _is_kept(name, record, network, keep, kernel)}


def _remove_checks(problems: list[CNIError]) -> None:
    """Remove what ports that are gone, of whatever network, may send from."""
    checked = spoofcheck_rules.ports()  # ahead of the links: ADD makes the link first
    sock = netlink.Socket()
    try:
        links = dumps.all_links(sock) if checked else []
    finally:
        sock.close()
    present = {mark for link in links for mark in (link.name, *marks(link))}
    for port in checked:
        if port not in present:
            _attempt(problems, port, spoofcheck_elements.remove, port)


def valid(conf: dict[str, Any], network: str) -> list[Owner] | None:
    """Return the Owners of the attachments that *conf* says are valid; CNIError 7 if it has no such key.

    None for null: libcni sends that for a list that its runtime has left empty, also one that knows the network's pods
    by another configuration.
    """
    for key in _KEYS:
        items = field(conf, key, list, None)
        if items is not None:
            return [_owner(item, "%s[%d]" % (key, number), network) for number, item in enumerate(items)]
    if any(key in conf for key in _KEYS):
        return None
    raise CNIError(
        INVALID_CONFIG, "%s is missing: it must list the attachments that are valid" % _KEYS[0], "nothing was removed"
    )


def _owner(item: object, path: str, network: str) -> Owner:
    if not isinstance(item, dict):
        raise invalid_config(path, item, "it must be an object with containerID and ifname")
    container_id, ifname = (field(item, key, str, "", path + ".") for key in ("containerID", "ifname"))
    if not container_id or not ifname:
        raise invalid_config(path, item, "it must have containerID and ifname")
    try:
        return Owner(network, container_id, ifname)
    except UnicodeEncodeError:  # JSON can write half a character
        raise invalid_config(path, item, "containerID and ifname must be text") from None


def _holders(network: str, records: Iterable[Records]) -> Iterable[Owner]:
    """Return an Owner for each attachment of *network* that has a link or a record, by the link's name."""
    sock = netlink.Socket()
    try:
        holders = [Owner.from_alias(link.alias) for link in dumps.all_links(sock)]
    finally:
        sock.close()
    holders += [find_owner(record) for of_store in records for record in of_store.values()]
    return {one.host_veth: one for one in holders if one and one.network == network}.values()


def _is_kept(name: str, record: Record, network: str, keep: set[str], kernel: stale.KernelView) -> bool:
    holder = find_owner(record)
    if holder and holder.network == network:
        return holder.host_veth in keep
    if foreign_link(record) is not None:
        return kernel.has_link(record)
    return name in keep or not stale.is_unused(name, kernel)


def _forget(reservations: store.Store, stale_ones: Records, problems: list[CNIError]) -> None:
    """Remove *stale_ones*, unless they have changed since, and what calls that were killed left half written."""
    with reservations.locked():
        for name in sorted(stale_ones, key=lambda name: not store.is_address(name)):  # as Store.remove does
            if reservations.read(name) == stale_ones[name]:
                _attempt(problems, name, files.unlink, reservations.path_of(name))
        for name in records.half_written(reservations):
            _attempt(problems, name, files.unlink, reservations.path_of(name))
        reservations.sync()


def _attempt(problems: list[CNIError], where: str, step: Callable[..., T], *arguments: object) -> T | None:
    """Return what *step* returns, called with *arguments*; if it fails, note that in *problems*."""
    try:
        return step(*arguments)
    except CNIError as exc:
        problems.append(exc)
    except OSError as exc:
        problems.append(store.io_error(exc, where))
    return None
