# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lists the nodes of a cluster by the Kubernetes API.

This plugin_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from http.client import HTTPException
from typing import Any, TypeVar
from urllib.error import HTTPError
from urllib.parse import urlencode

from ansible import constants
from ansible.errors import AnsibleParserError
from ansible.module_utils import urls

from .kubeconfig import WAY_OUT, Connection, Pem

Kept = TypeVar("Kept")
PAGE = 500  # nodes in an answer, as kubectl asks for
# Bytes of an answer: a node has 1.5 MB at most, as the server stores no larger object, and most have less than 0.05 MB.
LARGEST = 1 << 29
LARGEST_ERROR = 1 << 16
SHOWN = 500  # characters of what a server says

_GONE = 410  # the list that the page is of is no longer kept
_REMEDIES = {
    401: "the credentials in the kubeconfig file are not valid, or have expired",
    403: "the user must be allowed to list nodes: see 'kubectl auth can-i list nodes'",
    404: "the server in the kubeconfig file must be a Kubernetes API server",
}


def list_nodes(connection: Connection, timeout: float, keep: Callable[[dict[str, Any]], Kept]) -> list[Kept]:
    """Return what *keep* makes of each Node object of the cluster, in the server's order.

    A list of 1,000 nodes is tens of megabytes, so that it is asked for in pages, and only what *keep* returns is held.

    :param connection: a ``kubeconfig.Connection``.
    :param timeout: how long to wait for each answer, in seconds.
    :raises AnsibleParserError: naming the server, the reason and a remedy.
    """
    with _files(connection) as options:
        options["timeout"] = timeout
        try:
            return _pages(connection.server, options, keep, PAGE)
        except _Gone:
            # As client-go does: whoever is too slow for the pages gets the whole list at once.
            return _pages(connection.server, options, keep, None)


class _Gone(Exception):
    """The server no longer keeps the list that a further page was asked for of."""


def _pages(
    server: str, options: dict[str, Any], keep: Callable[[dict[str, Any]], Kept], size: int | None
) -> list[Kept]:
    kept = []
    query: dict[str, Any] = {"limit": size} if size else {}
    while True:
        page = _get("%s/api/v1/nodes?%s" % (server, urlencode(query)), options)
        if not isinstance(page, dict) or page.get("kind") != "NodeList":
            raise AnsibleParserError("%s does not answer with a list of nodes: %s" % (server, _REMEDIES[404]))
        kept += [keep(node) for node in page.get("items") or []]
        query["continue"] = (page.get("metadata") or {}).get("continue")
        if not query["continue"]:
            return kept


def _get(url: str, options: dict[str, Any]) -> Any:
    try:
        with urls.open_url(url, **options) as response:
            text = response.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise AnsibleParserError("%s answers with more than %d bytes: %s" % (url, LARGEST, _REMEDIES[404]))
        return json.loads(text)
    except HTTPError as exc:
        if exc.code == _GONE and "continue=" in url:
            raise _Gone from None
        remedy = _REMEDIES.get(exc.code, WAY_OUT)
        raise AnsibleParserError("%s answers %d %s: %s" % (url, exc.code, _message(exc), remedy)) from None
    except ValueError:
        raise AnsibleParserError("%s does not answer in JSON: %s" % (url, _REMEDIES[404])) from None
    except (OSError, HTTPException, urls.ConnectionError) as exc:
        raise AnsibleParserError(
            "%s cannot be reached (%s): check server and certificates in the kubeconfig file, or %s"
            % (url, getattr(exc, "reason", None) or exc, WAY_OUT)
        ) from None


def _message(error: HTTPError) -> Any:
    """Return what the API server says about an HTTPError, or else its reason."""
    try:
        return str(json.loads(error.read(LARGEST_ERROR))["message"])[:SHOWN]
    except (ValueError, KeyError, TypeError, OSError):
        return error.reason


@contextlib.contextmanager
def _files(connection: Connection) -> Iterator[dict[str, Any]]:
    """Give the options of open_url; certificates and keys lie in files of the user's own meanwhile."""
    with tempfile.TemporaryDirectory(prefix="humanz-cni-", dir=constants.DEFAULT_LOCAL_TMP) as directory:
        headers = {"Accept": "application/json"}
        if connection.token:
            headers["Authorization"] = "Bearer %s" % connection.token
        yield {
            "headers": headers,
            "validate_certs": connection.verify,
            "ca_path": _path(connection.authority, directory, "authority"),
            "client_cert": _path(connection.certificate, directory, "certificate"),
            "client_key": _path(connection.key, directory, "key"),
            # The token must go nowhere else, and nothing else in its place.
            "follow_redirects": "none",
            "use_netrc": False,
        }


def _path(pem: Pem | None, directory: str, name: str) -> str | None:
    if pem is None or pem.path:
        return pem.path if pem else None
    path = os.path.join(directory, name)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(pem.data)
    return path
