"""Views are written once, whoever asks, and their mount shows the tree."""

from __future__ import annotations

import errno
import os
from functools import partial

import pytest
from support import disks, layer_cases
from support.listing import merged, scan_of
from support.overlays import mounted
from support.processes import child, kill_myself, outcome, until
from support.tars import archive, directory, fifo, file, hardlink, symlink, whiteout
from support.trees import differences, scan

from layerkit import digest as digests
from layerkit import linux
from layerkit.digest import DiffID
from layerkit.errors import IntegrityError, StoreError, StoreFullError
from layerkit.events import ignore
from layerkit.layer import merge
from layerkit.snapshot import disk
from layerkit.snapshot.driver import Stack
from layerkit.snapshot.folders import open_all
from layerkit.snapshot.overlay import OverlayDriver
from layerkit.store.files import remove_tree
from layerkit.tree import Entry, Kind, empty

LAYERS = (
    archive(directory("d/"), file("d/a"), file("b", "b" * 10_000)),
    archive(whiteout("d/a"), file("d/n")),
    archive(file("b", "new"), hardlink("c", "d/n"), symlink("s", "d")),
)


class Views:
    """A folder with views, and the layers that they are made of."""

    def __init__(self, root, layers=LAYERS):
        self.trees, self.scratch, self.tars = (root / name for name in ("trees", "ingest", "tars"))
        for folder in (self.trees, self.scratch, self.tars):
            folder.mkdir(parents=True)
        self.layers = layers
        self.asked = 0
        self.driver = OverlayDriver(
            self.trees.parent, self.scratch, partial(remove_tree, scratch=self.scratch)
        )
        self.paths = [self.tars / str(number) for number in range(len(layers))]
        for path, tar in zip(self.paths, layers, strict=True):
            path.write_bytes(tar)
        self.chains = digests.chain_ids(DiffID(digests.of_bytes(tar)) for tar in layers)

    def stack(self):
        """The tree after each layer; counts how often it is asked for."""
        self.asked += 1
        return [merged(self.layers[: number + 1]) for number in range(len(self.layers))]

    def prepare(self, count=None):
        """The lowers of the first `count` layers, or of all."""
        stack = Stack(tuple(self.chains[:count]), tuple(self.paths), self.stack)
        return self.driver.prepare(stack, ignore).lowers


@pytest.fixture
def views(tmp_path):
    """Views of an image of three layers."""
    return Views(tmp_path)


pytestmark = pytest.mark.root


def test_missing_directories_are_written(views):
    """One for each layer, top first, under the layer's ChainID, and nothing else is left."""
    lowers = views.prepare()

    assert lowers == tuple(views.trees / chain.hex / "fs" for chain in reversed(views.chains))
    assert sorted(path.name for path in lowers[2].iterdir()) == ["b", "d"]
    assert {path.name for path in (lowers[1] / "d").iterdir()} == {"a", "n"}
    assert list(views.scratch.iterdir()) == []


def test_what_is_there_is_not_written_again(views):
    """The trees are only asked for when a directory is missing."""
    first = views.prepare()
    before = {lower: lower.stat().st_ino for lower in first}

    assert views.prepare() == first
    assert {lower: lower.stat().st_ino for lower in first} == before
    assert views.asked == 1


def test_only_what_is_missing_is_written(views):
    """Layers that another image brought are used as they are."""
    lower = views.prepare(1)[0]
    inode = lower.stat().st_ino

    views.prepare()

    assert lower.stat().st_ino == inode
    assert views.asked == 2


def test_a_removed_directory_is_written_again(views):
    """The view of a layer can go and come back; removing what is not there is nothing."""
    first = views.prepare()
    for chain in (views.chains[1], views.chains[1]):
        views.driver.remove(chain)
    assert not first[1].exists()

    assert views.prepare() == first
    assert list(views.scratch.iterdir()) == []


@pytest.mark.parametrize("case", layer_cases.params(layer_cases.TREES))
def test_the_mount_shows_the_tree(tmp_path, case):
    """INV-1: the merged mount of layers that other tools get wrong equals their flat tree."""
    views = Views(tmp_path / "state", case.layers)
    if not case.layers:
        assert views.prepare() == ()
        return

    with mounted(views.prepare(), tmp_path / "mounted") as place:
        found = scan(place)

    assert differences(scan_of(merged(case.layers), case.layers), found) == []


def test_the_mount_shows_every_kind_of_entry(tmp_path):
    """Modes, owners, links, devices, times and capabilities pass through the mount."""
    layers = (
        archive(
            directory("./", 0o711, uid=7, mtime=5),
            file("f", "x", mode=0o4755, uid=7, pax={"SCHILY.xattr.user.k": "v"}),
            fifo("p"),
            file("t", "t", pax={"mtime": "1.000000001"}),
        ),
        archive(hardlink("h", "f"), file("t/x"), directory("./", 0o700, gid=9, mtime=6)),
    )
    views = Views(tmp_path / "state", layers)

    with mounted(views.prepare(), tmp_path / "mounted") as place:
        found = scan(place)

    assert differences(scan_of(merged(layers), layers), found) == []


