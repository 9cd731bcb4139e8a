# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read, compare, apply, prove, or undo: the one shape of every module of this collection.

This module_util is private to the collection; its interface may change in any release.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import lock

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

    #: AnsibleModule.run_command: takes a command as a list; returns its exit code, its output and its error output.
    RunCommand = Callable[..., tuple[int, str, str]]

# Held by whatever of this collection changes the node: a module, or the repair.
LOCK = lock.Lock("node")
LOCK_SECONDS = 60


class ConvergeError(Exception):
    """A state that cannot be read or reached; the text is for the operator.

    :param message: names the value that is wrong and what would be right.
    :param facts: further return values for ``fail_json``.
    """

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.facts = facts


class Resource:
    """What a module converges. Subclasses say how it is read, compared and written.

    A *state* is any comparable value. ``read`` must not change anything; ``desired`` must not write
    anything; ``apply`` is called only outside check mode and only if the two differ.
    """

    def read(self) -> Any:
        """Return the node's actual state, as far as it is ours to manage."""
        raise ConvergeError("%s cannot be read" % type(self).__name__)

    def desired(self, actual: Any) -> Any:
        """Return the state wanted, given the actual one; raise ConvergeError if it must not be reached."""
        raise ConvergeError("%s has no desired state" % type(self).__name__)

    def render(self, state: Any) -> str:
        """Return the state as text in the syntax of the node's own tools, for the diff."""
        raise ConvergeError("%s cannot be shown" % type(self).__name__)

    def apply(self, actual: Any, desired: Any) -> None:
        """Make the node's state the desired one."""
        raise ConvergeError("%s cannot be written" % type(self).__name__)

    def undo(self, before: Any) -> None:
        """Make the node's state the one *before* again, where ``apply`` has failed halfway."""
        self.apply(self.read(), before)

    def result(self, actual: Any, desired: Any) -> dict[str, Any]:
        """Return further return values of the module, a dict; under ``warnings``, texts to be shown as such."""
        return {}


def converge(module: AnsibleModule, build: Callable[[AnsibleModule], Resource]) -> None:
    """Converge a resource and end the module.

    :param module: the AnsibleModule; its check mode and diff mode are honoured.
    :param build: called with the module, returns its Resource; raises ConvergeError for a wrong option.

    What was applied is read back; a state that is still another one is a failure, not a success. After a failure, what
    was changed is put back. Only one module at a time does all this on a node: two runs that meet there follow each
    other.
    """
    try:
        with LOCK.held(LOCK_SECONDS, module._name):
            result = _converge(module, build(module))
    except ConvergeError as exc:
        module.fail_json(msg=str(exc), **exc.facts)
    except lock.LockError as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(msg=_words(exc))
    module.exit_json(**result)


def _converge(module: AnsibleModule, resource: Resource) -> dict[str, Any]:
    actual = resource.read()
    desired = resource.desired(actual)
    result = dict(resource.result(actual, desired), changed=actual != desired)
    for text in result.pop("warnings", []):
        module.warn(text)
    if module._diff:
        result["diff"] = {"before": resource.render(actual), "after": resource.render(desired)}
    if result["changed"] and not module.check_mode:
        _apply(resource, actual, desired)
    return result


def _apply(resource: Resource, actual: Any, desired: Any) -> None:
    try:
        resource.apply(actual, desired)
        reached = resource.read()
        if reached != desired:
            raise ConvergeError(
                "%s was applied, but the node's state is still another one" % type(resource).__name__,
                diff={"before": resource.render(desired), "after": resource.render(reached)},
            )
    except ConvergeError as exc:
        raise ConvergeError("%s: %s" % (exc, _undo(resource, actual)), **exc.facts) from exc
    except OSError as exc:
        raise ConvergeError("%s: %s" % (_words(exc), _undo(resource, actual))) from exc


def _undo(resource: Resource, before: Any) -> str:
    """Put back what a failed change has changed; return how that went, for the end of its message."""
    try:
        if resource.read() != before:
            resource.undo(before)
        if resource.read() == before:
            return "everything is as it was before this task"
        why = "it is still in another state"
    except ConvergeError as exc:
        why = str(exc)
    except OSError as exc:
        why = _words(exc)
    return "not everything could be put back as it was before this task (%s)" % why


def _words(exc: OSError) -> str:
    return "%s: %s" % (exc.filename or "this node", exc.strerror or exc)
