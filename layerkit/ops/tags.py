"""Tags: what a repository of a registry has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerkit import reference as references
from layerkit.errors import UsageError
from layerkit.registry import listing

if TYPE_CHECKING:
    from layerkit.reference import Reference
    from layerkit.registry.client import Client


def repository(text: str) -> Reference:
    """The repository that `text` names; raises `UsageError` for a name with tag or digest."""
    reference = references.parse(text)
    if reference.digest is not None or ":" in text.rpartition("/")[2]:
        raise UsageError(f"{text!r} names one image, wanted a repository: a name without a tag")
    return reference


def tags(client: Client, reference: Reference) -> list[str]:
    """All tags of the reference's repository, sorted.

    Raises `NotFoundError` where there is no such repository or no tag in it, `RegistryError` and
    its kinds.
    """
    return listing.tags(client, reference)
