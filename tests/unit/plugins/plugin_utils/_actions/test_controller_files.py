# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages and reports: whose they are stays, and writers at the same time do not harm each other."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.humanz.cni.plugins.plugin_utils._actions import controller_files


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Path]:
    """A page that is not there yet, while the umask is 027."""
    umask = os.umask(0o027)
    yield tmp_path / "made" / "page.html"
    os.umask(umask)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_one_is_as_open_as_the_umask_says(page: Path) -> None:
    controller_files.write(str(page), "new\n")
    assert (page.read_text(), mode(page)) == ("new\n", 0o640)


def test_permissions_stay_and_links_are_followed(page: Path) -> None:
    controller_files.write(str(page), "old\n")
    page.chmod(0o4600)
    link = page.parent.parent / "link"
    link.symlink_to(page)
    controller_files.write(str(link), "new\n")
    assert (page.read_text(), mode(page), link.is_symlink()) == ("new\n", 0o600, True)


@pytest.mark.parametrize("to", ["made/precious", "nowhere"])
def test_a_link_that_somebody_else_has_laid_in_a_directory_of_all_is_not_followed(page: Path, to: str) -> None:
    controller_files.write(str(page.with_name("precious")), "old\n")
    page.parent.parent.chmod(0o1777)
    link = page.parent.parent / "pod-network.html"
    link.symlink_to(to)
    os.chown(link, 12345, 12345, follow_symlinks=False)

    with pytest.raises(PermissionError, match="another user's link"):
        controller_files.write(str(link), "new\n")

    assert page.with_name("precious").read_text() == "old\n"
    assert not link.exists() or link.read_text() == "old\n"


def test_a_link_of_ones_own_to_somebody_elses_is_not_followed(page: Path) -> None:
    shared = page.parent.parent / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    os.chown(shared, 1, 1)
    link, own = shared / "page.html", page.parent.parent / "own.html"
    link.symlink_to(page)
    own.symlink_to(link)
    os.chown(link, 65534, 65534, follow_symlinks=False)
    with pytest.raises(PermissionError, match="another user's link"):
        controller_files.write(str(own), "new\n")
    assert not page.exists()


def test_a_link_of_somebody_elses_on_the_way_to_the_file_is_not_followed(page: Path) -> None:
    controller_files.write(str(page), "old\n")
    page.parent.parent.chmod(0o1777)
    link = page.parent.parent / "a"
    link.symlink_to(page.parent)
    os.chown(link, 12345, 12345, follow_symlinks=False)
    own = page.parent / "own"
    own.symlink_to("../a")

    for directory in (link, link / "new", own, own / ".." / "made" / ".." / "a"):
        with pytest.raises(PermissionError, match="another user's link"):
            controller_files.write(str(directory / "page.html"), "new\n")

    assert page.read_text() == "old\n"


def test_a_link_in_somebody_elses_directory_is_not_followed(page: Path) -> None:
    controller_files.write(str(page), "old\n")
    directory = page.parent.parent / "d"
    directory.mkdir(0o755)
    link = directory / "page.html"
    link.symlink_to(page)
    for path in (directory, link):
        os.chown(path, 12345, 12345, follow_symlinks=False)
    with pytest.raises(PermissionError, match="another user's link"):
        controller_files.write(str(link), "new\n")
    assert page.read_text() == "old\n"


def test_a_link_in_ones_own_directory_is_followed_whosever_it_is(page: Path) -> None:
    page.parent.mkdir()
    link = page.parent / "link"
    link.symlink_to("../made")
    os.chown(link, 12345, 12345, follow_symlinks=False)
    controller_files.write(str(link / "page.html"), "new\n")
    assert page.read_text() == "new\n"


def test_links_in_a_circle_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to("other")
    (tmp_path / "other").symlink_to("one")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        controller_files.write(str(tmp_path / "one"), "new\n")


def test_another_writers_temporary_file_is_left_to_it(page: Path) -> None:
    page.parent.mkdir()
    theirs = page.with_name(".page.html.abcdefgh.tmp")
    theirs.write_text("half")
    controller_files.write(str(page), "new\n")
    assert sorted(page.parent.iterdir()) == [theirs, page]


def test_one_that_cannot_take_its_place_leaves_nothing(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_source: str, _target: str) -> None:
        raise OSError("refused")

    controller_files.write(str(page), "old\n")
    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(OSError, match="refused"):
        controller_files.write(str(page), "new\n")
    assert (list(page.parent.iterdir()), page.read_text()) == ([page], "old\n")


def test_a_colleagues_page_is_written_anew_as_its_date_cannot_be_set(
    page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_the_owner(_path: str) -> None:
        raise PermissionError(1, "Operation not permitted")

    controller_files.write(str(page), "same\n")
    os.utime(page, (1, 1))
    monkeypatch.setattr(os, "utime", not_the_owner)
    controller_files.refresh(str(page), "same\n")
    assert page.read_text() == "same\n"
    assert page.stat().st_mtime > 1


def test_a_pipe_that_is_standard_output_is_written_to() -> None:
    reading, writing = os.pipe()
    controller_files.write("/dev/fd/%d" % writing, "all of it\n")
    assert os.read(reading, 100) == b"all of it\n"
    os.close(reading)
    os.close(writing)


def test_a_pipe_of_somebody_elses_is_not_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    os.chown(pipe, 12345, 12345)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(PermissionError, match="another user's"):
        controller_files.write(str(pipe), "all of it\n")
    assert os.read(reader, 100) == b""
    os.close(reader)


def test_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    controller_files.write(str(pipe), "all of it\n")
    assert os.read(reader, 100) == b"all of it\n"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("page.html", "page.html"),
        ("./false", "./false"),
        *((value, "") for value in (None, "", False, "False", "no", "0")),
    ],
)
def test_which_file_is_wanted(value: object, path: str) -> None:
    assert controller_files.wanted("verify_picture", value) == path


@pytest.mark.parametrize("value", [True, "true", "Yes", "1"])
def test_true_is_no_file(value: object) -> None:
    with pytest.raises(ValueError, match=f"verify_picture {value}: must be the path of a file on the controller"):
        controller_files.wanted("verify_picture", value)
