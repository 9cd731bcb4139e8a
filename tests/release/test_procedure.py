# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release as CONTRIBUTING.md says it, in a throw-away clone, and what release/check.py says where parts disagree."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


def run(directory: Path, *command: str) -> str:
    return subprocess.run(command, cwd=directory, check=True, stdout=subprocess.PIPE, text=True).stdout


def clone(origin: Path, directory: Path, branch: str = "main") -> Path:
    run(directory.parent, "git", "clone", "--quiet", "--branch", branch, str(origin), str(directory))
    return directory


def problems(checkout: Path) -> list[str]:
    """Return what release/check.py finds; its exit code must tell whether it has found something."""
    command = [sys.executable, "release/check.py"]
    result = subprocess.run(command, cwd=checkout, check=False, stderr=subprocess.PIPE, text=True)
    assert result.returncode == (1 if result.stderr else 0), result.stderr
    return result.stderr.splitlines()


def version_of(checkout: Path) -> str:
    return str(yaml.safe_load((checkout / "galaxy.yml").read_text())["version"])


def releases(checkout: Path) -> set[str]:
    """Return the versions in the changelog."""
    return set(yaml.safe_load((checkout / "changelogs" / "changelog.yaml").read_text())["releases"])


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def move_on(checkout: Path) -> None:
    """Set the next version in galaxy.yml, and wherever release/check.py says then."""
    old = version_of(checkout)
    major, minor, _patch = old.split(".")
    new = "%s.%d.0" % (major, int(minor) + 1)
    replace(checkout / "galaxy.yml", "version: " + old, "version: " + new)
    for problem in problems(checkout):
        replace(checkout / problem.split(":")[0], old, new)


def documented_commands() -> str:
    """Return the commands below the heading Releasing."""
    text = (Path(__file__).resolve().parents[2] / "CONTRIBUTING.md").read_text()
    section = re.search(r"^## Releasing$(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert section
    return "\n".join(re.findall(r"^\$ (.*)$", section.group(1), re.MULTILINE))


@pytest.fixture(scope="module")
def released(origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which the documented commands have been run. *origin* has its tag."""
    checkout = clone(origin, tmp_path_factory.mktemp("release") / "clone")
    if version_of(checkout) in releases(checkout):
        move_on(checkout)
    environment = {**os.environ, "PATH": PATH}
    subprocess.run(["bash", "-euxc", documented_commands()], cwd=checkout, check=True, env=environment)
    return checkout


def test_the_documented_commands_release(origin: Path, released: Path, tmp_path: Path) -> None:
    """The tag is pushed with the branch, has the whole changelog, and passes the check in a fresh clone."""
    version = version_of(released)
    fresh = clone(origin, tmp_path / "fresh", branch=version)
    assert run(fresh, "git", "rev-parse", version + "^{commit}") == run(fresh, "git", "rev-parse", "origin/main")
    assert problems(fresh) == []
    assert not list(fresh.glob("changelogs/fragments/*"))
    assert "v%s\n=" % version in (fresh / "CHANGELOG.rst").read_text()


def test_the_changelog_names_every_module_and_role(released: Path) -> None:
    notes = (released / "CHANGELOG.rst").read_text()
    names = [path.stem for path in released.glob("plugins/modules/*.py")]
    names += [path.name for path in released.glob("roles/*")]
    assert len(names) > 10
    assert [name for name in names if "- humanz.cni.%s - " % name not in notes] == []


def test_the_tag_builds_to_what_the_releaser_got(origin: Path, released: Path, tmp_path: Path) -> None:
    fresh = clone(origin, tmp_path / "fresh", branch=version_of(released))
    run(fresh, sys.executable, "release/build.py", "dist")
    (first,) = (released / "dist").iterdir()
    (second,) = (fresh / "dist").iterdir()
    assert first.name == "humanz-cni-%s.tar.gz" % version_of(released)
    assert first.read_bytes() == second.read_bytes()


def test_the_next_version_is_set_where_the_check_says(origin: Path, released: Path, tmp_path: Path) -> None:
    checkout = clone(origin, tmp_path / "next")
    move_on(checkout)
    assert problems(checkout) == []
    assert version_of(checkout) not in releases(checkout)


def test_a_tag_is_the_version(origin: Path, released: Path, tmp_path: Path) -> None:
    checkout = clone(origin, tmp_path / "tagged")
    version = version_of(checkout)
    run(checkout, "git", "tag", "seen-by-somebody")
    assert problems(checkout) == []
    run(checkout, "git", "tag", "v" + version)
    assert problems(checkout) == ["tag v%s: must be %s, as galaxy.yml says" % (version, version)]


def test_a_tag_without_a_release_in_the_changelog(origin: Path, released: Path, tmp_path: Path) -> None:
    checkout = clone(origin, tmp_path / "tagged")
    old = version_of(checkout)
    move_on(checkout)
    run(checkout, "git", "commit", "--quiet", "--all", "--message=Next")
    new = version_of(checkout)
    run(checkout, "git", "tag", new)
    assert problems(checkout) == ["tag %s: the newest release in changelogs/changelog.yaml is %s" % (new, old)]


def test_a_fragment_that_the_release_left_out(origin: Path, released: Path, tmp_path: Path) -> None:
    checkout = clone(origin, tmp_path / "fragment")
    (checkout / "changelogs" / "fragments").mkdir(exist_ok=True)
    (checkout / "changelogs" / "fragments" / "late.yml").write_text("bugfixes: [plugin - late.]\n")
    (problem,) = problems(checkout)
    assert problem.startswith("changelogs/fragments/late.yml: %s is released already" % version_of(checkout))


def test_a_version_older_than_the_changelog(origin: Path, released: Path, tmp_path: Path) -> None:
    checkout = clone(origin, tmp_path / "older")
    replace(checkout / "galaxy.yml", "version: " + version_of(checkout), "version: 0.0.9")
    assert any(problem.startswith("galaxy.yml: version 0.0.9 is older than ") for problem in problems(checkout))


def test_a_fix_of_what_was_never_released(origin: Path, released: Path, tmp_path: Path) -> None:
    checkout = clone(origin, tmp_path / "first")
    (checkout / "changelogs" / "changelog.yaml").write_text("ancestor: null\nreleases: {}\n")
    (checkout / "changelogs" / "fragments").mkdir(exist_ok=True)
    (checkout / "changelogs" / "fragments" / "fix.yml").write_text("bugfixes: [plugin - fixed.]\n")
    assert any("fix.yml: bugfixes, but nothing was released yet" in problem for problem in problems(checkout))


@pytest.mark.parametrize("version", ["1.0.0-rc.1", "1.0"])
def test_a_version_that_cannot_be_ordered(origin: Path, tmp_path: Path, version: str) -> None:
    checkout = clone(origin, tmp_path / "unordered")
    replace(checkout / "galaxy.yml", "version: " + version_of(checkout), "version: " + version)
    assert problems(checkout) == [
        "version %s: must be three numbers such as 1.2.3; there are no pre-releases" % version
    ]


def test_the_changelog_of_another_version_is_none(origin: Path, released: Path, tmp_path: Path) -> None:
    checkout = clone(origin, tmp_path / "another")
    version = version_of(checkout)
    replace(checkout / "CHANGELOG.rst", "\nv%s\n" % version, "\nv1v%s\n" % version)
    (problem,) = problems(checkout)
    assert problem.startswith("CHANGELOG.rst: has no %s" % version)
