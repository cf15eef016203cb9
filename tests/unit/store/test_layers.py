"""A layer has its name only when its diffID is checked and its index is written."""

from __future__ import annotations

import os
import random
import stat
from itertools import repeat
from pathlib import Path

import pytest
from support import disks
from support.processes import NOBODY, child, kill_myself, outcome, until

from layerkit import digest as digests
from layerkit.digest import DiffID
from layerkit.errors import ArchiveError, IntegrityError, NotFoundError, StoreFullError
from layerkit.limits import Limits
from layerkit.store import files
from layerkit.store.layers import LayerStore

TAR = random.Random(8).randbytes(3_000_000)
DIFF_ID = DiffID(digests.of_bytes(TAR))


def write(layers, tar=TAR, toc=b"index", blob_size=None):
    """Bring the layer in."""
    with layers.ingest(DIFF_ID, blob_size=blob_size) as transaction:
        transaction.write(tar[:1000])
        transaction.write(tar[1000:])
        transaction.finish()
        transaction.commit(toc)


def assert_whole(root):
    """Tar and index are there, read-only, and nothing of their way in is left."""
    layers = LayerStore(root)
    assert layers.has(DIFF_ID)
    assert layers.tar(DIFF_ID).read_bytes() == TAR
    assert layers.read_toc(DIFF_ID) == b"index"
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in layers.folder(DIFF_ID).iterdir()
    }
    assert modes == {"tar": 0o400, "toc": 0o444}
    assert list((root / "ingest").iterdir()) == []


def assert_nothing(root):
    """There is no such layer, and nothing of it."""
    layers = LayerStore(root)
    assert not layers.has(DIFF_ID)
    assert not layers.folder(DIFF_ID).exists()
    with pytest.raises(NotFoundError, match="not in the store"):
        layers.read_toc(DIFF_ID)


def test_a_layer_comes_in_whole(layers, root):
    """Tar and index get their name together."""
    assert_nothing(root)
    write(layers)
    assert_whole(root)


def test_a_layer_that_is_here_is_not_written_again(layers):
    """The transaction for it is None."""
    write(layers)

    with layers.ingest(DIFF_ID) as transaction:
        assert transaction is None


@pytest.mark.parametrize("tar", [b"", TAR[:-1], TAR + b"\0"], ids=["nothing", "cut", "longer"])
def test_a_wrong_diff_id_leaves_nothing(layers, root, tar):
    """DG-03: bytes that do not have the diffID are refused, and gone."""
    with pytest.raises(IntegrityError, match="wrong digest of layer"):
        write(layers, tar)

    assert_nothing(root)
    assert list((root / "ingest").iterdir()) == []


def test_an_exception_leaves_nothing(layers, root):
    """So does whatever else goes wrong on the way."""

    def broken():
        yield TAR
        raise ConnectionError

    with pytest.raises(ConnectionError), layers.ingest(DIFF_ID) as transaction:
        any(map(transaction.write, broken()))

    assert_nothing(root)
    assert list((root / "ingest").iterdir()) == []


def test_bytes_can_be_read_back_on_the_way_in(layers):
    """The index is made from the tar before it has a name; reading ends at its end."""
    with layers.ingest(DIFF_ID) as transaction:
        transaction.write(TAR)
        assert transaction.size == len(TAR)
        assert transaction.read_at(1000, 10) == TAR[1000:1010]
        assert transaction.read_at(len(TAR) - 3, 10) == TAR[-3:]
        assert transaction.read_at(len(TAR), 10) == b""


@pytest.mark.parametrize(
    ("limits", "error"),
    [
        (Limits(layer_size=10_000), "more than 10000 bytes"),
        (Limits(expansion=9, expansion_from=0), "1000 bytes that unpack to more than 9 times"),
    ],
    ids=["layer_size", "expansion"],
)
def test_a_layer_without_an_end_is_stopped(root, limits, error):
    """CZ-20: a bomb that unpacks to more than a layer may have is refused while it is written."""
    layers = LayerStore(root, limits)

    with pytest.raises(ArchiveError, match=error):
        write(layers, blob_size=1000)

    assert_nothing(root)
    assert list((root / "ingest").iterdir()) == []


