"""The generated inventory: how Ansible connects to the lab's nodes. Layered over that of the topology, or another."""

from __future__ import annotations

import json
from typing import Any, Sequence

from lab.settings import Lab
from lab.topology import PEER_PORT, Node, Topology

# The nodes that the topology's inventory describes already.
EXAMPLE_NODES = 3
# A machine outside, by each family that the example inventory gives pods addresses of.
_OUTSIDE = (
    "{{ (%s if '.' in pod_network_pod_cidr | string else []) + (%s if ':' in pod_network_pod_cidr | string else []) }}"
)


def _ssh_arguments(lab: Lab) -> str:
    proxy = "nsenter --net=/run/netns/%s nc %%h %%p" % lab.namespace("host")
    options = ["ProxyCommand='%s'" % proxy, "UserKnownHostsFile=%s" % (lab.ssh / "known_hosts"), "IdentitiesOnly=yes"]
    return " ".join("-o %s" % option for option in options)


def _host(node: Node) -> dict[str, Any]:
    host: dict[str, Any] = {"ansible_host": node.uplink_address}
    if node.index > EXAMPLE_NODES:
        host["pod_network_node_ip"] = node.node_address
        host["pod_network_pod_cidr"] = node.pod_cidr
    return host


def _verify(topology: Topology) -> dict[str, str]:
    if topology.verify_outside is None:
        return {}
    ipv4, ipv6 = topology.verify_outside
    return {"verify_outside": _OUTSIDE % (["%s:%d" % (ipv4, PEER_PORT)], ["[%s]:%d" % (ipv6, PEER_PORT)])}


def inventory(lab: Lab, topology: Topology, nodes: Sequence[Node]) -> dict[str, Any]:
    """The inventory as Ansible's YAML plugin reads it; nodes beyond the example's come with their pod network."""
    return {
        "k8s_cluster": {
            "vars": {
                "ansible_user": "root",
                "ansible_ssh_private_key_file": str(lab.ssh / "id_ed25519"),
                "ansible_ssh_common_args": _ssh_arguments(lab),
                "ansible_control_path_dir": str(lab.ssh / "cp"),
                "ansible_pipelining": True,
                "ansible_python_interpreter": "/usr/bin/python3",
                **_verify(topology),
            },
            "hosts": {node.name: _host(node) for node in nodes},
        }
    }


def _yaml(value: dict[str, Any], indent: int = 0) -> list[str]:
    lines = []
    for key, item in value.items():
        if isinstance(item, dict):
            lines += ["%s%s:" % (" " * indent, key), *_yaml(item, indent + 2)]
        else:
            # A JSON scalar is a YAML scalar.
            lines.append("%s%s: %s" % (" " * indent, key, json.dumps(item)))
    return lines


def text(lab: Lab, topology: Topology, nodes: Sequence[Node]) -> str:
    """The inventory as YAML."""
    return "\n".join(["---", *_yaml(inventory(lab, topology, nodes))]) + "\n"


def write(lab: Lab, topology: Topology, nodes: Sequence[Node]) -> None:
    """Write it where Lab.inventory says."""
    lab.inventory.parent.mkdir(parents=True, exist_ok=True)
    lab.inventory.write_text(text(lab, topology, nodes))
