"""The part of the protobuf wire format that CRI requests need: strings, booleans, small integers, nested messages.

A message is a dict from field number to value: str, bytes, bool, int, dict (a message) or a list of these (repeated).
"""

from __future__ import annotations

from typing import Any, Dict, Iterator

Message = Dict[int, Any]


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, value: Any) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(int(value))
    if isinstance(value, dict):
        value = encode(value)
    elif isinstance(value, str):
        value = value.encode()
    data = bytes(value)
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def encode(message: Message) -> bytes:
    """The message's bytes. Default values are left out, as they are on the wire, except within lists."""
    parts: list[bytes] = []
    for number, value in message.items():
        if isinstance(value, list):
            parts.extend(_field(number, each) for each in value)
        elif value not in (False, "", b""):
            parts.append(_field(number, value))
    return b"".join(parts)


def string_map(values: dict[str, str]) -> list[Message]:
    """A map<string, string> as the repeated message that it is on the wire."""
    return [{1: key, 2: value} for key, value in values.items()]


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Yield (field number, int or bytes) of a message in wire order; ValueError on a wire type CRI does not use."""
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        if key & 7 == 0:
            value, at = _read_varint(data, at)
            yield key >> 3, value
        elif key & 7 == 2:
            size, at = _read_varint(data, at)
            yield key >> 3, data[at : at + size]
            at += size
        else:
            raise ValueError("field %d has wire type %d, expected 0 or 2" % (key >> 3, key & 7))


def every(data: bytes, *path: int) -> list[Any]:
    """All values at a path of field numbers, as int or bytes."""
    found = [value for number, value in fields(data) if number == path[0]]
    return found if len(path) == 1 else [deeper for value in found for deeper in every(value, *path[1:])]


def text(data: bytes, *path: int) -> str:
    """The string at a path of field numbers; empty if it is not there."""
    found = every(data, *path)
    return found[-1].decode() if found else ""
