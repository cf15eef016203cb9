"""Work as root of a user namespace, so that files can be given to all ids that the user has.

A process cannot come back from there. So for `run` a child goes, which writes through the descriptors that it
inherits, and tells what it counted, or why it failed, in one message; who goes for good calls `enter`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import traceback
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from layerkit import errors, linux
from layerkit.errors import LayerkitError, StoreError
from layerkit.snapshot import idmap
from layerkit.snapshot.skipped import Skipped

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from layerkit.snapshot.idmap import IdMaps, Range

Work: TypeAlias = "Callable[[], Skipped]"

_PACKET_LIMIT = 65536
_TEXT_LIMIT = 2048  # characters, of up to twelve bytes each in JSON
_READY = b"in a namespace"
_GO = b"its ids are mapped"


def run(maps: IdMaps, work: Work) -> Skipped | None:
    """What `work` counts, done in a user namespace with these ids; None where none can be had.

    More than the caller's own ids need newuidmap(1) and newgidmap(1), which read subuid(5) and
    subgid(5) again. Raises the `LayerkitError` that `work` raises. The calling process must have one thread.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            ours.close()
            _go(parent, theirs, work)
        try:
            theirs.close()
            return _outcome(ours, pid, maps)
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def enter(choices: Sequence[IdMaps]) -> IdMaps | None:
    """Become root of a new user namespace, for good, with the first of these ids that can be had.

    None where none can be: then the process has no id that means anything. Raises `OSError` where
    there is no namespace for it. The calling process must have one thread.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    target = os.getpid()
    helper = os.fork()  # only who stays outside may ask for more ids than one
    if helper == 0:
        ours.close()
        _map_first(theirs, target, choices)
    theirs.close()
    try:
        with ours:
            linux.unshare(linux.CLONE_NEWUSER)
            ours.send(_READY)
    finally:
        code = os.waitstatus_to_exitcode(os.waitpid(helper, 0)[1])
    return choices[code] if 0 <= code < len(choices) else None


def _map_first(channel: socket.socket, target: int, choices: Sequence[IdMaps]) -> NoReturn:
    code = len(choices)
    try:
        if channel.recv(_PACKET_LIMIT) == _READY:
            found = (number for number, maps in enumerate(choices) if _mapped(target, maps))
            code = next(found, code)
    finally:
        os._exit(code)


def _outcome(channel: socket.socket, pid: int, maps: IdMaps) -> Skipped | None:
    ready = channel.recv(_PACKET_LIMIT)
    if ready != _READY or not _mapped(pid, maps):
        return None
    channel.send(_GO)
    packet = channel.recv(_PACKET_LIMIT)
    if not packet:
        raise StoreError("cannot write: the process in the user namespace ended early")
    message = json.loads(packet)
    match message:
        case {"counted": counted, "first": first}:
            return Skipped(Counter(counted), first)
        case {"error": kind, "message": text, "hint": hint}:
            raise getattr(errors, kind)(text, hint=hint)
        case _:
            raise RuntimeError(f"in the user namespace:\n{message['traceback']}")


def _mapped(pid: int, maps: IdMaps) -> bool:
    if maps == idmap.of_this_user_alone():
        return _map_alone(Path(f"/proc/{pid}"), maps)
    return _map("newuidmap", pid, maps.uids) and _map("newgidmap", pid, maps.gids)


def _map_alone(process: Path, maps: IdMaps) -> bool:
    try:
        (process / "setgroups").write_text("deny")  # else the kernel takes no map of groups
        for name, (only,) in (("uid_map", maps.uids), ("gid_map", maps.gids)):
            (process / name).write_text(f"{only.inside} {only.outside} {only.count}")
    except OSError:
        return False
    return True


def _map(program: str, pid: int, ranges: Sequence[Range]) -> bool:
    numbers = [number for each in ranges for number in (each.inside, each.outside, each.count)]
    command = [program, str(pid), *map(str, numbers)]
    try:
        done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True)
    except OSError:  # it is not there, or not for us
        return False
    return done.returncode == 0


def _go(parent: int, channel: socket.socket, work: Work) -> NoReturn:
    try:
        linux.set_parent_death_signal(signal.SIGKILL)
        linux.unshare(linux.CLONE_NEWUSER)
        channel.send(_READY)
        if os.getppid() == parent and channel.recv(_PACKET_LIMIT) == _GO:
            channel.send(json.dumps(_told(work)).encode("ascii"))
    finally:
        os._exit(0)


def _told(work: Work) -> dict[str, Any]:
    try:
        skipped = work()
        return {"counted": skipped.counts, "first": skipped.first}
    except LayerkitError as error:
        text = error.message[:_TEXT_LIMIT]
        return {"error": type(error).__name__, "message": text, "hint": error.hint}
    except Exception:  # noqa: BLE001  a bug is told in full, not lost with this process
        return {"traceback": traceback.format_exc()[-_TEXT_LIMIT:]}
