# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubeconfig files: what they say of server and user, several of them, and what is wrong with one."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleParserError

from ansible_collections.humanz.cni.plugins.plugin_utils._kubernetes import kubeconfig
from ansible_collections.humanz.cni.plugins.plugin_utils._kubernetes.kubeconfig import Connection, Pem, find, read

PEM = base64.b64encode(b"PEM").decode()


def config(directory: Path, name: str = "config", **changes: Any) -> str:
    """Write a kubeconfig file of one context, with *changes* to its top-level keys; return its path."""
    content = {
        "kind": "Config",
        "clusters": [{"name": "lab", "cluster": {"server": "https://200.0.0.10:6443"}}],
        "users": [{"name": "admin", "user": {"token": "secret"}}],
        "contexts": [{"name": "admin@lab", "context": {"cluster": "lab", "user": "admin"}}],
        "current-context": "admin@lab",
    }
    path = directory / name
    path.write_text(yaml.safe_dump({**content, **changes}))
    return str(path)


def users(**user: Any) -> list[dict[str, Any]]:
    return [{"name": "admin", "user": {key.replace("_", "-"): value for key, value in user.items()}}]


def clusters(**cluster: Any) -> list[dict[str, Any]]:
    changed = {"server": "https://h", **{key.replace("_", "-"): value for key, value in cluster.items()}}
    return [{"name": "lab", "cluster": changed}]


def test_server_and_user_of_the_current_context(tmp_path: Path) -> None:
    expected = Connection("https://200.0.0.10:6443", True, None, None, None, "secret")
    assert read([config(tmp_path)]) == expected


def test_data_come_before_files(tmp_path: Path) -> None:
    user = users(client_certificate="gone.crt", client_certificate_data=PEM, client_key_data=PEM)
    connection = read([config(tmp_path, users=user, clusters=clusters(certificate_authority_data=PEM))])
    assert connection[2:] == (Pem(None, b"PEM"), Pem(None, b"PEM"), Pem(None, b"PEM"), None)


def test_paths_are_relative_to_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pki").mkdir()
    for name in ("ca.crt", "admin.crt", "admin.key"):
        (tmp_path / "pki" / name).write_text("")
    user = users(client_certificate="pki/admin.crt", client_key=str(tmp_path / "pki/admin.key"))
    config(tmp_path, users=user, clusters=clusters(certificate_authority="pki/ca.crt"))
    monkeypatch.chdir(tmp_path)
    connection = read(["config"])
    assert connection.authority == Pem(str(tmp_path / "pki/ca.crt"), None)
    assert connection.certificate == Pem(str(tmp_path / "pki/admin.crt"), None)
    assert connection.key == Pem(str(tmp_path / "pki/admin.key"), None)


def test_of_several_files_the_first_that_has_an_entry_counts(tmp_path: Path) -> None:
    first = config(tmp_path, "first", clusters=[], users=users(token="first"))
    second = config(tmp_path, "second", users=users(token="second"), **{"current-context": "other"})
    assert read([first, second])[::5] == ("https://200.0.0.10:6443", "first")


def test_another_context_may_be_chosen(tmp_path: Path) -> None:
    contexts = [{"name": "a", "context": {}}, {"name": "b", "context": {"cluster": "lab"}}]
    assert read([config(tmp_path, contexts=contexts)], "b").token is None


def test_without_credentials_a_server_may_be_that_of_kubectl_proxy(tmp_path: Path) -> None:
    proxy = clusters(server="http://127.0.0.1:8001")
    assert read([config(tmp_path, clusters=proxy, users=users(token=""))]).token is None


