# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real firewalld and ufw on a throw-away node: the distribution's packages, unpacked and laid over the node's /usr."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import ROOT, downloads
from tests.support.netns.node import Node

CACHE = ROOT / ".cache" / "firewalls"
DOWNLOAD = [
    *("apt-get", "--quiet=2", "--yes", "--no-install-recommends", "--reinstall", "--download-only"),
    *("-o", "Debug::NoLocking=1", "-o", f"Dir::Cache::archives={CACHE}/archives", "install", "firewalld", "ufw"),
]
INSTALL = """
cp -a {tree}/etc/. /etc/
mount -t overlay overlay -o lowerdir={tree}/usr:/usr /usr
cp /usr/share/ufw/iptables/*.rules /usr/share/ufw/ufw.conf /etc/ufw/
getent passwd messagebus > /dev/null || useradd --system messagebus
# Nobody is asked whether root may do what it does.
[ ! -d /usr/share/dbus-1/system-services ] || mount -t tmpfs tmpfs /usr/share/dbus-1/system-services
mkdir /run/dbus
"""


def _unpacked() -> Path:
    """Return where the packages are unpacked, with what they need and this machine has not; nothing is installed."""
    tree, stamp = CACHE / "tree", CACHE / "unpacked"
    with downloads.alone_in(CACHE):
        if not stamp.exists():
            _download(tree)
            stamp.touch()
    return tree


def _download(tree: Path) -> None:
    (CACHE / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    if subprocess.run(DOWNLOAD, capture_output=True, check=False).returncode:
        subprocess.run(["apt-get", "--quiet=2", "update"], check=True)
        subprocess.run(DOWNLOAD, check=True)
    for archive in (CACHE / "archives").glob("*.deb"):
        subprocess.run(["dpkg", "--extract", archive, tree], check=True)
    if (tree / "lib").is_dir():
        subprocess.run(["cp", "--archive", f"{tree}/lib/.", tree / "usr" / "lib"], check=True)


def install(node: Node) -> None:
    """Have firewalld and ufw on *node*; neither runs."""
    node.run("sh", "-ec", INSTALL.format(tree=_unpacked()))


@contextmanager
def firewalld(node: Node) -> Iterator[None]:
    """Have firewalld, and the message bus that it is spoken to by, run on *node*."""
    enter = ["nsenter", f"--target={node.pid}", "--mount", "--net", "--"]
    processes = []
    try:
        for command in (["dbus-daemon", "--system", "--nofork"], ["firewalld", "--nofork", "--nopid"]):
            processes.append(subprocess.Popen([*enter, *command], stderr=subprocess.DEVNULL))
            ready = "test -S /run/dbus/system_bus_socket" if len(processes) == 1 else "firewall-cmd --state"
            deadline = time.monotonic() + 30
            while node.run("sh", "-c", ready, check=False).returncode:
                assert time.monotonic() < deadline, f"{command[0]} did not start"
                time.sleep(0.05)
        yield
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait()
