"""The snapshot drivers, the best one first; one is loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from layerkit.store.files import remove_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from layerkit.snapshot.driver import Driver

AUTO = "auto"
"""The name that stands for the first one that works."""


def _erofs() -> type[Driver]:
    from layerkit.snapshot.erofs.driver import ErofsDriver  # noqa: PLC0415  see above

    return ErofsDriver


def _overlay() -> type[Driver]:
    from layerkit.snapshot.overlay import OverlayDriver  # noqa: PLC0415  see above

    return OverlayDriver


def _copy() -> type[Driver]:
    from layerkit.snapshot.copied import CopyDriver  # noqa: PLC0415  see above

    return CopyDriver


KINDS: dict[str, Callable[[], type[Driver]]] = {"erofs": _erofs, "overlay": _overlay, "copy": _copy}
"""What loads the class of each."""


class Drivers(Mapping[str, "Driver"]):
    """All drivers by name, for the state directory at `root`; nothing is read or made yet."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._loaded: dict[str, Driver] = {}

    def __getitem__(self, name: str) -> Driver:
        if name not in self._loaded:
            scratch = self._root / "ingest"
            remove = partial(remove_tree, scratch=scratch)
            self._loaded[name] = KINDS[name]()(self._root, scratch, remove)
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(KINDS)

    def __len__(self) -> int:
        return len(KINDS)