def test_files_are_looked_for_where_kubectl_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".kube").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(kubeconfig, "DEFAULT_PATHS", ("~/.kube/config", str(tmp_path / "admin.conf")))
    with pytest.raises(AnsibleParserError, match=r"config or .*/admin.conf does not exist: set the option kubeconfig"):
        find(None)
    admin = config(tmp_path, "admin.conf")
    assert find(None) == [admin]
    own = config(tmp_path / ".kube")
    assert find(None) == [own]
    assert find("/nowhere:%s:%s" % (admin, own)) == [admin, own]
    with pytest.raises(AnsibleParserError, match=r"/nowhere does not exist: set the option kubeconfig, or save the"):
        find("/nowhere")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"kind": "Pod"}, "is not a kubeconfig file: must have 'kind: Config'", id="another kind"),
        pytest.param({"current-context": ""}, "has no current-context: set the option context, one of: admin@lab"),
        pytest.param({"current-context": "gone"}, "has no context gone: must be one of: admin@lab"),
        pytest.param({"clusters": []}, "has no cluster lab: must be one of: none there"),
        pytest.param({"users": [{"name": "x", "user": {}}]}, "has no user admin: must be one of: x"),
        pytest.param({"users": ["x"]}, "each of users must have a name and a user with keys", id="a text as user"),
        pytest.param(
            {"clusters": clusters(server="https://[::1:6443")},
            r"cluster lab: server 'https://\[::1:6443': must be the API server's URL, such as",
        ),
        pytest.param({"clusters": clusters(server="h:6443")}, "cluster lab: server 'h:6443': must be the API server's"),
        pytest.param(
            {"clusters": clusters(server="http://h")},
            "cluster lab: server http://h: has no TLS, and the credentials of user admin must not be sent without: must"
            " be https://, or the context must have a user without credentials",
        ),
        pytest.param(
            {
                "clusters": clusters(server="http://h"),
                "users": users(client_certificate_data=PEM, client_key_data=PEM),
            },
            "has no TLS, and the credentials of user admin must not",
            id="a client certificate by http",
        ),
        pytest.param(
            {"clusters": clusters(server="https://me:secret@h")},
            "cluster lab: server: must be a URL without user and password$",
            id="a password in the URL",
        ),
        pytest.param(
            {"clusters": clusters(insecure_skip_tls_verify="false")},
            "cluster lab: insecure-skip-tls-verify 'false': must be true or false",
        ),
        pytest.param(
            {"clusters": clusters(insecure_skip_tls_verify=True, certificate_authority_data=PEM)},
            "cluster lab: has insecure-skip-tls-verify and a certificate-authority, which would not be looked at",
        ),
        pytest.param({"users": users(username="a", password="b")}, "user admin in .*: username is not supported"),
        pytest.param({"clusters": clusters(proxy_url="http://p")}, "cluster lab in .*: proxy-url is not supported"),
        pytest.param(
            {"users": users(exec={"command": "aws"})},
            r"user admin in .*/config: exec is not supported: save the nodes with 'kubectl get nodes --output=json > "
            r"nodes.json' and name that file in the option nodes_file",
            id="exec",
        ),
        pytest.param(
            {"users": users(auth_provider={"name": "oidc"})}, "auth-provider is not supported: save the nodes"
        ),
        pytest.param(
            {"users": users(client_key_data=PEM)}, "user admin: has a client-key, and so must have a client-c"
        ),
        pytest.param({"users": users(client_certificate_data="?")}, "user admin: client-certificate-data: must be PEM"),
        pytest.param({"users": users(client_certificate="x")}, "client-certificate .*/x: there is no such file"),
        pytest.param({"users": users(tokenFile="x")}, "user admin: tokenFile .*/x: No such file"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    with pytest.raises(AnsibleParserError, match=expected):
        read([config(tmp_path, **changes)])


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(AnsibleParserError, match=re.escape("kubeconfig %s cannot be read: Is a directory" % tmp_path)):
        read([str(tmp_path)])
    (tmp_path / "config").write_text("a: [")
    with pytest.raises(AnsibleParserError, match=r"kubeconfig .*/config is not YAML: while parsing"):
        read([str(tmp_path / "config")])
