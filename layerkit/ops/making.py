"""What images that are made here have in common: a name, documents, a layer in a file."""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING, Any

from layerkit import digest as digests
from layerkit import oci
from layerkit import reference as references
from layerkit.errors import UsageError
from layerkit.ops import sources

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from layerkit.oci import Descriptor, Manifest

LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
_CHUNK = 1 << 20


def new_name(text: str | None, what: str) -> str | None:
    """The name for an image that is to be made; raises `UsageError` for one with a digest."""
    if text is None:
        return None
    reference = references.parse(text)
    if reference.digest is not None:
        raise UsageError(f"cannot {what} as {text!r}: a digest names an image already")
    return reference.canonical


def chunks(file: int) -> Iterator[bytes]:
    """The bytes of an open regular file from its beginning, any number of times."""
    read = sources.read_at(file)
    position = 0
    while chunk := read(position, _CHUNK):
        yield chunk
        position += len(chunk)


def config(document: dict[str, Any]) -> oci.ImageConfig:
    """The config with these fields; raises `DocumentError` where they make none."""
    return oci.parse_config(_json(document))


def manifest(of: oci.ImageConfig, layers: Iterable[Descriptor]) -> Manifest:
    """The manifest of a config and layers, lowest first."""
    described = oci.Descriptor(oci.OCI_CONFIG, digests.of_bytes(of.raw), len(of.raw))
    document = {
        "schemaVersion": 2,
        "mediaType": oci.OCI_MANIFEST,
        "config": oci.wire(described),
        "layers": [oci.wire(layer) for layer in layers],
    }
    made = oci.parse_document(_json(document))
    assert isinstance(made, oci.Manifest)
    return made


def time(moment: datetime) -> str:
    """As a config writes a moment: RFC 3339, UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
