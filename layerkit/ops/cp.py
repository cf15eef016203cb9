"""Copy: files and directories between a container and this machine, or a tar, as docker does.

Both sides are roots that are open directories. A path is looked up in its root once, as a process
sees it that has this root; from there on everything is opened and made relative to open directories
and no symlink is followed. So whoever works in the container meanwhile can make a copy incomplete,
but never lead it elsewhere. Nothing of the container is executed or imported.
"""

from __future__ import annotations

import contextlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from layerkit.errors import LayerkitError, UsageError
from layerkit.events import Notice, ignore
from layerkit.layer import writer
from layerkit.ops import cp_ends
from layerkit.ops.containers import find_container
from layerkit.ops.cp_ends import Keeping
from layerkit.ops.cp_rules import Place, Spot, There, place, spot
from layerkit.ops.inside_root import Root, container_root
from layerkit.ops.tarring import fitted
from layerkit.snapshot import beneath, scoped
from layerkit.snapshot.placing import Placer
from layerkit.tree import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from layerkit.events import Observer
    from layerkit.ops.home import Home

__all__ = ["CopyOptions", "Place", "copy", "copy_tar_in", "copy_tar_out", "place"]


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """How to copy: with `archive` owners and xattrs are kept, and on this machine devices and the
    setuid bits; with `follow` a symlink that the source is, is followed. `folder` is where relative
    paths of this machine begin.
    """

    archive: bool = False
    follow: bool = False
    folder: str = "/"


def copy(
    home: Home, source: Place, target: Place, options: CopyOptions, observe: Observer = ignore
) -> int:
    """Copy between a container and this machine; how many bytes the files have.

    Raises `UsageError` where not just one side is a container, `NotFoundError`, `ConflictError`,
    `StoreError`, and `LayerkitError` for what docker's rules or the kernel do not allow.
    """
    if (source.container is None) == (target.container is None):
        raise UsageError("wanted one container: CONTAINER:PATH as source or as destination")
    from_here, to_here = _spot(source, options), _spot(target, options)
    warn = _warner(observe)
    with (
        _named(source, target),
        _root(home, source, observe) as here,
        _root(home, target, observe) as there,
        cp_ends.found(here, from_here, follow=options.follow) as top,
        cp_ends.landing(there, to_here, from_here, is_folder=_is_folder(top)) as (folder, name),
    ):
        to_container = target.container is not None
        keeping = Keeping(
            prefix=name,
            top=bool(name),
            owner=None if options.archive else _owner(to_container=to_container),
            xattrs=options.archive,
            special=options.archive or to_container,
        )
        items = cp_ends.items(top, here.closed, warn)
        with contextlib.closing(Placer(folder, beneath.opener(folder))) as placer:
            return _put(placer, items, keeping, observe)


def copy_tar_out(
    home: Home, source: Place, options: CopyOptions, observe: Observer = ignore
) -> Iterator[bytes]:
    """The pieces of a tar of what is at a container's path; owners as in the container.

    Raises as `copy`, later on.
    """
    wanted = _spot(source, options)
    warn = _warner(observe)
    prefix = b"" if wanted.is_content else wanted.name
    keeping = Keeping(prefix, top=True, owner=None, xattrs=options.archive, special=True)
    with (
        _named(source, place("-")),
        _root(home, source, observe) as root,
        cp_ends.found(root, wanted, follow=options.follow) as top,
    ):
        for item in cp_ends.items(top, root.closed, warn):
            entry = writer.writable(keeping.of(item.entry), warn)
            if entry is None:
                continue
            yield writer.header(entry)
            if entry.kind is Kind.FILE:
                yield from fitted(entry, cp_ends.chunks(item.file), warn)
                yield writer.padding(entry.size)
        yield writer.END


def copy_tar_in(
    home: Home, file: int, target: Place, options: CopyOptions, observe: Observer = ignore
) -> int:
    """Put what is in a tar, compressed or not, into a directory of a container; owners as in the tar.

    Symlinks of the container are followed on the way, inside its root. Raises as `copy`, and
    `ArchiveError`.
    """
    wanted = _spot(target, options)
    warn = _warner(observe)
    keeping = Keeping(wanted.path, top=False, owner=None, xattrs=options.archive, special=True)
    with _named(place("-"), target), _root(home, target, observe) as root:
        folder, there = cp_ends.look(root, wanted)
        if there is not There.FOLDER:
            raise LayerkitError("the destination must be a directory that is there")
        os.close(folder)
        items = cp_ends.tar_items(file, warn, home.store.limits.entries)
        with contextlib.closing(Placer(root.descriptor, scoped.open_path)) as placer:
            return _put(placer, items, keeping, observe)


def _put(placer: Placer, items: Iterator[cp_ends.Item], keeping: Keeping, observe: Observer) -> int:
    total = cp_ends.put_all(placer, items, keeping, _warner(observe))
    if placer.skipped:
        observe(placer.skipped.notice("warning"))
    return total


def _spot(side: Place, options: CopyOptions) -> Spot:
    return spot(side.path, options.folder if side.container is None else "/")


@contextlib.contextmanager
def _root(home: Home, side: Place, observe: Observer) -> Iterator[Root]:
    if side.container is not None:
        container = find_container(home, side.container)
        with container_root(home, container, "copy", observe) as root:
            yield root
        return
    descriptor = os.open("/", os.O_PATH | os.O_DIRECTORY)
    try:
        yield Root(descriptor)
    finally:
        os.close(descriptor)


def _is_folder(top: int) -> bool:
    return stat.S_ISDIR(os.fstat(top).st_mode)


def _owner(*, to_container: bool) -> tuple[int, int]:
    return (0, 0) if to_container else (os.geteuid(), os.getegid())


def _warner(observe: Observer) -> Callable[[str], None]:
    return lambda text: observe(Notice("warning", text))


@contextlib.contextmanager
def _named(source: Place, target: Place) -> Iterator[None]:
    """Say what was to be copied where, when it is refused or the kernel says no."""
    try:
        yield
    except LayerkitError as error:
        if type(error) is not LayerkitError:
            raise
        raise LayerkitError(f"cannot copy {source} to {target}: {error}", hint=error.hint) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        at = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        reason = os.strerror(error.errno or 0).lower()
        raise LayerkitError(f"cannot copy {source} to {target}: {at}{reason}") from error
