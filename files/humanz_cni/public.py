# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts Python's public modules in the place of its C modules, for programs that have the time to import them.

The package imports C modules of CPython, which a release of it may change or drop. To import this module first makes it
work there as well: where it runs from its sources, and for the operator's command.
"""

from __future__ import annotations

import hashlib
import json
import socket
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class _JSON:
    """The functions of ``_json`` that jsontext calls, as it calls them."""

    encode_basestring_ascii = None

    @staticmethod
    def make_scanner(decoding: Any) -> Callable[[str, int], tuple[Any, int]]:
        return json.JSONDecoder(parse_int=decoding.parse_int, parse_constant=decoding.parse_constant).raw_decode

    @staticmethod
    def make_encoder(_markers: None, default: Callable[[object], Any], *_form: object) -> Callable[..., list[str]]:
        return lambda value, _level: [json.dumps(value, default=default, allow_nan=False)]


_PUBLIC: dict[str, Any] = {"_json": _JSON, "_sha1": hashlib, "_socket": socket, "_struct": struct}
sys.modules.update(_PUBLIC)
