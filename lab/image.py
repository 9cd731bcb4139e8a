"""The node image: a Debian with systemd, containerd and sshd, built from packages, as no registry is asked."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Iterator

from lab.podman import image_exists, podman
from lab.settings import CACHE
from lab.shell import run, say

_FILES = Path(__file__).parent / "node"
_MIRROR = os.environ.get("HUMANZ_LAB_MIRROR", "http://deb.debian.org/debian")
# python3-grpcio is for the lab's own CRI client. pyroute2 is missing on purpose: the role brings it.
_PACKAGES = [
    "systemd-sysv",
    "openssh-server",
    "containerd",
    "containernetworking-plugins",
    "ca-certificates",
    "python3",
    "python3-grpcio",
    "iproute2",
    "iptables",
    "nftables",
    "conntrack",
    "kmod",
    "procps",
    "iputils-ping",
    "curl",
    "netcat-openbsd",
    "tcpdump",
    "busybox-static",
]
# sysctl.d: a privileged node would set the machine's own kernel.* and fs.*.
_EXCLUDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/lib/sysctl.d/*")
# What would reach for the machine's consoles, kernel log and mounts, or run at night in a lab.
_MASKED = [
    "getty.target",
    "console-getty.service",
    "systemd-logind.service",
    "systemd-journald-audit.socket",
    "systemd-binfmt.service",
    "proc-sys-fs-binfmt_misc.automount",
    "systemd-modules-load.service",
    "systemd-remount-fs.service",
    "dev-hugepages.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "sys-fs-fuse-connections.mount",
    "systemd-pstore.service",
    "systemd-random-seed.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
]
# Units that do nothing on a node whose /opt/kubernetes is empty.
_KUBERNETES = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"]
_HOOKS = (
    'tar -C "$1" -x -f %(files)s',
    'rm -f "$1"/etc/ssh/ssh_host_* "$1"/etc/machine-id "$1"/etc/hosts "$1"/etc/hostname',
    'ln -s /etc/lab/hosts "$1"/etc/hosts',
    ': > "$1"/etc/machine-id',
    ': > "$1"/etc/resolv.conf',
    'mkdir -p "$1"/opt/cni/bin "$1"/etc/cni/net.d "$1"/opt/kubernetes',
    'ln -s -t "$1"/opt/cni/bin $(cd "$1" && echo usr/lib/cni/* | sed "s,usr/,/usr/,g")',
    'for unit in %(masked)s; do ln -sf /dev/null "$1"/etc/systemd/system/"$unit"; done',
    'chroot "$1" systemctl enable -q containerd.service ssh.service lab-boot-id.service lab-pod-image.service'
    " lab-kernel-settings.service %(kubernetes)s",
    'chroot "$1" python3 -I /usr/local/lib/lab/pod_image.py /usr/local/lib/lab/pod.tar',
)


def files_tar(tree: Path) -> bytes:
    """The files below *tree* as a tar that is the same for the same content: owned by root, without times."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(p for p in tree.rglob("*") if p.is_file() and "__pycache__" not in p.parts):
            entry = tarfile.TarInfo(str(path.relative_to(tree)))
            entry.size, entry.mode = path.stat().st_size, 0o644
            tar.addfile(entry, io.BytesIO(path.read_bytes()))
    return buffer.getvalue()


def name(suite: str) -> str:
    """The image's name, with a digest of all that it is made from but the packages' versions."""
    recipe = repr((suite, _PACKAGES, _EXCLUDED, _MASKED, _KUBERNETES, _HOOKS)).encode() + files_tar(_FILES)
    return "localhost/humanz-lab-%s:%s" % (suite, hashlib.sha256(recipe).hexdigest()[:12])


def build(suite: str, again: bool = False) -> str:
    """Build the image unless podman's storage has it; returns its name."""
    image = name(suite)
    if image_exists(image) and not again:
        return image
    say("building the node image from Debian %s's packages (about a minute, once)" % suite)
    started = time.monotonic()
    with scratch_directory() as scratch:
        rootfs = os.path.join(scratch, "node.tar")
        run(_mmdebstrap(suite, scratch, rootfs))
        say("importing it into podman's storage in %s" % CACHE)
        podman("import", "--quiet", rootfs, image)
    remove_older(image)
    say("image %s is ready after %.0f s" % (image, time.monotonic() - started))
    return image


@contextlib.contextmanager
def scratch_directory() -> Iterator[str]:
    """A directory in the cache for the time of a build."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=str(CACHE), prefix="build-") as scratch:
        # mmdebstrap's own user must be able to enter it.
        os.chmod(scratch, 0o755)
        yield scratch


def _mmdebstrap(suite: str, scratch: str, rootfs: str) -> list[str]:
    files = os.path.join(scratch, "files.tar")
    Path(files).write_bytes(files_tar(_FILES))
    values = {"files": files, "masked": " ".join(_MASKED), "kubernetes": " ".join(_KUBERNETES)}
    return [
        "mmdebstrap",
        "--quiet",
        "--mode=root",
        "--variant=minbase",
        "--include=%s" % ",".join(_PACKAGES),
        "--keyring=/usr/share/keyrings/debian-archive-keyring.gpg",
        *("--dpkgopt=path-exclude=%s" % pattern for pattern in _EXCLUDED),
        *("--customize-hook=%s" % (hook % values) for hook in _HOOKS),
        suite,
        rootfs,
        _MIRROR,
    ]


def remove_older(image: str) -> None:
    """Delete the images that *image* takes the place of."""
    repository = image.rsplit(":", 1)[0]
    for other in podman("images", "--format", "{{.Repository}}:{{.Tag}}", repository).split():
        if other != image:
            # Refused, and rightly, while a container of another lab runs from it.
            podman("rmi", other, check=False)
