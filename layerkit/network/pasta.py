"""A network for who is not root: pasta(1) speaks for the container with sockets of its user.

Its process ends with whoever holds the descriptor that `connect` gives: it is the end of a pipe whose
other end kills pasta when nobody has this one any more (`F_SETSIG`, fcntl(2)).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from layerkit.errors import SandboxError
from layerkit.network.reserve import reserve

if TYPE_CHECKING:
    from collections.abc import Sequence
    from io import FileIO

    from layerkit.ports import Publication

_PROGRAM = "pasta"
_TUN = "/dev/net/tun"
_WORDS = 500  # of an error, in characters
_FOR = {"tcp": "-t", "udp": "-u"}


class Attachment(NamedTuple):
    """A network that lasts as long as one of `held` is open; ports as in `bridge.Endpoint`."""

    publications: tuple[Publication, ...]
    held: tuple[FileIO, ...]


def obstacle() -> str:
    """Why there is no such network here, "" if there is."""
    if shutil.which(_PROGRAM) is None:
        return f"{_PROGRAM} (Debian package passt) is not installed"
    try:
        os.close(os.open(_TUN, os.O_RDWR))
    except OSError as error:
        return f"{_PROGRAM} cannot use {_TUN}: {error.strerror}"
    return ""


def connect(netns: int, publications: Sequence[Publication] = ()) -> Attachment:
    """Let a network namespace of the calling process's user namespace reach what the user reaches.

    Raises `SandboxError` with what pasta says, and for a port that cannot be had.
    """
    published = tuple(map(_with_port, publications))
    lifeline, held = os.pipe()
    heard, told = os.pipe()
    try:
        pid = os.fork()
        if pid == 0:
            _become(_arguments(published), (lifeline, netns, told))
        os.close(told)
        told = -1
        if said := _failure(heard):
            os.waitpid(pid, 0)
            os.close(held)
            raise SandboxError(f"cannot connect to the network: {said}")
    finally:
        for each in (lifeline, heard, told):
            if each >= 0:
                os.close(each)
    return Attachment(published, (open(held, "wb", buffering=0),))


def _with_port(publication: Publication) -> Publication:
    """With a port of the host that is free now."""
    if publication.protocol not in _FOR:
        raise SandboxError(f"cannot publish {publication}: without root there is only tcp and udp")
    found, holder = reserve(publication)
    holder.close()
    return found


def _arguments(publications: Sequence[Publication]) -> list[str]:
    # It may not look at our descriptors, and closes all of its own but the standard ones.
    options = ["--foreground", "--quiet", "--config-net", "--no-map-gw", "--netns-only"]
    options += [
        "--netns",
        "/proc/self/fd/1",
        "--pid",
        "/proc/self/fd/2",
        "-T",
        "none",
        "-U",
        "none",
    ]
    for protocol, option in _FOR.items():
        wanted = [each for each in publications if each.protocol == protocol]
        for each in wanted:
            address = f"{each.host_ip}/" if each.host_ip else ""
            options += [option, f"{address}{each.host_port}:{each.container_port}"]
        if not wanted:
            options += [option, "none"]
    return [_PROGRAM, *options]


def _become(arguments: list[str], streams: tuple[int, int, int]) -> NoReturn:
    try:
        apart = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, len(streams)) for each in streams]
        for number, each in enumerate(apart):
            os.dup2(each, number)
        fcntl.fcntl(0, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(0, fcntl.F_SETFL, os.O_ASYNC)
        os.setsid()
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # versions of 2023 do not start without
        os.execvp(arguments[0], arguments)  # noqa: S606
    finally:
        os._exit(1)


def _failure(heard: int) -> str:
    """What pasta says before it ends, empty where it says its pid, as it does when all is set up."""
    said = b""
    while piece := os.read(heard, _WORDS):
        said = (said + piece)[-_WORDS:]
        if said.rpartition(b"\n")[0].rpartition(b"\n")[2].isdigit():
            return ""
    lines = [line.strip() for line in said.decode("utf-8", "replace").splitlines()]
    return next(filter(None, reversed(lines)), "pasta ended early")