WHEN = [
    pytest.param("write", id="while-it-writes"),
    pytest.param("fsync", id="before-it-is-durable"),
    pytest.param("rename", id="before-it-has-its-name"),
]


@pytest.mark.parametrize("when", WHEN)
def test_a_killed_writer_leaves_nothing_visible(layers, root, monkeypatch, when):
    """After a crash at any step there is no layer, and the next one brings it in."""

    def work():
        monkeypatch.setattr(os, when, lambda *_: kill_myself())
        write(layers)

    assert outcome(work) < 0
    assert_nothing(root)

    write(layers)
    assert_whole(root)


@pytest.mark.root
@pytest.mark.parametrize("when", WHEN)
def test_a_writer_that_was_killed_locks_nobody_out(tmp_path, monkeypatch, when):
    """A user without privileges can begin again over his own read-only files."""
    (tmp_path / "ingest").mkdir()
    for path in (tmp_path, tmp_path / "ingest"):
        os.chown(path, NOBODY, NOBODY)
    layers = LayerStore(Path())

    def die():
        monkeypatch.setattr(os, when, lambda *_: kill_myself())
        write(layers)

    assert outcome(die, uid=NOBODY, folder=tmp_path) < 0
    assert outcome(lambda: write(layers), uid=NOBODY, folder=tmp_path) == 0
    assert_whole(tmp_path)


def test_two_processes_bring_one_layer_in_once(layers, root):
    """The second waits, is told so, and finds the layer."""
    waits = root / "waits"

    def second():
        until((root / "begun").exists)
        with layers.ingest(DIFF_ID, waits.touch) as transaction:
            assert transaction is None

    with child(second) as process:
        with layers.ingest(DIFF_ID) as transaction:
            (root / "begun").touch()
            until(waits.exists)
            transaction.write(TAR)
            transaction.finish()
            transaction.commit(b"index")
        assert process.wait() == 0
    assert_whole(root)


def test_many_processes_bring_one_layer_in(layers, root):
    """However they meet, each ends well and the layer is whole."""

    def work():
        with layers.ingest(DIFF_ID) as transaction:
            if transaction is not None:
                transaction.write(TAR)
                transaction.finish()
                transaction.commit(b"index")

    with child(work) as one, child(work) as two, child(work) as three:
        assert [one.wait(), two.wait(), three.wait()] == [0, 0, 0]
    assert_whole(root)


def test_an_index_is_replaced(layers, root):
    """The tar stays, and the new index is there at once."""
    write(layers, toc=b"old")

    layers.replace_toc(DIFF_ID, b"index")

    assert_whole(root)


def test_a_layer_is_removed(layers, root):
    """Its name is gone, and so is its content; a second time is nothing."""
    write(layers)

    layers.remove(DIFF_ID)
    layers.remove(DIFF_ID)

    assert_nothing(root)
    assert list((root / "ingest").iterdir()) == []


@pytest.mark.root
def test_a_full_disk_leaves_nothing(tmp_path):
    """No room left is an error of its own, and gives back the room that was taken."""
    with disks.small_ext4(tmp_path, 16 << 20) as place:
        (place / "ingest").mkdir()
        layers = LayerStore(place)
        disks.fill(place, 1 << 20)
        free = os.statvfs(place).f_bavail

        with pytest.raises(StoreFullError, match="no space left"):
            write(layers)

        assert_nothing(place)
        assert os.statvfs(place).f_bavail == free
        (place / "filler").unlink()
        write(layers)
        assert_whole(place)


@pytest.mark.root
def test_room_is_kept_free(tmp_path):
    """A large layer stops before the disk is full, and gives back what it took."""
    with disks.small_ext4(tmp_path, 64 << 20) as place:
        (place / "ingest").mkdir()
        layers = LayerStore(place, Limits(keep_free=30 << 20))
        free = os.statvfs(place).f_bavail

        with layers.ingest(DIFF_ID) as transaction:
            message = rf"no room to unpack: \d+ bytes are free, wanted {(30 << 20) + files.LOOK}$"
            with pytest.raises(StoreFullError, match=message):
                any(map(transaction.write, repeat(bytes(1 << 20))))
            left = os.statvfs(place)

        assert left.f_bavail * left.f_frsize >= 30 << 20
        assert os.statvfs(place).f_bavail == free
        assert_nothing(place)
