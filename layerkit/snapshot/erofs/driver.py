"""The EROFS driver: one image of metadata for a stack of layers, whose tars hold the content.

Nothing is unpacked, and nothing depends on how many layers there are. The image is mounted in the
mount namespace of each container, so no mount of it can be left over on the host.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from layerkit.snapshot import kernel
from layerkit.snapshot.driver import UPPER
from layerkit.snapshot.erofs import reader
from layerkit.snapshot.folders import Folders, guarded, open_all
from layerkit.tree import Entry  # noqa: TC001  msgspec reads the annotation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from layerkit.digest import ChainID
    from layerkit.events import Observer
    from layerkit.snapshot.driver import Stack
    from layerkit.snapshot.layered import LayeredView
    from layerkit.snapshot.skipped import Skipped
    from layerkit.tree import Tree

_IMAGE = "image.erofs"
_NOTES = "notes"
_UUID = 16  # bytes
_SMALL_BLOCKS = (6, 4)
_FILES = (6, 12)


class _Notes(msgspec.Struct, frozen=True, array_like=True):
    """What is to be known of an image beside it: the layers whose tars are its devices, its root,
    and whether all content is as it stands in these tars.
    """

    layers: tuple[int, ...]
    root: Entry
    is_plain: bool


class ErofsDriver:
    """Views as images `views/<chainid>/image.erofs`, built in `scratch` and renamed in.

    `remove` removes a directory with all in it, if it is there.
    """

    name = "erofs"
    is_layered = True
    user_xattrs = False
    directory = UPPER

    def __init__(self, root: Path, scratch: Path, remove: Callable[[Path], None]) -> None:
        self._folders = Folders(root / "views", scratch, remove)

    @staticmethod
    def obstacle() -> str:
        """Why it does not work here, "" if it does."""
        return kernel.obstacle("erofs") or kernel.obstacle("overlay") or _too_old()

    def prepare(self, stack: Stack, observe: Observer) -> LayeredView:
        """The image of the topmost tree."""
        from layerkit.mount import ErofsMount  # noqa: PLC0415  whoever compares mounts nothing
        from layerkit.snapshot.layered import LayeredView  # noqa: PLC0415

        folder, notes = self._prepared(stack, observe)
        devices = tuple(stack.tars[layer] for layer in notes.layers)
        return LayeredView((ErofsMount(folder / _IMAGE, devices),), lambda: notes.root)

    def tree(self, stack: Stack, observe: Observer) -> Tree | None:
        """The topmost tree, of which only what is looked at is read; None of one with sparse files.

        That works where EROFS itself does not. Raises as `prepare`.
        """
        folder, notes = self._prepared(stack, observe)
        if not notes.is_plain:
            return None
        return reader.tree(folder / _IMAGE, notes.layers, len(stack.chains) - 1)

    def _prepared(self, stack: Stack, observe: Observer) -> tuple[Path, _Notes]:
        """The image's directory, made now where it is missing or damaged, and the notes in it."""
        name = stack.chains[-1].hex
        folder = self._folders.path(name)
        notes = None
        if folder.is_dir():
            notes = _read(folder)
            if notes is None:
                self._folders.remove(name)
        if notes is None:
            notes, skipped = self._make(name, stack)
            if skipped:
                observe(skipped.notice("warning", " in the image's view"))
        return folder, notes

    def places(self, chain: ChainID) -> tuple[Path, ...]:
        """Where it puts what it makes for the stack of this name."""
        return (self._folders.path(chain.hex),)

    def made(self) -> Iterator[ChainID]:
        """The names of the stacks for which it made something; raises `OSError`."""
        return self._folders.chains()

    def remove(self, chain: ChainID) -> None:
        """Remove the image if it is here; raises `StoreError`."""
        self._folders.remove(chain.hex)

    def _make(self, name: str, stack: Stack) -> tuple[_Notes, Skipped]:
        from layerkit.snapshot.erofs import image  # noqa: PLC0415  once for each image

        tree = stack.trees()[-1]
        uuid = bytes.fromhex(name)[:_UUID]
        with self._folders.making(name) as beside, open_all(stack.tars) as tars:
            sizes = [os.fstat(tar).st_size for tar in tars]
            with _synced(beside / _IMAGE) as file:
                written = image.write(file, tree, sizes, tars.__getitem__, uuid)
            notes = _Notes(written.layers, tree.entry, written.is_plain)
            with _synced(beside / _NOTES) as file:
                os.write(file, msgspec.msgpack.encode(notes))
        return notes, written.skipped


def _too_old(release: str = os.uname().release, devices: Path = Path("/dev")) -> str:
    """Why this version of Linux mounts no image of ours, "" if it does."""
    found = tuple(map(int, re.findall(r"\d+", release)[:2]))
    if found < _SMALL_BLOCKS:
        return "EROFS with blocks of 512 bytes needs Linux 6.4"
    if found < _FILES and not (devices / "loop-control").exists():
        return "EROFS images as files need Linux 6.12, and there are no loop devices"
    return ""


def _read(folder: Path) -> _Notes | None:
    """The notes in a directory; None where there are none that make sense."""
    with guarded("read"):
        try:
            return msgspec.msgpack.decode((folder / _NOTES).read_bytes(), type=_Notes)
        except (FileNotFoundError, msgspec.MsgspecError):
            return None


@contextlib.contextmanager
def _synced(path: Path) -> Iterator[int]:
    """The descriptor of a new file, which is on the disk in the end."""
    with open(path, "xb") as file:
        yield file.fileno()
        os.fsync(file.fileno())
