# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of nf_tables' netlink protocol that makes tables, chains, rules and sets, and looks for them.

Numbers within messages are in network byte order. Constants are the kernel's, of linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

from _struct import Struct

from . import netlink
from .netlink import NLM_F_CREATE, attribute, attributes, nested, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..primitives.address import Network
    from .netlink import Message

NETLINK_NETFILTER = 12
_SUBSYSTEM = 10
_BATCH_BEGIN, _BATCH_END = 16, 17
_NEWTABLE, _GETTABLE, _DELTABLE = 0, 1, 2
_NEWCHAIN, _GETCHAIN, _DELCHAIN = 3, 4, 5
_NEWRULE, _GETRULE, _DELRULE = 6, 7, 8
_NEWSET = 9

_TABLE_NAME = 1
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_TYPE = 1, 3, 4, 7
_HOOK_NUMBER, _HOOK_PRIORITY = 1, 2
_RULE_TABLE, _RULE_CHAIN, _RULE_EXPRESSIONS, _RULE_USERDATA = 1, 2, 4, 7
_LIST_ELEMENT, _EXPRESSION_NAME, _EXPRESSION_DATA, _DATA_VALUE = 1, 1, 2, 1
_SET_TABLE, _SET_NAME, _SET_FLAGS, _SET_KEY_TYPE, _SET_KEY_LENGTH, _SET_ID, _SET_USERDATA = 1, 2, 3, 4, 5, 10, 13
_KEY_IN_HOST_ORDER = b"\0\4" + Struct("=I").pack(1)  # for ``nft``, which otherwise cannot show an interface's name
_DATA_VERDICT, _VERDICT_CODE, _VERDICT_CHAIN = 2, 1, 2
DROP, ACCEPT, GOTO = 0, 1, 0xFFFFFFFC
META_PROTOCOL, META_INTERFACE, META_L4PROTO = 1, 6, 16
_VERDICT_REGISTER = 0
INTERFACE, INTEGER, ETHERNET, IPV4, IPV6 = 41, 4, 9, 7, 8  # ``nft``'s numbers for the types of a set's key
_BITS_OF_TYPE = 6  # of each part of a key
LINK_HEADER, NETWORK_HEADER, TRANSPORT_HEADER = 0, 1, 2
EQUAL, NOT_EQUAL = 0, 1

POSTROUTING, PRIORITY_SRCNAT = 4, 100
RANDOM_FULLY = 16
_COMMENT_LENGTH = 127
_ENOENT = 2

_HEADER = Struct(">BBH")  # family, version, subsystem (in a batch's begin and end)
_BE32 = Struct(">I")


class Socket(netlink.Socket):
    """A connection to nf_tables of the network namespace that the process is in when it is opened.

    :param rehearse: whether transactions are only tried: the kernel drops one whose end does not come.
    """

    def __init__(self, rehearse: bool = False) -> None:
        super().__init__(NETLINK_NETFILTER)
        boundary = _HEADER.pack(0, 0, _SUBSYSTEM)
        self._begin = _BATCH_BEGIN, 0, boundary
        self._end: Sequence[Message] = () if rehearse else [(_BATCH_END, 0, boundary)]

    def transaction(self, *messages: Message) -> None:
        """Carry out *messages*, tuples of type, flags and body, all or none. Raises NetlinkError."""
        self.request(self._begin, *messages, after=self._end)


def has_rule(sock: Socket, family: int, table: str, chain: str, comment: str) -> bool:
    """Return whether there is a rule with *comment* in *chain* of *table*, which need not exist."""
    return comment[:_COMMENT_LENGTH] in comments(sock, family, table, chain)


def comments(sock: Socket, family: int, table: str, chain: str) -> list[str]:
    """Return the comments of the rules in *chain* of *table*, which need not exist."""
    found = []
    body = _HEADER.pack(family, 0, 0) + text(_RULE_TABLE, table) + text(_RULE_CHAIN, chain)
    for reply in sock.dump(_type(_GETRULE), body):
        values = attributes(reply, _HEADER.size)
        # Older kernels do not look at what the request says of table and chain.
        if (reply[0], _read(values, _RULE_TABLE), _read(values, _RULE_CHAIN)) == (family, table, chain):
            found.append(values.get(_RULE_USERDATA, b"")[2:-1].decode("ascii", "replace"))
    return found


