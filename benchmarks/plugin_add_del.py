# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long ADD and DEL take: this plugin beside containernetworking's bridge with host-local, in one interleaved run.

    python benchmarks/plugin_add_del.py [--count 40] [--plugin /opt/cni/bin/humanz-cni]

Needs root. Everything happens in network and mount namespaces that end with the run. Figures are medians over whole
processes, wall and CPU time in milliseconds; machines differ, so only the ratios to the reference mean anything.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import reference_plugins  # noqa: E402  (the directory must be on the path first)

IN_NAMESPACES = "HUMANZ_CNI_BENCHMARK"
RUNTIME_ARGS = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=benchmark"


@dataclass
class Candidate:
    """One plugin with one configuration, and the figures of its calls by operation: (wall, CPU, peak memory)."""

    name: str
    executable: Path
    conf: dict
    figures: dict = field(default_factory=lambda: {"ADD": [], "DEL": []})

    def call(self, command: str, container: str, netns: str, path: str) -> None:
        """Run one operation as a container runtime would, and note what it cost. Raises RuntimeError if it fails."""
        environment = {
            "CNI_COMMAND": command, "CNI_CONTAINERID": container, "CNI_NETNS": netns, "CNI_IFNAME": "eth0",
            "CNI_ARGS": RUNTIME_ARGS, "CNI_PATH": path, "PATH": os.environ["PATH"],
        }  # fmt: skip
        with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stdout:
            stdin.write(json.dumps(self.conf).encode())
            stdin.seek(0)
            actions = [
                (os.POSIX_SPAWN_DUP2, stdin.fileno(), 0),
                (os.POSIX_SPAWN_DUP2, stdout.fileno(), 1),
            ]
            started = time.perf_counter()
            child = os.posix_spawn(str(self.executable), [str(self.executable)], environment, file_actions=actions)
            _pid, status, usage = os.wait4(child, 0)
            wall = time.perf_counter() - started
            if status != 0:
                stdout.seek(0)
                raise RuntimeError("%s %s failed: %s" % (self.name, command, stdout.read().decode()))
        cpu = usage.ru_utime + usage.ru_stime
        self.figures[command].append((wall * 1e3, cpu * 1e3, usage.ru_maxrss / 1024))

    def median(self, command: str, column: int) -> float:
        """Return the median of one column of the figures of *command*."""
        return statistics.median(figure[column] for figure in self.figures[command])


def candidates(plugin: Path, reference: Path) -> list[Candidate]:
    """Return what is measured; each has a bridge and a pool of its own. The first is what ratios refer to."""
    return [
        _candidate("bridge + host-local", reference / "bridge", 1, {}),
        _candidate("bridge + host-local, ipMasq", reference / "bridge", 2, {"ipMasq": True}),
        _candidate("humanz-cni", plugin, 3, {}),
        _candidate("humanz-cni, dual stack", plugin, 4, {}, dual_stack=True),
        _candidate("bridge + host-local, dual stack", reference / "bridge", 5, {}, dual_stack=True),
    ]


def _candidate(name: str, executable: Path, number: int, further: dict, dual_stack: bool = False) -> Candidate:
    ranges = [[{"subnet": "100.100.%d.0/24" % number}]]
    routes = [{"dst": "0.0.0.0/0"}]
    if dual_stack:
        ranges.append([{"subnet": "fd00:100:%d::/64" % number}])
        routes.append({"dst": "::/0"})
    ipam = {"type": "host-local", "ranges": ranges, "routes": routes}
    if "humanz" not in executable.name:
        ipam["dataDir"] = "/run/reference"
    conf = {
        "cniVersion": "1.0.0", "name": "benchmark%d" % number, "type": executable.name, "bridge": "bench%d" % number,
        "isGateway": True, "hairpinMode": True, "ipam": ipam, **further,
    }  # fmt: skip
    return Candidate(name, executable, conf)


def measure(measured: list[Candidate], count: int, path: str) -> None:
    """Run ADD and DEL *count* times for each candidate in turn, and twice before for warm caches."""
    for number in range(-2, count):
        for position, candidate in enumerate(measured):
            name = "bench-%d-%d" % (position, number + 2)
            subprocess.run(["ip", "netns", "add", name], check=True)
            try:
                candidate.call("ADD", name, "/run/netns/" + name, path)
                candidate.call("DEL", name, "/run/netns/" + name, path)
            finally:
                subprocess.run(["ip", "netns", "delete", name], check=True)
        if number < 0:
            for candidate in measured:
                candidate.figures = {"ADD": [], "DEL": []}


def table(measured: list[Candidate]) -> str:
    """Return the figures as text, with ratios to the reference without and with ipMasq."""
    plain, masq = measured[0], measured[1]
    lines = ["%-33s %4s %8s %8s %8s %9s %9s" % ("", "", "wall ms", "CPU ms", "peak MB", "x plain", "x ipMasq")]
    for candidate in measured:
        for command in ("ADD", "DEL"):
            wall, cpu, memory = (candidate.median(command, column) for column in range(3))
            ratios = wall / plain.median(command, 0), wall / masq.median(command, 0)
            lines.append(
                "%-33s %4s %8.2f %8.2f %8.1f %9.2f %9.2f" % (candidate.name, command, wall, cpu, memory, *ratios)
            )
    return "\n".join(lines)


def enter_namespaces() -> None:
    """Run this program again in a network and mount namespace of its own, unless that is where it is."""
    if os.environ.get(IN_NAMESPACES):
        for command in (
            "mount --make-rprivate /", "mount -t sysfs none /sys", "mount -t tmpfs none /run",
            "mkdir /run/netns", "ip link set lo up",
        ):  # fmt: skip
            subprocess.run(command.split(), check=True)
        return
    os.environ[IN_NAMESPACES] = "1"
    os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, *sys.argv])


def install(directory: Path) -> Path:
    """Install the plugin of this checkout below *directory* and return its executable."""
    from install_plugin import install as install_here

    return install_here(directory)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=40, help="calls of each operation (default 40)")
    parser.add_argument("--plugin", type=Path, help="an installed humanz-cni; by default this checkout is installed")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("root is needed, for network namespaces")
    reference = reference_plugins.fetch()
    enter_namespaces()
    temporary = Path(tempfile.mkdtemp(prefix="humanz-cni-benchmark-"))
    try:
        plugin = arguments.plugin or install(temporary)
        measured = candidates(plugin, reference)
        measure(measured, arguments.count, "%s:%s" % (plugin.parent, reference))
        print(
            "reference: containernetworking plugins %s; %d calls each"
            % (reference_plugins.version(reference), arguments.count)
        )
        print(table(measured))
    finally:
        shutil.rmtree(temporary)


if __name__ == "__main__":
    main()
