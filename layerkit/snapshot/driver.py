"""What a snapshot driver is: it makes images mountable, and folders to which containers write."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from layerkit.digest import ChainID
    from layerkit.events import Observer
    from layerkit.mount import RootMount
    from layerkit.tree import Tree

UPPER = "upper"
"""Where a driver `is_layered`: the `directory` with what a container changed, in its folder."""


class Stack(Struct, frozen=True):
    """Layers as a driver needs them, lowest first.

    `chains` are the names of the trees up to each layer, `tars` the files with their content (one
    that has none may be missing at the end). `trees` gives the tree after each layer; it is only
    called when something has to be made.
    """

    chains: tuple[ChainID, ...]
    tars: tuple[Path, ...]
    trees: Callable[[], Sequence[Tree]]


class View(Protocol):
    """One stack of layers, ready to be mounted. Methods raise `StoreError`."""

    def look(self) -> RootMount:
        """What shows it; to be mounted read-only."""

    def begin(self, layer: Path, last: Path | None = None) -> None:
        """Make what a new container writes to in the folder `layer`, above the frozen layer `last`."""

    def root(
        self, layer: Path, frozen: Sequence[Path] = (), *, volatile: bool = False
    ) -> RootMount:
        """What shows the view as changed by the `frozen` layers, oldest first, and by `layer`."""


class Driver(Protocol):
    """One way to make views.

    With `is_layered`, the `directory` in a container's folder holds only what it changed (as
    `snapshot.upper` reads it, whose marks there are `user_xattrs` or not); else everything.
    """

    name: str
    is_layered: bool
    user_xattrs: bool
    directory: str

    def __init__(self, root: Path, scratch: Path, remove: Callable[[Path], None]) -> None:
        """For the state directory at `root`.

        What is made lies in the directory `scratch` until it has its name; `remove` removes a
        directory with all in it, if it is there.
        """

    @staticmethod
    def obstacle() -> str:
        """Why it does not work here, "" if it does."""

    def prepare(self, stack: Stack, observe: Observer) -> View:
        """The view of the layers, made now where it is missing.

        `observe` is told in one warning what the file system does not keep of what is written.
        Raises `StoreError`, `StoreFullError`, `IntegrityError`.
        """

    def places(self, chain: ChainID) -> tuple[Path, ...]:
        """Where it puts what it makes for the stack of this name."""

    def made(self) -> Iterator[ChainID]:
        """The names of the stacks for which it made something; raises `OSError`."""

    def remove(self, chain: ChainID) -> None:
        """Remove what was made for the stack of this name, if anything was; raises `StoreError`."""
