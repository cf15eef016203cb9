"""A layer's index is made once, and made again when it is damaged."""

from __future__ import annotations

import pytest
from support import homes, tars

from layerkit.errors import IntegrityError, NotFoundError, StoreError
from layerkit.events import ignore
from layerkit.oci import Descriptor
from layerkit.ops import layers, unpacking
from layerkit.tree import walk

TAR = tars.archive(tars.file("a", "x" * 100), tars.hardlink("b", "a"), tars.directory("d/"))


@pytest.fixture
def layer(home, tmp_path):
    """The record of a layer in the store."""
    return homes.load_layers(home, tmp_path / "layout", [TAR]).layers[0]


def unpack(home, blob, diff_id):
    """Make a layer of a blob that is here."""
    size = home.store.blobs.path(blob).stat().st_size
    chunks = unpacking.read_blob(home.store, blob, ignore)
    unpacking.unpack(home.store, chunks, Descriptor("", blob, size), diff_id)


def test_the_index_has_all_entries(home, layer):
    """In the order of the archive; the size is that of the files, links counted once."""
    index = layers.load_toc(home.store, layer.diff_id)

    assert [entry.path for entry in index.entries] == [b"a", b"b", b"d"]
    assert layers.content_size(index) == 100
    assert [path for path, _ in walk(layers.tree(home.store, [layer.diff_id]))] == [
        b"a",
        b"b",
        b"d",
    ]


@pytest.mark.parametrize("damage", [b"", b"garbage", None], ids=["empty", "garbage", "flipped"])
def test_a_damaged_index_is_made_again(home, layer, damage):
    """From the tar; afterwards it is whole."""
    path = home.store.layers.folder(layer.diff_id) / "toc"
    whole = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]) if damage is None else damage)

    index = layers.load_toc(home.store, layer.diff_id)

    assert [entry.path for entry in index.entries] == [b"a", b"b", b"d"]
    assert path.read_bytes() == whole


def test_a_layer_that_is_not_here(home, layer):
    """It is not found; one without its tar is a store error."""
    with pytest.raises(NotFoundError):
        layers.load_toc(home.store, layer.blob)
    (home.store.layers.folder(layer.diff_id) / "toc").chmod(0o644)
    (home.store.layers.folder(layer.diff_id) / "toc").write_bytes(b"")
    home.store.layers.tar(layer.diff_id).unlink()

    with pytest.raises(StoreError, match=r"cannot read .*: no such file"):
        layers.load_toc(home.store, layer.diff_id)


def test_a_blob_is_checked_against_a_layer_that_is_here(home, layer):
    """The right blob passes; another one is refused, and the layer stays."""
    wrong = home.store.blobs.put(tars.gzipped(tars.archive(tars.file("other"))))
    longer = home.store.blobs.put(tars.gzipped(TAR + bytes(10_240)))

    unpack(home, layer.blob, layer.diff_id)
    for blob in (wrong, longer):
        with pytest.raises(IntegrityError, match=f"bad layer {blob.short}"):
            unpack(home, blob, layer.diff_id)

    assert home.store.layers.has(layer.diff_id)


def test_no_layers_are_an_empty_tree(home):
    """The tree of nothing is a root directory."""
    assert layers.stack(home.store, []) == []
    assert list(walk(layers.tree(home.store, []))) == []
