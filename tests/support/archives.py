"""Image archives in the shapes that docker, podman and others write, from layers in memory."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from support import tars

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"


def sha256(data: bytes) -> str:
    """The hexadecimal digest."""
    return hashlib.sha256(data).hexdigest()


def as_json(document: Any) -> bytes:
    """A document as bytes."""
    return json.dumps(document).encode()


@dataclass(frozen=True)
class Image:
    """Layers as plain tars, names, and what the config says beside them."""

    layers: Sequence[bytes]
    tags: Sequence[str] = ()
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def raw_config(self) -> bytes:
        """The bytes of the config."""
        rootfs = {"type": "layers", "diff_ids": [f"sha256:{sha256(each)}" for each in self.layers]}
        document = {"architecture": "amd64", "os": "linux", "rootfs": rootfs, **self.config}
        return as_json(document)

    @property
    def id(self) -> str:
        """The image id."""
        return f"sha256:{sha256(self.raw_config)}"


def docker_1_10(*images: Image, links: str = "symlink") -> bytes:
    """What docker 1.10 to 24 saves: a folder for each layer; one that is there already is a link."""
    seen: dict[bytes, str] = {}
    entries, items = [], []
    for number, image in enumerate(images):
        names = []
        for place, layer in enumerate(image.layers):
            folder = sha256(b"%d %d" % (number, place))
            names.append(f"{folder}/layer.tar")
            entries += [
                tars.directory(f"{folder}/"),
                tars.file(f"{folder}/VERSION", b"1.0"),
                tars.file(f"{folder}/json", as_json({"id": folder})),
                _layer_or_link(names[-1], layer, seen, links),
            ]
        config = f"{sha256(image.raw_config)}.json"
        entries.append(tars.file(config, image.raw_config))
        items.append({"Config": config, "RepoTags": list(image.tags) or None, "Layers": names})
    entries.append(tars.file("manifest.json", as_json(items) + b"\n"))
    entries.append(tars.file("repositories", as_json(_repositories(images))))
    return tars.archive(*entries)


def _layer_or_link(name: str, layer: bytes, seen: dict[bytes, str], links: str) -> bytes:
    if layer not in seen:
        seen[layer] = name
        return tars.file(name, layer)
    if links == "symlink":
        return tars.symlink(name, f"../{seen[layer]}")
    return tars.hardlink(name, seen[layer])


def _repositories(images: Iterable[Image]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for image in images:
        for tag in image.tags:
            repository, _, name = tag.rpartition(":")
            found.setdefault(repository, {})[name] = "0" * 64
    return found


def docker_1_9(*images: Image) -> bytes:
    """What docker before 1.10 saved: folders and names, no `manifest.json`."""
    entries = [
        tars.file(f"{sha256(layer)}/{name}", data)
        for image in images
        for layer in image.layers
        for name, data in (("VERSION", b"1.0"), ("json", b"{}"), ("layer.tar", layer))
    ]
    return tars.archive(*entries, tars.file("repositories", as_json(_repositories(images))))


def podman(*images: Image) -> bytes:
    """What `podman save` and skopeo write: layers at the top, the old folders as links to them."""
    files = {f"{sha256(layer)}.tar": layer for image in images for layer in image.layers}
    entries = [tars.file(name, layer) for name, layer in files.items()]
    items = []
    for image in images:
        names = [f"{sha256(layer)}.tar" for layer in image.layers]
        config = f"{sha256(image.raw_config)}.json"
        entries.append(tars.file(config, image.raw_config))
        entries += [
            tars.symlink(f"{sha256(name.encode())}/layer.tar", f"../{name}") for name in names
        ]
        items.append({"Config": config, "RepoTags": list(image.tags), "Layers": names})
    return tars.archive(*entries, tars.file("manifest.json", as_json(items)))


def jib(image: Image) -> bytes:
    """What jib and kaniko write: compressed layers, a config of any name."""
    names = [f"{sha256(layer)}.tar.gz" for layer in image.layers]
    item = {"Config": "config.json", "RepoTags": list(image.tags), "Layers": names}
    return tars.archive(
        *(
            tars.file(name, tars.gzipped(tar))
            for name, tar in zip(names, image.layers, strict=True)
        ),
        tars.file("config.json", image.raw_config),
        tars.file("manifest.json", as_json([item])),
    )


def docker_25(
    *images: Image,
    layers: str = "right",
    unnamed: bool = True,
    index: Any = None,
) -> bytes:
    """What docker 25 and later save: an OCI layout with plain layers, and `manifest.json`.

    `layers` is "none" or "reversed" for the bugs of 25.0.0, `unnamed` False for the one of 25.0.1,
    that images without a name are not in the index; `index` replaces the list in it.
    """
    blobs: dict[str, bytes] = {}
    entries, items = [], []
    for image in images:
        for layer in image.layers:
            blobs[_blob(layer)] = layer
        blobs[_blob(image.raw_config)] = image.raw_config
        listed = {"right": image.layers, "none": [], "reversed": image.layers[::-1]}[layers]
        document = _oci_manifest(image, listed)
        manifest = as_json(document)
        blobs[_blob(manifest)] = manifest
        descriptor = _described(MANIFEST_TYPE, manifest)
        platform = {"architecture": "amd64", "os": "linux"}
        entries += [
            {**descriptor, "annotations": _annotations(tag), "platform": platform}
            for tag in image.tags
        ]
        if not image.tags and unnamed:
            entries.append({**descriptor, "platform": platform})
        items.append(
            {
                "Config": _blob(image.raw_config),
                "RepoTags": list(image.tags) or None,
                "Layers": [_blob(layer) for layer in image.layers],
            }
        )
    manifests = (entries or None) if index is None else index
    document = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": manifests}
    return tars.archive(
        tars.directory("blobs/"),
        tars.directory("blobs/sha256/"),
        *(tars.file(name, data) for name, data in sorted(blobs.items())),
        tars.file("index.json", as_json(document)),
        tars.file("manifest.json", as_json(items)),
        tars.file("oci-layout", b'{"imageLayoutVersion": "1.0.0"}'),
        tars.file("repositories", as_json(_repositories(images))),
    )


def _oci_manifest(image: Image, layers: Iterable[bytes]) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _described("application/vnd.oci.image.config.v1+json", image.raw_config),
        "layers": [_described(tars.PLAIN_LAYER, layer) for layer in layers],
    }


def _annotations(tag: str) -> dict[str, str]:
    full = tag if "/" in tag else f"docker.io/library/{tag}"
    return {
        "io.containerd.image.name": full,
        "org.opencontainers.image.ref.name": tag.rpartition(":")[2],
    }


def _described(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{sha256(data)}", "size": len(data)}


def _blob(data: bytes) -> str:
    return f"blobs/sha256/{sha256(data)}"


def oci(*manifests: tuple[Image, dict[str, Any]], nested: bool = False) -> bytes:
    """An OCI archive in which each image has these further fields of its descriptor.

    With `nested`, all of them are in one index that the layout's own points to.
    """
    blobs: dict[str, bytes] = {}
    entries = []
    for image, fields in manifests:
        manifest = as_json(_oci_manifest(image, image.layers))
        for data in (*image.layers, image.raw_config, manifest):
            blobs[_blob(data)] = data
        entries.append({**_described(MANIFEST_TYPE, manifest), **fields})
    index = as_json({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries})
    if nested:
        blobs[_blob(index)] = index
        outer = {**_described(INDEX_TYPE, index), "annotations": _annotations("multi:1")}
        index = as_json({"schemaVersion": 2, "manifests": [outer]})
    return tars.archive(
        tars.file("oci-layout", b'{"imageLayoutVersion": "1.0.0"}'),
        tars.file("index.json", index),
        *(tars.file(name, data) for name, data in blobs.items()),
    )


def without(archive_of: bytes, blob: bytes) -> bytes:
    """The archive of `oci` or `docker_25` with one blob gone."""
    part = tars.file(_blob(blob), blob)
    assert part in archive_of
    return archive_of.replace(part, b"")
