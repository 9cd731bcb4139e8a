# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of nf_tables' netlink protocol that masquerading needs: a table, base chains, rules, in one transaction.

Numbers within messages are in network byte order. Constants are the kernel's, of linux/netfilter/nf_tables.h.
"""

from _struct import Struct

from . import netlink
from .netlink import NLM_F_CREATE, attribute, attributes, nested, text

NETLINK_NETFILTER = 12
_SUBSYSTEM = 10
_BATCH_BEGIN, _BATCH_END = 16, 17
_NEWTABLE, _GETTABLE, _DELTABLE = 0, 1, 2
_NEWCHAIN, _GETCHAIN, _DELCHAIN = 3, 4, 5
_NEWRULE, _GETRULE, _DELRULE = 6, 7, 8

_TABLE_NAME = 1
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_TYPE = 1, 3, 4, 7
_HOOK_NUMBER, _HOOK_PRIORITY = 1, 2
_RULE_TABLE, _RULE_CHAIN, _RULE_EXPRESSIONS, _RULE_USERDATA = 1, 2, 4, 7
_LIST_ELEMENT, _EXPRESSION_NAME, _EXPRESSION_DATA, _DATA_VALUE = 1, 1, 2, 1
_REGISTER = 1
_NETWORK_HEADER = 1
EQUAL, NOT_EQUAL = 0, 1

POSTROUTING, PRIORITY_SRCNAT = 4, 100
RANDOM_FULLY = 16
_COMMENT_LENGTH = 127
_ENOENT = 2

_HEADER = Struct(">BBH")  # family, version, subsystem (in a batch's begin and end)
_BE32 = Struct(">I")


class Socket(netlink.Socket):
    """A connection to nf_tables of the network namespace that the process is in when it is opened."""

    def __init__(self):
        super().__init__(NETLINK_NETFILTER)

    def transaction(self, *messages):
        """Carry out *messages*, tuples of type, flags and body, all or none. Raises NetlinkError."""
        boundary = _HEADER.pack(0, 0, _SUBSYSTEM)
        self.request((_BATCH_BEGIN, 0, boundary), *messages, after=[(_BATCH_END, 0, boundary)])


def has_rule(sock, family, table, chain, comment):
    """Say whether there is a rule with *comment* in *chain* of *table*, which need not exist."""
    wanted = (table, chain, _user_data(comment))
    body = _HEADER.pack(family, 0, 0) + text(_RULE_TABLE, table) + text(_RULE_CHAIN, chain)
    for reply in sock.dump(_type(_GETRULE), body):
        values = attributes(reply, _HEADER.size)
        if reply[0] == family and wanted == (
            _read(values, _RULE_TABLE), _read(values, _RULE_CHAIN), values.get(_RULE_USERDATA),
        ):  # fmt: skip
            return True
    return False


def chains(sock, family, table):
    """Return the names of the chains of *table*, which need not exist."""
    found = (attributes(reply, _HEADER.size) for reply in sock.dump(_type(_GETCHAIN), _HEADER.pack(family, 0, 0)))
    return [_read(values, _CHAIN_NAME) for values in found if _read(values, _CHAIN_TABLE) == table]


def has_table(sock, family, name):
    """Say whether the table *name* exists."""
    return _exists(sock, _GETTABLE, _HEADER.pack(family, 0, 0) + text(_TABLE_NAME, name))


def new_table(family, name):
    """Return the request that makes a table, if there is none of that name."""
    return _type(_NEWTABLE), NLM_F_CREATE, _HEADER.pack(family, 0, 0) + text(_TABLE_NAME, name)


def delete_table(family, name):
    """Return the request that deletes a table and all in it."""
    return _type(_DELTABLE), 0, _HEADER.pack(family, 0, 0) + text(_TABLE_NAME, name)


def new_source_nat_chain(family, table, name):
    """Return the request that makes a base chain for source NAT, if there is none of that name."""
    hook = nested(_CHAIN_HOOK, _be32(_HOOK_NUMBER, POSTROUTING), _be32(_HOOK_PRIORITY, PRIORITY_SRCNAT))
    body = text(_CHAIN_TABLE, table) + text(_CHAIN_NAME, name) + hook + text(_CHAIN_TYPE, "nat")
    return _type(_NEWCHAIN), NLM_F_CREATE, _HEADER.pack(family, 0, 0) + body


def flush_chain(family, table, name):
    """Return the request that deletes all rules of a chain."""
    return _type(_DELRULE), 0, _HEADER.pack(family, 0, 0) + text(_RULE_TABLE, table) + text(_RULE_CHAIN, name)


def delete_chain(family, table, name):
    """Return the request that deletes a chain and all its rules."""
    return _type(_DELCHAIN), 0, _HEADER.pack(family, 0, 0) + text(_CHAIN_TABLE, table) + text(_CHAIN_NAME, name)


def new_rule(family, table, chain, expressions, comment):
    """Return the request that appends a rule of *expressions*, with a *comment* that ``nft`` shows."""
    body = text(_RULE_TABLE, table) + text(_RULE_CHAIN, chain) + nested(_RULE_EXPRESSIONS, *expressions)
    body += attribute(_RULE_USERDATA, _user_data(comment))
    return _type(_NEWRULE), NLM_F_CREATE | netlink.NLM_F_APPEND, _HEADER.pack(family, 0, 0) + body


def match_address(offset, network, operation):
    """Return the expressions that compare the address at *offset* of the network header with *network*."""
    length = len(network.address.packed)
    mask = ((1 << length * 8) - 1) ^ network.host_mask
    return (
        _expression("payload", _be32(1, _REGISTER), _be32(2, _NETWORK_HEADER), _be32(3, offset), _be32(4, length)),
        _expression(
            "bitwise",
            _be32(1, _REGISTER),
            _be32(2, _REGISTER),
            _be32(3, length),
            _value(4, mask.to_bytes(length, "big")),
            _value(5, bytes(length)),
        ),
        _expression("cmp", _be32(1, _REGISTER), _be32(2, operation), _value(3, network.first.packed)),
    )


def masquerade():
    """Return the expression that gives the packet the address of the interface it leaves by, and a random port."""
    return _expression("masq", _be32(1, RANDOM_FULLY))


def _exists(sock, message, body):
    try:
        sock.get((_type(message), 0, body))
        return True
    except netlink.NetlinkError as exc:
        if exc.errno == _ENOENT:
            return False
        raise


def _user_data(comment):
    """Return a rule's user data as ``nft`` writes and shows it: a comment."""
    said = comment.encode("ascii")[:_COMMENT_LENGTH] + b"\0"
    return bytes([0, len(said)]) + said


def _read(values, kind):
    return values.get(kind, b"").rstrip(b"\0").decode("utf-8", "replace")


def _expression(name, *attributes):
    return nested(_LIST_ELEMENT, text(_EXPRESSION_NAME, name), nested(_EXPRESSION_DATA, *attributes))


def _value(kind, data):
    return nested(kind, attribute(_DATA_VALUE, data))


def _be32(kind, value):
    return attribute(kind, _BE32.pack(value))


def _type(message):
    return _SUBSYSTEM << 8 | message
