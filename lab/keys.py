"""SSH between controller and nodes: keys made for one lab, and ssh's connections closed when it ends.

Beside the nodes' keys lie the files by which they find names' addresses.
"""

from __future__ import annotations

from pathlib import Path

from lab.settings import Lab
from lab.shell import run
from lab.topology import MAX_NODES, Topology, nodes


def _keypair(path: Path, comment: str) -> str:
    """Make a key pair unless it is there; returns the public key's line."""
    if not path.exists():
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
    return path.with_name(path.name + ".pub").read_text()


def make(lab: Lab, topology: Topology) -> None:
    """Write the user's key, one host key for all nodes, known_hosts, authorized_keys, hosts and resolv.conf."""
    (lab.ssh / "cp").mkdir(parents=True, exist_ok=True)
    lab.etc.mkdir(parents=True, exist_ok=True)
    user = _keypair(lab.ssh / "id_ed25519", lab.name)
    host = _keypair(lab.etc / "ssh_host_ed25519_key", lab.name)
    (lab.etc / "authorized_keys").write_text(user)
    (lab.ssh / "known_hosts").write_text("* %s\n" % " ".join(host.split()[:2]))
    (lab.etc / "hosts").write_text(_hosts(topology))
    (lab.etc / "resolv.conf").write_text("".join("nameserver %s\n" % address for address in topology.resolvers))


def _hosts(topology: Topology) -> str:
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    return "\n".join(lines + ["%s %s" % (node.node_address, node.name) for node in nodes(topology, MAX_NODES)]) + "\n"


def disconnect(lab: Lab) -> None:
    """Close Ansible's persistent connections, which would outlive their nodes by a minute."""
    for socket in (lab.ssh / "cp").glob("*"):
        run(["ssh", "-o", "ControlPath=%s" % socket, "-O", "exit", "any"], check=False)
        socket.unlink(missing_ok=True)
