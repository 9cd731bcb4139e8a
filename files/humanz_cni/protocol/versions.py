# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of the CNI specification that the plugin speaks, and what differs between them."""

from __future__ import annotations

from .errors import DECODING_FAILURE, INCOMPATIBLE_VERSION, CNIError

WITHOUT_INTERFACES = ("0.1.0", "0.2.0")  # a result of these has addresses and nothing else
SUPPORTED = (*WITHOUT_INTERFACES, "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
NEWEST = SUPPORTED[-1]
UNSTATED = "0.1.0"


def parse(version: str) -> tuple[int, ...]:
    """Return *version* as comparable numbers; CNIError if it is no version."""
    parts = version.split(".")
    if not 1 <= len(parts) <= 3 or not all(part.isascii() and part.isdigit() and len(part) < 9 for part in parts):
        raise CNIError(DECODING_FAILURE, "cniVersion: %r is not a version such as 1.0.0" % version)
    return tuple(int(part) for part in parts + ["0"] * (3 - len(parts)))


def require_allowed(command: str, oldest: str, version: str) -> None:
    """Raise CNIError unless a configuration of *version* may ask for *command*, which *oldest* has brought.

    The order of these checks, and that an ill-formed version gets another code here, is the reference's.
    """
    numbers = parse(version)
    if numbers < parse(oldest):
        raise CNIError(INCOMPATIBLE_VERSION, "config version does not allow %s" % command)
    if numbers > parse(NEWEST):
        raise CNIError(INCOMPATIBLE_VERSION, "plugin version does not allow %s" % command)


def require_supported(version: str) -> None:
    """Raise CNIError unless the plugin speaks *version*."""
    if version not in SUPPORTED:
        supported = " ".join('"%s"' % known for known in SUPPORTED)
        raise CNIError(
            INCOMPATIBLE_VERSION,
            "incompatible CNI versions",
            'config is "%s", plugin supports [%s]' % (version, supported),
        )
