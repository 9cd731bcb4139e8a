"""A small DNS server, without anything but Python: python3 resolver.py NAME=ADDRESS... -- OWN_ADDRESS...

It prints "ready" when it answers at UDP port 53 of its own addresses, until it is told to end. The name ``whoami.lab``
has the address that the question came from.
"""

from __future__ import annotations

import ipaddress
import selectors
import socket
import struct
import sys

PORT = 53
WHOAMI = "whoami.lab"
SECONDS_TO_LIVE = 0  # as whoever asks next is somebody else
FAMILIES = {1: 4, 28: 6}  # of the record types A and AAAA
_HEADER = struct.Struct("!HHHHHH")
_INTERNET = 1
# Response, authoritative, recursion desired and available; with the code NXDOMAIN.
_ANSWER, _NO_SUCH_NAME = 0x8580, 0x8583


def _question(packet: bytes) -> tuple[str, int, bytes]:
    """The name and the record type that a packet asks for, and the bytes of that question."""
    labels, offset = [], _HEADER.size
    while packet[offset]:
        end = offset + 1 + packet[offset]
        labels.append(packet[offset + 1 : end].decode("ascii"))
        offset = end
    (kind,) = struct.unpack_from("!H", packet, offset + 1)
    return ".".join(labels).lower(), kind, packet[_HEADER.size : offset + 5]


def answer(packet: bytes, names: dict[str, list[str]], caller: str) -> bytes:
    """The answer to a query of *caller*."""
    name, kind, question = _question(packet)
    known = {**names, WHOAMI: [caller]}
    found = [ipaddress.ip_address(address) for address in known.get(name, [])]
    records = [address.packed for address in found if address.version == FAMILIES.get(kind)]
    # Each is about the name at offset 12, which is that of the question.
    lines = [struct.pack("!HHHIH", 0xC00C, kind, _INTERNET, SECONDS_TO_LIVE, len(data)) + data for data in records]
    flags = _ANSWER if name in known else _NO_SUCH_NAME
    identifier = _HEADER.unpack_from(packet)[0]
    return _HEADER.pack(identifier, flags, 1, len(lines), 0, 0) + question + b"".join(lines)


def _answer_one(server: socket.socket, names: dict[str, list[str]]) -> None:
    packet, caller = server.recvfrom(512)
    try:
        reply = answer(packet, names, caller[0])
    except (IndexError, UnicodeDecodeError, struct.error):  # that was no query
        return
    server.sendto(reply, caller)


def serve(names: dict[str, list[str]], addresses: list[str]) -> None:
    """Answer for ever. A socket for each address, so that an answer comes from the one that was asked."""
    with selectors.DefaultSelector() as selector:
        for address in addresses:
            server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
            server.bind((address, PORT))
            selector.register(server, selectors.EVENT_READ, server)
        print("ready", flush=True)
        while True:
            for key, _events in selector.select():
                _answer_one(key.data, names)


def main(argv: list[str]) -> None:
    """Read the command line."""
    own = argv.index("--")
    names: dict[str, list[str]] = {}
    for word in argv[:own]:
        name, _equals, address = word.partition("=")
        names.setdefault(name, []).append(address)
    serve(names, argv[own + 1 :])


if __name__ == "__main__":
    main(sys.argv[1:])
