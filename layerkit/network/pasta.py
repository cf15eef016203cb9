"""A network for who is not root: pasta(1) speaks for the container with sockets of its user.

Its process ends with whoever holds the descriptor that `connect` gives: it is the end of a pipe whose
other end kills pasta when nobody has this one any more (`F_SETSIG`, fcntl(2)).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
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
    words = os.memfd_create("words")
    try:
        arguments = _arguments(netns, told, published)  # with the names of our descriptors
        pid = os.fork()
        if pid == 0:
            _become(arguments, lifeline, words)
        if not _is_ready(pid, heard):
            os.close(held)
            held = -1
            raise SandboxError(f"cannot connect to the network: {_said(words)}")
        return Attachment(published, (open(held, "wb", buffering=0),))
    except OSError as error:
        raise SandboxError(f"cannot connect to the network: {error.strerror}") from error
    finally:
        for each in (lifeline, heard, told, words):
            os.close(each)


def _with_port(publication: Publication) -> Publication:
    """With a port of the host that is free now."""
    if publication.protocol not in _FOR:
        raise SandboxError(f"cannot publish {publication}: without root there is only tcp and udp")
    found, holder = reserve(publication)
    holder.close()
    return found


def _arguments(netns: int, told: int, publications: Sequence[Publication]) -> list[str]:
    place = f"/proc/{os.getpid()}/fd"
    options = ["--foreground", "--quiet", "--config-net", "--no-map-gw"]
    options += ["--pid", f"{place}/{told}", "--netns", f"{place}/{netns}"]
    options += ["-T", "none", "-U", "none"]
    for protocol, option in _FOR.items():
        wanted = [each for each in publications if each.protocol == protocol]
        for each in wanted:
            address = f"{each.host_ip}/" if each.host_ip else ""
            options += [option, f"{address}{each.host_port}:{each.container_port}"]
        if not wanted:
            options += [option, "none"]
    return [_PROGRAM, *options]


def _become(arguments: list[str], lifeline: int, words: int) -> NoReturn:
    try:
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(lifeline, fcntl.F_SETFL, os.O_RDONLY | os.O_ASYNC)
        os.dup2(lifeline, 0)
        os.dup2(words, 1)
        os.dup2(words, 2)
        os.setsid()
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # versions of 2023 do not start without
        os.execvp(arguments[0], arguments)  # noqa: S606
    finally:
        os._exit(1)


def _is_ready(pid: int, heard: int) -> bool:
    """Whether it has written its pid, as it does when all is set up, before it ended."""
    process = os.pidfd_open(pid)
    try:
        poll = select.poll()
        for each in (process, heard):
            poll.register(each, select.POLLIN)
        found = {descriptor for descriptor, _events in poll.poll()}
        if heard in found:
            return True
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        return False
    finally:
        os.close(process)


def _said(words: int) -> str:
    lines = os.pread(words, _WORDS, 0).decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "pasta ended early")
