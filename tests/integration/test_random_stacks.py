"""Random stacks of layers: the merge, the slow model and the kernel show the same tree of each.

Every stack is a number, so what failed once fails again; the report names that number and the
smallest stack that is still wrong.
"""

from __future__ import annotations

import os
import traceback
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from support import random_stacks
from support.listing import scan_of
from support.model import Model, Refused
from support.overlays import mounted
from support.processes import outcome
from support.random_stacks import tars
from support.stacks import CONTENT
from support.trees import differences, scan

from layerkit import linux
from layerkit.errors import ArchiveError
from layerkit.layer import merge
from layerkit.snapshot import delta, disk, fill
from layerkit.tree import empty

if TYPE_CHECKING:
    from pathlib import Path

PARTS = 20
SHORT, LONG = 500, 100_000
_ROOM = 100
"""So many stacks lie in one tmpfs before it is given up: unmounting is faster than removing."""


def of_model(layers):
    """What the model shows of the layers, and the entry that it refuses instead."""
    model = Model()
    try:
        for layer in layers:
            model.apply(layer)
    except Refused as refused:
        return None, refused.entry
    return model.scan(tars(layers)), None


def wrong(layers):
    """Where merge and model differ; whether they refuse the layers is all that counts then."""
    wanted, refused = of_model(layers)
    try:
        got = scan_of(merge.merge(layers), tars(layers))
    except ArchiveError as error:
        return [] if refused else [f"refused by the merge alone: {error}"]
    return [f"refused by the model alone: {refused}"] if refused else differences(wanted, got)


class Kernel:
    """Stacks as overlayfs shows them, their directories written into a tmpfs one after another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self._tar = os.memfd_create("content")
        os.write(self._tar, CONTENT)

    def wrong(self, layers):
        """Where the mounted directories differ from the merged tree; nothing if there is none."""
        if of_model(layers)[1]:
            return []
        trees = [empty()]
        for number, layer in enumerate(layers):
            trees.append(merge.apply(trees[-1], layer, number))
        place = self._place()
        changes = [delta.between(*pair) for pair in pairwise(trees)]
        lowers = [self._written(place / f"{n}", change) for n, change in enumerate(changes)]
        with mounted([*reversed(lowers), place / "empty"], place / "view") as view:
            return differences(scan_of(trees[-1], tars(layers)), scan(view))

    def _place(self) -> Path:
        if self._count % _ROOM == 0:
            if self._count:
                linux.umount2(str(self._folder), linux.MNT_DETACH)
            linux.mount("tmpfs", str(self._folder), "tmpfs", 0)
        self._count += 1
        place = self._folder / f"{self._count}"
        (place / "empty").mkdir(parents=True)
        return place

    def _written(self, folder: Path, change: delta.Delta) -> Path:
        folder.mkdir()
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            assert not disk.write(root, change, fill.from_tars(lambda _: self._tar))
        finally:
            os.close(root)
        return folder


def compare(numbers, kernel):
    """Compare the stacks of these numbers; the failure names the smallest wrong one."""
    for number in numbers:
        layers = random_stacks.stack(number)
        check(number, layers, wrong)
        while refused := of_model(layers)[1]:
            layers = [[entry for entry in layer if entry is not refused] for layer in layers]
            check(number, layers, wrong)
        if kernel:
            check(number, layers, kernel.wrong)


def check(number, layers, ways):
    """Fail if there is something wrong with a stack."""
    try:
        is_wrong = ways(layers)
    except Exception as error:
        error.add_note(f"stack {number}")
        raise
    if is_wrong:
        small = random_stacks.smallest(layers, ways)
        lines = "\n".join(f"  {layer}" for layer in small)
        pytest.fail(f"stack {number}: {ways(small)}\n{lines}")


def in_own_namespace(folder: Path, report: Path, numbers) -> None:
    """Compare, with mounts that end with this process; what is wrong goes into `report`."""
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
    try:
        compare(numbers, Kernel(folder))
    except pytest.fail.Exception as error:
        report.write_text(str(error))
    except Exception:
        report.write_text(traceback.format_exc())
        raise


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(PARTS), ids="part-{}".format)
def test_random_stacks_are_shown_alike(request, tmp_path, part):
    """INV-1: what layers show is one tree, worked out fast or slowly or by overlayfs (as root)."""
    total = LONG if request.config.getoption("--long") else SHORT
    numbers = range(part, total, PARTS)
    if os.geteuid() != 0:
        compare(numbers, None)
        return
    folder, report = tmp_path / "stacks", tmp_path / "report"
    folder.mkdir()

    code = outcome(lambda: in_own_namespace(folder, report, numbers))

    assert not report.exists(), report.read_text()
    assert code == 0
