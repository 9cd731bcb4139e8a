# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventory from the Node objects of a Kubernetes cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
name: kubernetes_nodes
short_description: Read nodes, pod CIDRs and node IPs from a Kubernetes cluster
version_added: 0.1.0
description:
  - Makes a host of every node of a Kubernetes cluster and gives it the variables that the role
    P(humanz.cni.pod_network#role) needs of each host, so that you need not type them.
  - Reads the nodes from the Kubernetes API, or from a file that C(kubectl) saved.
  - The source is a YAML file whose name ends in C(kubernetes_nodes.yml) or C(kubernetes_nodes.yaml).
  - Sets C(pod_network_pod_cidr) and C(pod_network_node_ip), which another source or C(host_vars) may set too. What the
    cluster says stays in C(kubernetes_pod_cidrs) and C(kubernetes_internal_ips), and
    M(humanz.cni.cluster_plan) reports where they disagree.
  - Sets C(kubernetes_labels), and C(kubernetes_nodes_group) to O(group).
  - Uses of a node only what has exactly the form that Kubernetes gives it, marked unsafe. What has not is in
    C(kubernetes_faults) of that host, and a problem of M(humanz.cni.cluster_plan). So is a node whose name is that of a
    group or of the controller, which becomes no host, in C(kubernetes_nodes_left_out) of O(group).
extends_documentation_fragment:
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
options:
  plugin:
    description: Says that the file is a source of this plugin.
    type: str
    required: true
    choices: [humanz.cni.kubernetes_nodes]
  kubeconfig:
    description:
      - The path of a kubeconfig file, or several with colons between them. A path that is not absolute is
        relative to the inventory source.
      - By default C(~/.kube/config), or else C(/etc/kubernetes/admin.conf).
      - Client certificates and bearer tokens are supported, and sent by TLS only. For a user of another kind, such as
        one with C(exec), save the nodes and use O(nodes_file).
    type: str
    env:
      - name: KUBECONFIG
  context:
    description: The context of the kubeconfig file. By default its current one.
    type: str
  nodes_file:
    description:
      - The path of a file written by C(kubectl get nodes --output=json), in place of the API. A path that is not
        absolute is relative to the inventory source.
      - Do not put it into a directory that is an inventory itself, as Ansible would read it as a source of its own.
    type: str
  timeout:
    description: How long to wait for each answer of the API server, in seconds.
    type: int
    default: 30
  group:
    description: The group that gets all nodes. Where it has another name, set C(pod_network_group) to it too.
    type: str
    default: k8s_cluster
  control_plane_group:
    description: The group that gets the nodes of the control plane. None if empty.
    type: str
    default: k8s_control_plane
  node_ip_from_internal_ip:
    description:
      - Whether C(pod_network_node_ip) is the node's InternalIP; the first one of each address family that its pod CIDRs
        have.
      - With V(false), where the nodes reach each other by other addresses than their InternalIPs, neither it nor
        C(kubernetes_internal_ips) is set.
    type: bool
    default: true
  ansible_host_from_internal_ip:
    description:
      - Whether C(ansible_host) is the node's first InternalIP. Leave it at V(false) where another source has it, or
        where the nodes' names can be resolved.
    type: bool
    default: false
notes:
  - Unless told otherwise, Ansible goes on without a source that cannot be read. Set C(any_unparsed_is_failed) in the
    section C([inventory]) of C(ansible.cfg) to stop there. In any case M(humanz.cni.cluster_plan) refuses to plan
    then.
seealso:
  - name: Inventory from the cluster
    description: What an inventory with this source consists of, and what the plan compares.
    link: https://github.com/humanz/ansible-cni/blob/main/docs/inventory-from-the-cluster.md
  - module: humanz.cni.cluster_plan
author:
  - The humanz.cni maintainers (@humanz)
"""

EXAMPLES = r"""
# kubernetes_nodes.yml: the cluster that kubectl talks to
plugin: humanz.cni.kubernetes_nodes

---
# prod.kubernetes_nodes.yml: a cluster of several, reached by SSH at the nodes' InternalIPs
plugin: humanz.cni.kubernetes_nodes
kubeconfig: ~/.kube/config
context: kubernetes-admin@prod
group: prod_nodes
ansible_host_from_internal_ip: true

---
# kubernetes_nodes.yml: without access to the API, after kubectl get nodes --output=json > nodes.json
plugin: humanz.cni.kubernetes_nodes
nodes_file: ../nodes.json

---
# kubernetes_nodes.yml: groups such as zone_a by label, an address by which SSH connects, and a cache
plugin: humanz.cni.kubernetes_nodes
keyed_groups:
  - prefix: zone
    key: kubernetes_labels['topology.kubernetes.io/zone']
compose:
  ansible_host: inventory_hostname ~ '.example.com'
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/kubernetes_nodes
cache_timeout: 600
"""

import os
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError, AnsibleParserError
from ansible.inventory.group import to_safe_group_name
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.unsafe_proxy import wrap_var

from ..module_utils._shared.ip_addresses import shown
from ..module_utils._shared.texts import some_of
from ..plugin_utils._kubernetes import kubeconfig
from ..plugin_utils._kubernetes import nodes as kubernetes_nodes
from ..plugin_utils._kubernetes.api import list_nodes

SHOWN = 20  # nodes that a warning names
_TAKEN = "is the name of a host or of a group that a label must not choose: give this entry a prefix"


class _TakenError(AnsibleParserError):
    """A label would choose a group that is not for labels to choose; holds its name."""


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Hosts from Node objects."""

    NAME = "humanz.cni.kubernetes_nodes"

    def verify_file(self, path: str) -> bool:
        """Return whether *path* is named as a source of this plugin."""
        return super().verify_file(path) and path.endswith(("kubernetes_nodes.yml", "kubernetes_nodes.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Add the cluster's nodes to *inventory*."""
        super().parse(inventory, loader, path, cache)
        try:
            self._parse(path, cache)
        except Exception as exc:
            # The source's hosts are missing now, and with them others would lose their routes: the plan refuses.
            group = self.inventory.add_group(self.get_option("group") or "k8s_cluster")
            self.inventory.set_variable(group, "kubernetes_nodes_unread", path)
            if isinstance(exc, AnsibleError):
                raise
            why = "%s: %s" % (type(exc).__name__, shown(exc))
            raise AnsibleParserError("%s: cannot be read (%s): see that it is as kubectl has it" % (path, why)) from exc

    def _parse(self, path: str, cache: bool) -> None:
        given = self._read_config_data(path)
        group = self.inventory.add_group(self._checked_group(given))
        items = self._items(given, path, cache)
        addresses = self.get_option("node_ip_from_internal_ip") or self.get_option("ansible_host_from_internal_ip")
        nodes, faults = kubernetes_nodes.read(items, self._taken_names(), addresses)
        if faults:
            # Without these nodes, others would lose their routes to them: the plan refuses.
            self.inventory.set_variable(group, "kubernetes_nodes_left_out", wrap_var(faults))
        for node in nodes:
            self._add(node, group)
        # All names of hosts must be known before a label names a group.
        for node in nodes:
            self._construct(node)
        self._warn(nodes, faults, path)

    def _taken_names(self) -> set[str]:
        """Return the names that are those of groups, which a host's variables would be set on, and the controller's."""
        groups = set(self.inventory.groups) | set(self.get_option("groups") or {})
        return groups | {self.get_option("control_plane_group")} | set(constants.LOCALHOST)

    def _checked_group(self, given: dict[str, Any]) -> str:
        """Return the option group, after a look at which options are *given*."""
        unknown = sorted(set(given) - set(self.get_options()))
        if unknown:
            raise AnsibleParserError(
                "no such option: %s: see 'ansible-doc -t inventory %s'" % (", ".join(unknown), self.NAME)
            )
        if given.get("nodes_file") and (given.get("kubeconfig") or given.get("context")):
            raise AnsibleParserError("nodes_file is read in place of the API: remove it, or kubeconfig and context")
        if not self.get_option("group"):
            raise AnsibleParserError("group is empty: must be the group that gets all nodes, such as k8s_cluster")
        return str(self.get_option("group"))

    def _items(self, given: dict[str, Any], path: str, cache: bool) -> list[dict[str, Any]]:
        """Return what is needed of the Node objects, from the file, from the cache or from the API."""
        directory = os.path.dirname(os.path.abspath(path))
        if self.get_option("nodes_file"):
            name = os.path.join(directory, os.path.expanduser(self.get_option("nodes_file")))
            return kubernetes_nodes.read_file(name)
        key = self.get_cache_key(path)
        cached = self.get_option("cache")
        if not (cached and cache and key in self._cache):
            items = self._from_api(given, directory)
            if not cached:
                return items
            self._cache[key] = items
        return [kubernetes_nodes.needed(item) for item in self._cache[key]]

    def _from_api(self, given: dict[str, Any], directory: str) -> list[dict[str, Any]]:
        paths = self.get_option("kubeconfig")
        if given.get("kubeconfig"):
            parts = [os.path.expanduser(part) for part in paths.split(os.pathsep)]
            paths = os.pathsep.join(os.path.join(directory, part) for part in parts)
        connection = kubeconfig.read(kubeconfig.find(paths), self.get_option("context"))
        return list_nodes(connection, self.get_option("timeout"), kubernetes_nodes.needed)

    def _add(self, node: kubernetes_nodes.Node, group: str) -> None:
        host = self.inventory.add_host(node.name, group)
        variables = kubernetes_nodes.variables(node, self.get_option("node_ip_from_internal_ip"))
        variables["kubernetes_nodes_group"] = group
        if self.get_option("ansible_host_from_internal_ip") and node.internal_ips:
            variables["ansible_host"] = node.internal_ips[0]
        for name, value in variables.items():
            self.inventory.set_variable(host, name, wrap_var(value))
        control_plane = self.get_option("control_plane_group")
        if control_plane and kubernetes_nodes.is_control_plane(node):
            self.inventory.add_child(self.inventory.add_group(control_plane), host)

    def _construct(self, node: kubernetes_nodes.Node) -> None:
        host, strict = node.name, self.get_option("strict")
        known = self.inventory.get_host(host).get_vars()
        self._set_composite_vars(self.get_option("compose"), known, host, strict)
        self._add_host_to_composed_groups(self.get_option("groups"), known, host, strict)
        try:
            self._add_host_to_keyed_groups(self.get_option("keyed_groups"), known, host, strict)
        except _TakenError as exc:
            node.faults.append({"value": "keyed_groups: %s" % shown(exc), "remedy": _TAKEN})
            self.inventory.set_variable(host, "kubernetes_faults", wrap_var(node.faults))

    def _compose(self, *args: Any, **options: Any) -> Any:
        """Return what an expression makes of a node's values; ansible-core before 2.19 would take it for a template."""
        return wrap_var(super()._compose(*args, **options))

    def _sanitize_group_name(self, name: str) -> str:
        """Return the name of a group, unless a label would choose one that is not for labels to choose.

        Those that the source itself names are the operator's choice.
        """
        safe = str(to_safe_group_name(name))
        named = {keyed.get("parent_group") for keyed in self.get_option("keyed_groups") or []}
        if not {name, safe} & (named | set(self.get_option("groups") or {})):
            own = {"all", "ungrouped", self.get_option("group"), self.get_option("control_plane_group")}
            if {name, safe} & (own | set(self.inventory.hosts)):
                raise _TakenError(name)
        return safe

    def _warn(self, nodes: list[kubernetes_nodes.Node], faults: list[kubernetes_nodes.Fault], path: str) -> None:
        found = [("", fault) for fault in faults]
        found += [("%s: " % node.name, fault) for node in nodes for fault in node.faults]
        lines = ["%s%s: %s" % (name, fault["value"], fault["remedy"]) for name, fault in found]
        if lines:
            self.display.warning(
                "%s: ignored in what the cluster says, and a problem of the plan: %s"
                % (path, some_of(lines, SHOWN, "; "))
            )
        if not nodes:
            self.display.warning("%s: the cluster has no nodes" % path)
        without = [node.name for node in nodes if not node.pod_cidrs]
        if without:
            self.display.warning(
                "%s: no podCIDR: %s. kube-controller-manager gives each node one with --allocate-node-cidrs and "
                "--cluster-cidr; without these, set pod_network_pod_cidr in the inventory."
                % (path, some_of(without, SHOWN))
            )
        without = [node.name for node in nodes if not node.internal_ips]
        if without and self.get_option("node_ip_from_internal_ip"):
            self.display.warning(
                "%s: no InternalIP: %s. kubelet reports one, see its --node-ip; without it, set pod_network_node_ip in "
                "the inventory." % (path, some_of(without, SHOWN))
            )
