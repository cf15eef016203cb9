"""History: how an image came to be, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from layerkit import oci
from layerkit.ops import layers
from layerkit.ops.images import find_image

if TYPE_CHECKING:
    from layerkit.ops.home import Home
    from layerkit.store.records import ImageRecord

MISSING = "<missing>"


class HistoryRow(Struct, frozen=True):
    """One step: the image's id on the newest, `<missing>` on others as docker has it; bytes."""

    id: str
    created: str
    created_by: str
    size: int
    comment: str


def read_config(home: Home, image: ImageRecord) -> oci.ImageConfig:
    """The config of an image in the store."""
    return oci.parse_config(home.store.blobs.read(image.config, oci.DOCUMENT_LIMIT))


def history(home: Home, text: str) -> list[HistoryRow]:
    """The steps, newest first; a layer without a step in the config gets an unnamed one."""
    image = find_image(home, text)
    sizes = iter(
        [layers.content_size(layers.load_toc(home.store, layer.diff_id)) for layer in image.layers]
    )
    config = read_config(home, image)
    rows = [
        HistoryRow(
            MISSING,
            step.created,
            step.created_by,
            0 if step.empty_layer else next(sizes, 0),
            step.comment,
        )
        for step in config.history
    ]
    rows += [HistoryRow(MISSING, config.created, "", size, "") for size in sizes]
    rows.reverse()
    if rows:
        newest = rows[0]
        rows[0] = HistoryRow(
            str(image.config), newest.created, newest.created_by, newest.size, newest.comment
        )
    return rows
