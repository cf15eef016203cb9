"""Fetch, verify and store the blobs of an image's layers, and make nothing of them.

What `layerkit pull` does before it looks into a layer, to be compared with tools that do no more.

    .venv/bin/python benchmarks/download.py STATE-DIRECTORY IMAGE [AUTHORITY]
"""

from __future__ import annotations

import sys
from pathlib import Path

from layerkit import oci, reference
from layerkit.ops.connect import Places, connect
from layerkit.ops.home import Home
from layerkit.registry.download import Downloader


def main(root: str, image: str, *authorities: str) -> None:
    """Bring the blobs in; those of one manifest, one after another."""
    name = reference.parse(image)
    places = Places(authorities=tuple(map(Path, authorities)))
    with (
        Home(Path(root)) as home,
        connect((), {}, places, warn=print) as client,
        Downloader(client) as downloader,
    ):
        found, raw = client.resolve_document(name)
        for layer in oci.parse_document(raw, found.media_type).layers:
            with home.store.blobs.ingest(layer.digest, layer.size) as blob:
                with downloader.transfer(name, layer, blob, lambda: None):
                    for _ in blob.follow():
                        pass
                blob.commit()


if __name__ == "__main__":
    main(*sys.argv[1:])
