"""Top: the processes of a container, as the host sees them."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from layerkit.errors import ConflictError, SandboxError, UsageError
from layerkit.ops import states
from layerkit.sandbox.cgroups import group as groups

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from layerkit.ops.home import Home
    from layerkit.store.records import ContainerRecord

TITLES = ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")
_MOST_PERCENT = 99
_DAY = 86_400
_NAME_WIDTH = 8
# Documentation/admin-guide/devices.txt
_CONSOLES, _PTS = 4, range(136, 144)
_FIRST_SERIAL = 64


@dataclass(frozen=True, slots=True)
class Process:
    """What proc(5) tells of a process; times in seconds, `began` since 1970, `tty` a device number."""

    pid: int
    parent: int
    uid: int
    tty: int
    began: float
    used: float
    command: str


def top(
    home: Home, container: ContainerRecord, options: Sequence[str] = ()
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Titles and rows: those of `ps -ef`, or those of the host's ps with other options.

    Raises `ConflictError` for a container that does not run, `UsageError` for options that ps does
    not know, or that leave out the PID column.
    """
    if not states.read(home, container).is_running:
        raise ConflictError(f"container {container.name} is not running")
    group = groups.find(container.id)
    if group is None:
        raise SandboxError(f"cannot list the processes of {container.name}: no control group")
    pids = group.pids()
    if options:
        return chosen(_ps(options), set(pids))
    now = time.time()
    return TITLES, [row(each, now) for each in _processes(pids)]


def row(process: Process, now: float) -> tuple[str, ...]:
    """The cells of a process as `ps -f` writes them."""
    span = max(now - process.began, 1)
    return (
        _user(process.uid),
        str(process.pid),
        str(process.parent),
        str(min(int(100 * process.used / span), _MOST_PERCENT)),
        _start(process.began, now),
        _terminal(process.tty),
        _time(int(process.used)),
        process.command,
    )


def _user(uid: int) -> str:
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
    return name if len(name) <= _NAME_WIDTH else f"{name[: _NAME_WIDTH - 1]}+"


def _start(began: float, now: float) -> str:
    """The hour on the same day, the day in the same year, else the year."""
    then, today = time.localtime(began), time.localtime(now)
    if then[:3] == today[:3]:
        return time.strftime("%H:%M", then)
    return time.strftime("%b%d" if then.tm_year == today.tm_year else "%Y", then)


def _terminal(device: int) -> str:
    major, minor = os.major(device), os.minor(device)
    if major in _PTS:
        return f"pts/{minor + 256 * (major - _PTS.start)}"
    return f"tty{minor}" if major == _CONSOLES and minor < _FIRST_SERIAL else "?"


def _time(seconds: int) -> str:
    days, rest = divmod(seconds, _DAY)
    text = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days}-{text}" if days else text


def _processes(pids: Sequence[int]) -> Iterator[Process]:
    """Those that have not ended meanwhile."""
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            yield _process(pid, booted)


def _process(pid: int, booted: float) -> Process:
    folder = Path("/proc") / str(pid)
    stat = (folder / "stat").read_text(errors="surrogateescape")
    name, _, rest = stat.partition("(")[2].rpartition(")")
    words = rest.split()  # the first is field 3 of proc(5)
    ticks = os.sysconf("SC_CLK_TCK")
    command = (folder / "cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ")
    return Process(
        pid=pid,
        parent=int(words[1]),
        uid=_owner(folder),
        tty=int(words[4]),
        began=booted + int(words[19]) / ticks,
        used=(int(words[11]) + int(words[12])) / ticks,
        command=os.fsdecode(command) or f"[{name}]",
    )


def _owner(folder: Path) -> int:
    """The effective user; the folder itself belongs to root where the process is not dumpable."""
    for line in (folder / "status").read_text(errors="surrogateescape").splitlines():
        if line.startswith("Uid:"):
            return int(line.split()[2])
    raise ProcessLookupError


def _ps(options: Sequence[str]) -> list[str]:
    """The lines of the host's ps."""
    try:
        done = subprocess.run(
            ["ps", *options], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError as error:
        raise SandboxError(f"cannot run ps: {error.strerror}") from None
    lines = [os.fsdecode(line) for line in done.stdout.splitlines()]
    if done.returncode != 0 or not lines:
        reason = os.fsdecode(done.stderr.strip().partition(b"\n")[0])
        raise UsageError(f"cannot list with ps {' '.join(options)}: {reason or 'no output'}")
    return lines


def chosen(
    lines: Sequence[str], pids: Collection[int]
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Titles and rows of ps for these processes; with `-m`, also a process's lines without a number.

    Raises `UsageError` without a PID column.
    """
    titles = tuple(lines[0].split())
    if "PID" not in titles:
        raise UsageError("cannot list without a PID column: add pid to the columns of ps")
    place = titles.index("PID")
    rows, belongs = [], False
    for line in lines[1:]:
        cells = line.strip().split(maxsplit=len(titles) - 1)
        if len(cells) <= place:
            continue
        if cells[place] != "-":
            belongs = cells[place].isdecimal() and int(cells[place]) in pids
        if belongs:
            rows.append(tuple(cells))
    return titles, rows
