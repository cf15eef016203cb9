"""Writes entries below a directory that others use, too: what is there is kept, merged or replaced.

As docker copies: a file replaces what is no directory, a directory is merged with a directory and
gives it its attributes, and neither takes the place of the other. Nothing that is there is written
through: what is replaced is removed first.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from layerkit.errors import LayerkitError
from layerkit.snapshot.disk import Writer
from layerkit.tree import Kind, Node, parents

if TYPE_CHECKING:
    from collections.abc import Callable

    from layerkit.snapshot.beneath import Opener
    from layerkit.snapshot.skipped import Skipped
    from layerkit.tree import Entry


class Placer:
    """Places entries below the directory descriptor `root`, which `opener` opens directories of.

    Times and rights of directories are set by `finish`. Raises `OSError`, and `LayerkitError` where
    a directory is in the way, or something else in that of a directory.
    """

    def __init__(self, root: int, opener: Opener) -> None:
        self._writer = Writer(root, self._fill, opener)
        self._content: Callable[[int], None] | None = None
        self._folders: dict[bytes, Node] = {}

    @property
    def skipped(self) -> Skipped:
        """What rights or the file system did not allow."""
        return self._writer.skipped

    def close(self) -> None:
        """Let go of the directories."""
        self._writer.close()

    def put(self, entry: Entry, content: Callable[[int], None] | None) -> None:
        """Place one entry, whose `content` is written to a descriptor; missing parents are made."""
        self._content = content
        is_folder = entry.kind is Kind.DIRECTORY
        if not self._clear(entry.path, is_folder=is_folder):
            return self._keep_folder(entry)
        if is_folder:
            self._writer.make_directory(entry.path)
            self._keep_folder(entry)
        elif entry.kind is Kind.HARDLINK:
            self._writer.link(entry.link, entry.path)
        else:
            self._writer.make(entry.path, Node(entry, 0))
        return None

    def finish(self) -> None:
        """Give directories their attributes, the deepest first."""
        for path in sorted(self._folders, reverse=True):
            self._writer.finish_directory(path, self._folders[path])

    def _fill(self, _path: bytes, _node: Node, file: int) -> None:
        assert self._content is not None
        self._content(file)

    def _keep_folder(self, entry: Entry) -> None:
        self._folders[entry.path] = Node(entry, 0)

    def _clear(self, path: bytes, *, is_folder: bool) -> bool:
        """Make place for something new; False for a directory where there is one."""
        folder, name = self._place(path)
        try:
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return True
        shown = os.fsdecode(path)
        if stat.S_ISDIR(mode) and not is_folder:
            raise LayerkitError(f"cannot overwrite directory {shown!r} with non-directory")
        if is_folder and not stat.S_ISDIR(mode):
            raise LayerkitError(f"cannot overwrite non-directory {shown!r} with directory")
        if is_folder:
            return False
        os.unlink(name, dir_fd=folder)
        return True

    def _place(self, path: bytes) -> tuple[int, bytes]:
        try:
            return self._writer.place(path)
        except FileNotFoundError:
            for parent in parents(path):
                folder, name = self._writer.place(parent)
                try:
                    os.mkdir(name, 0o755, dir_fd=folder)
                except FileExistsError:
                    continue
        return self._writer.place(path)
