"""An image that adds layers to one that is here: only those are applied to see whether they can be."""

import pytest
from support import homes, tars

from layerkit import digest as digests
from layerkit import oci
from layerkit.errors import IntegrityError
from layerkit.events import ignore
from layerkit.ops import layers, making
from layerkit.ops.install import Base, NewImage
from layerkit.ops.local import bring

BELOW = tars.archive(tars.directory("d/"), tars.file("d/a", "four"))
ABOVE = tars.archive(tars.hardlink("d/b", "d/a"), tars.file("d/c", "seven77"))
NOWHERE = tars.archive(tars.hardlink("d/b", "d/gone"))


@pytest.fixture
def image(home, tmp_path):
    """The image that is here."""
    return homes.load_layers(home, tmp_path / "layout", [BELOW])


@pytest.fixture
def add(home, image):
    """Brings in the image with one more layer, on a base as `commit` gives it."""

    def add(layer):
        raw = home.store.blobs.read(image.manifest, oci.DOCUMENT_LIMIT)
        top = oci.Descriptor(making.LAYER_TYPE, digests.of_bytes(layer), len(layer))
        diff_ids = [*(each.diff_id for each in image.layers), top.digest]
        rootfs = {"type": "layers", "diff_ids": list(map(str, diff_ids))}
        config = making.config({"os": "linux", "architecture": "amd64", "rootfs": rootfs})
        manifest = making.manifest(config, [*oci.parse_document(raw).layers, top])
        base = Base(image, layers.tree(home.store, diff_ids[:1]), count=1)
        return bring(home.store, NewImage(manifest, config, base=base), lambda _: [layer], ignore)

    return add


def test_the_index_of_a_base_is_not_read_again(home, image, add, monkeypatch):
    """The size counts the base's files, whose index nobody reads once its tree is known."""
    read = []
    load_toc = layers.load_toc

    def counted(store, diff_id):
        read.append(diff_id)
        return load_toc(store, diff_id)

    wanted = layers.tree(home.store, [image.layers[0].diff_id])
    monkeypatch.setattr(layers, "tree", lambda *_: wanted)
    monkeypatch.setattr(layers, "load_toc", counted)

    added = add(ABOVE)

    assert added.size == image.size + len("seven77")
    assert read == [added.layers[1].diff_id]


def test_what_cannot_be_applied_to_a_base_is_refused(home, image, add):
    """A hard link to nowhere in the new layer is an error that names it; the base stays alone."""
    with pytest.raises(
        IntegrityError, match=rf"bad layer {digests.of_bytes(NOWHERE).short}: .*gone"
    ):
        add(NOWHERE)

    assert home.store.database.images() == [image]
    assert not home.store.layers.has(digests.of_bytes(NOWHERE))
