"""Mounts as values with fields; only the module that calls the kernel turns them into options."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from pathlib import Path


class FolderMount(Struct, frozen=True):
    """A folder, shown as it is."""

    folder: Path

    def __str__(self) -> str:
        return f"folder {self.folder}"


class ErofsMount(Struct, frozen=True):
    """A read-only EROFS `image`, with its `devices` (layer tars) in the order of its table."""

    image: Path
    devices: tuple[Path, ...] = ()

    def __str__(self) -> str:
        return f"erofs image of {len(self.devices)} layers"


class OverlayMount(Struct, frozen=True):
    """A stack of read-only `lowers` (top first), with a writable `upper` or none.

    `upper` and `work` go together and lie on one file system (kernel overlayfs.rst). `volatile`
    leaves out all syncing; right only for an upper that is thrown away afterwards. With
    `user_xattrs` overlayfs keeps its marks in `user.overlay.*`, as it must in a user namespace.
    """

    lowers: tuple[Path | ErofsMount, ...]
    upper: Path | None = None
    work: Path | None = None
    volatile: bool = False
    user_xattrs: bool = False

    def __str__(self) -> str:
        return f"overlay of {len(self.lowers)} lowers"


RootMount: TypeAlias = OverlayMount | ErofsMount | FolderMount
"""What the root of an image or a container can be."""


class BindMount(Struct, frozen=True):
    """One host folder, or with `is_file` anything else, seen at `target`, an absolute path inside the
    container.

    With `create`, a missing source becomes an empty folder first. Device files in what is `nodev`
    cannot be opened.
    """

    source: Path
    target: str
    readonly: bool = False
    create: bool = False
    is_file: bool = False
    nodev: bool = False


class VolumeMount(Struct, frozen=True):
    """A folder that layerkit keeps under a name, seen at `target`; without a name a new one.

    A new one begins with what the image has at `target`, unless `nocopy`. One that layerkit had to
    name is `unnamed`.
    """

    name: str
    target: str
    readonly: bool = False
    nocopy: bool = False
    unnamed: bool = False


class TmpfsMount(Struct, frozen=True):
    """A file system in memory at `target`; `size` in bytes, None for half of the memory.

    `flags` are those of mount(8) that hold beside or against nosuid, nodev, noexec.
    """

    target: str
    size: int | None = None
    mode: int = 0o1777
    flags: tuple[str, ...] = ()


Mount: TypeAlias = BindMount | VolumeMount | TmpfsMount
"""What a user can mount in a container."""
