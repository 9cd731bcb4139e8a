"""Writes the lab's pod image as a docker archive: ``python3 pod_image.py ARCHIVE``.

It holds a static busybox for the sandbox. Everything else that runs in a pod comes from the node's own /usr,
which cri.py mounts into the container read-only, so that pods have Python, curl, ping and ip for nothing.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import tarfile

NAME = "localhost/lab-pod:latest"
BUSYBOX = "/bin/busybox"
# What a pause container does: hold the namespaces, and end when it is told to.
PAUSE = ["/pod/busybox", "sh", "-c", "trap exit TERM; /pod/busybox sleep 2147483647 & wait"]
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def _layer() -> bytes:
    """The root file system as a tar: busybox, mount points, and /bin, /lib, … as links into /usr."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("pod", "usr", "etc", "etc/alternatives", "tmp", "root"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for name in ("bin", "sbin", "lib", "lib64"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, "usr/" + name
            tar.addfile(entry)
        with open(BUSYBOX, "rb") as busybox:
            _add(tar, "pod/busybox", busybox.read(), 0o755)
        _add(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    return buffer.getvalue()


def archive(machine: str) -> bytes:
    """The docker archive of the image for a machine, as uname names it."""
    layer = _layer()
    config = json.dumps(
        {
            "architecture": MACHINES[machine],
            "os": "linux",
            "config": {"Entrypoint": PAUSE, "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
        }
    ).encode()
    digest = hashlib.sha256(config).hexdigest()
    manifest = [{"Config": digest + ".json", "RepoTags": [NAME], "Layers": ["layer.tar"]}]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        _add(tar, "manifest.json", json.dumps(manifest).encode())
        _add(tar, digest + ".json", config)
        _add(tar, "layer.tar", layer)
    return buffer.getvalue()


if __name__ == "__main__":
    with open(sys.argv[1], "wb") as out:
        out.write(archive(os.uname().machine))
