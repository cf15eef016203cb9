"""The Linux system calls that the standard library lacks, by ctypes.

Every wrapper raises `OSError(errno, text, what)`; paths are `str` as `os` takes them, and every
file descriptor returned is close-on-exec. What is here needs Linux 5.12 (`mount_setattr`).
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from ctypes import c_char_p, c_int, c_uint, c_ulong, c_void_p
from typing import TYPE_CHECKING

from layerkit import libc
from layerkit.libc import checked, function, optional, syscall

if TYPE_CHECKING:
    from collections.abc import Iterable

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_OPEN_TRIES = 1000

MS_NODEV = 0x4
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000
MNT_DETACH = 2

MOUNT_ATTR_RDONLY = 0x01
MOUNT_ATTR_NOSUID = 0x02
MOUNT_ATTR_NODEV = 0x04
MOUNT_ATTR_NOEXEC = 0x08
MOUNT_ATTR_NOATIME = 0x10
MOUNT_ATTR_STRICTATIME = 0x20
MOUNT_ATTR_NODIRATIME = 0x80

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

MFD_EXEC = 0x10

# asm-generic numbers; mips, powerpc and sparc have others.
TIOCSPTLCK = 0x40045431
TIOCGPTPEER = 0x5441

_FSCONFIG_SET_FLAG = 0
_FSCONFIG_SET_STRING = 1
_FSCONFIG_CMD_CREATE = 6
_OPEN_TREE_CLONE = 1
_MOVE_MOUNT_F_EMPTY_PATH = 0x04
_MOVE_MOUNT_T_EMPTY_PATH = 0x40

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_KEEPCAPS = 8
_PR_SET_SECCOMP = 22
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_SECCOMP_MODE_FILTER = 2
_LINUX_CAPABILITY_VERSION_3 = 0x20080522

_KEYCTL_JOIN_SESSION_KEYRING = 1
_BPF_PROG_LOAD = 5
_BPF_PROG_ATTACH = 8
_BPF_PROG_TYPE_CGROUP_DEVICE = 15
_BPF_CGROUP_DEVICE = 6
_BPF_F_ALLOW_MULTI = 2


class _OpenHow(ctypes.Structure):
    _fields_ = [
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    ]


class _MountAttr(ctypes.Structure):
    _fields_ = [
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    ]


class _CapHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", c_int)]


class _CapData(ctypes.Structure):
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


class _FilterProgram(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", c_char_p)]


_mount = function("mount", c_char_p, c_char_p, c_char_p, c_ulong, c_char_p)
_umount2 = function("umount2", c_char_p, c_int)
_unshare = function("unshare", c_int)
_setns = function("setns", c_int, c_int)
_getsockopt = function("getsockopt", c_int, c_int, c_int, c_void_p, c_void_p)
_pivot_root = function("pivot_root", c_char_p, c_char_p)
_syncfs = function("syncfs", c_int)
_prctl = function("prctl", c_int, c_ulong, c_ulong, c_ulong, c_ulong)
_capset = function("capset", c_void_p, c_void_p)
_open_tree = syscall(428, c_int, c_char_p, c_uint)
_move_mount = syscall(429, c_int, c_char_p, c_int, c_char_p, c_uint)
_fsopen = syscall(430, c_char_p, c_uint)
_fsconfig = syscall(431, c_int, c_uint, c_char_p, c_char_p, c_int)
_fsmount = syscall(432, c_int, c_uint, c_uint)
_close_range = syscall(436, c_uint, c_uint, c_uint)
_openat2 = syscall(437, c_int, c_char_p, c_void_p, ctypes.c_size_t)
_mount_setattr = syscall(442, c_int, c_char_p, c_uint, c_void_p, ctypes.c_size_t)


def mount(
    source: str | None, target: str, fstype: str | None, flags: int, data: str | None = None
) -> None:
    """Mount by the options in `data`, of which the kernel reads at most 4095 bytes."""
    arguments = (optional(source), os.fsencode(target), optional(fstype), flags, optional(data))
    checked(_mount(*arguments), target)


def umount2(target: str, flags: int) -> None:
    """Unmount what is mounted on `target`."""
    checked(_umount2(os.fsencode(target), flags), target)


def unshare(flags: int) -> None:
    """Leave the namespaces in `flags` for new ones."""
    checked(_unshare(flags), "unshare")


def setns(descriptor: int, flags: int) -> None:
    """Join the namespaces in `flags`: of a process, by its pidfd (Linux 5.8), or by one's own file."""
    checked(_setns(descriptor, flags), "setns")


