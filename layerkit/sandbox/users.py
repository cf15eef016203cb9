"""Who the process is to be, from the container's own passwd and group files; without NSS.

The rules are docker's (moby/sys user.GetExecUser): `[user|uid][:group|gid]`; a number needs no
entry, a name does; the first matching entry wins. Python's `pwd` and `grp` would load the C
library's name service modules from the image, and run them as root.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

from msgspec import Struct

from layerkit import linux
from layerkit.errors import SandboxError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from layerkit.sandbox.ids import Ids

FILE_LIMIT = 1 << 20
_HIGHEST_ID = 2**31 - 1
_NUMBER = re.compile(rb"[0-9]{1,10}")
_SUBORDINATE = "more ids come from /etc/subuid and /etc/subgid, see subuid(5)"
_SIGNED = re.compile(r"[+-]?[0-9]+", re.ASCII)


class Identity(Struct, frozen=True):
    """The ids of the process; `groups` are all of its supplementary groups, `gid` among them."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


class User(Struct, frozen=True):
    """A line of passwd(5)."""

    name: bytes
    uid: int
    gid: int
    home: bytes


class Group(Struct, frozen=True):
    """A line of group(5)."""

    name: bytes
    gid: int
    members: tuple[bytes, ...]


def parse_passwd(raw: bytes) -> list[User]:
    """The users of a passwd file; a malformed line is none."""
    return [
        User(fields[0], int(fields[2]), int(fields[3]), fields[5])
        for fields in _lines(raw, 6)
        if _NUMBER.fullmatch(fields[2]) and _NUMBER.fullmatch(fields[3])
    ]


def parse_group(raw: bytes) -> list[Group]:
    """The groups of a group file; a malformed line is none."""
    return [
        Group(fields[0], int(fields[2]), tuple(filter(None, fields[3].split(b","))))
        for fields in _lines(raw, 4)
        if _NUMBER.fullmatch(fields[2])
    ]


def identify(
    text: str, users: list[User], groups: list[Group], more: Iterable[str] = ()
) -> Identity:
    """The identity that `text` asks for, empty for root, in `more` groups; raises `SandboxError`."""
    user_part, _, group_part = text.partition(":")
    uid, user = _find_user(user_part, users)
    gid = user.gid if user else 0
    extra: tuple[int, ...] = ()
    if group_part:
        gid = _find_group(group_part, groups)
    elif user:
        extra = tuple(group.gid for group in groups if user.name in group.members)
    extra += tuple(_find_group(each, groups) for each in more)
    home = next((other.home for other in users if other.uid == uid), b"")
    return Identity(
        uid=_in_range(uid),
        gid=_in_range(gid),
        groups=tuple(dict.fromkeys((gid, *map(_in_range, extra)))),
        home=os.fsdecode(home) or "/",
    )


def read_identity(root: int, text: str, more: Iterable[str] = ()) -> Identity:
    """As `identify`, with the files of the directory descriptor `root`; a missing file is empty.

    Needs the container's own /proc mounted. Raises `SandboxError` and `OSError`.
    """
    passwd = parse_passwd(read_file(root, "/etc/passwd"))
    return identify(text, passwd, parse_group(read_file(root, "/etc/group")), more)


def require_mapped(identity: Identity, ids: Ids, wished: Collection[str] = ()) -> None:
    """Raise `SandboxError` for an identity that no process can have in a user namespace with these ids.

    Where groups cannot be chosen, those that the user did not wish for are done without.
    """
    if wished and not ids.sets_groups:
        raise SandboxError(f"cannot add groups: the user namespace has one group; {_SUBORDINATE}")
    gids = identity.groups if ids.sets_groups else (identity.gid,)
    missing = [f"user {identity.uid}"] if not ids.has_uid(identity.uid) else []
    missing += [f"group {gid}" for gid in gids if not ids.has_gid(gid)]
    if missing:
        raise SandboxError(
            f"cannot become {missing[0]}: the user namespace has no such id; {_SUBORDINATE}"
        )


def read_file(root: int, path: str) -> bytes:
    """The content of a regular file below `root` of at most FILE_LIMIT bytes, empty if missing."""
    resolve = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_MAGICLINKS
    try:
        place = linux.openat2(root, path, os.O_PATH, resolve)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    try:
        # Opening anything else could hang (a FIFO) or act (a device), so it is not opened.
        if not stat.S_ISREG(os.fstat(place).st_mode):
            raise SandboxError(f"cannot read {path} of the container: it is not a regular file")
        content = os.open(f"/proc/self/fd/{place}", os.O_RDONLY | os.O_NONBLOCK)
    finally:
        os.close(place)
    with open(content, "rb", buffering=0) as file:
        raw = _read_all(file.read, FILE_LIMIT + 1)
    if len(raw) > FILE_LIMIT:
        raise SandboxError(f"cannot read {path} of the container: more than {FILE_LIMIT} bytes")
    return raw


def _read_all(read: Callable[[int], bytes | None], limit: int) -> bytes:
    raw = b""
    while len(raw) < limit and (chunk := read(limit - len(raw))):
        raw += chunk
    return raw


def _find_user(text: str, users: list[User]) -> tuple[int, User | None]:
    number = int(text) if _SIGNED.fullmatch(text) else None
    if not text:
        number = 0
    for user in users:
        if user.uid == number if number is not None else user.name == os.fsencode(text):
            return user.uid, user
    if number is None:
        raise SandboxError(f"unable to find user {text}: no matching entries in passwd file")
    return number, None


def _find_group(text: str, groups: list[Group]) -> int:
    number = int(text) if _SIGNED.fullmatch(text) else None
    for group in groups:
        if group.gid == number if number is not None else group.name == os.fsencode(text):
            return group.gid
    if number is None:
        raise SandboxError(f"unable to find group {text}: no matching entries in group file")
    return number


def _in_range(number: int) -> int:
    if not 0 <= number <= _HIGHEST_ID:
        raise SandboxError(f"uids and gids must be in range 0-{_HIGHEST_ID}, got {number}")
    return number


def _lines(raw: bytes, count: int) -> Iterator[list[bytes]]:
    """The lines that have at least `count` fields and a name."""
    for line in raw.splitlines():
        fields = line.strip().split(b":")
        if len(fields) >= count and fields[0] and not line.startswith(b"#"):
            yield fields
