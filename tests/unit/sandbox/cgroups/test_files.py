"""Reading, writing and removing what the kernel shows of control groups."""

from __future__ import annotations

import pytest

from layerkit.errors import SandboxError
from layerkit.sandbox.cgroups import files
from layerkit.sandbox.cgroups.settings import Lack, Write


@pytest.mark.parametrize(
    ("content", "number", "pairs"),
    [
        ("12\n", 12, {}),
        ("max\n", None, {}),
        ("", None, {}),
        ("-1\n", None, {}),
        ("a 1\nb 2\n", None, {"a": 1, "b": 2}),
        ("a\n b 1\nc 1 2\nd x\ne \u0662\u00b2\n", None, {}),
        ("a 1\na 2", None, {"a": 2}),
    ],
    ids=["number", "max", "empty", "negative", "pairs", "broken", "twice"],
)
def test_numbers_are_read(tmp_path, content, number, pairs):
    """A number is a number; what is none is left out."""
    (tmp_path / "file").write_text(content)
    path = str(tmp_path / "file")

    assert files.number(path) == number
    assert files.pairs(path) == pairs


def test_a_missing_file_is_empty(tmp_path):
    """A group can be gone at any moment, which is no error for a reader."""
    path = str(tmp_path / "nosuch")

    assert (files.text(path), files.number(path), files.pairs(path)) == ("", None, {})


def test_what_cannot_be_written_is_a_lack(tmp_path):
    """Missing files and missing rights are told with file and reason, and the rest is written."""
    (tmp_path / "pids.max").touch()
    wanted = [
        Write(f"{tmp_path}/memory.max", "5", "memory"),
        Write("/sys/kernel/uevent_seqnum", "7", "cpus"),  # nobody may write it
        Write(f"{tmp_path}/pids.max", "9", "pids"),
    ]

    assert files.write_all(wanted) == [
        Lack("memory", "there is no memory.max"),
        Lack("cpus", "uevent_seqnum 7: Permission denied"),
    ]
    assert (tmp_path / "pids.max").read_text() == "9"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("group/pids.max", "cannot set pids.max of .*/group to '9': No such file or directory"),
        ("folder", "cannot set folder of .* to '9': Is a directory"),
    ],
)
def test_what_the_kernel_refuses_is_an_error(tmp_path, name, message):
    """A group that is gone, or a value that is refused, is an error with file and value."""
    (tmp_path / "folder").mkdir()

    with pytest.raises(SandboxError, match=message):
        files.write_all([Write(f"{tmp_path}/{name}", "9", "pids")])


def test_a_removal_of_what_is_gone_is_none(tmp_path):
    """Whoever comes second has nothing to do."""
    (tmp_path / "group").mkdir()

    files.remove(f"{tmp_path}/group")
    files.remove(f"{tmp_path}/group")

    assert list(tmp_path.iterdir()) == []


def test_only_groups_are_removed(tmp_path):
    """A folder with files is no control group, and stays."""
    (tmp_path / "file").touch()

    with pytest.raises(SandboxError, match=f"cannot remove {tmp_path}: Directory not empty"):
        files.remove(str(tmp_path))
