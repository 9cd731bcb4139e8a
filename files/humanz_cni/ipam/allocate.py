# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which addresses an attachment gets: those asked for, or the next free ones after the address reserved last.

Going round gives an address back as late as possible, so that nobody's neighbour tables and connections still point to
its last holder.
"""

from __future__ import annotations

import time

from ..config import ranges
from ..primitives.address import Address
from ..protocol.errors import INTERNAL, INVALID_CONFIG, TRY_AGAIN_LATER, CNIError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ..config.ranges import Range, RangeSet
    from ..kernel.owner import Owner
    from ..primitives.address import Network
    from .store import Store

# So many taken addresses in a row are passed by looking each of them up; beyond, reading the directory is cheaper.
_LOOKUPS = 512


class Exhausted(CNIError):
    """No address is free in a range set, or the one that was asked for is not."""


class StateLost(Exception):
    """The network's directory has no state, so that there may be attachments without a record."""


class Subnet:
    """Where a delegate's address is from: *subnet* is a Network, *gateway* an Address or None."""

    __slots__ = ("subnet", "gateway")

    def __init__(self, subnet: Network, gateway: Address | None) -> None:
        self.subnet = subnet
        self.gateway = gateway


class Assignment:
    """An *address* and the *range* it was taken from."""

    __slots__ = ("address", "range")

    def __init__(self, address: Address, of_range: Range | Subnet) -> None:
        self.address = address
        self.range = of_range

    @property
    def text(self) -> str:
        """The address with the prefix length of its network."""
        return "%s/%d" % (self.address, self.range.subnet.prefix)


def reserve(
    store: Store,
    owner: Owner,
    sets: list[RangeSet],
    requested: list[Address],
    boot: str,
    facts: dict[str, Any],
    restored: bool = False,
) -> list[Assignment]:
    """Reserve one address of each range set for *owner*, and return the Assignments.

    :param store: the network's Store.
    :param sets: the range sets.
    :param requested: addresses asked for; each must be in a set of its own.
    :param boot: this boot's id.
    :param facts: what else the record says: a dict; of ``ipMasq``, whether it is to have the subnets.
    :param restored: whether living attachments have been looked for, where the network's directory has no state.

    Raises CNIError, StateLost, and OSError if the store cannot be written; nothing is reserved then.
    """
    wishes = _match(sets, requested)
    with store.locked() as state:
        if state.boot != boot:
            if state.boot is None and not restored:
                raise StateLost
            from . import records

            records.forget_earlier_boots(store, boot)
        held = store.record(owner)
        if held is not None:
            raise CNIError(
                INTERNAL,
                "%s has been allocated to %s, duplicate allocation is not allowed"
                % (", ".join(store.listed_addresses(held)) or "an address", owner.container_id),
            )
        chosen = [
            _requested(store, number, one, wishes[number]) if number in wishes
            else _next_free(store, number, one, state.last(number))
            for number, one in enumerate(sets)
        ]  # fmt: skip
        record: dict[str, Any] = dict(owner.document(), addresses=[str(one.address) for one in chosen], boot=boot)
        record.update(facts, time=int(time.time()))
        if record.pop("ipMasq", False):
            record["ipMasq"] = [str(one.range.subnet) for one in chosen]
        store.add(owner, record)
        try:
            state.remember(boot, [one.address for one in chosen])
        except OSError:
            store.remove(owner)
            raise
    return chosen


def _match(sets: list[RangeSet], requested: list[Address]) -> dict[int, Address]:
    """Return the requested addresses by number of the range set that each is in."""
    wishes = {}
    left = []
    for address in requested:
        for number, one in enumerate(sets):
            if number not in wishes and any(address in single for single in one):
                wishes[number] = address
                break
        else:
            left.append(str(address))
    if left:
        raise CNIError(
            INVALID_CONFIG,
            "failed to allocate all requested IPs: %s" % " ".join(left),
            "the range sets are %s" % "; ".join(ranges.show(one) for one in sets),
        )
    return wishes


def _requested(store: Store, number: int, range_set: RangeSet, address: Address) -> Assignment:
    of_range = next(one for one in range_set if address in one)
    if address == of_range.gateway:
        raise _failed(number, CNIError(INVALID_CONFIG, "requested ip %s is subnet's gateway" % address))
    if of_range.is_reserved(address):
        raise _failed(number, CNIError(INVALID_CONFIG, "requested ip %s is not a host's address" % address))
    if store.is_taken(address):
        text = "requested IP address %s is not available in range set %s" % (address, ranges.show(range_set))
        raise _failed(number, Exhausted(TRY_AGAIN_LATER, "%s: %s" % (text, _holder(store, address))))
    return Assignment(address, of_range)


def _next_free(store: Store, number: int, range_set: RangeSet, last: Address | None) -> Assignment:
    for tried, candidate in enumerate(candidates(range_set, last)):
        if tried == _LOOKUPS:
            taken = store.addresses()
            for further in candidates(range_set, candidate.address):
                if str(further.address) not in taken:
                    return further
            break
        if not store.is_taken(candidate.address):
            return candidate
    raise _exhausted(store, number, range_set)


def candidates(range_set: RangeSet, last: Address | None) -> Iterator[Assignment]:
    """Generate every address for pods, from the one after *last* (or from the first) once round to where it began."""
    start = next((number for number, one in enumerate(range_set) if last and last in one), None)
    if start is None or last is None:
        for one in range_set:
            yield from _addresses(one, one.start.value, one.end.value)
        return
    first = range_set[start]
    yield from _addresses(first, last.value + 1, first.end.value)
    for one in range_set[start + 1 :] + range_set[:start]:
        yield from _addresses(one, one.start.value, one.end.value)
    yield from _addresses(first, first.start.value, last.value)


def _addresses(of_range: Range, start: int, end: int) -> Iterator[Assignment]:
    bits = of_range.start.bits
    for value in range(start, end + 1):
        address = Address(bits, value)
        if not of_range.is_reserved(address):
            yield Assignment(address, of_range)


def _exhausted(store: Store, number: int, range_set: RangeSet) -> CNIError:
    from . import records

    text = "no IP addresses available in range set: %s" % ranges.show(range_set)
    used = "%d of %d addresses are used" % records.usage(store, range_set)
    return _failed(number, Exhausted(TRY_AGAIN_LATER, text, used))


def _holder(store: Store, address: Address) -> str:
    """Say who has *address*."""
    from . import record

    holder = record.show_holder(store.record_of_address(address) or {})
    return holder + " has it" if holder else "%s reserves it, and cannot be read" % store.path_of(str(address))


def _failed(number: int, error: CNIError) -> CNIError:
    """Return *error* with its message as the reference's users know it."""
    message = "failed to allocate for range %d: %s" % (number, error.message)
    return type(error)(error.code, message, error.details)
