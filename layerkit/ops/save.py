"""Save: images as an archive or an OCI layout that other tools read, the same bytes every time."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from layerkit import oci
from layerkit import reference as references
from layerkit.digest import Verifier
from layerkit.errors import LayerkitError, UsageError
from layerkit.layer import writer
from layerkit.ops.images import find_named, image_of
from layerkit.ops.kept import Kept, kept_index
from layerkit.store import files
from layerkit.tree import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from layerkit.digest import BlobDigest, Digest
    from layerkit.ops.home import Home
    from layerkit.reference import Reference
    from layerkit.store.records import ImageRecord, NameRecord
    from layerkit.store.store import Store

ArchiveFormat: TypeAlias = Literal["oci-archive", "docker-archive"]

_BASE_NAME = "org.opencontainers.image.base.name"  # image-spec annotations.md
_BASE_DIGEST = "org.opencontainers.image.base.digest"
_CHUNK = 1 << 20
_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


@dataclass(frozen=True, slots=True)
class _Image:
    """An image to be saved, with those of its names that were asked for."""

    record: ImageRecord
    manifest: oci.Manifest
    names: tuple[Reference, ...]
    left_out: int = 0
    """How many of the lowest layers are not saved, since who loads it has them from the base."""
    base: dict[str, str] = field(default_factory=dict)
    """The annotations that name the base; empty where nothing is left out."""
    indexes: dict[Reference, Kept] = field(default_factory=dict)
    """Those of the names that came from an index of which all is here, and is saved."""

    @property
    def tags(self) -> list[str] | None:
        """The names for docker, which has none with a digest; in full, or podman calls them its own."""
        return [name.canonical for name in self.names if name.digest is None] or None


@dataclass(frozen=True, slots=True)
class _Member:
    """A file of the archive: its name, its bytes, and how many they are."""

    name: str
    size: int
    content: Callable[[], Iterable[bytes]]


def save(
    home: Home, texts: Iterable[str], form: ArchiveFormat, *, exclude_base: str | None = None
) -> Iterator[bytes]:
    """The pieces of an archive with these images.

    A name saves the image under it, one without a tag all tags of the repository, an id the image
    without a name. An OCI archive has docker's `manifest.json` beside its index, so `docker load`
    takes it whatever its version; a docker archive has the layers uncompressed. The layers that the
    image `exclude_base` has, too, counted from the bottom, are left out. Of a name that came from
    an index of which all is here, the OCI forms have the index, unless layers are left out. Raises
    `NotFoundError`, `UsageError`; later `IntegrityError` for what rotted in the store, `StoreError`.
    """
    is_docker = form == "docker-archive"
    images = _chosen(home, list(texts), exclude_base, by_content=is_docker)
    members = _docker(home.store, images) if is_docker else _oci_archive(home.store, images)
    return _pieces(members)


def save_directory(
    home: Home, texts: Iterable[str], directory: Path, *, exclude_base: str | None = None
) -> None:
    """Write an OCI image layout with these images into a new or empty directory.

    Raises as `save`, and then nothing stays; `LayerkitError` where it cannot be written.
    """
    images = _chosen(home, list(texts), exclude_base, by_content=False)
    with _guarded(directory):
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise UsageError(f"cannot save to {directory}: it is no empty directory")
    try:
        for member in [*_blobs(home.store, images), *_oci_documents(images)]:
            _write(directory / member.name, member)
    except BaseException:
        _clear(directory)
        raise


# -- which images ---------------------------------------------------------------------------------


def _chosen(
    home: Home, texts: Sequence[str], base: str | None, *, by_content: bool
) -> list[_Image]:
    """The images without the layers of the base, if there is one."""
    images = _choose(home, texts, with_indexes=base is None and not by_content)
    if base is None:
        return images
    record, name = find_named(home, base)
    lower = _keys(record, by_content=by_content)
    shared = [_shared(lower, _keys(image.record, by_content=by_content)) for image in images]
    if not any(shared):
        raise UsageError(f"nothing to leave out: no lowest layer is that of {base}")
    annotations = {_BASE_NAME: name.name} if name else {}
    annotations[_BASE_DIGEST] = str(record.manifest)
    return [
        replace(image, left_out=count, base=annotations if count else {})
        for image, count in zip(images, shared, strict=True)
    ]


def _keys(image: ImageRecord, *, by_content: bool) -> list[Digest]:
    """What two images must have alike to share layers: the content, or the very blobs."""
    return [layer.diff_id if by_content else layer.blob for layer in image.layers]


def _shared(one: Sequence[Digest], other: Sequence[Digest]) -> int:
    """How many layers two images have in common from the bottom."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _choose(home: Home, texts: Sequence[str], *, with_indexes: bool) -> list[_Image]:
    """Each image once, in the order of the texts."""
    images: dict[Digest, _Image] = {}
    for text in texts:
        for record, name in _named(home, text):
            image = images.get(record.manifest) or _Image(record, _manifest(home.store, record), ())
            if name is not None:
                kept = kept_index(home, name) if with_indexes else None
                image = _with_name(image, references.parse(name.name), kept)
            images[record.manifest] = image
    return list(images.values())


