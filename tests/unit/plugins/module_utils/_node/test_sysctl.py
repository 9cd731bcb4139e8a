# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel parameters and modules: names, files, what is remembered; with a kernel made of plain files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.humanz.cni.plugins.module_utils._node import kernel_modules, sysctl, sysctl_files
from ansible_collections.humanz.cni.plugins.module_utils._node.kernel_settings import KernelSettings
from ansible_collections.humanz.cni.plugins.module_utils._shared.converge import ConvergeError

BRIDGE = "net.bridge.bridge-nf-call-iptables"
ARP = "net.bridge.bridge-nf-call-arptables"
CONNTRACK = "net.netfilter.nf_conntrack_max"
WANTED = {"net.ipv4.ip_forward": "1", BRIDGE: "1"}


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"),
        ("net.ipv4.conf.eth0/100.forwarding", "/proc/sys/net/ipv4/conf/eth0.100/forwarding"),
    ],
)
def test_path_of(key: str, path: str) -> None:
    assert sysctl.path_of(key) == path
    assert sysctl.KEY.match(key)


@pytest.mark.parametrize("key", ["", "net", "net..x", "net.//.x", "net./.x", "/etc/passwd", "net.x y", "net.x\n"])
def test_no_key(key: str) -> None:
    assert not sysctl.KEY.match(key)


def test_parse() -> None:
    text = """\
# a.b = 1
; a.b = 1
a.b = 2
-c.d=3\t 4
net/ipv4/conf/eth0.100/forwarding = 1
net.ipv4.conf.*.rp_filter = 2
-net.ipv4.conf.hub0.rp_filter
nonsense
"""
    assert sysctl_files.parse(text) == [
        (3, "a.b", "2"),
        (4, "c.d", "3 4"),
        (5, "net.ipv4.conf.eth0/100.forwarding", "1"),
        (6, "net.ipv4.conf.*.rp_filter", "2"),
        (7, "net.ipv4.conf.hub0.rp_filter", None),
    ]


