"""Where a lab keeps what, and what its things are called."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from lab.shell import LabError

DEFAULT_NAME = "humanz-lab"
DEFAULT_SUITE = "bookworm"
# podman's storage with the node images; everything in it can be built again.
CACHE = Path(os.environ.get("HUMANZ_LAB_CACHE", "/var/cache/humanz-lab"))
STATE = Path(os.environ.get("HUMANZ_LAB_STATE", "/var/lib/humanz-lab"))
RUN = Path("/run/humanz-lab")
# Cgroups of all containers of all labs, below each controller's root.
CGROUP = "humanz-lab"


@dataclass(frozen=True)
class Lab:
    """One lab by name. Names of namespaces and containers start with it, so labs live side by side."""

    name: str = DEFAULT_NAME

    def __post_init__(self) -> None:
        # The name is part of the path of ssh's control sockets, which has a limit of about 100 bytes.
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,23}", self.name):
            raise LabError("--name %s: must be 1 to 24 of a-z, 0-9 and -, starting with a letter" % self.name)

    @property
    def state(self) -> Path:
        """The directory that exists exactly while the lab does."""
        return STATE / self.name

    @property
    def record(self) -> Path:
        """JSON: what the lab is made of.

        {"topology": str, "suite": str, "services": bool, "kubernetes": path of its programs or None,
        "nodes": [index, ...]}
        """
        return self.state / "lab.json"

    @property
    def etc(self) -> Path:
        """Every node's /etc/lab, read-only there: host key, authorized_keys, hosts, resolv.conf."""
        return self.state / "etc"

    @property
    def ssh(self) -> Path:
        """The controller's side of SSH: id_ed25519, known_hosts, control sockets in cp/."""
        return self.state / "ssh"

    @property
    def inventory(self) -> Path:
        """The generated inventory, to be layered over the topology's."""
        return self.state / "inventory" / "hosts.yml"

    def container(self, node: str) -> str:
        """The podman container of a node."""
        return "%s.%s" % (self.name, node)

    def namespace(self, place: str) -> str:
        """The network namespace of a node, of ``host`` (switches and router), ``outside`` or ``lan-host``."""
        return "%s.%s" % (self.name, place)

    def data(self, node: str) -> Path:
        """What a node has in /var/lib of programs that need the machine's own file system, a directory each."""
        return self.state / "nodes" / node
