# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The error object of the CNI specification, section 5."""

from __future__ import annotations

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

INCOMPATIBLE_VERSION = 1
UNSUPPORTED_FIELD = 2
UNKNOWN_CONTAINER = 3
INVALID_ENVIRONMENT = 4
IO_FAILURE = 5
DECODING_FAILURE = 6
INVALID_CONFIG = 7
INVALID_NETNS = 8  # containernetworking's library, not the specification
TRY_AGAIN_LATER = 11
PLUGIN_UNAVAILABLE = 50
PLUGIN_UNAVAILABLE_LIMITED = 51
INTERNAL = 999  # containernetworking's library, not the specification

_EMFILE = 24
# Error numbers of netlink whose usual text does not say what there is to do
_REASONS = {
    1: "Operation not permitted: humanz-cni must run as root, with CAP_NET_ADMIN and CAP_SYS_ADMIN",
    12: "the kernel has no memory for it",
    17: "it is there already, or the configuration has it twice",
    _EMFILE: "humanz-cni has as many open files as it may have: see LimitNOFILE of the container runtime, or ulimit -n",
    54: "the bridge has as many ports as the kernel allows, 1023",
    95: "Operation not supported: the kernel lacks a module that this needs",
    105: "the kernel has no memory for it",
}

_UNKNOWN_TO_NF_TABLES = (2, 93, 95, 97)  # ENOENT, EPROTONOSUPPORT, EOPNOTSUPP, EAFNOSUPPORT

_LONGEST_LIST = 400  # characters of a list within a text
_LONGEST = 4096  # characters of a text; it may hold what somebody else wrote, and a runtime repeats it in events


class CNIError(Exception):
    """An operation that failed, as the container runtime gets to read it.

    :param code: one of the codes above.
    :param message: names the key or variable, its value and what would be right.
    :param details: further text, possibly empty.
    """

    def __init__(self, code: int, message: str, details: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message if len(message) <= _LONGEST else message[:_LONGEST] + "..."
        self.details = details if len(details) <= _LONGEST else details[:_LONGEST] + "..."

    def document(self, cni_version: str) -> dict[str, Any]:
        """Return the error object for a configuration of *cni_version*."""
        error: dict[str, Any] = {"cniVersion": cni_version, "code": self.code, "msg": self.message}
        if self.details:
            error["details"] = self.details
        return error


def reason(number: int) -> str:
    """Return what the error *number* of netlink means."""
    return _REASONS.get(number) or posix.strerror(number)


def words(exc: OSError) -> str:
    """Return what *exc* means, without its file."""
    return reason(_EMFILE) if exc.errno == _EMFILE else exc.strerror or str(exc)


def rules_refused(option: str, exc: OSError) -> CNIError:
    """Return the error for *exc*, by which nf_tables refuses what *option* of the configuration takes."""
    text = words(exc)
    if exc.errno in _UNKNOWN_TO_NF_TABLES:
        text = "%s: the kernel lacks a module of nf_tables that this needs" % posix.strerror(exc.errno)
    return CNIError(INTERNAL, "%s: nf_tables refuses the rules: %s" % (option, text))


def invalid_config(key: str, value: object, wanted: str) -> CNIError:
    """Return the error for *value* of configuration *key*, where *wanted* would be right."""
    return CNIError(INVALID_CONFIG, "%s: %s is invalid: %s" % (key, show(value), wanted))


def show(value: object) -> str:
    """Return *value* of a configuration as JSON, shortened, for a message."""
    from ..primitives import jsontext

    try:
        text = jsontext.encode(value)
    except (RecursionError, ValueError):  # nested too deeply, or no number
        return "its value"
    return text if len(text) <= 200 else text[:200] + "..."


def listed(items: Iterable[str]) -> str:
    """Return *items* in one line, shortened, for a message."""
    text = ", ".join(items)
    return text if len(text) <= _LONGEST_LIST else text[:_LONGEST_LIST] + "..."
