"""Kubernetes, etcd, containerd, CoreDNS, and the tools cnitool, crictl and critest, built once and kept in the cache.

lab/go names the sources; Go's module proxy serves them, and the compiler too. HUMANZ_LAB_KUBERNETES names a directory
with the programs instead.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import tempfile
import time
import urllib.request
import zipfile
from pathlib import Path

from lab.settings import CACHE
from lab.shell import LabError, run, say

PROGRAMS = (
    "cnitool",
    "containerd",
    "containerd-shim-runc-v2",
    "coredns",
    "crictl",
    "critest",
    "ctr",
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
)
_SOURCES = Path(__file__).parent / "go"
_PROXY = os.environ.get("GOPROXY", "https://proxy.golang.org").split(",")[0].rstrip("/")
_GO = "golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64"
_GO_SHA256 = "30c2b1bf7dcc88d3eb0a1364e47ddd9128edb3110a30e8a0ef61cd5856b31de7"
_LINKER = {
    "kubernetes": "-X k8s.io/component-base/version.gitVersion=%(version)s"
    " -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34",
    "containerd": "-X github.com/containerd/containerd/v2/version.Version=%(version)s",
}
_VERSIONS = {"kubernetes": "v1.34.4", "containerd": "v2.2.9"}
_ATTEMPTS = 3  # as a module proxy may be out of breath
# containerd's snapshotters that need a C library or a device.
_TAGS = "no_btrfs,no_devmapper,no_zfs"


def _sources() -> list[Path]:
    return sorted(path for path in _SOURCES.rglob("*") if path.is_file())


def _digest() -> str:
    recipe = hashlib.sha256(repr((_GO_SHA256, _LINKER, _VERSIONS, _TAGS)).encode())
    for path in _sources():
        recipe.update(b"%s\0%s" % (str(path.relative_to(_SOURCES)).encode(), path.read_bytes()))
    return recipe.hexdigest()[:12]


def directory() -> Path:
    """The directory with PROGRAMS; builds them if they are nowhere. LabError if that cannot be done here."""
    given = os.environ.get("HUMANZ_LAB_KUBERNETES")
    place = Path(given) if given else CACHE / ("kubernetes-%s" % _digest())
    if not given and not place.exists():
        _build(place)
    missing = [name for name in PROGRAMS if not os.access(place / name, os.X_OK)]
    if missing:
        raise LabError("%s lacks the program %s" % (place, ", ".join(missing)))
    return place


def _build(place: Path) -> None:
    if platform.machine() != "x86_64":
        raise LabError("HUMANZ_LAB_KUBERNETES must name a directory with %s" % ", ".join(PROGRAMS))
    say("building Kubernetes %(kubernetes)s and containerd %(containerd)s (about ten minutes, once)" % _VERSIONS)
    started = time.monotonic()
    CACHE.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=str(CACHE), prefix="build-"))
    try:
        go = _compiler(scratch)
        (scratch / "bin").mkdir()
        for source in sorted(path for path in _SOURCES.iterdir() if path.is_dir()):
            say("compiling %s" % source.name)
            _compile(go, source, scratch)
        for older in CACHE.glob("kubernetes-*"):
            shutil.rmtree(older)
        (scratch / "bin").rename(place)
    finally:
        # Go makes its module cache read-only, which does not stop root.
        shutil.rmtree(scratch)
    say("Kubernetes is ready after %.0f s" % (time.monotonic() - started))


def _compiler(scratch: Path) -> Path:
    """Fetch Go from the module proxy, check that it is the one that is meant, and return the path of its command."""
    module, version = _GO.split("@")
    url = "%s/%s/@v/%s.zip" % (_PROXY, module, version)
    archive = scratch / "go.zip"
    try:
        with urllib.request.urlopen(url, timeout=120) as answer, archive.open("wb") as stream:
            shutil.copyfileobj(answer, stream)
    except OSError as error:
        raise LabError("%s cannot be fetched: %s; set GOPROXY or HUMANZ_LAB_KUBERNETES" % (url, error)) from error
    if hashlib.sha256(archive.read_bytes()).hexdigest() != _GO_SHA256:
        raise LabError("%s is not the file that was expected" % url)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(scratch)
    archive.unlink()
    for program in [*(scratch / _GO / "bin").iterdir(), *(scratch / _GO / "pkg/tool/linux_amd64").iterdir()]:
        program.chmod(0o755)
    return scratch / _GO / "bin/go"


def _compile(go: Path, source: Path, scratch: Path) -> None:
    """Build what the module *source* names as its tools, and its own programs."""
    linker = "-s -w " + _LINKER.get(source.name, "") % {"version": _VERSIONS.get(source.name)}
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOCACHE": str(scratch / "cache"),
        "GOFLAGS": "-mod=readonly -trimpath",
        "GOPATH": str(scratch / "modules"),
        "GOTOOLCHAIN": "local",
    }
    # The linker leaves out what debuggers read (-s -w); that the compiler does not write it saves a tenth of the time,
    # and that it puts no function into its callers (-l) a fifth.
    options = ["-tags", _TAGS, "-gcflags=all=-dwarf=false -l", "-ldflags", linker, "-o", "%s/" % (scratch / "bin")]
    argv = [str(go), "build", "-C", str(source), *options, "tool", "./..."]
    for attempt in range(_ATTEMPTS):
        # What is fetched and compiled stays for the next attempt.
        done = run(argv, env=environment, check=attempt + 1 == _ATTEMPTS)
        if done.returncode == 0:
            return
        say("trying again: %s" % done.stderr.strip().splitlines()[-1])
