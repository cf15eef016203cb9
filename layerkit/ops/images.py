"""Which images are here, and which one a text means."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from msgspec import Struct

from layerkit import reference as references
from layerkit.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from layerkit.digest import BlobDigest
    from layerkit.ops.home import Home
    from layerkit.reference import Reference
    from layerkit.store.records import ImageRecord, NameRecord

NONE = "<none>"
_ID = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})", re.ASCII)


class ImageRow(Struct, frozen=True):
    """One line of `images`: a name of an image, or an image without one; size in bytes."""

    repository: str
    tag: str
    digest: str
    id: BlobDigest
    created: str
    size: int


def list_images(home: Home, pattern: str | None = None) -> list[ImageRow]:
    """A row for each name, the image that came last first; `pattern` is REPOSITORY[:TAG]."""
    rows = []
    for image in home.store.database.images():
        names = home.store.database.names_of(image.manifest)
        rows += [_row(image, name) for name in names] or [_row(image, None)]
    return [row for row in rows if pattern is None or _matches(row, pattern)]


def _row(image: ImageRecord, name: NameRecord | None) -> ImageRow:
    if name is None:
        return ImageRow(NONE, NONE, NONE, image.config, image.created, image.size)
    reference = references.parse(name.name)
    return ImageRow(
        reference.familiar_repository,
        reference.tag or NONE,
        str(name.target),
        image.config,
        image.created,
        image.size,
    )


def _matches(row: ImageRow, pattern: str) -> bool:
    """As docker's reference filter: shell patterns, `*` within one path component; names only."""
    repository, colon, tag = (
        pattern.rpartition(":")
        if ":" in pattern.rpartition("/")[2]
        else (
            pattern,
            "",
            "",
        )
    )
    wanted, got = repository.split("/"), row.repository.split("/")
    return (
        row.repository != NONE
        and len(wanted) == len(got)
        and all(fnmatchcase(part, glob) for part, glob in zip(got, wanted, strict=True))
        and (not colon or fnmatchcase(row.tag, tag))
    )


def find_image(home: Home, text: str) -> ImageRecord:
    """The image that a name, an id or the beginning of an id means; raises `NotFoundError`."""
    return find_named(home, text)[0]


def find_named(home: Home, text: str) -> tuple[ImageRecord, NameRecord | None]:
    """The image that `text` means, and the name, if it is one; a name goes before an id."""
    name = _name(home, text)
    if name is not None:
        return image_of(home, name.manifest), name
    match = _ID.fullmatch(text)
    found = home.store.database.images_by_id(match[1]) if match else []
    ids = {image.config for image in found}
    if len(ids) > 1:
        raise UsageError(f"image id {text!r} is ambiguous: it begins {len(ids)} ids")
    if not found:
        raise NotFoundError(f"no such image: {text}", hint=f"fetch it with: layerkit pull {text}")
    return found[0], None


def _name(home: Home, text: str) -> NameRecord | None:
    try:
        reference = references.parse(text)
    except UsageError:
        if _ID.fullmatch(text):
            return None
        raise
    return name_of(home, reference)


def name_of(home: Home, reference: Reference) -> NameRecord | None:
    """The name that a reference means; one with a digest means also a tag that came with that."""
    found = home.store.database.name(reference.identity)
    if found is None and reference.digest is not None:
        prefix = f"{reference.registry}/{reference.repository}"
        for name in home.store.database.names():
            if name.target == reference.digest and name.name.startswith(
                (f"{prefix}:", f"{prefix}@")
            ):
                return name
    return found


def image_of(home: Home, manifest: BlobDigest) -> ImageRecord:
    """The image with this manifest, which something in the store points to."""
    image = home.store.database.image(manifest)
    if image is None:
        raise NotFoundError(f"image with manifest {manifest} is not in the store")
    return image
