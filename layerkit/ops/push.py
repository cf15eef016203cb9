"""Push: what a name of the store stands for into a registry, blobs side by side, then documents."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from layerkit import oci
from layerkit import reference as references
from layerkit.errors import NotFoundError, UsageError
from layerkit.events import LayerDone, LayerProgress, Notice, Phase, Resolved, ignore
from layerkit.ops import crew, documents, history
from layerkit.ops.images import image_of
from layerkit.ops.kept import Kept, kept_index
from layerkit.ops.notices import tell_warnings
from layerkit.registry import push as uploads
from layerkit.registry import referrers
from layerkit.registry.push import Blob, How

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layerkit.digest import BlobDigest
    from layerkit.events import Observer
    from layerkit.oci import Descriptor, Index, Manifest, Platform
    from layerkit.ops.crew import Check, Job
    from layerkit.ops.home import Home
    from layerkit.reference import Reference
    from layerkit.registry.client import Client
    from layerkit.store.records import ImageRecord, NameRecord

AT_ONCE = 5
"""Blobs that are sent side by side, as docker does."""
_FOREIGN = ("nondistributable", "foreign")


@dataclass(frozen=True, slots=True)
class PushResult:
    """The name that the registry has now, and digest and size of the manifest or index behind it."""

    reference: Reference
    digest: BlobDigest
    size: int


def choose(home: Home, text: str, *, all_tags: bool = False) -> list[Reference]:
    """The names of images here that `text` means, with `all_tags` each tag of a repository.

    Raises `NotFoundError`, and `UsageError` for a name that no image can be pushed to.
    """
    reference = references.parse(text)
    if reference.digest is not None:
        raise UsageError(f"cannot push {text!r}: a registry needs a tag, not a digest")
    if not all_tags:
        _name_of(home, reference)
        return [reference]
    if ":" in text.rpartition("/")[2]:
        raise UsageError(f"cannot push all tags of {text!r}: it has a tag already")
    prefix = f"{reference.registry}/{reference.repository}:"
    names = [name.name for name in home.store.database.names() if name.name.startswith(prefix)]
    if not names:
        raise NotFoundError(f"no image here has a tag in {prefix.removesuffix(':')}")
    return [references.parse(name) for name in sorted(names)]


def push(
    home: Home,
    reference: Reference,
    *,
    client: Client,
    platform: Platform | None = None,
    with_foreign: bool = False,
    observe: Observer = ignore,
) -> PushResult:
    """Bring the image of this name, byte for byte as it is here, to the name's registry.

    If the name came from an index of which all is here, that is what the registry gets. With
    `platform`, it is the image alone, and only if it is for that one. Layers that must not be
    distributed stay here unless `with_foreign`. Raises `NotFoundError`, `RegistryError` and its
    kinds, `StoreError`.
    """
    name = _name_of(home, reference)
    image = image_of(home, name.manifest)
    kept = kept_index(home, name) if platform is None else None
    if platform is not None:
        config = history.read_config(home, image)
        documents.check_platform(
            config, platform, reference.familiar, explicit=True, observe=observe
        )
    chosen = _documents(home, image, kept)
    digest, last = list(chosen.items())[-1]
    manifests = [each for each in chosen.values() if isinstance(each, oci.Manifest)]
    every = itertools.chain.from_iterable(manifest.layers for manifest in manifests)
    layers = [layer for layer in every if with_foreign or not _is_foreign(layer)]
    sizes = tuple({layer.digest: layer.size for layer in layers}.items())
    observe(Resolved(reference.familiar, digest, sizes))
    configs = [manifest.config for manifest in manifests]
    _push_blobs(home, reference, client, layers, configs, observe)
    for each, document in chosen.items():
        place = str(reference.tag) if each == digest else str(each)
        _push_document(client, reference, place, document)
    tell_warnings(client, observe)
    if kept is not None:
        observe(Notice("note", _what_went(kept, image)))
    return PushResult(reference, digest, len(last.raw))


def _documents(
    home: Home, image: ImageRecord, kept: Kept | None
) -> dict[BlobDigest, Manifest | Index]:
    """What to push, in this order: manifests, indexes, and last what the tag is to name."""
    if kept is None or not kept.is_complete:
        return {image.manifest: _manifest(home, image)}
    return {**{each.manifest: _manifest(home, each) for each in kept.images}, **kept.indexes}


def _manifest(home: Home, image: ImageRecord) -> Manifest:
    raw = home.store.blobs.read(image.manifest, oci.DOCUMENT_LIMIT)
    manifest = oci.parse_document(raw, image.media_type)
    assert isinstance(manifest, oci.Manifest)
    return manifest


def _what_went(kept: Kept, image: ImageRecord) -> str:
    digest = list(kept.indexes)[-1]
    if kept.is_complete:
        return f"index {digest.short} was pushed with all {len(kept.images)} images that it lists"
    return (
        f"only the image for {image.platform} was pushed: "
        f"other manifests of index {digest.short} are not here"
    )


def _name_of(home: Home, reference: Reference) -> NameRecord:
    found = home.store.database.name(reference.identity)
    if found is None:
        raise NotFoundError(
            f"no such image: {reference.familiar}",
            hint=f"give an image this name with: layerkit tag IMAGE {reference.familiar}",
        )
    return found


def _is_foreign(layer: Descriptor) -> bool:
    return any(word in layer.media_type for word in _FOREIGN)


def _push_document(
    client: Client, reference: Reference, place: str, document: Manifest | Index
) -> None:
    raw, media_type = document.raw, document.media_type
    answer = uploads.push_manifest(client, reference, place, media_type, raw)
    referrers.record(client, reference, media_type, raw, answer)


# -- blobs ----------------------------------------------------------------------------------------


def _push_blobs(
    home: Home,
    reference: Reference,
    client: Client,
    layers: Sequence[Descriptor],
    configs: Sequence[Descriptor],
    observe: Observer,
) -> None:
    """Push each blob once; of configs nothing is told, as they are no layers."""
    sources = _sources(home, reference)
    silent = {config.digest for config in configs}
    jobs: dict[BlobDigest, Job] = {}
    for each in (*layers, *configs):
        path = home.store.blobs.path(each.digest)
        blob = Blob(each, path, tuple(sources.get(each.digest, ())))
        told = ignore if each.digest in silent else observe
        jobs[each.digest] = partial(_push_blob, client, reference, blob, told)
    crew.do_all(jobs.values(), AT_ONCE)


def _push_blob(
    client: Client,
    reference: Reference,
    blob: Blob,
    observe: Observer,
    check: Check,
) -> None:
    digest, size = blob.descriptor.digest, blob.descriptor.size

    def tell(done: int) -> None:
        check()
        observe(LayerProgress(digest, Phase.UPLOAD, done, size))

    pushed = uploads.push_blob(client, reference, blob, tell)
    observe(LayerDone(digest, pushed.how is How.EXISTED, pushed.source))


def _sources(home: Home, reference: Reference) -> dict[BlobDigest, list[str]]:
    """The other repositories of the same registry that had a blob under some name here."""
    found: dict[BlobDigest, set[str]] = {}
    database = home.store.database
    for image in database.images():
        names = [references.parse(each.name) for each in database.names_of(image.manifest)]
        repositories = {each.repository for each in names if each.registry == reference.registry}
        for digest in (image.config, *(layer.blob for layer in image.layers)):
            found.setdefault(digest, set()).update(repositories - {reference.repository})
    return {digest: sorted(repositories) for digest, repositories in found.items()}