OURS = "99-ours.conf"
UPLINK = "net.ipv4.conf.eth0.forwarding"
FILES = {
    "of one interface": ({"99-zz.conf": f"{UPLINK}=0"}, [("99-zz.conf", UPLINK, True)]),
    "of one interface, read before": ({"50-a.conf": f"{UPLINK}=0"}, [("50-a.conf", UPLINK, False)]),
    "of all interfaces": (
        {"99-zz.conf": "net.ipv4.conf.all.forwarding=0"},
        [("99-zz.conf", "net.ipv4.ip_forward", True)],
    ),
    "of all interfaces, read before": (
        {"50-a.conf": "net.ipv4.conf.all.forwarding=0"},
        [("50-a.conf", "net.ipv4.ip_forward", False)],
    ),
    "of another interface": ({"99-zz.conf": "net.ipv4.conf.eth1.forwarding=0"}, []),
    "of a vendor, read before": ({"usr/50-default.conf": "net.ipv4.ip_forward=0"}, []),
    "of a vendor, read after": ({"usr/99-zz.conf": f"{BRIDGE}=0"}, [("usr/99-zz.conf", BRIDGE, True)]),
    "of what is only healed": (
        {"50-a.conf": "net.ipv6.conf.humanz*.accept_ra=2"},
        [("50-a.conf", "net.ipv6.conf.humanz-cni0.accept_ra", True)],
    ),
    "IPv6": (
        {"99-zz.conf": "net.ipv6.conf.all.forwarding=0"},
        [("99-zz.conf", "net.ipv6.conf.all.forwarding", True)],
    ),
    "room for more": ({"99-zz.conf": "net.ipv4.neigh.default.gc_thresh3=8192"}, []),
    "room for fewer": (
        {"99-zz.conf": "net.ipv4.neigh.default.gc_thresh3=1024"},
        [("99-zz.conf", "net.ipv4.neigh.default.gc_thresh3", True)],
    ),
    "other interfaces' IPv6": ({"99-zz.conf": "net.ipv6.conf.all.disable_ipv6=0"}, []),
}


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of files as in sysctl.d, with that of the vendor, usr, below it."""
    (tmp_path / "usr").mkdir()
    monkeypatch.setattr(sysctl_files, "DIRECTORIES", (str(tmp_path), str(tmp_path / "usr")))
    monkeypatch.setattr(sysctl_files, "VENDORS", (str(tmp_path / "usr"),))
    monkeypatch.setattr(sysctl_files, "SYSCTL_CONF", str(tmp_path / "none"))
    return tmp_path


@pytest.mark.parametrize(("files", "expected"), FILES.values(), ids=list(FILES))
def test_another_value_of_another_file_is_found(
    directory: Path, files: dict[str, str], expected: list[tuple[str, str, bool]]
) -> None:
    for name, text in files.items():
        (directory / name).write_text(text)
    keys = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", BRIDGE, UPLINK)
    wanted = {**dict.fromkeys(keys, "1"), "net.ipv4.neigh.default.gc_thresh3": "4096"}
    healed = {"net.ipv6.conf.humanz-cni0.accept_ra": "0", "net.ipv6.conf.humanz-cni0.disable_ipv6": "1"}
    found = sysctl_files.contraries(str(directory / OURS), wanted, healed)
    assert [(str(Path(one.setting.file).relative_to(directory)), one.key, one.wins) for one in found] == expected


def test_a_file_that_disables_ipv6_is_found(directory: Path) -> None:
    (directory / "10-a.conf").write_text("net.ipv6.conf.all.disable_ipv6 = 1\n")
    wanted = {"net.ipv6.conf.default.disable_ipv6": "0"}
    assert [one.wins for one in sysctl_files.contraries(str(directory / OURS), wanted, {}, ours=False)] == [True]
    (directory / "20-b.conf").write_text("net.ipv6.conf.default.disable_ipv6 = 0\n")
    assert not any(one.wins for one in sysctl_files.contraries(str(directory / OURS), wanted, {}, ours=False))


def test_follows() -> None:
    assert sysctl.follows("net.ipv4.conf.eth0/100.forwarding", ["net.ipv4.ip_forward"])
    assert not sysctl.follows("net.ipv4.conf.eth0.rp_filter", ["net.ipv4.ip_forward"])
    assert not sysctl.follows("net.ipv4.conf.eth0.forwarding", [BRIDGE])


def test_router_advertisements_are_let_in_first_and_shut_out_last() -> None:
    forwarding, one, accept = "net.ipv6.conf.all.forwarding", "net.ipv6.conf.a.forwarding", "net.ipv6.conf.a.accept_ra"
    assert sysctl.in_order({BRIDGE: "1", forwarding: "1", accept: "2"}) == [accept, BRIDGE, forwarding]
    assert sysctl.in_order({accept: "1", one: "1", forwarding: "0"}) == [forwarding, one, accept]


class Kernel:
    """A kernel below *root* whose bridge keys come with the module br_netfilter, 1 by default, as the kernel's do."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.commands = {"modprobe", "rmmod"}
        self.set("net.ipv4.ip_forward", "0")
        self.set("net.ipv4.conf.all.accept_redirects", "0")
        self.paths = {name: str(root / "etc" / name) for name in ("sysctl", "modules", "bridge", "before")}

    def set(self, key: str, value: str) -> None:
        path = Path(sysctl.path_of(key))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value + "\n")

    def module(self, name: str) -> Path:
        return self.root / "sys/module" / name

    def kmod(self, command: list[str]) -> tuple[int, str, str]:
        """Load or unload a module."""
        program, name = command
        if name not in KEYS_OF:
            return 1, "", f"{program}: FATAL: Module not found\n"
        if program == "rmmod":
            shutil.rmtree(self.module(name))
            for key in KEYS_OF[name]:
                Path(sysctl.path_of(key)).unlink()
            return 0, "", ""
        self.module(name).mkdir(parents=True)
        (self.module(name) / "refcnt").write_text("0\n")
        for key, value in KEYS_OF[name].items():
            self.set(key, value)
        return 0, "", ""

    def settings(self, sysctls: dict[str, str], *names: str) -> KernelSettings:
        modules = kernel_modules.Modules(self.kmod, lambda name: name if name in self.commands else None)
        return KernelSettings(modules, sysctls, list(names), {}, [], self.paths)

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file())


KEYS_OF = {
    "br_netfilter": {BRIDGE: "1", ARP: "1"},
    "nf_conntrack": {CONNTRACK: "65536"},
    "overlay": {},
}


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    monkeypatch.setattr(sysctl, "PROC_SYS", str(tmp_path / "proc"))
    monkeypatch.setattr(kernel_modules, "TRACES", {})
    monkeypatch.setattr(kernel_modules, "SYS_MODULE", str(tmp_path / "sys/module"))
    monkeypatch.setattr(kernel_modules, "DIRECTORIES", (str(tmp_path / "etc/modules-load.d"),))
    monkeypatch.setattr(kernel_modules, "MODULES", str(tmp_path / "etc/all-modules"))
    monkeypatch.setattr(sysctl_files, "DIRECTORIES", (str(tmp_path / "etc/sysctl.d"),))
    monkeypatch.setattr(sysctl_files, "SYSCTL_CONF", str(tmp_path / "etc/sysctl.conf"))
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


def farewell(settings: KernelSettings) -> str:
    """Converge and return what is said of it."""
    actual = settings.read()
    desired = settings.desired(actual)
    said = settings.result(actual, desired)["warnings"]
    settings.apply(actual, desired)
    assert settings.read() == desired
    return " ".join(said)


