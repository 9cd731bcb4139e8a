# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CNI_ARGS: further arguments of the runtime, ``KEY=VALUE`` pairs with semicolons between them."""

from __future__ import annotations

from .errors import INVALID_ENVIRONMENT, CNIError

_KNOWN = ("IP", "MAC", "IgnoreUnknown")
_KUBERNETES = ("K8S_POD_NAMESPACE", "K8S_POD_NAME", "K8S_POD_INFRA_CONTAINER_ID", "K8S_POD_UID")
_BOOLEANS = {"1": True, "true": True, "0": False, "false": False}


def parse(text: str) -> dict[str, str]:
    """Return the pairs of CNI_ARGS *text* as a dict; CNIError for a bad pair or a key that nobody knows."""
    if not text:
        return {}
    pairs = {}
    unknown = []
    for pair in text.split(";"):
        if pair.count("=") != 1:
            raise CNIError(INVALID_ENVIRONMENT, 'ARGS: invalid pair "%s"' % pair, "CNI_ARGS wants KEY=VALUE;KEY=VALUE")
        key, value = pair.split("=")
        if key not in _KNOWN and key not in _KUBERNETES:
            unknown.append('"%s"' % pair)
        pairs[key] = value
    ignore = pairs.get("IgnoreUnknown", "0").lower()
    if ignore not in _BOOLEANS:
        raise CNIError(
            INVALID_ENVIRONMENT, 'ARGS: error parsing value of pair "IgnoreUnknown=%s"' % ignore, "it is 1 or 0"
        )
    if unknown and not _BOOLEANS[ignore]:
        raise CNIError(INVALID_ENVIRONMENT, "ARGS: unknown args [%s]" % " ".join(unknown), "in CNI_ARGS")
    return pairs


def pod(text: str) -> str:
    """Return namespace/name of the pod that CNI_ARGS *text* names, or an empty string. Never raises."""
    pairs = dict(pair.partition("=")[::2] for pair in text.split(";"))
    namespace, name = pairs.get("K8S_POD_NAMESPACE", ""), pairs.get("K8S_POD_NAME", "")
    return "%s/%s" % (namespace, name) if name else ""
