# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of the CNI specification that the plugin speaks, and what differs between them."""

from .errors import DECODING_FAILURE, INCOMPATIBLE_VERSION, CNIError

SUPPORTED = ("0.3.0", "0.3.1", "0.4.0", "1.0.0")
NEWEST = SUPPORTED[-1]
UNSTATED = "0.1.0"


def parse(version):
    """Return *version* as comparable numbers; CNIError if it is no version."""
    parts = version.split(".")
    if not 1 <= len(parts) <= 3 or not all(part.isascii() and part.isdigit() and len(part) < 9 for part in parts):
        raise CNIError(DECODING_FAILURE, "cniVersion: %r is not a version such as 1.0.0" % version)
    return tuple(int(part) for part in parts + ["0"] * (3 - len(parts)))


def at_least(version, minimum):
    """Say whether *version* is *minimum* or newer."""
    return parse(version) >= parse(minimum)


def require_supported(version):
    """Raise CNIError unless the plugin speaks *version*."""
    if version not in SUPPORTED:
        parse(version)
        supported = ", ".join('"%s"' % known for known in SUPPORTED)
        raise CNIError(
            INCOMPATIBLE_VERSION,
            "incompatible CNI versions",
            'config is "%s", plugin supports [%s]' % (version, supported),
        )
