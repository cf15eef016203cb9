"""The root of a container as an open directory, whether the container runs or not."""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from layerkit import linux, mounting
from layerkit.errors import ConflictError, StoreError, UsageError
from layerkit.events import ignore
from layerkit.mount import OverlayMount
from layerkit.ops import containers, mountpoints, states, uppers, views
from layerkit.ops.images import image_of
from layerkit.store.files import guarded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerkit.events import Observer
    from layerkit.mount import RootMount
    from layerkit.ops.home import Home
    from layerkit.store.records import ContainerRecord

_FOLDER = os.O_PATH | os.O_DIRECTORY
_OF_THE_KERNEL = frozenset((
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs",
    "efivarfs", "fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "securityfs", "sysfs",
    "tracefs",
))  # fmt: skip
_ANSWER = 4096


@dataclass(frozen=True, slots=True)
class Root:
    """The root as a `descriptor` (O_PATH), and the device numbers of file systems in it that hold no
    files of the container: /proc, /sys, /dev and the like.
    """

    descriptor: int
    closed: frozenset[int] = frozenset()


@contextlib.contextmanager
def container_root(
    home: Home, container: ContainerRecord, what: str, observe: Observer = ignore
) -> Iterator[Root]:
    """The root of a container while the block runs, to do what `what` says; on no path of the host.

    Of a container that runs it is what its first process has. Else it is mounted, and the container
    cannot be started meanwhile. Raises `UsageError` for who is not root, `ConflictError` for a
    container that begins or ends just now, `StoreError`. The calling process must have one thread.
    """
    if os.geteuid() != 0:
        raise UsageError(f"cannot {what} a container: that needs root", hint="run it with sudo")
    pid = states.read(home, container).pid
    opened = _stopped(home, container, what, observe) if pid is None else _running(home, container)
    with opened as root:
        yield root


# -- running --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _running(home: Home, container: ContainerRecord) -> Iterator[Root]:
    before = states.read(home, container)
    process = Path(f"/proc/{before.pid}")
    try:
        descriptor = os.open(process / "root", _FOLDER)
    except OSError:
        raise _between(container) from None
    try:
        closed = _closed(process)
        # By now the number could be that of another process.
        is_ours = os.path.samestat(os.fstat(descriptor), os.stat("/"))
        if is_ours or states.read(home, container) != before:
            raise _between(container)
        yield Root(descriptor, closed)
    finally:
        os.close(descriptor)


def _between(container: ContainerRecord) -> ConflictError:
    return ConflictError(f"{container.name} is just being started or ended", hint="try it again")


def _closed(process: Path) -> frozenset[int]:
    """The devices of the file systems that the kernel makes up (proc(5), mountinfo)."""
    found = set()
    with guarded("read"):
        for line in (process / "mountinfo").read_text("utf-8", "surrogateescape").splitlines():
            before, _, after = line.partition(" - ")
            _, _, device, _, place = before.split(" ")[:5]
            if after.split(" ")[0] in _OF_THE_KERNEL or place == "/dev":
                major, minor = map(int, device.split(":"))
                found.add(os.makedev(major, minor))
    return frozenset(found)


# -- stopped --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _stopped(
    home: Home, container: ContainerRecord, what: str, observe: Observer
) -> Iterator[Root]:
    with uppers.locked(home, container, what, mounted=True):
        uppers.settle(home, container)
        (container,) = home.store.database.containers_named(container.id)
        driver = home.driver(container.driver)
        view = views.of_image(home, image_of(home, container.manifest), driver, observe)
        folder = containers.folder_of(home, container)
        root = view.root(folder, uppers.frozen(home, container.chain))
        with _mounted_before(home, container, root) or _mounted(root, folder) as descriptor:
            yield Root(descriptor)


def _mounted_before(
    home: Home, container: ContainerRecord, root: RootMount
) -> contextlib.AbstractContextManager[int] | None:
    """The root where the user has mounted it; to mount it twice would show two states."""
    place = mountpoints.place(home, container.id)
    types = mountpoints.types(place)
    if not types or (isinstance(root, OverlayMount) and "overlay" not in types):
        return None
    return _opened(place)


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[int]:
    with guarded("open"):
        descriptor = os.open(folder, _FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _mounted(root: RootMount, folder: Path) -> Iterator[int]:
    """The root, mounted in the namespace of a process that ends with the block, or with this one.

    (Once its namespace is gone, an open mount still works, but RESOLVE_IN_ROOT fails in it with
    EAGAIN: each look at it counts as a change of mounts.)
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            child = os.fork()
            if child == 0:
                _mount(theirs.fileno(), root, folder)
        try:
            answer, descriptors, _, _ = socket.recv_fds(ours, _ANSWER, 1)
            if not descriptors:
                reason = answer.decode() or "the process for it ended"
                raise StoreError(f"cannot mount {root}: {reason}")
            try:
                yield descriptors[0]
            finally:
                os.close(descriptors[0])
        finally:
            ours.close()
            os.waitpid(child, 0)


def _mount(channel: int, root: RootMount, folder: Path) -> NoReturn:
    """Mount on the container's folder, where nobody else sees it, and hand over the open root."""
    try:
        linux.close_others([channel])
        linux.unshare(linux.CLONE_NEWNS)
        linux.mount(None, "/", None, linux.MS_REC | linux.MS_PRIVATE)
        with socket.socket(fileno=channel) as parent:
            try:
                mounting.mount_root(root, folder)
                socket.send_fds(parent, [b"mounted"], [os.open(folder, _FOLDER)])
            except OSError as error:
                parent.send((error.strerror or "").encode()[:_ANSWER])
            parent.recv(1)  # nothing comes; the end does
    finally:
        os._exit(0)
