"""Referrers: what is attached to an image in its registry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerkit.registry import referrers as listed

if TYPE_CHECKING:
    from layerkit.oci import Descriptor
    from layerkit.reference import Reference
    from layerkit.registry.client import Client


def referrers(client: Client, reference: Reference, artifact_type: str = "") -> list[Descriptor]:
    """The artifacts (of a type, if given) attached to exactly what the name stands for, which may
    be an index.

    Raises `NotFoundError`, `RegistryError` and its kinds.
    """
    digest = reference.digest
    if digest is None:
        digest = client.resolve_document(reference)[0].digest
    return listed.referrers(client, reference, digest, artifact_type)
