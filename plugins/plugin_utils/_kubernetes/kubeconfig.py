# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubeconfig files: the API server's address and certificate authority, and the user's credentials.

What a kubeconfig file holds is in https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import base64
import os
from collections import namedtuple
from typing import Any
from urllib.parse import urlsplit

from ansible.errors import AnsibleParserError
from ansible.module_utils.common.yaml import yaml_load

DEFAULT_PATHS = ("~/.kube/config", "/etc/kubernetes/admin.conf")

WAY_OUT = (
    "save the nodes with 'kubectl get nodes --output=json > nodes.json' and name that file in the option nodes_file"
)

# What would need another program, or what open_url cannot do.
_UNSUPPORTED = {
    "cluster": ("proxy-url", "tls-server-name"),
    "user": ("exec", "auth-provider", "username", "password", "as", "as-uid", "as-groups", "as-user-extra"),
}
_PATHS = {"cluster": ("certificate-authority",), "user": ("client-certificate", "client-key", "tokenFile")}


class Pem(namedtuple("Pem", "path data")):
    """A certificate or a key: the *path* of its file, or None and the *data*, bytes."""

    __slots__ = ()


class Connection(namedtuple("Connection", "server verify authority certificate key token")):
    """How to reach an API server.

    *server* is its URL, *verify* whether its certificate must be right; *authority*, *certificate* and *key* are a Pem
    or None, *token* is a text or None.
    """

    __slots__ = ()


def find(paths: str | None) -> list[str]:
    """Return the kubeconfig files to read, from the colon-separated *paths* or, if None, from where kubectl looks.

    As with kubectl, of several paths those that do not exist are left out.
    """
    candidates = [os.path.expanduser(path) for path in (paths.split(os.pathsep) if paths else DEFAULT_PATHS) if path]
    found = [path for path in candidates if os.path.exists(path)]
    if not found:
        raise AnsibleParserError(
            "no kubeconfig file: %s does not exist: set the option kubeconfig, or %s"
            % (" or ".join(candidates), WAY_OUT)
        )
    return found if paths else found[:1]


def read(paths: list[str], context: str | None = None) -> Connection:
    """Return the Connection that the files *paths* describe for *context*, by default their current one.

    Of an entry that is in several files, the first counts; paths in a file are relative to that file.
    """
    merged: dict[str, Any] = {"cluster": {}, "context": {}, "user": {}, "current-context": None}
    for path in paths:
        _merge(merged, _load(path), path)
    name = context or merged["current-context"]
    if not name:
        raise AnsibleParserError(
            "%s has no current-context: set the option context, one of: %s"
            % (", ".join(paths), ", ".join(merged["context"]) or "none there")
        )
    chosen = _entry(merged, "context", name, paths)
    cluster = _entry(merged, "cluster", chosen.get("cluster"), paths)
    user = _entry(merged, "user", chosen["user"], paths) if chosen.get("user") else {}
    for kind, owner, entry in (("cluster", chosen.get("cluster"), cluster), ("user", chosen.get("user"), user)):
        for key in _UNSUPPORTED[kind]:
            if entry.get(key):
                raise AnsibleParserError(
                    "%s %s in %s: %s is not supported: %s" % (kind, owner, ", ".join(paths), key, WAY_OUT)
                )
    return _connection(cluster, user, "cluster %s" % chosen.get("cluster"), "user %s" % chosen.get("user"))