def chains(sock: Socket, family: int, table: str) -> list[str]:
    """Return the names of the chains of *table*, which need not exist."""
    found = (attributes(reply, _HEADER.size) for reply in sock.dump(_type(_GETCHAIN), _HEADER.pack(family, 0, 0)))
    return [_read(values, _CHAIN_NAME) for values in found if _read(values, _CHAIN_TABLE) == table]


def has_table(sock: Socket, family: int, name: str) -> bool:
    """Return whether the table *name* exists."""
    return _exists(sock, _GETTABLE, _HEADER.pack(family, 0, 0) + text(_TABLE_NAME, name))


def new_table(family: int, name: str) -> Message:
    """Return the request that makes a table, if there is none of that name."""
    return _type(_NEWTABLE), NLM_F_CREATE, _HEADER.pack(family, 0, 0) + text(_TABLE_NAME, name)


def delete_table(family: int, name: str) -> Message:
    """Return the request that deletes a table and all in it."""
    return _type(_DELTABLE), 0, _HEADER.pack(family, 0, 0) + text(_TABLE_NAME, name)


def new_source_nat_chain(family: int, table: str, name: str) -> Message:
    """Return the request that makes a base chain for source NAT, if there is none of that name."""
    return _new_base_chain(family, table, name, "nat", POSTROUTING, PRIORITY_SRCNAT)


def new_filter_chain(family: int, table: str, name: str, hook: int, priority: int) -> Message:
    """Return the request that makes a base chain for filtering at *hook*, if there is none of that name."""
    return _new_base_chain(family, table, name, "filter", hook, priority & 0xFFFFFFFF)


def new_chain(family: int, table: str, name: str) -> Message:
    """Return the request that makes a chain to jump to, if there is none of that name."""
    body = text(_CHAIN_TABLE, table) + text(_CHAIN_NAME, name)
    return _type(_NEWCHAIN), NLM_F_CREATE, _HEADER.pack(family, 0, 0) + body


def _new_base_chain(family: int, table: str, name: str, kind: str, hook: int, priority: int) -> Message:
    at = nested(_CHAIN_HOOK, _be32(_HOOK_NUMBER, hook), _be32(_HOOK_PRIORITY, priority))
    body = text(_CHAIN_TABLE, table) + text(_CHAIN_NAME, name) + at + text(_CHAIN_TYPE, kind)
    return _type(_NEWCHAIN), NLM_F_CREATE, _HEADER.pack(family, 0, 0) + body


def flush_chain(family: int, table: str, name: str) -> Message:
    """Return the request that deletes all rules of a chain."""
    return _type(_DELRULE), 0, _HEADER.pack(family, 0, 0) + text(_RULE_TABLE, table) + text(_RULE_CHAIN, name)


def delete_chain(family: int, table: str, name: str) -> Message:
    """Return the request that deletes a chain and all its rules."""
    return _type(_DELCHAIN), 0, _HEADER.pack(family, 0, 0) + text(_CHAIN_TABLE, table) + text(_CHAIN_NAME, name)


def new_rule(family: int, table: str, chain: str, expressions: Iterable[bytes], comment: str) -> Message:
    """Return the request that appends a rule of *expressions*, with a *comment* that ``nft`` shows."""
    body = text(_RULE_TABLE, table) + text(_RULE_CHAIN, chain) + nested(_RULE_EXPRESSIONS, *expressions)
    body += attribute(_RULE_USERDATA, _user_data(comment))
    return _type(_NEWRULE), NLM_F_CREATE | netlink.NLM_F_APPEND, _HEADER.pack(family, 0, 0) + body


