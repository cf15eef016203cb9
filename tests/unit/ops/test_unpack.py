"""An image's root file system is written into a new or empty directory."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from support import homes, tars
from support.listing import merged, scan_of
from support.processes import NOBODY, outcome
from support.trees import differences, scan

from layerkit.errors import NotFoundError, StoreError, UsageError
from layerkit.ops.home import Home
from layerkit.ops.unpack import unpack

LAYERS = (
    tars.archive(
        tars.directory("./", 0o711, mtime=5),
        tars.directory("d/"),
        tars.file("d/a", "A"),
        tars.file("d/b", "B", mode=0o4755, mtime=7),
        tars.file("top"),
        tars.symlink("sl", "/d"),
    ),
    tars.archive(tars.whiteout("d/a"), tars.file("sl/n", "N"), tars.hardlink("h", "top")),
)


@pytest.fixture
def image(home, tmp_path):
    """The image `app:1`."""
    return homes.load_layers(home, tmp_path / "layout", LAYERS)


def assert_unpacked(folder):
    """The folder shows the image."""
    assert differences(scan_of(merged(LAYERS), LAYERS), scan(folder)) == []


@pytest.mark.root
@pytest.mark.parametrize("kind", ["new", "new below new", "empty"])
def test_the_tree_is_written(home, image, tmp_path, kind):
    """Whiteouts applied, with all attributes, the root's own too."""
    folder = tmp_path / ("deep/er" if kind == "new below new" else "root")
    if kind == "empty":
        folder.mkdir()

    told = []
    unpack(home, "app:1", folder, told.append)

    assert_unpacked(folder)
    assert told == []


def test_an_image_of_nothing(home, tmp_path):
    """No layers, an empty directory."""
    homes.load_layers(home, tmp_path / "layout", [])

    unpack(home, "app:1", tmp_path / "root")

    assert list((tmp_path / "root").iterdir()) == []


@pytest.mark.parametrize("name", ["file", ".hidden"])
def test_a_directory_with_something_in_it_is_left_alone(home, image, tmp_path, name):
    """Nothing is overwritten or mixed."""
    (tmp_path / name).mkdir()
    (tmp_path / name / name).write_text("precious")

    with pytest.raises(UsageError, match="it is not empty"):
        unpack(home, "app:1", tmp_path / name)

    assert [path.name for path in (tmp_path / name).iterdir()] == [name]


def test_a_file_is_no_directory(home, image, tmp_path):
    """The error names it."""
    (tmp_path / "file").write_text("precious")

    with pytest.raises(StoreError, match=str(tmp_path / "file")):
        unpack(home, "app:1", tmp_path / "file")

    assert (tmp_path / "file").read_text() == "precious"


def test_an_image_that_is_not_here(home, tmp_path):
    """An unknown image is not found, and no directory is made."""
    with pytest.raises(NotFoundError):
        unpack(home, "nope", tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_a_layer_that_the_store_lost(home, image, tmp_path):
    """It is named, without a traceback, and nothing stays open."""
    home.store.layers.tar(image.layers[0].diff_id).unlink()
    before = len(os.listdir("/proc/self/fd"))

    with pytest.raises(StoreError, match=image.layers[0].diff_id.hex):
        unpack(home, "app:1", tmp_path / "root")

    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.root
def test_without_privileges():
    """Who is not root gets names, content, modes and times; owners where they can be kept."""
    layers = [*LAYERS, tars.archive(tars.file("owned", "x", uid=12_345, gid=12_345))]
    # SQLite wants the whole path, and nobody may pass the parents of pytest's folder.
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o777)
        tars.oci_layout(folder / "layout", layers, name="app:1")

        def work():
            with Home(folder / "state") as home:
                homes.load(home, folder / "layout", platform=homes.AMD64)
                unpack(home, "app:1", folder / "root")

        assert outcome(work, uid=NOBODY) == 0
        found = scan(folder / "root")

    assert set(found) == {b"", b"d", b"d/b", b"d/n", b"h", b"owned", b"sl", b"top"}
    assert (found[b"d/b"].mode, found[b"d/b"].mtime) == (0o4755, 7 * 10**9)
    assert found[b"h"].links == {b"h", b"top"}
