# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The spoof checks of running pods, put back after something has removed them, as ``nft flush ruleset`` does.

Which port is checked, and for which hardware address, says the static forwarding entry that ADD has made; for which IP
addresses, the pod's record. What is there stays, and nothing is removed.
"""

from __future__ import annotations

from ..ipam import data_dirs, store
from ..ipam.record import checked_addresses
from ..kernel import dumps, netlink, nftables
from ..kernel.netlink import NLM_F_CREATE, NLM_F_EXCL, NetlinkError
from ..kernel.owner import Owner
from ..primitives.address import Address
from . import spoofcheck_rules
from .spoofcheck import ANY_ADDRESS, IPV4, IPV6, NEWELEMENT, PORTS, TARGET, body_of, elements, key
from .spoofcheck_elements import all_elements

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..ipam.record import Record

    Keys = dict[str, set[bytes]]  # by set

_EEXIST = 17
_SHOWN = 5  # ports that are named in one line
_ALL = "put back the spoof checks of"
_NO_RECORD = "put back the spoof checks of hardware addresses, as no record has the IP addresses, of"


def run() -> tuple[list[str], list[str]]:
    """Put back what is missing; return what was put back, and what could not be, as texts."""
    done: list[str] = []
    problems: list[str] = []
    try:
        checked = _checked()
        if checked:
            sock = nftables.Socket()
            try:
                _put_back(sock, checked, done, problems)
            finally:
                sock.close()
    except OSError as exc:
        problems.append("nf_tables or the kernel's tables: %s" % exc.strerror)
    return done, problems


def _checked() -> dict[Owner, set[bytes]]:
    """Return the owner of each port that ADD has set up to be checked, with the hardware address that it gave it."""
    sock = netlink.Socket()
    try:
        macs = dumps.static_forwarding(sock)
        owners = [(Owner.from_alias(link.alias), link) for link in dumps.all_links(sock) if link.index in macs]
        return {owner: macs[link.index] for owner, link in owners if owner and owner.host_veth == link.name}
    finally:
        sock.close()


def _put_back(sock: nftables.Socket, checked: dict[Owner, set[bytes]], done: list[str], problems: list[str]) -> None:
    present = all_elements(sock)
    if not spoofcheck_rules.are_whole(sock):
        sock.transaction(*spoofcheck_rules.creation())
        done.append("put back the rules of table bridge humanz-cni")
    back: dict[str, list[str]] = {}
    for owner, macs in checked.items():
        name = owner.host_veth
        record = _record(owner)
        if record and record.get("spoofchk", "") is None:  # the entry is somebody else's
            continue
        if len(macs) != 1:
            problems.append("%s has %d static forwarding entries: restart its pod" % (name, len(macs)))
            continue
        try:
            if _ensure(sock, name, min(macs), checked_addresses(record), present):
                back.setdefault(_ALL if record else _NO_RECORD, []).append(name)
        except NetlinkError as exc:
            if exc.errno != _EEXIST:  # its ADD, which is under way, was faster
                problems.append("nf_tables refuses the checks of %s: %s" % (name, exc.strerror))
    for what, ports in back.items():
        more = " and %d more" % (len(ports) - _SHOWN) if len(ports) > _SHOWN else ""
        plural = "" if len(ports) == 1 else "s"
        done.append("%s %d port%s: %s%s" % (what, len(ports), plural, ", ".join(ports[:_SHOWN]), more))


def _ensure(sock: nftables.Socket, port: str, mac: bytes, addresses: list[Address] | None, present: Keys) -> bool:
    """Add what is missing of the elements of *port*; return whether anything was.

    :param addresses: None if any is right, or nobody knows them.
    """
    name = key(port)
    is_there = name in present[PORTS]
    wanted = elements(port, mac, addresses)
    if is_there:
        # Today's checks are as strict as they were.
        other = (IPV4, IPV6, TARGET) if name in present[ANY_ADDRESS] else (ANY_ADDRESS,)
        wanted = {kind: keys for kind, keys in wanted.items() if kind not in other}
    messages = []
    for kind, keys in wanted.items():
        missing = [one for one in keys if one not in present[kind]]
        if missing:
            messages.append((NEWELEMENT, NLM_F_CREATE | (NLM_F_EXCL if kind == PORTS else 0), body_of(kind, missing)))
    if messages:
        sock.transaction(*messages)
    return bool(messages)


def _record(owner: Owner) -> Record | None:
    for data_dir in data_dirs.known():
        record = store.Store(data_dir, owner.network).record(owner)
        if record:
            return record
    return None
