"""How the lab runs other programs and speaks to its user."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Callable, Mapping, Sequence


class LabError(Exception):
    """Something the user can act on; its text is all that is printed."""


def say(text: str) -> None:
    """Tell the user what is being done, on stderr: stdout belongs to a command's result."""
    print("lab: %s" % text, file=sys.stderr, flush=True)


def run(
    argv: Sequence[str],
    stdin: str | None = None,
    check: bool = True,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run ``argv`` without a shell and capture its output.

    Raises LabError with the command's own last words when ``check`` and it fails or does not exist.
    """
    try:
        # Without an input of its own, a child would eat that of the script which calls the lab.
        done = subprocess.run(argv, input=stdin or "", env=env, check=False, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise LabError("%s is not installed; lab/prerequisites.sh installs what the lab needs" % argv[0]) from error
    if check and done.returncode:
        words = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()
        raise LabError("%s: exit code %d: %s" % (" ".join(argv), done.returncode, "; ".join(words[-5:])))
    return done


def wait_until(ready: Callable[[], bool], what: str, seconds: float) -> None:
    """Poll ``ready`` until it is true; LabError naming ``what`` after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise LabError("%s did not happen within %d s" % (what, seconds))
        time.sleep(0.1)
