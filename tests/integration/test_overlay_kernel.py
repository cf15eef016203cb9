"""What the kernel shows of a stack of layers is the tree that layerkit works out for it."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from support import layer_cases, stacks, tar_cases, tars
from support.listing import entries_of, merged, scan_of, wanted
from support.trees import differences, scan

from layerkit import digest, linux
from layerkit.events import ignore
from layerkit.layer import merge
from layerkit.mount import OverlayMount
from layerkit.mounting import mount_overlay
from layerkit.snapshot import delta, disk, fill
from layerkit.snapshot.driver import Stack
from layerkit.snapshot.overlay import OverlayDriver
from layerkit.tree import empty

pytestmark = pytest.mark.root


class Unpacked:
    """Layers in a folder: flat in `rootfs`, as overlayfs has them in `trees`, something beside."""

    def __init__(self, folder: Path, layers, tars: list[bytes]) -> None:
        self.folder = folder
        for name in ("rootfs", "view", "empty", "trees", "scratch", "tars", "sentinel"):
            (folder / name).mkdir()
        for name in ("a", "b", "file", "keep", "victim", "x"):
            (folder / "sentinel" / name).write_text("untouched")
        self._tars = [folder / f"tars/{number}" for number in range(len(tars))]
        for path, tar in zip(self._tars, tars, strict=True):
            path.write_bytes(tar)
        self.trees = [empty()]
        for number, entries in enumerate(layers):
            self.trees.append(merge.apply(self.trees[-1], entries, number))
        named = (digest.DiffID(digest.of_bytes(b"%d" % number)) for number in range(len(tars)))
        self._chains = digest.chain_ids(named)
        self._views = OverlayDriver(folder, folder / "scratch", _remove)

    def flat(self):
        """What a plain directory with all of it looks like."""
        descriptors = [os.open(path, os.O_RDONLY) for path in self._tars]
        root = os.open(self.folder / "rootfs", os.O_RDONLY | os.O_DIRECTORY)
        try:
            skipped = disk.write(
                root, delta.flat(self.trees[-1]), fill.from_tars(descriptors.__getitem__)
            )
        finally:
            for descriptor in (root, *descriptors):
                os.close(descriptor)
        assert not skipped
        return scan(self.folder / "rootfs")

    def shown(self):
        """What the kernel shows when the layers' directories are mounted on each other."""
        with self.mounted() as view:
            return scan(view)

    @contextmanager
    def mounted(self):
        """The view, mounted; an empty directory goes below, for one alone is no overlay."""
        stack = Stack(tuple(self._chains), tuple(self._tars), lambda: self.trees[1:])
        lowers = self._views.prepare(stack, ignore).lowers
        overlay = OverlayMount((*lowers, self.folder / "empty"))
        mount_overlay(overlay, self.folder / "view")
        try:
            yield self.folder / "view"
        finally:
            linux.umount2(str(self.folder / "view"), linux.MNT_DETACH)

    def forget(self, number):
        """Remove the directory of one layer, so that it is written last."""
        self._views.remove(self._chains[number])

    def outside(self):
        """All that no layer may touch."""
        links = {path.name: path.stat().st_nlink for path in (self.folder / "sentinel").iterdir()}
        return sorted(os.listdir(self.folder)), scan(self.folder / "sentinel"), links


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("case", layer_cases.params([c for c in layer_cases.TREES if c.layers]))
def test_the_view_is_the_flat_tree(case, tmp_path):
    """INV-1, INV-2: flat and mounted, the layers show one tree, and nothing beside it changes."""
    unpacked = Unpacked(tmp_path, map(entries_of, case.layers), list(case.layers))
    before = unpacked.outside()

    flat, shown = unpacked.flat(), unpacked.shown()

    assert differences(wanted(case.tree), flat) == []
    assert differences(flat, shown) == []
    assert unpacked.outside() == before