def _with_name(image: _Image, name: Reference, kept: Kept | None) -> _Image:
    if kept is not None and kept.is_complete:
        image = replace(image, indexes={**image.indexes, name: kept})
    # Without the index, a name with its digest would be a lie about the one image of it.
    elif name.digest not in {None, image.record.manifest}:
        return image
    return replace(image, names=tuple(dict.fromkeys((*image.names, name))))


def _manifest(store: Store, record: ImageRecord) -> oci.Manifest:
    raw = store.blobs.read(record.manifest, oci.DOCUMENT_LIMIT)
    manifest = oci.parse_document(raw, record.media_type)
    assert isinstance(manifest, oci.Manifest)
    return manifest


def _named(home: Home, text: str) -> list[tuple[ImageRecord, NameRecord | None]]:
    if "@" not in text and ":" not in text.rpartition("/")[2]:
        with contextlib.suppress(UsageError):  # it may be an id
            reference = references.parse(text)
            prefix = f"{reference.registry}/{reference.repository}:"
            names = [each for each in home.store.database.names() if each.name.startswith(prefix)]
            if names:
                return [(image_of(home, name.manifest), name) for name in names]
    return [find_named(home, text)]


# -- what is in an archive ------------------------------------------------------------------------


def _oci_archive(store: Store, images: list[_Image]) -> list[_Member]:
    """Documents first: who reads a stream knows at once what it is."""
    items = [
        {
            "Config": _blob_name(image.record.config),
            "RepoTags": image.tags,
            "Layers": [_blob_name(layer.digest) for layer in image.manifest.layers],
        }
        for image in images
    ]
    documents = [*_oci_documents(images), _document("manifest.json", items)]
    return [*documents, *_blobs(store, images)]


def _oci_documents(images: list[_Image]) -> list[_Member]:
    entries = [entry for image in images for entry in _index_entries(image)]
    index = {"schemaVersion": 2, "mediaType": oci.OCI_INDEX, "manifests": entries}
    return [_document("index.json", index), _member("oci-layout", _LAYOUT)]


def _index_entries(image: _Image) -> list[dict[str, Any]]:
    # The first is containerd's and docker's, the second all others'; a mere tag there would be
    # the same for all images of an archive that have it.
    entries = [
        {
            **_target(image, name),
            "annotations": {
                "io.containerd.image.name": name.identity,
                "org.opencontainers.image.ref.name": name.identity,
                **image.base,
            },
        }
        for name in image.names
    ]
    base = {"annotations": image.base} if image.base else {}
    return entries or [{**oci.wire(image.manifest.descriptor), **base}]


def _target(image: _Image, name: Reference) -> dict[str, Any]:
    """What a name stands for: its index, if that is saved, or the manifest."""
    if name not in image.indexes:
        return oci.wire(image.manifest.descriptor)
    digest, index = list(image.indexes[name].indexes.items())[-1]
    return oci.wire(oci.Descriptor(index.media_type, digest, len(index.raw)))


