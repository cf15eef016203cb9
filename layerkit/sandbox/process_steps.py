"""The last steps of a start, which make a process of layerkit's the program of the container."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from layerkit.sandbox.ids import Ids
    from layerkit.sandbox.spec import ProcessSpec


class FindUser(Struct, frozen=True):
    """Look the user up in the container's passwd and group files; sets HOME where it is missing.

    Its ids must be among `ids`, None for all.
    """

    user: str
    groups: tuple[str, ...] = ()
    ids: Ids | None = None

    def __str__(self) -> str:
        more = f" in {' '.join(self.groups)}" if self.groups else ""
        return f"find user {self.user or 'root'}{more}"


class OpenTerminal(Struct, frozen=True):
    """Make a pseudo-terminal of the container's devpts the controlling one, perhaps /dev/console."""

    is_console: bool = True

    def __str__(self) -> str:
        return f"open a terminal{' on /dev/console' if self.is_console else ''}"


class OpenStreams(Struct, frozen=True):
    """Put the prepared pipes on descriptors 0 to 2."""

    def __str__(self) -> str:
        return "open stdin, stdout, stderr"


class EnterWorkdir(Struct, frozen=True):
    """Change to the working directory."""

    path: str

    def __str__(self) -> str:
        return f"enter {self.path}"


class BoundCapabilities(Struct, frozen=True):
    """Give up all other capabilities for this process and all that come from it."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"bound capabilities to {' '.join(self.names) or 'none'}"


class BecomeUser(Struct, frozen=True):
    """Become the user that `FindUser` found, with the groups of that user and no other.

    Without `sets_groups` the kernel lets nobody here choose groups; those there are mean nothing.
    """

    sets_groups: bool = True

    def __str__(self) -> str:
        return "become the user"


class SetCapabilities(Struct, frozen=True):
    """Permitted and effective are these, inheritable and ambient are empty (CVE-2022-29162)."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"set {len(self.names)} capabilities"


class CheckWorkdir(Struct, frozen=True):
    """Make sure that the working directory lies in the root (CVE-2024-21626)."""

    path: str

    def __str__(self) -> str:
        return f"check that {self.path} is inside"


class CloseFiles(Struct, frozen=True):
    """Close every descriptor but 0 to 2 and the two that execve needs and closes."""

    def __str__(self) -> str:
        return "close all other files"


class Execute(Struct, frozen=True):
    """Become the program, looked up in the PATH of its own environment."""

    process: ProcessSpec

    def __str__(self) -> str:
        return f"execute {shlex.join(self.process.args)}"


ProcessStep: TypeAlias = (
    FindUser
    | OpenTerminal
    | OpenStreams
    | EnterWorkdir
    | BoundCapabilities
    | BecomeUser
    | SetCapabilities
    | CheckWorkdir
    | CloseFiles
    | Execute
)
