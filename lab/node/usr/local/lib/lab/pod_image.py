"""Writes the lab's images as a docker archive: ``python3 pod_image.py ARCHIVE``.

They hold a static busybox. Everything else that runs in a pod comes from the node's own /usr, which cri.py mounts into
the container read-only, so that pods have Python, curl, ping and ip for nothing.
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
# What is found in /usr where nothing is mounted over it.
COMMANDS = ("cat", "echo", "hostname", "netstat", "sh", "top")


def _web_server(port: int) -> list[str]:
    return ["/pod/busybox", "httpd", "-f", "-p", str(port), "-h", "/pod/www"]


def images(architecture: str) -> list[tuple[list[str], list[str]]]:
    """What runs by default, and the names of the images; most are those that critest asks for, as no registry is."""
    public = "registry.k8s.io/e2e-test-images/"
    return [
        (PAUSE, [NAME, public + "busybox:1.29-2"]),
        (_web_server(80), [public + "nginx:1.14-2", public + "httpd:2.4.39-4"]),
        (_web_server(12003), ["gcr.io/k8s-staging-cri-tools/hostnet-nginx-%s:latest" % architecture]),
    ]


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def _layer() -> bytes:
    """The root file system as a tar: busybox, mount points, and /bin, /lib, … as links into /usr."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("pod", "pod/www", "usr", "usr/bin", "etc", "etc/alternatives", "tmp", "root"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        links = {name: "usr/" + name for name in ("bin", "sbin", "lib", "lib64")}
        links.update(("usr/bin/" + name, "/pod/busybox") for name in COMMANDS)
        for name, target in links.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            tar.addfile(entry)
        with open(BUSYBOX, "rb") as busybox:
            _add(tar, "pod/busybox", busybox.read(), 0o755)
        _add(tar, "pod/www/index.html", b"Here is the lab.\n")
        _add(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")
    return buffer.getvalue()


def _config(architecture: str, entrypoint: list[str], layer: bytes) -> bytes:
    return json.dumps(
        {
            "architecture": architecture,
            "os": "linux",
            "config": {"Entrypoint": entrypoint, "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
        }
    ).encode()


def archive(machine: str) -> bytes:
    """The docker archive of the images for a machine, as uname names it."""
    layer, architecture, manifest = _layer(), MACHINES[machine], []
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        _add(tar, "layer.tar", layer)
        for entrypoint, names in images(architecture):
            config = _config(architecture, entrypoint, layer)
            file = hashlib.sha256(config).hexdigest() + ".json"
            _add(tar, file, config)
            manifest.append({"Config": file, "RepoTags": names, "Layers": ["layer.tar"]})
        _add(tar, "manifest.json", json.dumps(manifest).encode())
    return buffer.getvalue()


if __name__ == "__main__":
    with open(sys.argv[1], "wb") as out:
        out.write(archive(os.uname().machine))
