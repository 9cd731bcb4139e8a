# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Typed access to a decoded configuration, with errors that name the key, its value and what is wanted."""

from __future__ import annotations

from ..primitives.address import Address, Network
from ..protocol.errors import invalid_config

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar

    _Value = TypeVar("_Value")
    _Default = TypeVar("_Default", int, None)

_TYPES = {bool: "true or false", str: "a string", list: "a list", dict: "an object"}


def field(conf: dict[str, Any], key: str, kind: type[_Value], default: _Value, path: str = "") -> _Value:
    """Return ``conf[key]``, which is of type *kind* (bool, str, list or dict); null counts as absent.

    :param path: what leads to *conf* in the document, such as ``ipam.``, for the message.
    """
    value = conf.get(key)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise invalid_config(path + key, value, "it must be " + _TYPES[kind])
    return value


def number(
    conf: dict[str, Any], key: str, highest: int, default: _Default, path: str = "", lowest: int = 0
) -> int | _Default:
    """Return the integer ``conf[key]``, between *lowest* and *highest*; null counts as absent."""
    value = conf.get(key)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise invalid_config(path + key, value, "it must be a number from %d to %d" % (lowest, highest))
    return value


def address(conf: dict[str, Any], key: str, path: str = "") -> Address | None:
    """Return the Address ``conf[key]``, or None if it is absent or empty."""
    text = field(conf, key, str, "", path)
    return parse_address(text, path + key) if text else None


def parse_address(text: Any, key: str) -> Address:
    """Return the Address *text* of configuration *key*."""
    try:
        return Address.parse(text)
    except (ValueError, AttributeError, TypeError):
        raise invalid_config(key, text, "it must be an IP address") from None


def parse_network(text: Any, key: str) -> Network:
    """Return the Network *text* of configuration *key*."""
    try:
        return Network.parse(text)
    except (ValueError, AttributeError, TypeError):
        raise invalid_config(key, text, "it must be a network such as 100.100.0.0/24") from None


def parse_mac(text: object, key: str) -> bytes | None:
    """Return the six bytes of the hardware address *text* of *key*; None if it is empty."""
    if text is None or text == "":
        return None
    parts = text.replace("-", ":").split(":") if isinstance(text, str) else ()
    if len(parts) != 6 or not all(len(part) == 2 for part in parts):
        raise invalid_config(key, text, "it must be a hardware address such as 0a:58:64:64:00:05")
    try:
        mac = bytes.fromhex("".join(parts))
    except ValueError:
        mac = b""
    if len(mac) != 6 or not any(mac) or mac[0] & 1:
        raise invalid_config(key, text, "it must be a unicast hardware address such as 0a:58:64:64:00:05")
    return mac
