# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Data directories that configurations have named since boot: a DEL may come when its configuration names another one.

Each is a symbolic link, named by a digest of where it leads to.
"""

from __future__ import annotations

import _sha1
import posix

from ..config import ipam_keys
from ..primitives import files
from . import store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NOTES = "/.elsewhere"  # in the default directory; no network's name begins so


def note(data_dir: str) -> None:
    """Note that there may be records in *data_dir*, which has no slash at its end. An ADD is as good without."""
    notes = ipam_keys.DATA_DIR + _NOTES
    try:
        files.make_directory(notes, 0o755)
        posix.symlink(data_dir + "/", "%s/%s" % (notes, _sha1.sha1(data_dir.encode()).hexdigest()))
    except FileExistsError:
        return
    except OSError as exc:
        files.complain("%s: %s" % (notes, exc.strerror))


def stores(conf: dict[str, Any], network: str) -> list[store.Store]:
    """Return each Store that may have records of *network*, that of the configuration *conf* first. It never raises."""
    data_dir, durable = ipam_keys.data_dir(conf)
    return with_others(store.Store(data_dir, network, durable))


def with_others(first: store.Store) -> list[store.Store]:
    """Return the Store *first*, and each other one that may have records of the same network."""
    others = [one for one in known() if one.rstrip("/") != first.data_dir]
    return [first, *(store.Store(one, first.network, durable=True) for one in others)]


def known() -> list[str]:
    """Return all directories that may have records: the default one and those noted, with a slash at their end."""
    notes = ipam_keys.DATA_DIR + _NOTES
    try:
        return [ipam_keys.DATA_DIR, *(posix.readlink("%s/%s" % (notes, name)) for name in sorted(posix.listdir(notes)))]
    except OSError:  # most nodes have none
        return [ipam_keys.DATA_DIR]
