# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON by the C parts of Python's ``json`` package, whose import alone would cost as much as an ADD."""

from __future__ import annotations

import _json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


_DIGITS = 4300  # that Python takes of a number; no key takes as many


def number(digits: str) -> int:
    """Return the integer *digits*; of too many the first ones, which are too large a number as well."""
    return int(digits[:_DIGITS])


class _Decoding:
    """What the C scanner asks for; the names are those of ``json.JSONDecoder``."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    array_hook = None  # from Python 3.15 on
    parse_float = float
    parse_int = number

    @staticmethod
    def parse_constant(name: str) -> NoReturn:
        raise ValueError("%s is not JSON" % name)


_WHITESPACE = " \t\n\r"
_scan = _json.make_scanner(_Decoding)  # type: ignore[arg-type]  # it takes whatever has these attributes


def _refuse(value: object) -> NoReturn:
    raise TypeError("%s cannot be written as JSON" % type(value).__name__)


_chunks = _json.make_encoder(None, _refuse, _json.encode_basestring_ascii, None, ": ", ", ", False, False, False)


def decode(data: bytes) -> Any:
    """Return the value of the JSON document *data* (bytes); ValueError says what is wrong with it."""
    text = data.decode("utf-8")
    body = text.strip(_WHITESPACE)
    if not body:
        raise ValueError("unexpected end of JSON input")
    try:
        value, end = _scan(body, 0)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except (StopIteration, SystemError):  # Python 3.10 and 3.11 expect the package to be there to raise its error
        _explain(body)
    if end != len(body):
        raise ValueError("more text after the JSON value, at character %d" % end)
    return value


def _explain(body: str) -> NoReturn:
    """Raise the ValueError that says where *body* is no JSON."""
    from json import loads

    loads(body, parse_int=number)
    raise ValueError("it is not JSON")


def encode(value: object) -> str:
    """Return *value* as one line of JSON in ASCII."""
    return "".join(_chunks(value, 0))
