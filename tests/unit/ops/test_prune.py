"""What nobody needs goes when it is old, and nothing that somebody is at."""

from __future__ import annotations

import os
import time
from datetime import timedelta

import pytest
from support import homes, partials, stores, tars
from support.partials import DAY
from support.processes import child, until

from layerkit.events import Notice
from layerkit.ops import views
from layerkit.ops.home import Home
from layerkit.ops.prune import AGE, prune, prune_downloads
from layerkit.ops.remove import remove_image
from layerkit.store.records import NameRecord

BASE = tars.archive(tars.file("base", "b"))
TOP = tars.archive(tars.file("top", "t"))
MARK = "a" * 16
NOTHING = timedelta(0)


def in_days(days):
    """That many days from now, in seconds since 1970."""
    return time.time() + days * DAY


def kinds(removed):
    """What was told to be removed, by kind and name."""
    return [(each.kind, each.name) for each in removed]


def ingest(home):
    """The names in `ingest`."""
    return sorted(os.listdir(home.store.scratch))


@pytest.fixture
def orphans(home, tmp_path):
    """An image whose content belongs to nothing, as after a crash between record and content."""
    image = homes.load_layers(home, tmp_path / "layout", [BASE, TOP])
    homes.layered(home, image)
    with home.store.database.transaction():
        home.store.database.delete_name("docker.io/library/app:1")
        home.store.database.delete_image(image.manifest)
    return image


def content(home):
    """The names of all layers, blobs and views."""
    folders = ("layers", "blobs/sha256", "trees")
    return {name for each in folders for name in os.listdir(home.store.root / each)}


@pytest.mark.parametrize(
    ("days", "age", "goes"),
    [
        pytest.param(6, AGE, False, id="K12-younger-than-7-days"),
        pytest.param(8, AGE, True, id="K12-free"),
        pytest.param(0.4, timedelta(hours=12), False, id="younger-than-asked-for"),
        pytest.param(0.6, timedelta(hours=12), True, id="older-than-asked-for"),
        pytest.param(29, timedelta(days=30), False, id="kept-longer"),
        pytest.param(0, NOTHING, True, id="no-age"),
    ],
)
def test_a_partial_download_goes_when_it_is_old(home, days, age, goes):
    """By its last change; how much of the disk is free again is told."""
    digest = partials.leave_download(home.store.blobs)

    removed = prune(home, now=in_days(days), older_than=age)

    assert kinds(removed) == ([("partial download", str(digest))] if goes else [])
    assert bool(ingest(home)) != goes
    assert all(each.size >= 2 << 20 for each in removed)


@pytest.mark.parametrize("days", [8, 8000], ids=["K12-held", "K12-held-for-years"])
def test_a_download_that_somebody_is_at_stays(home, tmp_path, days):
    """However old: who holds the lock loses nothing, and others that are old go."""
    held = partials.leave_download(home.store.blobs, 1)
    free = partials.leave_download(home.store.blobs, 2)

    with partials.holding(home.store.blobs, held, tmp_path / "flag"):
        removed = prune(home, now=in_days(days), older_than=AGE)

    assert kinds(removed) == [("partial download", str(free))]
    assert home.store.blobs.arrived(held, partials.SIZE) == 2 << 20


def test_a_layer_of_a_killed_process_goes(home):
    """With its age and a free lock, as a download."""
    name = partials.leave_layer(home.store.layers)

    assert prune(home, now=in_days(6)) == []
    assert kinds(prune(home, now=in_days(8))) == [("temporary file", name)]
    assert ingest(home) == []


def make_file(path):
    """A small file before its name."""
    path.write_bytes(b"x")


def make_tree(path):
    """A folder of a view, or of what was being removed."""
    (path / "fs/deep").mkdir(parents=True)
    (path / "fs/deep/file").write_bytes(b"x")


@pytest.mark.parametrize(
    ("name", "make"),
    [
        (f"put-{MARK}", make_file),
        (f"tree-{MARK}", make_tree),
        (f"gone-{MARK}", make_tree),
        (f"gone-{MARK}-7", make_tree),
    ],
)
def test_what_has_no_lock_stays_for_a_day(home, name, make):
    """Nobody can be at what did not change for so long; a shorter age does not hold for it."""
    make(home.store.scratch / name)

    assert prune(home, now=in_days(0.9), older_than=NOTHING) == []
    assert ingest(home) == [name]
    assert kinds(prune(home, now=in_days(1.1), older_than=NOTHING)) == [("temporary file", name)]
    assert ingest(home) == []


@pytest.mark.parametrize(
    "name", ["put-x", "tmp123", f"sha256-{'z' * 64}", f"layer-{MARK}", "a\nb", "\udcff", "-rf"]
)
def test_a_name_of_somebody_else_stays(home, name):
    """What layerkit does not name so is not its to remove."""
    make_tree(home.store.scratch / name)

    assert prune(home, now=in_days(1000), older_than=NOTHING) == []
    assert ingest(home) == [name]


def test_a_link_out_of_the_store_is_not_followed(home, tmp_path):
    """A download that is a link to a folder elsewhere loses neither itself nor that."""
    make_tree(tmp_path / "elsewhere")
    (home.store.scratch / f"sha256-{'0' * 64}").symlink_to(tmp_path / "elsewhere")

    assert prune(home, now=in_days(1000)) == []
    assert (tmp_path / "elsewhere/fs/deep/file").exists()
    assert os.listdir(tmp_path / "elsewhere") == ["fs"]


