"""podman with a configuration, storage and run directory of the lab's own."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from pathlib import Path

from lab.settings import CACHE, CGROUP, RUN
from lab.shell import LabError, run

_CONF = CACHE / "containers.conf"
# Limits: raising them is refused to a container without CAP_SYS_RESOURCE. runc: crun refuses hybrid cgroups.
# cgroupfs: the machine need not run systemd. File locks and own directories: nothing is left in /dev/shm and /etc.
_CONF_TEXT = """\
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]

[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
tmp_dir = "%(run)s/tmp"
volume_path = "%(cache)s/volumes"

[network]
network_config_dir = "%(run)s/networks"
"""
# The descriptor of the lock that says: a command is running.
_held: list[int] = []


def _prepare() -> None:
    """Write the configuration and make its directories, if they are not there."""
    for directory in (CACHE, RUN / "tmp", RUN / "networks"):
        directory.mkdir(parents=True, exist_ok=True)
    text = _CONF_TEXT % {"run": RUN, "cache": CACHE}
    if not _CONF.exists() or _CONF.read_text() != text:
        _CONF.write_text(text)


def command(*args: str) -> list[str]:
    """The argv of a podman command; to be run with environment()."""
    _prepare()
    return ["podman", "--root", str(CACHE / "storage"), "--runroot", str(RUN / "podman"), *args]


def environment() -> dict[str, str]:
    """The environment that makes podman read the lab's configuration and nobody else's."""
    return {**os.environ, "CONTAINERS_CONF": str(_CONF)}


def podman(*args: str, check: bool = True) -> str:
    """Run a podman command and return what it prints."""
    return run(command(*args), env=environment(), check=check).stdout


def image_exists(image: str) -> bool:
    """Return whether the lab's storage holds the image."""
    return run(command("image", "exists", image), env=environment(), check=False).returncode == 0


def containers(prefix: str = "") -> dict[str, str]:
    """State (running, exited, …) of every container whose name starts with ``prefix``, by name."""
    if not (CACHE / "storage").exists():
        return {}
    listed = json.loads(podman("ps", "--all", "--format", "json") or "[]")
    return {each["Names"][0]: each["State"] for each in listed or [] if each["Names"][0].startswith(prefix)}


def hold() -> None:
    """Keep other commands from taking podman's directories away, until this process ends."""
    CACHE.mkdir(parents=True, exist_ok=True)
    _held.append(os.open(str(CACHE / "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    fcntl.flock(_held[-1], fcntl.LOCK_SH)


def release() -> None:
    """Give back what podman holds besides its storage, if no lab has a container left and no other command runs."""
    try:
        fcntl.flock(_held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    if containers():
        return
    for controller in Path("/sys/fs/cgroup").glob("**/%s" % CGROUP):
        for path in sorted([controller, *(p for p in controller.rglob("*") if p.is_dir())], reverse=True):
            # A lab with another cache may still use it.
            with contextlib.suppress(OSError):
                path.rmdir()
    shutil.rmtree(RUN, ignore_errors=True)


def purge() -> None:
    """Delete the storage with all images; LabError while a lab is up."""
    left = containers()
    if left:
        raise LabError("still up: %s; take these labs down first" % ", ".join(sorted(left)))
    release()
    shutil.rmtree(CACHE, ignore_errors=True)
