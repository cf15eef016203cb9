"""Inspect an image where it is, in its registry: the documents only, no layer is read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from layerkit import oci
from layerkit.ops import documents
from layerkit.registry.quota import quota

if TYPE_CHECKING:
    from collections.abc import Callable

    from layerkit.events import Observer
    from layerkit.oci import Descriptor, Index, Platform
    from layerkit.reference import Reference
    from layerkit.registry.client import Client

_UNKNOWN = "unknown/unknown"


def inspect_remote(
    client: Client,
    reference: Reference,
    *,
    platform: Platform,
    explicit_platform: bool,
    observe: Observer,
) -> dict[str, Any]:
    """What the registry has under a name, in the field names of docker and skopeo.

    `Digest` and `MediaType` are of what the name stands for, `Platforms` lists it if that is an
    index; all else is about the image for `platform`. `Size` is bytes to download. Raises as
    `ops.pull.pull` does.
    """
    found, raw = client.resolve_document(reference)
    document = oci.parse_document(raw, found.media_type)
    read = _reader(client, reference)
    manifest = documents.choose(document, platform, read, reference.familiar)
    config = documents.read_config(manifest, read)
    documents.check_platform(
        config, platform, reference.familiar, explicit=explicit_platform, observe=observe
    )
    own = json.loads(config.raw)
    return {
        "Name": f"{reference.registry}/{reference.repository}",
        "Digest": str(found.digest),
        "MediaType": found.media_type,
        "RepoTags": [reference.familiar] if reference.digest is None else [],
        "RepoDigests": [f"{reference.familiar_repository}@{found.digest}"],
        "Platforms": _platforms(document) if isinstance(document, oci.Index) else [],
        "Id": str(manifest.config.digest),
        "Created": config.created,
        "Author": config.author,
        "Architecture": config.platform.architecture,
        "Variant": config.platform.variant,
        "Os": config.platform.os,
        "Config": own.get("config") or {},
        "RootFS": {"Type": "layers", "Layers": [str(diff_id) for diff_id in config.diff_ids]},
        "Size": sum(each.size for each in (manifest.config, *manifest.layers)),
        "LayersData": [_layer(each) for each in manifest.layers],
        "Descriptor": oci.wire(manifest.descriptor),
        "Manifest": json.loads(manifest.raw),
    }


def raw_manifest(client: Client, reference: Reference, platform: Platform | None) -> bytes:
    """The exact bytes that a name stands for; with `platform`, those of its manifest."""
    found, raw = client.resolve_document(reference)
    if platform is None:
        return raw
    document = oci.parse_document(raw, found.media_type)
    read = _reader(client, reference)
    return documents.choose(document, platform, read, reference.familiar).raw


def rate_limit(client: Client, reference: Reference) -> dict[str, Any]:
    """What the registry says about its limit on pulls, which asking so does not count against.

    `None` stands for what it does not say.
    """
    said = quota(client, reference)
    return {
        "Registry": reference.registry,
        "Limit": said.limit,
        "Remaining": said.remaining,
        "WindowSeconds": said.window,
        "Source": said.source,
    }


def _reader(client: Client, reference: Reference) -> Callable[[Descriptor], bytes]:
    def read(descriptor: Descriptor) -> bytes:
        if descriptor.media_type in oci.CONFIG_TYPES:
            return client.blob_bytes(reference, descriptor)
        return client.document(reference, descriptor)

    return read


def _platforms(index: Index) -> list[dict[str, Any]]:
    """The manifests of an index, but for what is no image (attestations)."""
    return [
        {"Platform": str(each.platform), **_layer(each)}
        for each in index.manifests
        if each.platform is not None and str(each.platform) != _UNKNOWN
    ]


def _layer(descriptor: Descriptor) -> dict[str, Any]:
    return {
        "MIMEType": descriptor.media_type,
        "Digest": str(descriptor.digest),
        "Size": descriptor.size,
    }