def test_two_processes_write_one_view(views):
    """SN-13: both succeed, and the directories are whole."""
    flag = views.trees.parent / "go"

    def work():
        until(flag.exists)
        views.prepare()

    with child(work) as one, child(work) as two, child(work) as three:
        flag.touch()
        assert [one.wait(), two.wait(), three.wait()] == [0, 0, 0]

    with mounted(views.prepare(), views.trees.parent / "mounted") as place:
        assert differences(scan_of(merged(LAYERS), LAYERS), scan(place)) == []
    assert list(views.scratch.iterdir()) == []


def test_a_view_that_came_meanwhile_is_taken(views, monkeypatch):
    """Who is second drops his own directory and uses the other one."""
    real = disk.write

    def write(*arguments):
        monkeypatch.setattr(disk, "write", real)
        views.prepare()
        return real(*arguments)

    monkeypatch.setattr(disk, "write", write)
    lowers = views.prepare()

    assert all(lower.is_dir() for lower in lowers)
    assert list(views.scratch.iterdir()) == []


@pytest.mark.parametrize(
    ("module", "when"),
    [(os, "mkdir"), (linux, "syncfs"), (os, "rename")],
    ids=["mkdir", "syncfs", "rename"],
)
def test_a_killed_writer_leaves_no_view(views, monkeypatch, module, when):
    """A directory has its name only when it is whole; the next one writes it."""

    def work():
        monkeypatch.setattr(module, when, lambda *_, **__: kill_myself())
        views.prepare()

    assert outcome(work) < 0
    assert list(views.trees.iterdir()) == []

    with mounted(views.prepare(), views.trees.parent / "mounted") as place:
        assert differences(scan_of(merged(LAYERS), LAYERS), scan(place)) == []


def test_a_damaged_tar_is_an_error_and_leaves_no_view(views):
    """A view is never made of less than the layers promise."""
    with views.paths[0].open("r+b") as tar:
        tar.truncate(600)

    with pytest.raises(IntegrityError, match="shorter"):
        views.prepare()

    assert [*views.trees.iterdir(), *views.scratch.iterdir()] == []


def test_a_missing_tar_is_an_error_that_names_it(views):
    """What the store has lost is told, without a traceback, and no file stays open."""
    views.paths[2].unlink()
    before = len(os.listdir("/proc/self/fd"))

    with pytest.raises(StoreError, match=f"cannot read {views.paths[2]}: no such file"):
        views.prepare()

    assert len(os.listdir("/proc/self/fd")) == before


def test_the_user_of_open_tars_gets_his_own_errors(views):
    """Only opening the tars is the store's failure."""
    with pytest.raises(OSError, match="Bad file"), open_all(views.paths) as descriptors:
        os.pread(max(descriptors) + 1000, 10, 0)


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, StoreFullError), (errno.EDQUOT, StoreFullError), (errno.EIO, StoreError)],
)
@pytest.mark.parametrize("when", ["mkdir", "rename"])
def test_failed_operations_are_store_errors(views, monkeypatch, when, number, kind):
    """Whatever step fails, the error has its class, and nothing is left."""
    real = getattr(os, when)

    def fail(*arguments, **keywords):
        monkeypatch.setattr(os, when, real)
        raise OSError(number, "text", "somewhere")

    monkeypatch.setattr(os, when, fail)

    with pytest.raises(kind) as raised:
        views.prepare()

    assert type(raised.value) is kind
    assert [*views.trees.iterdir(), *views.scratch.iterdir()] == []


def test_a_full_disk_leaves_nothing(tmp_path):
    """No room left is an error of its own, and gives back what was taken."""
    layers = (archive(file("large", os.urandom(1 << 20))),)
    with disks.small_ext4(tmp_path, 8 << 20) as place:
        views = Views(place / "state", layers)
        disks.fill(place, 1 << 19)
        free = os.statvfs(place).f_bavail

        with pytest.raises(StoreFullError):
            views.prepare()

        assert [*views.trees.iterdir(), *views.scratch.iterdir()] == []
        assert os.statvfs(place).f_bavail == free


def test_a_deep_view_is_removed(tmp_path):
    """What can be written can be removed, 1,500 levels too."""
    views = Views(tmp_path / "state", (archive(file("f")),))
    deep = merge.apply(empty(), [Entry(b"/".join([b"n"] * 1500), Kind.DIRECTORY)], 0)
    views.stack = lambda: [deep]
    views.prepare()

    views.driver.remove(views.chains[0])

    assert [*views.trees.iterdir(), *views.scratch.iterdir()] == []