@pytest.mark.root
def test_content_that_no_image_has_goes(home, orphans):
    """SN-20: layers, blobs and views, once they are old enough."""
    assert prune(home, now=in_days(6)) == []

    removed = prune(home, now=in_days(8))

    blobs = {orphans.manifest, orphans.config, *(layer.blob for layer in orphans.layers)}
    assert sorted(kinds(removed)) == sorted(
        [
            *(("blob", str(each)) for each in blobs),
            *(("layer", str(layer.diff_id)) for layer in orphans.layers),
            *(("view", str(each)) for each in views.chains(orphans)),
        ]
    )
    assert content(home) == set()
    assert ingest(home) == []


@pytest.mark.root
def test_content_of_images_stays(home, orphans, tmp_path):
    """SN-20: what an image shares with what is gone is needed, without a name as well."""
    kept = homes.load_layers(home, tmp_path / "other", [BASE], name="kept:1")
    homes.layered(home, kept)
    home.store.remove_names(["docker.io/library/kept:1"], [])

    prune(home, now=in_days(1000), older_than=NOTHING)

    assert stores.faults(home.store.root) == []
    assert {layer.diff_id.hex for layer in kept.layers} == set(
        os.listdir(home.store.root / "layers")
    )
    assert len(os.listdir(home.store.root / "blobs/sha256")) == 3
    assert set(os.listdir(home.store.root / "trees")) == {each.hex for each in views.chains(kept)}


@pytest.mark.root
def test_content_of_containers_stays(home, tmp_path):
    """SN-20: an image whose name is gone is still there for its container."""
    image = homes.load_layers(home, tmp_path / "layout", [BASE, TOP])
    homes.create(home, image, name="box")
    remove_image(home, "app:1", force=True)
    before = content(home)

    assert prune(home, now=in_days(1000), older_than=NOTHING) == []
    assert content(home) == before


def test_what_a_name_stands_for_stays(home, tmp_path):
    """The index that a name was pulled by belongs to it, where the store has it."""
    image = homes.load_layers(home, tmp_path / "layout", [BASE])
    index = home.store.blobs.put(b"an index")
    with home.store.database.transaction():
        home.store.database.put_name(NameRecord("docker.io/library/x:1", image.manifest, index))

    assert prune(home, now=in_days(1000), older_than=NOTHING) == []
    assert home.store.blobs.has(index)


def test_fresh_content_of_a_pull_under_way_stays(home, tmp_path):
    """SN-20: a blob that another process has brought in has no image yet; a note says why it stays."""
    told = []

    def work():
        with Home(home.store.root) as other, other.store.arrival():
            other.store.blobs.put(b"layer")
            (tmp_path / "flag").touch()
            until(lambda: False)

    with child(work):
        until((tmp_path / "flag").exists)
        assert prune(home, now=in_days(8), older_than=NOTHING, observe=told.append) == []
        assert len(content(home)) == 1
    assert [type(each) for each in told] == [Notice]
    assert [each.kind for each in prune(home, now=in_days(8), older_than=NOTHING)] == ["blob"]


@pytest.mark.root
def test_a_dry_run_removes_nothing(home, orphans, tmp_path):
    """It tells what the same call without it removes, what is held left out."""
    for number in range(2):
        partials.leave_download(home.store.blobs, number)
    make_tree(home.store.scratch / f"gone-{MARK}")
    before = (ingest(home), content(home))
    held = partials.blob(0)[0]

    with partials.holding(home.store.blobs, held, tmp_path / "flag"):
        told = prune(home, now=in_days(8), dry_run=True)
        assert (ingest(home), content(home)) == before
        assert prune(home, now=in_days(8)) == told
    assert len(told) == 2 + 2 + 4 + 3
    assert ingest(home) == [f"sha256-{held.hex}"]


def test_foreign_names_among_content_stay(home):
    """A file in `layers`, `trees` or `blobs` that is named by no digest is not looked at."""
    for name in ("layers/x", "trees/README", "blobs/sha256/abc", f"blobs/sha256/{'0' * 128}"):
        (home.store.root / name).write_bytes(b"x")

    assert prune(home, now=in_days(1000), older_than=NOTHING) == []


def test_the_pruned_store_still_takes_images(home, tmp_path):
    """What went can come again."""
    partials.leave_download(home.store.blobs)
    prune(home, now=in_days(8))

    homes.load_layers(home, tmp_path / "layout", [BASE])
    partials.leave_download(home.store.blobs)

    assert stores.faults(home.store.root) == []


class TestAtTheEndOfAPull:
    """A pull removes old downloads, and nothing else."""

    def test_old_downloads_go(self, home, tmp_path):
        """K12: those that are free."""
        held = partials.leave_download(home.store.blobs, 1)
        partials.leave_download(home.store.blobs, 2)
        layer = partials.leave_layer(home.store.layers)

        with partials.holding(home.store.blobs, held, tmp_path / "flag"):
            prune_downloads(home.store, in_days(8))

        assert ingest(home) == sorted([layer, f"sha256-{held.hex}"])

    def test_younger_ones_stay(self, home):
        """Seven days are for whoever wants to go on."""
        partials.leave_download(home.store.blobs)

        prune_downloads(home.store, in_days(6))

        assert len(ingest(home)) == 1

    def test_no_failure_spoils_the_pull(self, home, monkeypatch):
        """What cannot be removed stays."""
        partials.leave_download(home.store.blobs)
        monkeypatch.setattr(os, "rename", refuse)

        prune_downloads(home.store, in_days(8))

        assert len(ingest(home)) == 1


def refuse(*_arguments, **_options):
    """As an operation that nobody may do."""
    raise PermissionError(1, "not permitted", "x")
