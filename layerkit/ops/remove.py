"""Remove: names first, then images without one, then what only they had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerkit import reference as references
from layerkit.errors import ConflictError
from layerkit.ops import mountpoints, views
from layerkit.ops.images import find_named

if TYPE_CHECKING:
    from layerkit.digest import ChainID
    from layerkit.ops.home import Home
    from layerkit.store.records import ImageRecord, NameRecord


def remove_image(home: Home, text: str, *, force: bool = False) -> list[str]:
    """Remove a name, and the image with its last name; the lines docker prints about it.

    By id, all its names go, more than one only with `force`; so does whatever else has this id (one
    config may belong to several manifests). An image that a container was made from keeps its
    content: without `force` this is a `ConflictError`, with it only the name goes.
    """
    database = home.store.database
    image, name = find_named(home, text)
    images = [image] if name is not None else database.images_by_id(image.config.hex)
    names = [record for each in images for record in database.names_of(each.manifest)]
    going = names if name is None else [name]
    if name is None and len(names) > 1 and not force:
        raise ConflictError(
            f"cannot remove image {text}: it has {len(names)} names",
            hint="remove the names, or all at once with -f",
        )
    last = len(going) == len(names)
    used = [box for each in images for box in database.containers_of(each.manifest)]
    if last and used and not force:
        raise ConflictError(
            f"cannot remove image {text}: container {used[0].id[:12]} was made from it",
            hint="remove the container first",
        )
    mounted = {path.name: path for path in mountpoints.mounted(home)}
    for each in images:
        if last and each.manifest.hex in mounted:
            raise ConflictError(
                f"cannot remove image {text}: it is mounted on {mounted[each.manifest.hex]}",
                hint=f"layerkit umount {text}",
            )
    busy = {box.manifest for box in used}
    gone = [each for each in images if last and each.manifest not in busy]
    home.store.remove_names([record.name for record in going], gone)
    _remove_views(home, gone)
    deleted = gone and not database.images_by_id(image.config.hex)
    return [*_untagged(going, last=last), *([f"Deleted: {image.config}"] if deleted else ())]


def _untagged(going: list[NameRecord], *, last: bool) -> list[str]:
    lines = []
    for record in going:
        reference = references.parse(record.name)
        lines.append(f"Untagged: {reference.familiar}")
        if last and reference.digest is None:
            lines.append(f"Untagged: {reference.familiar_repository}@{record.target}")
    return lines


def _remove_views(home: Home, gone: list[ImageRecord]) -> None:
    with home.store.database.transaction():  # so that nobody names an image with them meanwhile
        kept: set[ChainID] = set()
        for other in home.store.database.images():
            kept.update(views.chains(other))
        for chain in {chain for image in gone for chain in views.chains(image)} - kept:
            views.remove(home, chain)