NOT_FOR_DISKS = {
    "MD-19": "the time is one that ext4 has no room for",
    "XA-17": "the ACL is none that the kernel takes",
}
"""Archives that a file system cannot show as they are, each with the reason."""
DIALECTS = {name: rows for name, (rows, _) in tar_cases.READ.items() if name not in NOT_FOR_DISKS}


@pytest.mark.parametrize("entries", DIALECTS.values(), ids=DIALECTS)
def test_every_dialect_shows_one_tree(entries, tmp_path):
    """INV-1, INV-2: what was written by another program in another time looks the same in both."""
    base = tars.archive(*map(tars.file, ("a", "b", "t")), end=b"")
    layer = tars.archive(*entries, tar_cases.Z)
    layers = [base + tars.END, layer]
    unpacked = Unpacked(tmp_path, map(entries_of, layers), layers)
    before = unpacked.outside()

    flat, shown = unpacked.flat(), unpacked.shown()

    assert differences(scan_of(merged(layers), layers), flat) == []
    assert differences(flat, shown) == []
    assert unpacked.outside() == before


def test_times_beyond_the_file_systems_are_its_latest(tmp_path):
    """MD-19: a file of the year 2514 is written, with the same time in both."""
    layer = tars.archive(tars.file("f", mtime=2**34), tars.directory("d", mtime=2**34))
    unpacked = Unpacked(tmp_path, [entries_of(layer)], [layer])

    flat, shown = unpacked.flat(), unpacked.shown()

    assert differences(flat, shown) == []
    assert flat[b"f"].mtime > 2**32 * 10**9


def test_a_layer_that_was_written_before_those_below_it(tmp_path):
    """WH-39: its whiteouts hide, in whatever order the directories of a stack are finished."""
    layers = [layer_cases.B1, tars.archive(tars.whiteout("d/a"), tars.whiteout("d/s"))]
    unpacked = Unpacked(tmp_path, map(entries_of, layers), layers)
    unpacked.shown()
    unpacked.forget(0)

    assert sorted(unpacked.shown()) == [b"", b"d", b"top"]


@pytest.mark.timeout(3600)
@settings(max_examples=settings().max_examples // 2)
@given(stacks.stacks(refused=False))
def test_the_view_of_random_layers_is_the_flat_tree(layers):
    """INV-1, INV-2: also for layers that nobody thought of."""
    with tempfile.TemporaryDirectory() as folder:
        unpacked = Unpacked(Path(folder), layers, [stacks.CONTENT] * len(layers))
        before = unpacked.outside()

        assert differences(unpacked.flat(), unpacked.shown()) == []
        assert unpacked.outside() == before


@pytest.mark.parametrize("case", layer_cases.params([c for c in layer_cases.TREES if c.layers]))
def test_markers_never_reach_the_disk(case, tmp_path):
    """WH-18, WH-20: no directory of a layer holds a name that begins as markers do."""
    unpacked = Unpacked(tmp_path, map(entries_of, case.layers), list(case.layers))
    unpacked.shown()

    written = scan(tmp_path / "trees")

    assert [path for path in written if path.rpartition(b"/")[2].startswith(b".wh.")] == []


def test_one_layer_has_no_whiteouts(tmp_path):
    """WH-20: the directory of a single layer has nothing to hide, so it holds no device 0:0."""
    (case,) = [case for case in layer_cases.TREES if case.name == "WH-20"]
    unpacked = Unpacked(tmp_path, map(entries_of, case.layers), list(case.layers))
    unpacked.shown()

    devices = [each for each in scan(tmp_path / "trees").values() if "device" in each.kind]

    assert devices == []


def test_reading_a_view_changes_nothing(tmp_path):
    """The directories of layers are the same after they were mounted and read."""
    (case,) = [case for case in layer_cases.TREES if case.name == "MD-06 MD-07"]
    unpacked = Unpacked(tmp_path, map(entries_of, case.layers), list(case.layers))
    unpacked.shown()
    before = scan(tmp_path / "trees")

    unpacked.shown()

    assert differences(before, scan(tmp_path / "trees")) == []
