"""Every byte on the disk is told, once for each kind, with who needs it."""

from __future__ import annotations

import os
import time

import pytest
from support import homes, partials, tars

from layerkit.ops.containers import folder_of
from layerkit.ops.df import disk_usage, summary

NOISE = b"n" * 3_000_000
BASE = tars.archive(tars.file("base", NOISE))
TOP = tars.archive(tars.file("top", "t"))
OTHER = tars.archive(tars.file("other", "o"))
MARK = "a" * 16


def disk(*tops):
    """What folders take with all in them, as du counts."""
    found = set()
    for top in tops:
        found.add(top)
        found.update(top.rglob("*"))
    return sum(os.lstat(each).st_blocks * 512 for each in found)


def row(home, kind):
    """One line of the summary."""
    (found,) = [each for each in summary(disk_usage(home)) if each.kind == kind]
    return (found.total, found.active, found.size, found.reclaimable)


def test_an_empty_store_has_nothing(home):
    """Every row is there, all of them zero."""
    rows = summary(disk_usage(home))

    assert [each.kind for each in rows] == [
        *("Images", "Layers", "Blobs", "Containers", "Local Volumes"),
        *("Views", "Partial downloads", "Temporary files"),
    ]
    assert {(each.total, each.active, each.size, each.reclaimable) for each in rows} == {
        (0, 0, 0, 0)
    }


def test_what_images_share_is_told(home, tmp_path):
    """Shared is what another image has, too; unique is what goes with the image."""
    first = homes.load_layers(home, tmp_path / "1", [BASE, TOP], name="first:1")
    homes.load_layers(home, tmp_path / "2", [BASE, OTHER], name="second:1")
    base, top = first.layers
    root = home.store.root

    usage = {each.names: each for each in disk_usage(home).images}

    told = usage["docker.io/library/first:1",]
    folder = home.store.layers.folder
    blob = home.store.blobs.path
    assert told.shared == disk(folder(base.diff_id), blob(base.blob))
    assert told.unique == disk(
        folder(top.diff_id), blob(top.blob), blob(first.config), blob(first.manifest)
    )
    uniques = sum(each.unique for each in usage.values())
    everything = disk(*(root / "layers").iterdir(), *(root / "blobs/sha256").iterdir())
    assert row(home, "Images") == (2, 0, everything, uniques)
    assert everything == uniques + told.shared


def test_content_that_no_image_has_is_reclaimable(home, tmp_path):
    """Layers and blobs count as active while an image has them."""
    image = homes.load_layers(home, tmp_path / "layout", [BASE, TOP])
    root = home.store.root
    layers, blobs = disk(*(root / "layers").iterdir()), disk(*(root / "blobs/sha256").iterdir())
    assert row(home, "Layers") == (2, 2, layers, 0)
    assert row(home, "Blobs") == (4, 4, blobs, 0)

    with home.store.database.transaction():
        home.store.database.delete_name("docker.io/library/app:1")
        home.store.database.delete_image(image.manifest)

    assert row(home, "Layers") == (2, 0, layers, layers)
    assert row(home, "Blobs") == (4, 0, blobs, blobs)
    assert row(home, "Images") == (0, 0, 0, 0)


@pytest.mark.root
def test_a_container_makes_its_image_active(home, tmp_path):
    """SN-05: the image's content is not reclaimable then; what the container wrote is, when it rests."""
    image = homes.load_layers(home, tmp_path / "layout", [BASE])
    container = homes.create(home, image)
    folder = folder_of(home, container)
    (folder / "upper/new").write_bytes(NOISE)

    assert row(home, "Containers") == (1, 0, disk(folder), disk(folder))
    assert row(home, "Images")[:2] == (1, 1)
    assert row(home, "Images")[3] == 0
    assert row(home, "Views") == (2, 2, disk(*(home.store.root / "trees").iterdir()), 0)
    (told,) = disk_usage(home).containers
    assert (told.container, told.status) == (container, "created")


@pytest.mark.root
def test_views_count_for_the_images_that_have_them(home, tmp_path):
    """An image counts its view, shared or not, as soon as it is written."""
    image = homes.load_layers(home, tmp_path / "layout", [BASE])
    before = disk_usage(home).images[0].unique
    homes.layered(home, image)

    assert disk_usage(home).images[0].unique == before + row(home, "Views")[2]


def test_partial_downloads_are_told(home, tmp_path):
    """K12: digest, bytes so far and in all, age, and whether a process is at it; nothing changes."""
    free = partials.leave_download(home.store.blobs, 1)
    held = partials.leave_download(home.store.blobs, 2, length=1 << 20)
    folder = home.store.scratch / f"sha256-{free.hex}"
    before = sorted((path, os.lstat(path).st_mtime_ns) for path in folder.iterdir())

    with partials.holding(home.store.blobs, held, tmp_path / "flag"):
        usage = {each.digest: each for each in disk_usage(home).downloads}
        total = row(home, "Partial downloads")

    assert (usage[free].recorded, usage[free].blob_size) == (2 << 20, partials.SIZE)
    assert (usage[free].held, usage[held].held) == (False, True)
    assert usage[held].recorded == 1 << 20
    assert usage[free].size == disk(folder)
    assert abs(usage[free].changed - time.time()) < partials.DAY
    assert total == (2, 1, usage[free].size + usage[held].size, usage[free].size)
    assert sorted((path, os.lstat(path).st_mtime_ns) for path in folder.iterdir()) == before


@pytest.mark.parametrize("journal", [b"", b"noise", b"layerkit-journal 1 x 5 00000000\n"])
def test_a_download_without_a_sound_journal_has_no_size(home, journal):
    """What it is part of nobody knows, what it takes is told."""
    digest = partials.leave_download(home.store.blobs)
    (home.store.scratch / f"sha256-{digest.hex}/journal").write_bytes(journal)

    (told,) = disk_usage(home).downloads

    assert (told.blob_size, told.recorded) == (None, 0)
    assert told.size >= 2 << 20


def test_what_killed_processes_left_is_told(home):
    """Layers that were being unpacked and files without a name take room, too."""
    layer = partials.leave_layer(home.store.layers)
    (home.store.scratch / f"put-{MARK}").write_bytes(NOISE)

    told = disk_usage(home).scratch

    assert [each.name for each in told] == [layer, f"put-{MARK}"]
    assert row(home, "Temporary files") == (2, 0, *[sum(each.size for each in told)] * 2)
