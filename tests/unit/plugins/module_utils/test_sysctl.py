# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel parameters and modules: names, files, what is remembered; with a kernel made of plain files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.humanz.cni.plugins.module_utils import _sysctl
from ansible_collections.humanz.cni.plugins.module_utils._converge import ConvergeError
from ansible_collections.humanz.cni.plugins.module_utils._kernel_settings import KernelSettings

BRIDGE = "net.bridge.bridge-nf-call-iptables"
WANTED = {"net.ipv4.ip_forward": "1", BRIDGE: "1"}


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"),
        ("net.ipv4.conf.eth0/100.forwarding", "/proc/sys/net/ipv4/conf/eth0.100/forwarding"),
    ],
)
def test_path_of(key: str, path: str) -> None:
    assert _sysctl.path_of(key) == path
    assert _sysctl.KEY.match(key)


@pytest.mark.parametrize("key", ["", "net", "net..x", "net.//.x", "net./.x", "/etc/passwd", "net.x y", "net.x\n"])
def test_no_key(key: str) -> None:
    assert not _sysctl.KEY.match(key)


def test_parse() -> None:
    text = """\
# a.b = 1
; a.b = 1
a.b = 2
-c.d=3\t 4
net/ipv4/conf/eth0.100/forwarding = 1
net.ipv4.conf.*.rp_filter = 2
nonsense
"""
    assert _sysctl.parse(text) == [("a.b", "2"), ("c.d", "3 4"), ("net.ipv4.conf.eth0/100.forwarding", "1")]


def test_follows() -> None:
    assert _sysctl.follows("net.ipv4.conf.eth0/100.forwarding", ["net.ipv4.ip_forward"])
    assert not _sysctl.follows("net.ipv4.conf.eth0.rp_filter", ["net.ipv4.ip_forward"])
    assert not _sysctl.follows("net.ipv4.conf.eth0.forwarding", [BRIDGE])


def test_router_advertisements_are_let_in_first_and_shut_out_last() -> None:
    forwarding, one, accept = "net.ipv6.conf.all.forwarding", "net.ipv6.conf.a.forwarding", "net.ipv6.conf.a.accept_ra"
    assert _sysctl.in_order({BRIDGE: "1", forwarding: "1", accept: "2"}) == [accept, BRIDGE, forwarding]
    assert _sysctl.in_order({accept: "1", one: "1", forwarding: "0"}) == [forwarding, one, accept]


class Kernel:
    """A kernel below *root* whose bridge keys come with the module br_netfilter."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.set("net.ipv4.ip_forward", "0")
        self.set("net.ipv4.conf.all.accept_redirects", "0")
        self.paths = {name: str(root / "etc" / name) for name in ("sysctl", "modules", "bridge", "before")}

    def set(self, key: str, value: str) -> None:
        path = Path(_sysctl.path_of(key))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value + "\n")

    def modprobe(self, command: list[str]) -> tuple[int, str, str]:
        if command != ["/sbin/modprobe", "br_netfilter"]:
            return 1, "", "modprobe: FATAL: Module not found\n"
        self.set(BRIDGE, "1")
        return 0, "", ""

    def settings(
        self, sysctls: dict[str, str], *modules: str, modprobe: str | None = "/sbin/modprobe"
    ) -> KernelSettings:
        return KernelSettings(self.modprobe, modprobe, sysctls, list(modules), {}, self.paths)

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    monkeypatch.setattr(_sysctl, "PROC_SYS", str(tmp_path / "proc"))
    monkeypatch.setattr(_sysctl, "TRACES", {"br_netfilter": str(tmp_path / "proc/net/bridge")})
    return Kernel(tmp_path)


def converge(settings: KernelSettings) -> bool:
    """Converge as a module does and return whether that changed anything."""
    actual = settings.read()
    desired = settings.desired(actual)
    if actual != desired:
        settings.apply(actual, desired)
        assert settings.read() == desired
    return bool(actual != desired)


def test_module_that_is_not_loaded_yet_is_predicted(kernel: Kernel) -> None:
    settings = kernel.settings(WANTED, "br_netfilter")
    before = kernel.files()
    actual = settings.read()
    predicted = settings.desired(actual)
    assert actual["modules"] == {"br_netfilter": False}
    assert actual["sysctls"][BRIDGE] is None
    assert kernel.files() == before

    settings.apply(actual, predicted)
    assert settings.read() == predicted
    assert predicted["before"] == {
        BRIDGE: None,
        "net.ipv4.conf.all.accept_redirects": "0",
        "net.ipv4.ip_forward": "0",
    }
    assert not converge(kernel.settings(WANTED, "br_netfilter"))


def test_absent_leaves_the_module_and_its_keys(kernel: Kernel) -> None:
    converge(kernel.settings(WANTED, "br_netfilter"))
    kernel.set("net.ipv4.conf.all.accept_redirects", "1")  # as the kernel does when forwarding ends
    assert converge(kernel.settings({}))
    assert _sysctl.read("net.ipv4.ip_forward") == "0"
    assert _sysctl.read("net.ipv4.conf.all.accept_redirects") == "0"
    assert _sysctl.read(BRIDGE) == "1"
    assert not [path for path in kernel.files() if path.startswith("etc")]
    assert not converge(kernel.settings({}))


def test_interface_that_is_gone_is_passed_over(kernel: Kernel) -> None:
    kernel.set("net.ipv4.conf.eth0.forwarding", "0")
    converge(kernel.settings({"net.ipv4.ip_forward": "1"}))
    Path(_sysctl.path_of("net.ipv4.conf.eth0.forwarding")).unlink()
    assert converge(kernel.settings({}))


def test_what_was_before_survives_a_failure(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(key: str, value: str) -> None:
        raise ConvergeError("sysctl %s cannot be set to %s" % (key, value))

    with monkeypatch.context() as patch:
        patch.setattr(_sysctl, "write", fail)
        with pytest.raises(ConvergeError, match="cannot be set"):
            converge(kernel.settings(WANTED, "br_netfilter"))
    assert json.loads(Path(kernel.paths["before"]).read_text())["net.ipv4.ip_forward"] == "0"
    assert converge(kernel.settings(WANTED, "br_netfilter"))
    assert json.loads(Path(kernel.paths["before"]).read_text())["net.ipv4.ip_forward"] == "0"


def _without_modprobe(kernel: Kernel) -> KernelSettings:
    return kernel.settings(WANTED, "br_netfilter", modprobe=None)


def _unknown_module(kernel: Kernel) -> KernelSettings:
    return kernel.settings(WANTED, "nosuch")


def _unknown_key(kernel: Kernel) -> KernelSettings:
    return kernel.settings({"net.ipv4.nosuch": "1"})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_without_modprobe, "br_netfilter is not loaded, and this node has no modprobe"),
        (_unknown_module, "nosuch cannot be loaded into kernel .*Module not found"),
        (_unknown_key, "has no net.ipv4.nosuch"),
    ],
)
def test_errors(kernel: Kernel, make: Callable[[Kernel], KernelSettings], message: str) -> None:
    with pytest.raises(ConvergeError, match=message):
        converge(make(kernel))


@pytest.mark.parametrize("content", ["[]", "{", '{"../x": "1"}'])
def test_unreadable_memory_is_an_error(kernel: Kernel, content: str) -> None:
    path = Path(kernel.paths["before"])
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(ConvergeError, match=str(path)):
        kernel.settings(WANTED).read()


def test_built_in_module_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sysctl, "_text", lambda path: "kernel/net/bridge/br-nosuch.ko\n")
    assert _sysctl.is_loaded("br_nosuch")
    assert not _sysctl.is_loaded("nosuch")
