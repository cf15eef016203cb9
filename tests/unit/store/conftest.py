"""State directories, and the parts of them."""

from __future__ import annotations

import pytest

from layerkit.store.blobs import BlobStore
from layerkit.store.layers import LayerStore


@pytest.fixture
def root(tmp_path):
    """A state directory with the one folder that everything comes in through."""
    folder = tmp_path / "state"
    (folder / "ingest").mkdir(parents=True)
    return folder


@pytest.fixture
def blobs(root):
    """The blobs of `root`."""
    return BlobStore(root)


@pytest.fixture
def layers(root):
    """The layers of `root`."""
    return LayerStore(root)
