"""The program for a container's system calls, compiled once and then read from a cache."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from layerkit.errors import SandboxError, UsageError

if TYPE_CHECKING:
    from types import ModuleType

_DEFAULT = Path(__file__).with_name("default.json")
_LIMIT = 1 << 20
_SUM = hashlib.sha256().digest_size
_LONGEST = 4096 * 8
_NOT_OURS_TO_WRITE = stat.S_IWGRP | stat.S_IWOTH


def find_program(profile: Path | None, capabilities: tuple[str, ...], cache: Path) -> bytes:
    """The program that lets through what `profile` allows a container with these capabilities.

    None is docker's default profile. `cache` is a folder for programs, made if missing. Raises
    `UsageError` for a profile that cannot be read, `SandboxError` where it cannot be compiled.
    """
    text, name = _read(profile or _DEFAULT), str(profile or "default")
    machine, release = os.uname().machine, os.uname().release
    known_by = (machine, release, _libseccomp().version(), *sorted(capabilities))
    file = cache / hashlib.sha256("\0".join(known_by).encode() + b"\0" + text).hexdigest()
    known = _cached(file)
    if known is not None:
        return known
    program = _compile(text, name, capabilities)
    _keep(file, program)
    return program


def _compile(text: bytes, name: str, capabilities: tuple[str, ...]) -> bytes:
    from layerkit.sandbox.seccomp import compiling, profile  # noqa: PLC0415  once for a profile

    machine, release = os.uname().machine, os.uname().release
    target = profile.Target(machine, profile.kernel_version(release), capabilities)
    return compiling.compile_profile(profile.parse(text, name), target, name)


def _libseccomp() -> ModuleType:
    try:
        from layerkit import libseccomp  # noqa: PLC0415  loads the library
    except OSError:
        raise SandboxError(
            "cannot limit the container's system calls: libseccomp.so.2 is not installed",
            hint="install libseccomp2, or --security-opt seccomp=unconfined",
        ) from None
    return libseccomp


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            text = file.read(_LIMIT + 1)
    except OSError as error:
        raise UsageError(f"cannot read seccomp profile {path}: {error.strerror}") from None
    if len(text) > _LIMIT:
        raise UsageError(f"seccomp profile {path} is too long: at most {_LIMIT} bytes allowed")
    return text


def _cached(file: Path) -> bytes | None:
    """The program in `file`, if it is whole and nobody but this user can have written it."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(descriptor, "rb") as opened:
        status = os.fstat(descriptor)
        ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
        if not ours or status.st_mode & _NOT_OURS_TO_WRITE:
            return None
        content = opened.read(_SUM + _LONGEST + 1)
    program = content[_SUM:]
    whole = 0 < len(program) <= _LONGEST and _sum(file, program) == content[:_SUM]
    return program if whole else None


def _sum(file: Path, program: bytes) -> bytes:
    """Of the name too: a whole program under another's name is none."""
    return hashlib.sha256(file.name.encode() + program).digest()


def _keep(file: Path, program: bytes) -> None:
    """Write the program whole; a cache that cannot be written to costs time only."""
    new = file.with_name(f"{file.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(new, flags, 0o600), "wb") as opened:
            opened.write(_sum(file, program) + program)
        new.rename(file)
