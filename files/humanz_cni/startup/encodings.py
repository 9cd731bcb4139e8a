# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the interpreter starts with: Python's registry of text encodings, for a process that needs UTF-8 only.

The interpreter imports ``encodings`` before anything else. Finding the standard one and reading its aliases takes a
seventh of the interpreter's start. What is written in C, such as ASCII, does not go through the registry.

Then it ignores SIGPIPE, imports ``_signal``, makes ``sys.stdin``, ``sys.stdout`` and ``sys.stderr``, and reads and
compiles the launcher. From that import on it is an eighth of its start that the plugin has no need of: it is run there
and then, and never returns.

Where there is no bytecode for the interpreter, as it was upgraded, it starts again as usual at once: nobody has tried
it with what follows.
"""

import marshal
import posix
import sys

_AT_WORK = sys.orig_argv[1:2] == ["-ISXutf8"]  # as the launcher's first line has it
_LIBRARY = __file__.rpartition("/humanz_cni/")[0]
_BUNDLE = "%s/%s" % (_LIBRARY, sys.implementation.cache_tag)
_DESCRIPTOR = -1
if _AT_WORK:
    try:
        _DESCRIPTOR = posix.open(_BUNDLE, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        _PYTHON = posix.readlink(_LIBRARY + "/python3")
        posix.execv(_PYTHON, [_PYTHON, "-ISXutf8", _LIBRARY + "/humanz_cni/recover.py"])

from _codecs import register, utf_8_decode, utf_8_encode  # noqa: E402  (what may be missing comes last)
from _frozen_importlib import BuiltinImporter  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from typing import Any


class _Stateless:
    """One end of a text stream; the names are those of ``codecs.IncrementalEncoder`` and ``IncrementalDecoder``."""

    def __init__(self, errors: str = "strict") -> None:
        self.errors = errors

    def reset(self) -> None:
        """Forget nothing."""

    def setstate(self, _state: object) -> None:
        """Remember nothing."""


class _Encoder(_Stateless):
    def encode(self, text: str, _final: bool = False) -> bytes:
        return utf_8_encode(text, self.errors)[0]

    def getstate(self) -> int:
        return 0


class _Decoder(_Stateless):
    def decode(self, data: bytes, _final: bool = False) -> str:
        return utf_8_decode(data, self.errors, True)[0]

    def getstate(self) -> tuple[bytes, int]:
        return b"", 0


class _UTF8(tuple):  # type: ignore[type-arg]  # what a tuple holds is not for the start to evaluate
    """What the registry wants to know; the names are those of ``codecs.CodecInfo``."""

    __slots__ = ()
    _is_text_encoding = True
    name = "utf-8"
    incrementalencoder = _Encoder
    incrementaldecoder = _Decoder


_FOUND = _UTF8((utf_8_encode, utf_8_decode, None, None))


def search_function(name: str) -> _UTF8 | None:
    """Return what the registry keeps for the encoding *name*, None if it is not UTF-8."""
    return _FOUND if name in ("utf-8", "utf_8", "utf8") else None


register(search_function)  # type: ignore[arg-type]  # any tuple of four with these attributes will do


class _Plugin:
    """A finder of modules that runs the plugin when the interpreter looks for ``_signal``."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> "ModuleSpec | None":
        """Return what the next finder finds where the bytecode cannot be run: the launcher's turn comes."""
        if name == "_signal":
            sys.meta_path.remove(_Plugin)
            try:
                _run()
            except Exception:
                return BuiltinImporter.find_spec(name)
        return None


def _run() -> None:
    """Run the plugin as the launcher does."""
    code, index = marshal.loads(posix.read(_DESCRIPTOR, 16384))
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102  (it is what a loader does)
    names["start"](_BUNDLE, _DESCRIPTOR, index)


if _AT_WORK:
    sys.meta_path.insert(0, _Plugin)
