"""The two processes of a container before its program runs. Neither function here returns.

The keeper stays on the host: it is the parent of the container's first process, so it is the one
whose child can be first in a new pid namespace, and it ends as that process ends. The first
process does the plan. Each dies with its parent, so killing layerkit leaves no container behind.
"""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, NoReturn

from layerkit import linux
from layerkit.errors import LayerkitError
from layerkit.sandbox import messages, signals, steps, trampoline
from layerkit.sandbox.become import die_with_parent
from layerkit.sandbox.inside import Inside
from layerkit.sandbox.perform import perform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layerkit.sandbox.steps import Step

_FAILED = 1


def keep(
    parent: int,
    channel: int,
    plan: Sequence[Step],
    streams: tuple[int | None, ...],
    size: tuple[int, int] | None,
) -> NoReturn:
    """Start the container whose layerkit is the process `parent`, and end as it ends.

    `channel` is the container's end of the channel, `streams` and `size` as in `Inside`. To be
    called in a fresh child of `parent` that has one thread and all signals blocked.
    """
    try:
        _isolate()
        channel, moved = _only_these(channel, streams)
        _keep(parent, Inside(channel, -1, moved, size), plan)
    except BaseException as error:  # noqa: BLE001  nothing may get out of a forked process
        _tell(channel, _failure("start the container", error))
    finally:
        os._exit(_FAILED)


def _keep(parent: int, inside: Inside, plan: Sequence[Step]) -> None:
    linux.set_parent_death_signal(signal.SIGKILL)
    if os.getppid() != parent:
        return
    signals.reset()
    os.setsid()
    linux.unshare(linux.CLONE_NEWPID)
    inside.lifeline, hold = os.pipe()
    first = os.fork()
    if first == 0:
        os.close(hold)
        _begin(inside, plan)
    with socket.socket(fileno=os.dup(inside.channel)) as channel:
        messages.send(channel, messages.Forked(first), os.pidfd_open(first))
    os.write(hold, b"!")
    linux.close_others([hold])
    _end_like(os.waitpid(first, 0)[1])


def _only_these(
    channel: int, streams: tuple[int | None, ...]
) -> tuple[int, tuple[int | None, ...]]:
    """Both moved above the standard descriptors, which become /dev/null; no other is open."""
    channel = _moved(channel)
    streams = tuple(None if each is None else _moved(each) for each in streams)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(null, standard)
    linux.close_others([*range(3), channel, *(each for each in streams if each is not None)])
    return channel, streams


def _moved(descriptor: int) -> int:
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)


def _end_like(status: int) -> NoReturn:
    """End with the wait status of the first process, so the parent sees it as its child's own."""
    if os.WIFSIGNALED(status):
        linux.set_undumpable()  # a second core file would be one too many
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.waitstatus_to_exitcode(status))


def _isolate() -> None:
    """Make the interpreter load nothing any more: the next file it finds could be the image's."""
    gc.disable()  # a finalizer would close a number that by now is another file
    sys.meta_path.clear()
    sys.path.clear()
    sys.path_hooks.clear()


def _begin(inside: Inside, plan: Sequence[Step]) -> NoReturn:
    """Be the container's first process."""
    current = "begin"
    try:
        if not os.read(inside.lifeline, 1):  # the keeper died before it could tell of us
            os._exit(_FAILED)
        die_with_parent(inside)
        linux.set_undumpable()
        inside.trampoline = trampoline.create()
        os.umask(0)
        for step in plan:
            current = str(step)
            _perform(step, inside)
    except BaseException as error:  # noqa: BLE001  nothing may get out of a forked process
        _tell(inside.channel, _failure(current, error))
    finally:
        os._exit(_FAILED)


def _perform(step: Step, inside: Inside) -> None:
    try:
        perform(step, inside)
    except OSError as error:
        if not isinstance(step, steps.Execute) or error.errno is None:
            raise
        _tell(inside.channel, messages.NotExecuted(error.errno, inside.found))


def _failure(step: str, error: BaseException) -> messages.Failed:
    match error:
        case LayerkitError():
            return messages.Failed("", error.message)
        case OSError():
            return messages.Failed(step, error.strerror or str(error))
        case _:
            return messages.Failed(step, f"{type(error).__name__}: {error}")


def _tell(channel: int, message: messages.Message) -> None:
    os.write(channel, messages.encode(message))