def test_absent_unloads_the_module_that_was_loaded_for_us(kernel: Kernel) -> None:
    before = kernel.files()
    converge(kernel.settings(WANTED, "br_netfilter"))
    kernel.set("net.ipv4.conf.all.accept_redirects", "1")  # as the kernel does when forwarding ends
    said = farewell(kernel.settings({}))
    assert said.startswith("kernel module br_netfilter, which was loaded for the pod network, is unloaded")
    assert kernel.files() == before
    assert sysctl.read("net.ipv4.ip_forward") == "0"
    assert sysctl.read("net.ipv4.conf.all.accept_redirects") == "0"
    assert not converge(kernel.settings({}))


def test_absent_leaves_a_module_that_was_there_before_us(kernel: Kernel) -> None:
    kernel.kmod(["modprobe", "br_netfilter"])
    before = kernel.files()
    converge(kernel.settings(WANTED, "br_netfilter"))
    assert farewell(kernel.settings({})) == ""
    assert kernel.files() == before
    assert sysctl.read(BRIDGE) == "1"


STAYS = {
    "in use": ("sys/module/br_netfilter/refcnt", "1", "it is in use", "0", "0"),
    "rules of others": ("sys/module/xt_physdev/refcnt", "1", "rules of iptables use the match physdev", "1", "1"),
    "somebody else's sysctls": ("etc/sysctl.d/k8s.conf", f"{BRIDGE}=1", "this node has no rmmod", "1", "0"),
    "no rmmod": ("etc/nothing", "", "this node has no rmmod", "0", "0"),
    "loaded by others": ("etc/modules-load.d/k8s.conf", "br-netfilter\n", "k8s.conf loads it at boot", "1", "1"),
}


@pytest.mark.parametrize(("path", "text", "why", "value", "arp"), STAYS.values(), ids=list(STAYS))
def test_a_module_that_stays_has_no_effect_that_it_would_not_have_without_us(
    kernel: Kernel, path: str, text: str, why: str, value: str, arp: str
) -> None:
    converge(kernel.settings(WANTED, "br_netfilter"))
    kernel.commands.remove("rmmod")
    (kernel.root / path).parent.mkdir(parents=True, exist_ok=True)
    (kernel.root / path).write_text(text)
    said = farewell(kernel.settings({}))
    assert f"br_netfilter, which was loaded for the pod network, stays loaded, as {why}" in said.replace(
        str(kernel.root / "etc/modules-load.d") + "/", ""
    )
    assert (sysctl.read(BRIDGE), sysctl.read(ARP)) == (value, arp)
    assert (f"{ARP} = 0 is set" in said or f"{ARP} = 0, " in said) == (arp == "0")
    assert not converge(kernel.settings({}))


def test_a_key_of_another_module_gets_the_kernels_default_back(kernel: Kernel) -> None:
    converge(kernel.settings({CONNTRACK: "1000"}, "nf_conntrack", "overlay"))
    (kernel.module("nf_conntrack") / "refcnt").write_text("3\n")
    assert "nf_conntrack, which was loaded for the pod network, stays loaded" in farewell(kernel.settings({}))
    assert sysctl.read(CONNTRACK) == "65536"
    assert not kernel.module("overlay").exists()


def test_a_failed_change_unloads_what_it_has_loaded(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    before = kernel.files()
    settings = kernel.settings(WANTED, "br_netfilter")
    actual = settings.read()
    with monkeypatch.context() as patch:
        patch.setattr(sysctl, "write", fail)
        with pytest.raises(ConvergeError, match="cannot be set"):
            converge(settings)
    settings.undo(actual)
    assert kernel.files() == before


def test_interface_that_is_gone_is_passed_over(kernel: Kernel) -> None:
    kernel.set("net.ipv4.conf.eth0.forwarding", "0")
    converge(kernel.settings({"net.ipv4.ip_forward": "1"}))
    Path(sysctl.path_of("net.ipv4.conf.eth0.forwarding")).unlink()
    assert converge(kernel.settings({}))


def fail(key: str, value: str) -> None:
    raise ConvergeError("sysctl %s cannot be set to %s" % (key, value))


def test_what_was_before_survives_a_failure(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sysctl, "write", fail)
        with pytest.raises(ConvergeError, match="cannot be set"):
            converge(kernel.settings(WANTED, "br_netfilter"))
    assert json.loads(Path(kernel.paths["before"]).read_text())["net.ipv4.ip_forward"] == "0"
    assert converge(kernel.settings(WANTED, "br_netfilter"))
    assert json.loads(Path(kernel.paths["before"]).read_text())["net.ipv4.ip_forward"] == "0"


def _without_modprobe(kernel: Kernel) -> KernelSettings:
    kernel.commands.clear()
    return kernel.settings(WANTED, "br_netfilter")


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


def test_built_in_module_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_modules, "_text", lambda path: "kernel/net/bridge/br-nosuch.ko\n")
    assert kernel_modules.is_loaded("br_nosuch")
    assert not kernel_modules.is_loaded("nosuch")
