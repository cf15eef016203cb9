"""What has its name in the state directory is whole, whenever the power goes."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from support.homes import layered
from support.listing import merged, scan_of
from support.tars import archive, directory, file, oci_layout, symlink
from support.trees import differences, scan

from layerkit.ops.home import Home
from layerkit.ops.images import find_image
from layerkit.store.files import sync_directory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.root, pytest.mark.debian("mkfs.ext4")]


def run(*command):
    """Run a program that has nothing to say."""
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)


@contextmanager
def mounted(disk, place) -> Iterator[Path]:
    """The file system in a file, while the block runs."""
    place.mkdir()
    run("mount", "-o", "loop", disk, place)
    try:
        yield place
    finally:
        run("umount", place)


@pytest.fixture
def disk(tmp_path):
    """A new ext4 with a journal, in a file."""
    path = tmp_path / "disk"
    path.touch()
    os.truncate(path, 64 << 20)
    run("mkfs.ext4", "-q", path)
    return path


def test_a_view_that_has_its_name_is_whole_after_a_power_loss(disk, cli, tmp_path, monkeypatch):
    """A copy of the disk under the mounted file system is what a crash leaves: it has all files."""
    tar = archive(
        directory("d", 0o711, uid=7, mtime=5),
        *(file(f"d/{number}", f"{number}" * 100, uid=number) for number in range(200)),
        file("large", bytes(5 << 20)),
        file("attributed", pax={"SCHILY.xattr.user.k": "v" * 500}),
        symlink("s", "d"),
    )
    oci_layout(tmp_path / "layout", [tar])
    with mounted(disk, tmp_path / "before") as before:
        monkeypatch.setenv("LAYERKIT_ROOT", str(before / "state"))
        assert cli("load", "-q", "-i", tmp_path / "layout").code == 0
        with Home(before / "state") as home:
            image = find_image(home, "layout:test")
            lowers = layered(home, image).lowers
        sync_directory(before / "state/trees")  # the name is on the disk: any later commit does so
        shutil.copy(disk, tmp_path / "crashed")
        place = lowers[-1].relative_to(before)

    with mounted(tmp_path / "crashed", tmp_path / "after") as after:
        assert differences(scan_of(merged([tar]), [tar]), scan(after / place)) == []