def getsockopt(descriptor: int, level: int, option: int, value: bytes, size: int) -> bytes:
    """An option of a socket that is asked for with a value, which `socket.getsockopt` cannot."""
    buffer = ctypes.create_string_buffer(value, size)
    length = c_uint(size)
    arguments = (descriptor, level, option, ctypes.byref(buffer), ctypes.byref(length))
    checked(_getsockopt(*arguments), "getsockopt")
    return buffer.raw[: length.value]


def pivot_root(new_root: str, put_old: str) -> None:
    """Change the root of this mount namespace, the old one moving to `put_old`."""
    checked(_pivot_root(os.fsencode(new_root), os.fsencode(put_old)), new_root)


def syncfs(descriptor: int) -> None:
    """Put all of the file system that `descriptor` lies on onto its disk."""
    checked(_syncfs(descriptor), "syncfs")


def openat2(directory: int, path: str, flags: int, resolve: int) -> int:
    """The file at `path` below the `directory` descriptor, looked up by the rules in `resolve`."""
    how = _OpenHow(flags | os.O_CLOEXEC, 0, resolve)
    size = ctypes.sizeof(how)
    for _ in range(_OPEN_TRIES):
        found = _openat2(directory, os.fsencode(path), ctypes.byref(how), size)
        # A `..` cannot be trusted while anything on this machine is renamed or mounted.
        if found >= 0 or ctypes.get_errno() != errno.EAGAIN:
            break
    return checked(found, path)


def close_range(first: int, last: int = 0xFFFFFFFF) -> None:
    """Close every descriptor from `first` to `last`, both included."""
    checked(_close_range(first, last, 0), "close_range")


def close_others(keep: Iterable[int]) -> None:
    """Close every descriptor that is not in `keep`."""
    first = 0
    for descriptor in sorted(set(keep)):
        if descriptor > first:
            close_range(first, descriptor - 1)
        first = descriptor + 1
    close_range(first)


def open_tree(directory: int, path: str, flags: int = 0) -> int:
    """A detached copy of the mount at `path` (or of `directory` itself, with AT_EMPTY_PATH)."""
    flags |= _OPEN_TREE_CLONE | os.O_CLOEXEC
    return checked(_open_tree(directory, os.fsencode(path), flags), path)


def move_mount(tree: int, target: int) -> None:
    """Attach the detached mount `tree` on what the descriptor `target` is."""
    flags = _MOVE_MOUNT_F_EMPTY_PATH | _MOVE_MOUNT_T_EMPTY_PATH
    checked(_move_mount(tree, b"", target, b"", flags), "move_mount")


def mount_setattr(tree: int, attributes: int, flags: int = 0, propagation: int = 0) -> None:
    """Set MOUNT_ATTR_ bits, and an MS_ propagation if any, on the mount of the descriptor `tree`."""
    wanted = _MountAttr(attr_set=attributes, propagation=propagation)
    size = ctypes.sizeof(wanted)
    result = _mount_setattr(tree, b"", flags | AT_EMPTY_PATH, ctypes.byref(wanted), size)
    checked(result, "mount_setattr")


def fsopen(fstype: str) -> int:
    """A context in which a file system of this type is set up (fsopen(2))."""
    return checked(_fsopen(os.fsencode(fstype), 1), fstype)


def fsconfig(context: int, key: str, value: str | None = None) -> None:
    """Set one option of the context: a string of at most 255 bytes, or without it a flag."""
    command = _FSCONFIG_SET_FLAG if value is None else _FSCONFIG_SET_STRING
    _explained(context, _fsconfig(context, command, os.fsencode(key), optional(value), 0), key)


def fscreate(context: int, attributes: int = 0) -> int:
    """The file system of the context as a detached mount with these MOUNT_ATTR_ bits."""
    _explained(context, _fsconfig(context, _FSCONFIG_CMD_CREATE, None, None, 0), "create")
    return checked(_fsmount(context, 1, attributes), "fsmount")


