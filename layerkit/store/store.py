"""The state directory as one thing: opened, named into, swept.

Order of a change: content first (checked, durable), names last, in one database transaction. A
name is given only while all its content is there, and content goes only while nothing names it;
both happen inside a write transaction, so neither can overtake the other.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from typing import TYPE_CHECKING, Self

from layerkit.errors import NotFoundError, StoreError
from layerkit.limits import DEFAULT
from layerkit.store import files
from layerkit.store.blobs import BlobStore
from layerkit.store.database import Database
from layerkit.store.layers import LayerStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from layerkit.digest import BlobDigest, DiffID
    from layerkit.limits import Limits
    from layerkit.oci import Index
    from layerkit.store.records import ImageRecord, NameRecord

_FOLDERS = ("ingest", "blobs/sha256", "layers", "trees", "containers", "snapshots")
"""The first one tells a state directory from an image layout of somebody else."""
_MARKER = "oci-layout"
_DATABASE = "store.db"
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


class Store:
    """Blobs, layers and the database below one root directory (mode 0700: images hold setuid
    files, which other users of the host must not reach, CVE-2021-41091).
    """

    def __init__(self, root: Path, limits: Limits = DEFAULT) -> None:
        with files.guarded("open the state directory"):
            _prepare(root)
        self.root = root
        self.limits = limits
        self.scratch = root / "ingest"
        self.blobs = BlobStore(root)
        self.layers = LayerStore(root, limits)
        self.database = Database(root / _DATABASE)

    def close(self) -> None:
        """Let go of the database."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def name_image(
        self, image: ImageRecord, names: Iterable[NameRecord], way: Iterable[BlobDigest] = ()
    ) -> None:
        """Make an image known under these names, as the last step of bringing it in.

        `way` are the indexes between the names' target and the manifest. Raises `NotFoundError`
        when some of this went away meanwhile; then nothing changed.
        """
        names = list(names)
        with self.database.transaction():
            self._require(image, way)
            before = self._records(name.name for name in names)
            self.database.put_image(image)
            for name in names:
                self.database.put_name(name)
            self._write_index()
        if moved := _targets(before) - _targets(names):
            self.discard({*moved, *self.indexes(moved)}, ())

    def _records(self, names: Iterable[str]) -> list[NameRecord]:
        return [record for record in map(self.database.name, names) if record is not None]

    def _require(self, image: ImageRecord, way: Iterable[BlobDigest]) -> None:
        blobs = (image.manifest, image.config, *(layer.blob for layer in image.layers), *way)
        missing: list[BlobDigest | DiffID] = [blob for blob in blobs if not self.blobs.has(blob)]
        missing += [layer.diff_id for layer in image.layers if not self.layers.has(layer.diff_id)]
        if missing:
            raise NotFoundError(f"{missing[0]} was removed while the image was brought in")

    def remove_names(self, names: Iterable[str], images: Iterable[ImageRecord]) -> None:
        """Forget names, and images that nothing needs any more; then free what only they had."""
        images = list(images)
        with self.database.transaction():
            gone = self._records(names)
            for name in gone:
                self.database.delete_name(name.name)
            for image in images:
                self.database.delete_image(image.manifest)
            self._write_index()
        self._sweep(images, gone)

    def _sweep(self, images: list[ImageRecord], names: list[NameRecord]) -> None:
        """Remove the content of images and names that are gone, but what others share.

        The database comes first: after a crash in between there is garbage, never a hole.
        """
        self.discard(_blobs(images) | self.needed_by(names), _diff_ids(images))

    def indexes(self, targets: Iterable[BlobDigest]) -> dict[BlobDigest, Index]:
        """The indexes under these digests and those inside them that are here, inner ones first."""
        from layerkit.store import indexes  # noqa: PLC0415  reads documents: not to look

        return indexes.find(self.blobs, targets)

    def needed_by(self, names: Iterable[NameRecord]) -> set[BlobDigest]:
        """The blobs that names need beside those of their images: the indexes they came from.

        Not all of them need be here: earlier versions did not keep indexes.
        """
        found = _targets(names)
        return found | self.indexes(found).keys()

    def discard(self, blobs: Iterable[BlobDigest], diff_ids: Iterable[DiffID]) -> None:
        """Remove content, but what some image or name needs."""
        with self.database.transaction():
            kept = self.database.images()
            if unused := set(blobs) - _blobs(kept):
                unused -= self.needed_by(self.database.names())
            for digest in unused:
                self.blobs.remove(digest)
            for diff_id in set(diff_ids) - _diff_ids(kept):
                self.layers.remove(diff_id)

    @contextlib.contextmanager
    def arrival(self) -> Iterator[None]:
        """Hold while an image is brought in: what came of it belongs to nothing until it is named."""
        with self._entrance() as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield

    @contextlib.contextmanager
    def standstill(self) -> Iterator[bool]:
        """Let nobody begin to bring an image in; False where somebody is at it.

        While it holds, content that nothing refers to is nobody's.
        """
        with self._entrance() as descriptor:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    @contextlib.contextmanager
    def _entrance(self) -> Iterator[int]:
        with files.guarded("open"):
            descriptor = os.open(self.scratch, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _write_index(self) -> None:
        """Write index.json, which makes the root an OCI image layout that other tools read."""
        manifests = []
        for image in self.database.images():
            descriptor = {
                "mediaType": image.media_type,
                "digest": str(image.manifest),
                "size": image.manifest_size,
            }
            names = self.database.names_of(image.manifest)
            manifests += [
                {**descriptor, "annotations": {"org.opencontainers.image.ref.name": name.name}}
                for name in names
            ] or [descriptor]
        document = {"schemaVersion": 2, "manifests": manifests}
        with files.guarded("write"):
            data = json.dumps(document, indent=1).encode()
            files.write_whole(self.root / "index.json", data, self.scratch)


def _prepare(root: Path) -> None:
    """Make the folders of a new state directory; an existing one must look like one."""
    if _is_complete(root):
        return
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # a half-made one of ours is not a foreign one
        if not _is_complete(root):
            _fill(root)
    finally:
        os.close(descriptor)


def _is_complete(root: Path) -> bool:
    return (root / _MARKER).exists() and all((root / folder).is_dir() for folder in _FOLDERS)


def _fill(root: Path) -> None:
    names = os.listdir(root)
    if names and _FOLDERS[0] not in names:
        raise StoreError(
            f"{root} is not empty and no state directory of layerkit",
            hint="choose a new directory with --root",
        )
    root.chmod(0o700)
    for folder in _FOLDERS:
        (root / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (root / _MARKER).exists():
        Database(root / _DATABASE).close()
        index = b'{"schemaVersion":2,"manifests":[]}'
        files.write_whole(root / "index.json", index, root / "ingest")
        files.write_whole(root / _MARKER, _LAYOUT, root / "ingest")


def _targets(names: Iterable[NameRecord]) -> set[BlobDigest]:
    """What names came from, where that is not the manifest."""
    return {name.target for name in names if name.target != name.manifest}


def _blobs(images: Iterable[ImageRecord]) -> set[BlobDigest]:
    found: set[BlobDigest] = set()
    for image in images:
        found.update((image.manifest, image.config), (layer.blob for layer in image.layers))
    return found


def _diff_ids(images: Iterable[ImageRecord]) -> set[DiffID]:
    return {layer.diff_id for image in images for layer in image.layers}