def _connection(cluster: dict[str, Any], user: dict[str, Any], cluster_name: str, user_name: str) -> Connection:
    server = str(cluster.get("server") or "")
    try:
        netloc = urlsplit(server).netloc
    except ValueError:  # such as [ without ]
        netloc = ""
    if not netloc or not server.startswith(("https://", "http://")):
        raise AnsibleParserError(
            "%s: server %r: must be the API server's URL, such as https://200.0.0.10:6443" % (cluster_name, server)
        )
    if "@" in netloc:
        raise AnsibleParserError("%s: server: must be a URL without user and password" % cluster_name)
    certificate = _pem(user, "client-certificate", user_name)
    key = _pem(user, "client-key", user_name)
    if (certificate is None) != (key is None):
        given, missing = ("client-key", "client-certificate") if key else ("client-certificate", "client-key")
        raise AnsibleParserError("%s: has a %s, and so must have a %s" % (user_name, given, missing))
    token = _token(user, user_name)
    if not server.startswith("https://") and (certificate or token):
        raise AnsibleParserError(
            "%s: server %s: has no TLS, and the credentials of %s must not be sent without: must be https://, or the "
            "context must have a user without credentials" % (cluster_name, server, user_name)
        )
    authority = _pem(cluster, "certificate-authority", cluster_name)
    return Connection(server.rstrip("/"), _verify(cluster, authority, cluster_name), authority, certificate, key, token)


def _verify(cluster: dict[str, Any], authority: Pem | None, owner: str) -> bool:
    """Return whether the server's certificate must be right. As with kubectl, what is unclear is an error."""
    insecure = cluster.get("insecure-skip-tls-verify") or False
    if not isinstance(insecure, bool):
        raise AnsibleParserError("%s: insecure-skip-tls-verify %r: must be true or false" % (owner, insecure))
    if insecure and authority:
        raise AnsibleParserError(
            "%s: has insecure-skip-tls-verify and a certificate-authority, which would not be looked at: must have one "
            "of them" % owner
        )
    return not insecure


def _load(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as stream:
            content = yaml_load(stream)
    except OSError as exc:
        raise AnsibleParserError("kubeconfig %s cannot be read: %s" % (path, exc.strerror)) from None
    except Exception as exc:  # PyYAML's own errors, and text that is not UTF-8
        raise AnsibleParserError("kubeconfig %s is not YAML: %s" % (path, str(exc).splitlines()[0])) from None
    if not isinstance(content, dict) or content.get("kind", "Config") != "Config":
        raise AnsibleParserError("%s is not a kubeconfig file: must have 'kind: Config'" % path)
    return content


def _merge(merged: dict[str, Any], content: dict[str, Any], path: str) -> None:
    merged["current-context"] = merged["current-context"] or content.get("current-context")
    for kind in ("cluster", "context", "user"):
        for item in content.get(kind + "s") or []:
            entry = item.get(kind) if isinstance(item, dict) else None
            if not isinstance(entry, dict) or not item.get("name"):
                raise AnsibleParserError(
                    "kubeconfig %s: each of %ss must have a name and a %s with keys" % (path, kind, kind)
                )
            entry = dict(entry)
            for key in _PATHS.get(kind, ()):
                if entry.get(key):
                    entry[key] = os.path.join(os.path.dirname(os.path.abspath(path)), entry[key])
            merged[kind].setdefault(item["name"], entry)


def _entry(merged: dict[str, Any], kind: str, name: Any, paths: list[str]) -> dict[str, Any]:
    try:
        entry: dict[str, Any] = merged[kind][name]
    except KeyError:
        raise AnsibleParserError(
            "%s has no %s %s: must be one of: %s"
            % (", ".join(paths), kind, name, ", ".join(map(str, merged[kind])) or "none there")
        ) from None
    return entry


def _pem(entry: dict[str, Any], key: str, owner: str) -> Pem | None:
    """Return the Pem of *key* or, if there is one, of *key*-data; None if there is neither."""
    data = entry.get(key + "-data")
    if data:
        try:
            return Pem(None, base64.b64decode(data, validate=True))
        except ValueError:
            raise AnsibleParserError("%s: %s-data: must be PEM in base64" % (owner, key)) from None
    path = entry.get(key)
    if path and not os.path.isfile(path):
        raise AnsibleParserError("%s: %s %s: there is no such file" % (owner, key, path))
    return Pem(path, None) if path else None


def _token(user: dict[str, Any], owner: str) -> str | None:
    path = user.get("tokenFile")
    if not path:
        return user.get("token") or None
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read().strip()
    except OSError as exc:
        raise AnsibleParserError("%s: tokenFile %s: %s" % (owner, path, exc.strerror)) from None
