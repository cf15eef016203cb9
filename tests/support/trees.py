"""What is in a directory, down to the last attribute, and how two directories differ."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import defaultdict
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, TypeAlias

import xattr

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


@dataclass(frozen=True, slots=True)
class Attributes:
    """One directory entry as `lstat` and the extended attributes show it; `mtime` in nanoseconds.

    `links` holds every path that names the same inode; it is empty where this path is the only
    one. A directory has no size: that belongs to its file system.
    """

    kind: str
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int = 0
    sha256: str = ""
    target: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: tuple[tuple[str, bytes], ...] = ()
    links: frozenset[bytes] = frozenset()


Scan: TypeAlias = dict[bytes, Attributes]


def scan(directory: str | os.PathLike[str]) -> Scan:
    """Every path below `directory`, and itself as `b""`; no link is followed."""
    root = os.fsencode(directory)
    found: Scan = {}
    inodes: dict[tuple[int, int], set[bytes]] = defaultdict(set)
    for path in _walk(root):
        status = os.lstat(path)
        name = path[len(root) + 1 :]
        found[name] = _attributes(path, status)
        if not stat.S_ISDIR(status.st_mode):
            inodes[status.st_dev, status.st_ino].add(name)
    for names in inodes.values():
        if len(names) > 1:
            for name in names:
                found[name] = replace(found[name], links=frozenset(names))
    return found


def differences(wanted: Mapping[bytes, Attributes], got: Mapping[bytes, Attributes]) -> list[str]:
    """One readable line for each path or attribute in which `got` is not `wanted`."""
    lines = []
    for path in sorted(wanted.keys() | got.keys()):
        shown = os.fsdecode(path).encode("utf-8", "backslashreplace").decode() or "."
        if path not in got:
            lines.append(f"{shown}: missing ({wanted[path].kind})")
        elif path not in wanted:
            lines.append(f"{shown}: not wanted ({got[path].kind})")
        else:
            lines += [f"{shown}: {what}" for what in _compare(wanted[path], got[path])]
    return lines


def _walk(directory: bytes) -> Iterator[bytes]:
    yield directory
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path)
            else:
                yield entry.path


def _attributes(path: bytes, status: os.stat_result) -> Attributes:
    form = stat.S_IFMT(status.st_mode)
    plain = form == stat.S_IFREG
    return Attributes(
        kind=_KINDS[form],
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        mtime=status.st_mtime_ns,
        size=status.st_size if plain else 0,
        sha256=_sha256(path) if plain else "",
        target=os.readlink(path) if form == stat.S_IFLNK else b"",
        device=(os.major(status.st_rdev), os.minor(status.st_rdev)),
        xattrs=_xattrs(path),
    )


def _sha256(path: bytes) -> str:
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _xattrs(path: bytes) -> tuple[tuple[str, bytes], ...]:
    names = sorted(xattr.listxattr(path, symlink=True))
    return tuple((name, xattr.getxattr(path, name, symlink=True)) for name in names)


_SHOWN: dict[str, Callable[[object], str]] = {
    "mode": lambda mode: f"{mode:04o}",
    "links": lambda paths: str(sorted(paths)),
}


def _compare(wanted: Attributes, got: Attributes) -> Iterator[str]:
    for field in fields(Attributes):
        before, after = getattr(wanted, field.name), getattr(got, field.name)
        if before != after:
            shown = _SHOWN.get(field.name, repr)
            yield f"{field.name} is {shown(after)}, wanted {shown(before)}"
