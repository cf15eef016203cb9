"""A user without privileges, with or without subordinate ids, who exists in one child process.

The child's private mount namespace has a passwd, subuid and subgid of its own over those in /etc, so
that newuidmap(1) knows the user; nothing of it is seen outside. Needs root.
"""

from __future__ import annotations

import codecs
import ctypes
import importlib
import mmap  # noqa: F401  as below
import os
import pkgutil
import sqlite3  # noqa: F401  as below
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import layerkit as package
from layerkit import linux
from layerkit.cli import main
from layerkit.mount import OverlayMount
from layerkit.mounting import mount_overlay
from layerkit.snapshot import idmap, userns
from layerkit.snapshot.skipped import Skipped
from support.processes import outcome

if TYPE_CHECKING:
    from collections.abc import Callable

USER = 54_321
FIRST = 1_000_000
COUNT = 65_536
"""How many subordinate ids there are, from `FIRST` on."""
HOME = Path("/mnt")
"""Where the user sees the folder of the test; its own path may lead through closed ones."""

_PR_SET_DUMPABLE = 4

# Later, the user may not be able to read them.
for _name in ("ascii", "latin-1", "utf-8"):
    codecs.lookup(_name)
for _module in pkgutil.walk_packages(package.__path__, "layerkit."):
    if not _module.name.endswith("__main__"):
        importlib.import_module(_module.name)


class Ran(NamedTuple):
    """What layerkit ended with and wrote."""

    code: int
    out: str
    err: str


def as_user(folder: Path, work: Callable[[], object], *, subordinate: int = False) -> int:
    """The exit code of a child that does `work` as `USER`, in `folder` under the name of `HOME`.

    The subordinate ids are listed as often as `subordinate` says: once is right.
    """
    etc = folder.with_name(f"{folder.name}-etc")
    _write_files(etc, subordinate=subordinate)
    os.chown(folder, USER, USER)

    def prepared() -> None:
        linux.unshare(linux.CLONE_NEWNS)
        linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
        _bind(folder, HOME)
        mount_overlay(OverlayMount((etc, Path("/etc"))), Path("/etc"))
        _become()
        os.chdir(HOME)
        work()

    return outcome(prepared)


def in_namespaces(folder: Path, work: Callable[[], object], *, subordinate: bool = False) -> int:
    """As `as_user`, but as root of a user namespace and a mount namespace of the user's own."""

    def inside() -> Skipped:
        linux.unshare(linux.CLONE_NEWNS)
        work()
        return Skipped()

    def outside() -> None:
        maps = idmap.of_this_user() if subordinate else idmap.of_this_user_alone()
        assert maps is not None
        assert userns.run(maps, inside) is not None

    return as_user(folder, outside, subordinate=subordinate)


def layerkit(folder: Path, *arguments: str, subordinate: int = False, stdin: bytes = b"") -> Ran:
    """One layerkit command of the user; its state directory is in the folder."""
    (folder / "stdin").write_bytes(stdin)
    files = [folder / "stdout", folder / "stderr"]

    def work() -> None:
        given = os.open("stdin", os.O_RDONLY)
        os.dup2(given, 0)
        with open(files[0].name, "w") as sys.stdout, open(files[1].name, "w") as sys.stderr:
            os.dup2(sys.stdout.fileno(), 1)  # where containers write
            os.dup2(sys.stderr.fileno(), 2)
            code = command(*arguments)
        os._exit(code)

    code = as_user(folder, work, subordinate=subordinate)
    return Ran(code, *(file.read_text() for file in files))


def command(*arguments: str) -> int:
    """The exit code of a command in the user's process, on its own standard streams."""
    os.environ.update(HOME=str(HOME), LAYERKIT_ROOT=str(HOME / "state"))
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  pytest's own is no file
    return main(list(arguments))


def _write_files(etc: Path, *, subordinate: int) -> None:
    etc.mkdir(exist_ok=True)
    passwd = Path("/etc/passwd").read_text()
    (etc / "passwd").write_text(f"{passwd}tester:x:{USER}:{USER}::{HOME}:/bin/sh\n")
    for name in ("subuid", "subgid"):
        (etc / name).write_text(f"tester:{FIRST}:{COUNT}\n" * subordinate)


def _bind(source: Path, target: Path) -> None:
    tree = linux.open_tree(linux.AT_FDCWD, str(source), linux.AT_RECURSIVE)
    place = os.open(target, os.O_PATH)
    linux.move_mount(tree, place)
    os.close(place)
    os.close(tree)


def _become() -> None:
    os.setgroups([])
    os.setresgid(USER, USER, USER)
    os.setresuid(USER, USER, USER)
    # A change of user makes /proc/self root's, until a program is executed or this is said.
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)
