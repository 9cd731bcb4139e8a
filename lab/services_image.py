"""The image for nodes on which network managers and firewalls run: the node image, and these from packages."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from lab import image
from lab.podman import image_exists, podman
from lab.shell import say

_FILES = Path(__file__).parent / "services"
_PACKAGES = ["network-manager", "netplan.io", "ifupdown", "udev", "dbus", "firewalld", "ufw", "docker.io"]
# None of them runs until somebody starts it.
_DISABLED = [
    "NetworkManager.service",
    "NetworkManager-dispatcher.service",
    "NetworkManager-wait-online.service",
    "networking.service",
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "firewalld.service",
    "ufw.service",
    "docker.service",
    "docker.socket",
]
# It would see the machine's devices.
_MASKED = [
    "systemd-udevd.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udev-trigger.service",
    "systemd-udev-settle.service",
]
_SCRIPT = """\
set -e
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -qq --yes --no-install-recommends -o DPkg::Options::=--force-unsafe-io %s
apt-get clean
rm -rf /var/lib/apt/lists/*
tar -C / -x -f /files/files.tar
chmod +x /usr/local/sbin/udevadm
systemctl disable -q %s
systemctl mask -q %s
systemctl enable -q lab-read-only-sys.service
"""


def _script() -> str:
    return _SCRIPT % tuple(" ".join(words) for words in (_PACKAGES, _DISABLED, _MASKED))


def name(suite: str) -> str:
    """The image's name, with a digest of all that it is made from but the packages' versions."""
    recipe = (image.name(suite) + _script()).encode() + image.files_tar(_FILES)
    return "localhost/humanz-lab-services-%s:%s" % (suite, hashlib.sha256(recipe).hexdigest()[:12])


def build(suite: str, again: bool = False) -> str:
    """Build the image, and the node image below it, unless podman's storage has it; returns its name."""
    base, wanted = image.build(suite, again), name(suite)
    if image_exists(wanted) and not again:
        return wanted
    say("adding network managers and firewalls to the node image (half a minute, once)")
    started = time.monotonic()
    container = "humanz-lab-build-%d" % os.getpid()
    with image.scratch_directory() as scratch:
        Path(scratch, "files.tar").write_bytes(image.files_tar(_FILES))
        options = ["--network=host", "--systemd=false", "--volume", "%s:/files:ro" % scratch]
        try:
            podman("run", "--name", container, *options, base, "sh", "-c", _script())
            podman("commit", "--quiet", container, wanted)
        finally:
            podman("rm", "--force", "--time", "0", "--ignore", container)
    image.remove_older(wanted)
    say("image %s is ready after %.0f s" % (wanted, time.monotonic() - started))
    return wanted
