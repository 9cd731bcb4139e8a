# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fails where galaxy.yml, the changelog, the plugin, the documentation and HEAD's tags disagree on the version.

galaxy.yml says the version that is being worked on, or, in a commit that is a release, the one that it is. A commit
that is tagged with one is a release: the tag is the version, without a leading v, and the changelog has all that
changed.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
PLUGIN = "files/humanz_cni/__init__.py"
RELEASE = re.compile(r"(\d+)\.(\d+)\.(\d+)")
ARTIFACT = re.compile(r"humanz-cni-(\d[0-9A-Za-z.-]*)\.tar\.gz")
# What a fragment cannot speak of as long as nothing was released.
OF_LATER_RELEASES = {"bugfixes", "breaking_changes", "deprecated_features", "removed_features", "security_fixes"}


def ordered(version: str) -> tuple[int, ...]:
    """Return the three numbers of *version*, to be compared with those of others; raise ValueError if it has others."""
    match = RELEASE.fullmatch(version)
    if not match:
        raise ValueError("version %s: must be three numbers such as 1.2.3; there are no pre-releases" % version)
    return tuple(int(number) for number in match.groups())


def load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def tags_of_head(root: Path) -> list[str]:
    """Return HEAD's tags that look like versions.

    None if galaxy.yml is changed: that belongs to the next commit, which has no tag yet.
    """
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", "galaxy.yml"], cwd=root, check=False)
    if changed.returncode:
        return []
    command = ["git", "tag", "--points-at", "HEAD"]
    tags = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    return [tag for tag in tags if re.match(r"v?\d", tag)]


def texts(root: Path) -> list[Path]:
    """Return the documents in which a reader meets the name of the artifact."""
    return [*sorted(root.glob("*.md")), *sorted(root.glob("docs/**/*.md"))]


def mentions(root: Path, version: str) -> list[str]:
    """Return where the plugin or a document has another version."""
    found = re.search(r'^__version__ = "(.*)"$', (root / PLUGIN).read_text(encoding="utf-8"), re.MULTILINE)
    problems = []
    if not found or found.group(1) != version:
        problems.append("%s: __version__ must be %s, as in galaxy.yml" % (PLUGIN, version))
    for path in texts(root):
        for other in sorted(set(ARTIFACT.findall(path.read_text(encoding="utf-8"))) - {version}):
            name = path.relative_to(root)
            problems.append("%s: names the artifact of %s, must be of %s as in galaxy.yml" % (name, other, version))
    return problems


def fragments(root: Path) -> dict[str, set[str]]:
    """Return the sections of each fragment, by its file's name."""
    return {path.name: set(load(path)) for path in sorted(root.glob("changelogs/fragments/*.y*ml"))}


def unreleased(root: Path) -> list[str]:
    """Return what speaks of a release before there was one."""
    return [
        "changelogs/fragments/%s: %s, but nothing was released yet; say what is new in first-release.yml"
        % (name, ", ".join(sorted(sections & OF_LATER_RELEASES)))
        for name, sections in fragments(root).items()
        if sections & OF_LATER_RELEASES
    ]


def released(root: Path, version: str) -> list[str]:
    """Return what is missing from a commit that is the release *version*."""
    problems = [
        "changelogs/fragments/%s: %s is released already; galaxy.yml must say the next version" % (name, version)
        for name in fragments(root)
    ]
    notes = root / "CHANGELOG.rst"
    if not notes.exists() or "v%s" % version not in notes.read_text(encoding="utf-8").splitlines():
        problems.append("CHANGELOG.rst: has no %s; run antsibull-changelog release" % version)
    return problems


def tagged(tags: list[str], version: str, latest: str | None) -> list[str]:
    """Return where *tags* are of another release than galaxy.yml's, or than *latest*, the newest in the changelog."""
    problems = ["tag %s: must be %s, as galaxy.yml says" % (tag, version) for tag in tags if tag != version]
    if tags and latest != version:
        problems.append("tag %s: the newest release in changelogs/changelog.yaml is %s" % (tags[0], latest))
    return problems


def check(root: Path) -> list[str]:
    """Return every disagreement in the checkout *root*."""
    version = str(load(root / "galaxy.yml")["version"])
    ordered(version)
    releases = sorted(load(root / "changelogs" / "changelog.yaml")["releases"], key=ordered)
    latest = releases[-1] if releases else None
    problems = mentions(root, version) + tagged(tags_of_head(root), version, latest)
    if latest is None:
        problems += unreleased(root)
    elif latest == version:
        problems += released(root, version)
    elif ordered(latest) > ordered(version):
        problems.append("galaxy.yml: version %s is older than %s in changelogs/changelog.yaml" % (version, latest))
    return problems


def main() -> int:
    try:
        problems = check(ROOT)
    except ValueError as exc:
        problems = [str(exc)]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