def _blobs(store: Store, images: list[_Image]) -> list[_Member]:
    sizes: dict[BlobDigest, int] = {}
    for image in images:
        sizes |= _sizes(image.record, image.manifest, image.left_out)
        for kept in image.indexes.values():
            sizes |= {digest: len(index.raw) for digest, index in kept.indexes.items()}
            for record in kept.images:
                sizes |= _sizes(record, _manifest(store, record))
    return [
        _stored(_blob_name(digest), store.blobs.path(digest), digest, sizes[digest])
        for digest in sorted(sizes)
    ]


def _sizes(record: ImageRecord, manifest: oci.Manifest, left_out: int = 0) -> dict[BlobDigest, int]:
    """The blobs of an image with their sizes."""
    descriptors = (manifest.config, *manifest.layers[left_out:])
    return {record.manifest: len(manifest.raw)} | {each.digest: each.size for each in descriptors}


def _docker(store: Store, images: list[_Image]) -> list[_Member]:
    items = [
        {
            "Config": f"{image.record.config.hex}.json",
            "RepoTags": image.tags,
            "Layers": [f"{layer.diff_id.hex}.tar" for layer in image.record.layers],
        }
        for image in images
    ]
    members = {}
    for image in images:
        config = image.manifest.config
        name = f"{config.digest.hex}.json"
        path = store.blobs.path(config.digest)
        members[name] = _stored(name, path, config.digest, config.size)
        for layer in image.record.layers[image.left_out :]:
            name = f"{layer.diff_id.hex}.tar"
            tar = store.layers.tar(layer.diff_id)
            with files.guarded("read"):
                members[name] = _stored(name, tar, layer.diff_id, tar.stat().st_size)
    return [_document("manifest.json", items), *(members[name] for name in sorted(members))]


def _document(name: str, document: Any) -> _Member:
    return _member(name, json.dumps(document, separators=(",", ":")).encode())


def _member(name: str, data: bytes) -> _Member:
    return _Member(name, len(data), lambda: [data])


def _stored(name: str, path: Path, digest: Digest, size: int) -> _Member:
    return _Member(name, size, lambda: _verified(path, digest, size))


def _verified(path: Path, digest: Digest, size: int) -> Iterator[bytes]:
    """The bytes of a file in the store; raises `IntegrityError` unless they are the right ones."""
    verifier = Verifier(f"stored content {digest}", digest, size)
    with files.guarded("read"), open(path, "rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
            verifier.update(chunk)
            yield chunk
    verifier.finish()


def _blob_name(digest: Digest) -> str:
    return f"blobs/{digest.algorithm}/{digest.hex}"


# -- how it is written ----------------------------------------------------------------------------


def _pieces(members: list[_Member]) -> Iterator[bytes]:
    made: set[bytes] = set()
    for member in members:
        for folder in reversed(Path(member.name).parents[:-1]):
            if os.fsencode(folder) not in made:
                made.add(os.fsencode(folder))
                yield writer.header(Entry(os.fsencode(folder), Kind.DIRECTORY, 0o755))
        yield writer.header(Entry(member.name.encode(), Kind.FILE, 0o444, size=member.size))
        yield from member.content()
        yield writer.padding(member.size)
    yield writer.END


def _write(path: Path, member: _Member) -> None:
    with _guarded(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    try:
        for chunk in member.content():
            view = memoryview(chunk)
            with _guarded(path):
                while view:
                    view = view[os.write(descriptor, view) :]
        with _guarded(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _clear(directory: Path) -> None:
    shutil.rmtree(directory / "blobs", ignore_errors=True)
    for name in ("index.json", "oci-layout"):
        with contextlib.suppress(OSError):
            (directory / name).unlink()


@contextlib.contextmanager
def _guarded(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise LayerkitError(f"cannot write {path}: {reason}") from None
