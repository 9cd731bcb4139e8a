# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plugin's JSON against the json package."""

from __future__ import annotations

import json

import pytest

from humanz_cni.primitives import jsontext

VALUES = [
    None, True, False, 0, -1, 1.5, 10**30, "", "ä\u2028\"\\/\n\0", "\U0001f40d", [], {}, [1, [2, {"a": [None]}]],
    {"a": {"b": {"c": "d"}}, "": 0},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_both_ways(value: object) -> None:
    assert jsontext.encode(value) == json.dumps(value)
    assert jsontext.decode(json.dumps(value, ensure_ascii=False).encode()) == value
    assert jsontext.decode(b" \t\r\n" + json.dumps(value).encode() + b"\n ") == value


@pytest.mark.parametrize(
    "data",
    [b"", b" ", b"{", b"[1,]", b"{'a': 1}", b'{"a" 1}', b"1 2", b"nul", b"NaN", b"[Infinity]", b"-Infinity", b"\xff",
     b'"\n"', b'{"a": 1}}', b"\x0b{}", b"[" * 200000, b'"\\x"', b'{"a": }', b'"abc'],
    ids=lambda data: repr(data[:20]),
)  # fmt: skip
def test_what_is_no_json(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        jsontext.decode(data)


def test_a_result_that_json_does_not_have_is_refused() -> None:
    with pytest.raises(TypeError):
        jsontext.encode({"a": {1, 2}})
    with pytest.raises(ValueError, match=r"."):
        jsontext.encode(float("nan"))