def _explained(context: int, result: int, what: str) -> None:
    """As `_checked`, with the kernel's own words about the context where it has any."""
    if result >= 0:
        return
    number = ctypes.get_errno()
    try:
        said = os.read(context, 1024).decode("utf-8", "replace").removeprefix("e ").strip()
    except OSError:  # ENODATA: nothing was logged
        said = ""
    raise OSError(number, os.strerror(number) + (f" ({said})" if said else ""), what)


def set_parent_death_signal(number: int) -> None:
    """Get signal `number` when the parent dies; a change of user or capabilities forgets it."""
    checked(_prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0), "PR_SET_PDEATHSIG")


def set_undumpable() -> None:
    """Keep other processes out of this one's memory, files and /proc entries, until execve."""
    checked(_prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0), "PR_SET_DUMPABLE")


def keep_capabilities(*, keep: bool) -> None:
    """Whether the permitted capabilities survive a change from uid 0 to another."""
    checked(_prctl(_PR_SET_KEEPCAPS, int(keep), 0, 0, 0), "PR_SET_KEEPCAPS")


def bound_capabilities(mask: int) -> None:
    """Drop every capability outside of `mask` from the bounding set."""
    number = 0
    while _prctl(_PR_CAPBSET_READ, number, 0, 0, 0) >= 0:  # fails behind the kernel's last one
        if not mask >> number & 1:
            checked(_prctl(_PR_CAPBSET_DROP, number, 0, 0, 0), "PR_CAPBSET_DROP")
        number += 1


def set_capabilities(mask: int) -> None:
    """Make permitted and effective exactly `mask`, inheritable and ambient empty."""
    header = _CapHeader(_LINUX_CAPABILITY_VERSION_3, 0)
    words = (mask & 0xFFFFFFFF, mask >> 32)
    data = (_CapData * 2)(*(_CapData(word, word, 0) for word in words))
    checked(_capset(ctypes.byref(header), ctypes.byref(data)), "capset")
    checked(_prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "PR_CAP_AMBIENT")


def set_no_new_privileges() -> None:
    """From now on, no execve gives this process or its children more rights (setuid, setcap)."""
    checked(_prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")


def load_seccomp(program: bytes) -> None:
    """Put every system call from now on through this filter; needs SYS_ADMIN or no new privileges."""
    loaded = _FilterProgram(len(program) // 8, program)
    address = ctypes.addressof(loaded)
    result = _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, address, 0, 0)
    checked(result, "PR_SET_SECCOMP")


def join_new_keyring() -> None:
    """Leave the session keyring of the caller for a new, empty one; nothing where it is unknown."""
    number = libc.KEYCTL.get(libc.MACHINE)
    if number is not None:
        keyctl = syscall(number, c_int, c_char_p)
        checked(keyctl(_KEYCTL_JOIN_SESSION_KEYRING, None), "keyctl")


def attach_device_program(group: int, code: bytes) -> None:
    """Let this BPF program decide, too, which devices the cgroup2 folder `group` may use."""
    instructions = ctypes.create_string_buffer(code, len(code))
    license_ = ctypes.create_string_buffer(b"Apache-2.0")
    places = (ctypes.addressof(instructions), ctypes.addressof(license_))
    head = struct.pack("=IIQQ", _BPF_PROG_TYPE_CGROUP_DEVICE, len(code) // 8, *places)
    program = _bpf(_BPF_PROG_LOAD, head + bytes(40) + struct.pack("=II", 0, _BPF_CGROUP_DEVICE))
    try:
        _bpf(
            _BPF_PROG_ATTACH,
            struct.pack("=IIII", group, program, _BPF_CGROUP_DEVICE, _BPF_F_ALLOW_MULTI),
        )
    finally:
        os.close(program)


def _bpf(command: int, attributes: bytes) -> int:
    number = libc.BPF.get(libc.MACHINE)
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), "bpf")
    call = syscall(number, c_int, c_char_p, c_uint)
    return checked(call(command, attributes, len(attributes)), "bpf")
