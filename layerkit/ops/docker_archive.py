"""What `docker save` writes, beside or instead of an OCI layout (moby image/tarexport).

`manifest.json` lists the images: the name of the config, those of the layers, lowest first, and the
image's names. Layers are plain tars, compressed ones from some other tools; all names are files of
the archive, or links to some in old ones.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from layerkit import digest as digests
from layerkit import oci
from layerkit.errors import DocumentError
from layerkit.layer import wrapping

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    from layerkit.oci import Descriptor, Manifest

MANIFEST = "manifest.json"
REPOSITORIES = "repositories"
"""All that docker before 1.10 wrote about names; newer ones have it for old readers."""

_LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar"
_SUFFIXES = {"gzip": ".gzip", "zstd": ".zstd"}

Chunks: TypeAlias = "Iterable[bytes]"


@dataclass(frozen=True, slots=True)
class Item:
    """One image: the files of its config and its layers, and its names."""

    config: str
    layers: tuple[str, ...]
    tags: tuple[str, ...]


def parse(raw: bytes) -> list[Item]:
    """The images that `manifest.json` lists; raises `DocumentError`."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"invalid {MANIFEST}: not JSON ({error})") from None
    try:
        items = list(map(_item, document))
    except (TypeError, KeyError, AttributeError, UnicodeEncodeError):
        raise DocumentError(f"{MANIFEST} is not that of a docker archive") from None
    if not items:
        raise DocumentError("the docker archive holds no image")
    return items


def _item(item: Any) -> Item:
    return Item(
        _text(item["Config"]),
        tuple(map(_text, item["Layers"] or ())),
        tuple(map(_text, item.get("RepoTags") or ())),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # JSON can spell half a surrogate pair, which names no file
    return value


def describe_layer(chunks: Chunks) -> Descriptor:
    """The descriptor of a layer, which a docker archive has not: that of what is there."""
    hasher = digests.Hasher()
    head = b""
    for chunk in chunks:
        head = head or bytes(chunk[: wrapping.SNIFF])
        hasher.update(chunk)
    suffix = _SUFFIXES.get(wrapping.kind(head), "")
    return oci.Descriptor(_LAYER_TYPE + suffix, hasher.digest(), hasher.count)


def manifest(config: bytes, layers: Iterable[Descriptor]) -> Manifest:
    """The schema 2 manifest of an image that came without one."""
    document = {
        "schemaVersion": 2,
        "mediaType": oci.DOCKER_MANIFEST,
        "config": oci.wire(
            oci.Descriptor(oci.DOCKER_CONFIG, digests.of_bytes(config), len(config))
        ),
        "layers": list(map(oci.wire, layers)),
    }
    parsed = oci.parse_document(json.dumps(document).encode())
    assert isinstance(parsed, oci.Manifest)
    return parsed