def new_set(
    family: int, table: str, name: str, number: int, key_types: Iterable[int], key_length: int, user_data: bytes = b""
) -> Message:
    """Return the request that makes a set, if there is none of that name; *number* is its own in the transaction.

    :param user_data: what ``nft`` must know beside the types to show the set.
    """
    kind = 0
    for part in key_types:
        kind = kind << _BITS_OF_TYPE | part
    body = text(_SET_TABLE, table) + text(_SET_NAME, name) + _be32(_SET_FLAGS, 0)
    body += _be32(_SET_KEY_TYPE, kind) + _be32(_SET_KEY_LENGTH, key_length) + _be32(_SET_ID, number)
    if kind == INTERFACE:
        user_data = _KEY_IN_HOST_ORDER
    if user_data:
        body += attribute(_SET_USERDATA, user_data)
    return _type(_NEWSET), NLM_F_CREATE, _HEADER.pack(family, 0, 0) + body


def meta(key: int, register: int = 1) -> bytes:
    """Return the expression that loads what is known of the packet, such as META_PROTOCOL, into *register*."""
    return _expression("meta", _be32(1, register), _be32(2, key))


def payload(header: int, offset: int, length: int, register: int = 1) -> bytes:
    """Return the expression that loads *length* bytes of the packet into *register*, from *offset* in *header* on."""
    return _expression("payload", _be32(1, register), _be32(2, header), _be32(3, offset), _be32(4, length))


def compare(data: bytes, operation: int = EQUAL) -> bytes:
    """Return the expression that goes on only if the first register compares with *data* so."""
    return _expression("cmp", _be32(1, 1), _be32(2, operation), _value(3, data))


def is_in(name: str) -> bytes:
    """Return the expression that goes on only if the set *name* has the key that begins in the first register."""
    return _expression("lookup", text(1, name), _be32(2, 1))


def is_not_in(name: str) -> bytes:
    """Return the expression that goes on only if the set *name* does not have that key."""
    return _expression("lookup", text(1, name), _be32(2, 1), _be32(5, 1))


def verdict(code: int, chain: str = "") -> bytes:
    """Return the expression that ends the rule with DROP or ACCEPT, or with GOTO and the name of a *chain*."""
    whole = nested(_DATA_VERDICT, _be32(_VERDICT_CODE, code), text(_VERDICT_CHAIN, chain) if chain else b"")
    return _expression("immediate", _be32(1, _VERDICT_REGISTER), nested(2, whole))


def match_address(offset: int, network: Network, operation: int) -> tuple[bytes, ...]:
    """Return the expressions that compare the address at *offset* of the network header with *network*."""
    length = len(network.address.packed)
    mask = ((1 << length * 8) - 1) ^ network.host_mask
    return (
        payload(NETWORK_HEADER, offset, length),
        _expression(
            "bitwise",
            _be32(1, 1),
            _be32(2, 1),
            _be32(3, length),
            _value(4, mask.to_bytes(length, "big")),
            _value(5, bytes(length)),
        ),
        compare(network.first.packed, operation),
    )


def masquerade() -> bytes:
    """Return the expression that gives the packet the address of the interface it leaves by, and a random port."""
    return _expression("masq", _be32(1, RANDOM_FULLY))


def _exists(sock: Socket, message: int, body: bytes) -> bool:
    try:
        sock.get((_type(message), 0, body))
        return True
    except netlink.NetlinkError as exc:
        if exc.errno == _ENOENT:
            return False
        raise


def _user_data(comment: str) -> bytes:
    """Return a rule's user data as ``nft`` writes and shows it: a comment."""
    said = comment.encode("ascii")[:_COMMENT_LENGTH] + b"\0"
    return bytes([0, len(said)]) + said


def _read(values: dict[int, bytes], kind: int) -> str:
    return values.get(kind, b"").rstrip(b"\0").decode("utf-8", "replace")


def _expression(name: str, *attributes: bytes) -> bytes:
    return nested(_LIST_ELEMENT, text(_EXPRESSION_NAME, name), nested(_EXPRESSION_DATA, *attributes))


def _value(kind: int, data: bytes) -> bytes:
    return nested(kind, attribute(_DATA_VALUE, data))


def _be32(kind: int, value: int) -> bytes:
    return attribute(kind, _BE32.pack(value))


def _type(message: int) -> int:
    return _SUBSYSTEM << 8 | message
