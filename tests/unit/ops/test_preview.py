"""What a pull would do is told without doing anything of it."""

from __future__ import annotations

import os
import random

import pytest
from support import partials, tars
from support.faults import status

from layerkit import digest as digests
from layerkit import platforms, reference
from layerkit.errors import NotFoundError, UnavailableError
from layerkit.events import Notice
from layerkit.ops.preview import Needs, needs, preview
from layerkit.ops.pull import pull

AMD64 = platforms.parse("amd64")
ARM64 = platforms.parse("arm64")
LOW = tars.archive(tars.file("low", "l"))
HIGH = tars.archive(tars.file("high", random.Random(3).randbytes(3 << 20)))


@pytest.fixture
def look(home, registry, client):
    """The preview of an image by the part of its name behind the registry."""

    def look(name="app:1", **options):
        options = {"platform": AMD64, "root": home.store.root, **options}
        return preview(
            reference=reference.parse(f"{registry.host}/{name}"), client=client, **options
        )

    return look


def snapshot(root):
    """Every file below, with its time and size."""
    return sorted(
        (path, each.st_mtime_ns, each.st_size)
        for path in root.rglob("*")
        for each in [os.lstat(path)]
        if not path.name.startswith("store.db-")
    )


def here(found):
    """(size, here, to fetch, unpacked) of each layer."""
    return [(each.size, each.here, each.missing, each.unpacked) for each in found.layers]


def test_all_of_a_new_image_is_missing(home, registry, look):
    """Layers with their sizes, name, digest and platform; no layer is asked for."""
    added = registry.add_image("app", "1", [LOW, HIGH])
    low, high = (blob.size for blob in added.layers)

    found = look()

    assert (found.name, found.target) == (f"{registry.host}/app:1", added.descriptor.digest)
    assert str(found.platform) == "linux/amd64"
    assert here(found) == [(low, 0, low, None), (high, 0, high, None)]
    assert [str(each.diff_id) for each in found.layers] == list(added.diff_ids)
    asked = registry.paths("/blobs/")
    assert [path for path in asked if str(added.config.digest) not in path] == []


def test_nothing_is_written(home, registry, look):
    """Neither name nor document nor left-over of a download changes."""
    added = registry.add_image("app", "1", [LOW, HIGH])
    with home.store.blobs.ingest(added.layers[1].digest, added.layers[1].size) as transaction:
        put(transaction, 1 << 20)
    before = snapshot(home.store.root)

    look()

    assert snapshot(home.store.root) == before
    assert home.store.database.names() == []


def test_no_state_directory_is_made(registry, look, tmp_path):
    """A look at what a pull takes needs none, and its disk is that of where it would be."""
    registry.add_image("app", "1", [LOW])
    root = tmp_path / "none/state"

    found = look(root=root)

    assert needs(root, [found]).free > 0
    assert not root.parent.exists()


def put(transaction, length):
    """Bring the first bytes of `HIGH`'s blob in."""
    with transaction.writer(0) as writer:
        writer.write(tars.gzipped(HIGH)[:length])


def test_what_a_stopped_pull_left_counts(home, registry, look, tmp_path):
    """What its journal has is not fetched again, also while another process is at it."""
    added = registry.add_image("app", "1", [HIGH])
    (blob,) = added.layers
    with home.store.blobs.ingest(blob.digest, blob.size) as transaction:
        put(transaction, 2 << 20)

    wanted = [(blob.size, 2 << 20, blob.size - (2 << 20), None)]
    assert here(look()) == wanted
    with partials.holding(home.store.blobs, blob.digest, tmp_path / "flag", size=blob.size):
        assert here(look()) == wanted


def test_a_left_over_of_another_size_does_not_count(home, registry, look):
    """A journal for other bytes says nothing about these."""
    added = registry.add_image("app", "1", [HIGH])
    (blob,) = added.layers
    with home.store.blobs.ingest(blob.digest, blob.size + 1) as transaction:
        put(transaction, 1 << 20)

    assert here(look()) == [(blob.size, 0, blob.size, None)]


def test_of_a_pulled_image_nothing_is_missing(home, registry, client, look):
    """Its layers are here and unpacked; its config is not asked for again."""
    added = registry.add_image("app", "1", [LOW, HIGH])
    pull(home, reference.parse(f"{registry.host}/app:1"), client=client, platform=AMD64)
    asked = len(registry.paths("/blobs/"))

    assert here(look()) == [(blob.size, blob.size, 0, 0) for blob in added.layers]
    assert len(registry.paths("/blobs/")) == asked


def test_the_size_of_a_plain_tar_is_known_before(registry, look):
    """It is unpacked as it comes."""
    registry.add_image("app", "1", [LOW], compression="")
    registry.add_image("app", "2", [HIGH], compression="", docker=True)

    assert [look(f"app:{tag}").layers[0].unpacked for tag in "12"] == [len(LOW), len(HIGH)]


def test_a_layer_that_several_images_share_is_needed_once(home, registry, look):
    """The totals are those of pulling all of them."""
    plain = registry.add_image("app", "1", [LOW], compression="")
    packed = registry.add_image("app", "2", [HIGH])
    registry.add_image("app", "3", [HIGH, HIGH])
    (blob,) = packed.layers
    with home.store.blobs.ingest(blob.digest, blob.size) as transaction:
        put(transaction, 1 << 20)

    total = needs(home.store.root, [look(f"app:{tag}") for tag in "123"])

    low = plain.layers[0].size
    assert total == Needs(
        missing=low + blob.size - (1 << 20),
        missing_layers=2,
        finished=0,
        partial=1 << 20,
        unpacked=low,
        unknown=1,
        free=total.free,
    )


def test_a_platform_is_chosen_as_by_a_pull(registry, look):
    """Of an index the image for it; another one is refused when it was asked for, else warned of."""
    images = {
        f"linux/{name}": registry.add_image("app", None, [tar], {"architecture": name}).descriptor
        for name, tar in (("amd64", LOW), ("arm64", HIGH))
    }
    index = registry.add_index("app", "1", images)
    registry.add_image("app", "2", [LOW])
    told = []

    found = look(platform=ARM64, explicit_platform=True)

    assert (found.target, str(found.platform)) == (index.digest, "linux/arm64")
    assert found.layers[0].diff_id == digests.of_bytes(HIGH)
    with pytest.raises(NotFoundError, match="wanted linux/arm64"):
        look("app:2", platform=ARM64, explicit_platform=True)
    look("app:2", platform=ARM64, observe=told.append)
    assert [type(each) for each in told] == [Notice]


def test_what_the_registry_does_not_give_is_an_error(registry, look):
    """A missing image and a broken registry are told as by a pull."""
    with pytest.raises(NotFoundError):
        look("app:none")
    registry.fault("/manifests/", status(503))
    with pytest.raises(UnavailableError):
        look()
