"""What an operation tells while it runs: values handed to an `Observer`, never printed here."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from layerkit.digest import BlobDigest


class Phase(Enum):
    """What happens to a layer at the moment."""

    DOWNLOAD = "download"
    INDEX = "index"
    UPLOAD = "upload"


class Resolved(Struct, frozen=True):
    """The name was resolved: what is pulled or pushed, and its layers with their sizes in bytes."""

    name: str
    digest: BlobDigest
    layers: tuple[tuple[BlobDigest, int], ...]


class LayerProgress(Struct, frozen=True):
    """`done` of `total` bytes of one layer's phase are through (total 0: not known)."""

    layer: BlobDigest
    phase: Phase
    done: int
    total: int


class LayerDone(Struct, frozen=True):
    """The layer is in the store, or in the registry it is pushed to; `reused` when it already was.

    `source` is the other repository of that registry that it was mounted from.
    """

    layer: BlobDigest
    reused: bool
    source: str = ""


class Notice(Struct, frozen=True):
    """A line the user should see; `severity` is "warning" or "note"."""

    severity: str
    text: str


Event: TypeAlias = Resolved | LayerProgress | LayerDone | Notice
Observer: TypeAlias = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """The observer that wants to know nothing."""
