"""Does the last steps: from a process of layerkit's to the program of the container."""

from __future__ import annotations

import errno
import fcntl
import os
import posixpath
import select
import signal
import socket
import stat
from typing import TYPE_CHECKING

from layerkit import linux
from layerkit.errors import SandboxError
from layerkit.sandbox import (
    capabilities,
    messages,
    process_steps,
    terminal,
    trampoline,
    users,
)
from layerkit.sandbox import isolate as _isolate  # noqa: F401  it does more steps
from layerkit.sandbox.cgroups import enter  # noqa: F401  for the steps that it does
from layerkit.sandbox.perform import opened, perform, require_null

if TYPE_CHECKING:
    from layerkit.sandbox.inside import Inside
    from layerkit.sandbox.users import Identity

_SCOPED = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_MAGICLINKS
_NO_LINKS = linux.RESOLVE_IN_ROOT | linux.RESOLVE_NO_SYMLINKS | linux.RESOLVE_NO_MAGICLINKS
# The descriptors that live until execve: behind the standard ones, so one call closes the rest.
_TRAMPOLINE_FD = trampoline.REPORT_FD + 1


def _identity(inside: Inside) -> Identity:
    assert inside.identity is not None, "FindUser comes first"
    return inside.identity


@perform.register(process_steps.FindUser)
def _(step: process_steps.FindUser, inside: Inside) -> None:
    identity = users.read_identity(inside.root, step.user, step.groups)
    if step.ids is not None:
        users.require_mapped(identity, step.ids, step.groups)
    inside.identity = identity


@perform.register(process_steps.OpenTerminal)
def _(step: process_steps.OpenTerminal, inside: Inside) -> None:
    with opened(inside, "/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY, _NO_LINKS) as master:
        slave = terminal.open_pair(master, inside.size)
        os.fchown(slave, _identity(inside).uid, -1)
        if step.is_console:
            _bind_console(inside, slave)
        with socket.socket(fileno=os.dup(inside.channel)) as channel:
            messages.send(channel, messages.Opened(), master)
    os.login_tty(slave)


def _bind_console(inside: Inside, slave: int) -> None:
    with opened(inside, "/dev", os.O_PATH | os.O_DIRECTORY, _NO_LINKS) as dev:
        flags = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY
        os.close(os.open("console", flags, 0o600, dir_fd=dev))
    tree = linux.open_tree(slave, "", linux.AT_EMPTY_PATH)
    with opened(inside, "/dev/console", os.O_PATH, _NO_LINKS) as target:
        linux.move_mount(tree, target)
    os.close(tree)


@perform.register(process_steps.OpenStreams)
def _(_step: process_steps.OpenStreams, inside: Inside) -> None:
    identity = _identity(inside)
    for number, stream in enumerate(inside.streams):
        if stream is None:
            with opened(inside, "/dev/null", os.O_RDWR, _NO_LINKS) as null:
                require_null(null)
                os.dup2(null, number)
        else:
            # So the user may open /dev/stdout again. The pipes are layerkit's own.
            os.fchown(stream, identity.uid, identity.gid)
            os.dup2(stream, number)
    os.setsid()


@perform.register(process_steps.EnterWorkdir)
def _(step: process_steps.EnterWorkdir, inside: Inside) -> None:
    try:
        _enter(inside, step.path)
    except PermissionError:  # a network file system can refuse root what it allows the user
        inside.workdir_denied = True


def _enter(inside: Inside, path: str) -> None:
    with opened(inside, path, os.O_PATH | os.O_DIRECTORY, _SCOPED) as folder:
        os.fchdir(folder)


@perform.register(process_steps.BoundCapabilities)
def _(step: process_steps.BoundCapabilities, _inside: Inside) -> None:
    linux.bound_capabilities(capabilities.mask(step.names))


@perform.register(process_steps.BecomeUser)
def _(step: process_steps.BecomeUser, inside: Inside) -> None:
    identity = _identity(inside)
    linux.keep_capabilities(keep=True)
    if step.sets_groups:
        os.setgroups(identity.groups)
    os.setresgid(identity.gid, identity.gid, identity.gid)
    os.setresuid(identity.uid, identity.uid, identity.uid)


@perform.register(process_steps.SetCapabilities)
def _(step: process_steps.SetCapabilities, inside: Inside) -> None:
    linux.set_capabilities(capabilities.mask(step.names))
    linux.keep_capabilities(keep=False)
    die_with_parent(inside)  # the change of user and capabilities has forgotten it


def die_with_parent(inside: Inside) -> None:
    """Ask for SIGKILL when the parent dies, and end at once if it already has."""
    linux.set_parent_death_signal(signal.SIGKILL)
    lifeline = select.poll()
    lifeline.register(inside.lifeline, select.POLLIN)
    if lifeline.poll(0):
        os._exit(1)


@perform.register(process_steps.CheckWorkdir)
def _(step: process_steps.CheckWorkdir, inside: Inside) -> None:
    if inside.workdir_denied:
        _enter(inside, step.path)
    try:
        inside_root = os.getcwd().startswith("/")
    except FileNotFoundError:
        inside_root = False
    if not inside_root:
        raise SandboxError(f"working directory {step.path} leads out of the container")


@perform.register(process_steps.CloseFiles)
def _(_step: process_steps.CloseFiles, inside: Inside) -> None:
    wanted = [inside.channel] + ([] if inside.trampoline is None else [inside.trampoline])
    # First out of the way of each other, then in place.
    apart = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, _TRAMPOLINE_FD + 1) for each in wanted]
    os.dup2(apart[0], trampoline.REPORT_FD, inheritable=inside.trampoline is not None)
    inside.channel = trampoline.REPORT_FD
    if inside.trampoline is not None:
        inside.trampoline = os.dup2(apart[1], _TRAMPOLINE_FD, inheritable=False)
    linux.close_others(range(trampoline.REPORT_FD + len(wanted)))


@perform.register(process_steps.Execute)
def _(step: process_steps.Execute, inside: Inside) -> None:
    environment = dict(entry.split("=", 1) for entry in step.process.env)
    environment["HOME"] = environment.get("HOME") or _identity(inside).home
    args = step.process.args
    path = find_program(args[0], environment.get("PATH", ""))
    inside.found = True
    if inside.trampoline is None:
        os.execve(path, args, environment)  # noqa: S606  a container's whole point
    os.execve(inside.trampoline, (path, *args), environment)  # noqa: S606


def find_program(name: str, search: str) -> str:
    """The path to execute for `name`, by the rules of docker (Go's exec.LookPath).

    A name with a slash is a path and must be executable; any other one is looked for in the
    folders of `search`, past what is not executable. Raises `OSError`.
    """
    if "/" in name:
        _require_executable(name)
        return name
    for folder in search.split(":"):
        path = posixpath.join(folder, name)
        # A relative folder would find whatever lies in the working directory.
        if folder.startswith("/") and name and _is_executable(path):
            return path
    raise FileNotFoundError(errno.ENOENT, "executable file not found in $PATH", name)


def _require_executable(path: str) -> None:
    if stat.S_ISDIR(os.stat(path).st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not os.access(path, os.X_OK, effective_ids=True):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)


def _is_executable(path: str) -> bool:
    try:
        _require_executable(path)
    except OSError:
        return False
    return True
