"""What is on its way in is known by its name, and goes only when nobody is at it."""

from __future__ import annotations

import os
import shutil

import pytest
from support import partials

from layerkit.store import incoming

HEX = "0123456789abcdef" * 4
MARK = "a" * 16


def names(root):
    """What is seen in `ingest`."""
    return [item.path.name for item in incoming.listing(root / "ingest")]


@pytest.mark.parametrize(
    "name",
    [
        f"sha256-{HEX}",
        f"sha512-{HEX}{HEX}",
        f"layer-{HEX}",
        f"put-{MARK}",
        f"gone-{MARK}",
        f"gone-{MARK}-12",
        f"tree-{MARK}",
    ],
)
def test_what_layerkit_makes_is_seen(root, name):
    """A folder with one of its names is on its way in; only downloads have a digest."""
    (root / "ingest" / name).mkdir()

    (item,) = incoming.listing(root / "ingest")

    assert item.path == root / "ingest" / name
    assert str(item.download).replace(":", "-") == (name if name.startswith("sha") else "None")
    assert item.has_lock == name.startswith(("sha", "layer"))


@pytest.mark.parametrize(
    "name",
    [
        f"sha256-{HEX[1:]}",
        f"sha256-{HEX}0",
        f"sha256-{HEX.upper()}",
        f"sha512-{HEX}",
        f"md5-{HEX}",
        f"sha256:{HEX}",
        f"sha256-{HEX}\n",
        f"layer-{HEX}.old",
        f"xlayer-{HEX}",
        "layer-..",
        f"put-{MARK}x",
        f"gone-{MARK}-",
        f"gone-{MARK}-\N{ARABIC-INDIC DIGIT ONE}",
        "tmpabc",
        ".lock",
        "\udcff",
        "$(reboot)",
    ],
    ids=ascii,
)
def test_a_name_of_somebody_else_is_not_looked_at(root, name):
    """What is not written exactly as layerkit writes it is nobody's to remove."""
    (root / "ingest" / name).mkdir()

    assert names(root) == []


def make_file(path, elsewhere):
    """A plain file."""
    path.write_bytes(b"x")


def make_link(path, elsewhere):
    """A link to a folder."""
    path.symlink_to(elsewhere)


@pytest.mark.parametrize("make", [make_file, make_link], ids=["file", "link"])
@pytest.mark.parametrize("name", [f"sha256-{HEX}", f"layer-{HEX}"])
def test_what_has_a_lock_is_a_folder(root, tmp_path, make, name):
    """Something else of that name, a link out of the store above all, is passed over."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    make(root / "ingest" / name, elsewhere)

    assert names(root) == []
    assert list(elsewhere.iterdir()) == []


def test_a_free_download_is_removed(root, blobs):
    """Nothing of it stays."""
    partials.leave_download(blobs)
    (item,) = incoming.listing(root / "ingest")

    assert not item.held
    assert incoming.remove(item)
    assert os.listdir(root / "ingest") == []


def test_a_download_that_somebody_is_at_stays(root, blobs, tmp_path):
    """Who holds the lock loses nothing."""
    digest = partials.leave_download(blobs)
    with partials.holding(blobs, digest, tmp_path / "flag"):
        (item,) = incoming.listing(root / "ingest")

        assert item.held
        assert not incoming.remove(item)
    assert blobs.arrived(digest, partials.SIZE) == 2 << 20


def test_a_layer_of_a_killed_process_is_removed(root, layers):
    """Its lock went with the process."""
    name = partials.leave_layer(layers)
    (item,) = incoming.listing(root / "ingest")

    assert item.path.name == name
    assert incoming.remove(item)
    assert os.listdir(root / "ingest") == []


def lock_as_link(path, elsewhere):
    """A link that leads to no file yet."""
    path.symlink_to(elsewhere / "made")


def lock_as_pipe(path, elsewhere):
    """A pipe, which opening may wait for ever for."""
    os.mkfifo(path)


def lock_as_folder(path, elsewhere):
    """A folder."""
    path.mkdir()


@pytest.mark.parametrize("make", [lock_as_link, lock_as_pipe, lock_as_folder])
def test_what_can_be_no_lock_counts_as_held(root, blobs, tmp_path, make):
    """Nothing waits for it, nothing is made where it leads, and what it is in stays."""
    partials.leave_download(blobs)
    (item,) = incoming.listing(root / "ingest")
    (item.path / "lock").unlink()
    make(item.path / "lock", tmp_path)

    assert item.held
    assert not incoming.remove(item)
    assert item.path.is_dir()
    assert not (tmp_path / "made").exists()


def test_a_folder_without_its_lock_is_removed(root, blobs):
    """Who was killed before it made the lock has nothing to lose."""
    partials.leave_download(blobs)
    (item,) = incoming.listing(root / "ingest")
    (item.path / "lock").unlink()

    assert not item.held
    assert incoming.remove(item)
    assert names(root) == []


def test_what_vanished_is_not_made_again(root, blobs):
    """Looking whether somebody is at it makes no file."""
    partials.leave_download(blobs)
    (item,) = incoming.listing(root / "ingest")
    shutil.rmtree(item.path)

    assert not item.held
    assert os.listdir(root / "ingest") == []


def test_a_link_among_left_overs_is_removed_itself(root, tmp_path):
    """What it leads to is not touched."""
    (tmp_path / "file").write_bytes(b"x")
    (root / f"ingest/put-{MARK}").symlink_to(tmp_path / "file")
    (item,) = incoming.listing(root / "ingest")

    assert incoming.remove(item)
    assert names(root) == []
    assert (tmp_path / "file").exists()
