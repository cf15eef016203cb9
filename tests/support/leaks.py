"""What a test session left on the machine: mounts, loop devices, processes, temporary files.

Only what has to do with the session's own folder counts, so that other programs, and other test
sessions at the same time, do not. A process belongs to the session when its environment or command
line mentions the folder (`TMPDIR` lies in it), or when it sees mounts from it in a mount namespace
of its own, as a container does.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROC = Path("/proc")
_GRACE = 5.0
"""Seconds that a process may take to end after the last test."""

# Helpers that Python starts once and ends together with the interpreter.
_PYTHON_HELPERS = (b"multiprocessing.resource_tracker", b"multiprocessing.forkserver")


def left_behind(folder: Path, temporary: Path) -> list[str]:
    """One line for each thing that is still there; `temporary` is where it should be empty."""
    deadline = time.monotonic() + _GRACE
    while (found := _found(folder, temporary)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def _found(folder: Path, temporary: Path) -> list[str]:
    return [
        *(f"mount {line}" for line in mounts(folder)),
        *(f"loop device {device}" for device in loop_devices(folder)),
        *(f"process {process}" for process in processes(folder)),
        *(f"temporary file {path}" for path in sorted(temporary.iterdir())),
    ]


def mounts(folder: Path) -> list[str]:
    """The lines of mountinfo that mention `folder`, as mount point, source or option."""
    lines = (_PROC / "self/mountinfo").read_text(errors="surrogateescape").splitlines()
    return [line for line in lines if f"{folder}/" in line]


def loop_devices(folder: Path) -> list[str]:
    """The loop devices whose file lies in `folder`."""
    return [
        backing.parts[3]
        for backing in Path("/sys/block").glob("loop*/loop/backing_file")
        if (_read(backing) or b"").startswith(os.fsencode(f"{folder}/"))
    ]


def processes(folder: Path) -> list[str]:
    """Pid and command line of each living process that belongs to the session of `folder`."""
    mark = os.fsencode(f"{folder}/")
    return [
        f"{process.name} {command.decode(errors='replace')}"
        for process, command in _others()
        if mark in command or mark in _surroundings(process)
    ]


def _others() -> Iterator[tuple[Path, bytes]]:
    """Every process but this one and Python's own helpers, with its command line."""
    for process in _PROC.iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        # A zombie has no command line, and nothing runs there any more.
        command = (_read(process / "cmdline") or b"").replace(b"\0", b" ").strip()
        if command and not any(helper in command for helper in _PYTHON_HELPERS):
            yield process, command


def _surroundings(process: Path) -> bytes:
    """The environment of a process, and its mounts where they are not those of this process."""
    seen = _read(process / "environ") or b""
    try:
        if os.readlink(process / "ns/mnt") != os.readlink(_PROC / "self/ns/mnt"):
            seen += _read(process / "mountinfo") or b""
    except OSError:
        pass  # it ended meanwhile, or belongs to somebody else
    return seen


def _read(path: Path) -> bytes | None:
    """The content of a file that may vanish at any time or be somebody else's."""
    try:
        return path.read_bytes()
    except OSError:
        return None
