"""The steps that hold a container back or open up to it what the user wants, as values; see `steps`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

if TYPE_CHECKING:
    from layerkit.resources import Ulimit
    from layerkit.sandbox.devices import DeviceNode


class LoadSeccomp(Struct, frozen=True):
    """Put all system calls through this compiled program."""

    program: bytes

    def __str__(self) -> str:
        return f"load a seccomp filter of {len(self.program) // 8} instructions"


class NoNewPrivileges(Struct, frozen=True):
    """Let no program that runs from here on have more rights than the one that started it."""

    def __str__(self) -> str:
        return "set no-new-privileges"


class SetUlimits(Struct, frozen=True):
    """Set these limits of setrlimit(2), soft and hard."""

    ulimits: tuple[Ulimit, ...]

    def __str__(self) -> str:
        return f"ulimit {' '.join(f'{each.name}={each.soft}:{each.hard}' for each in self.ulimits)}"


class MakeNode(Struct, frozen=True):
    """Make a device file like one of the host, and the folders on its way."""

    node: DeviceNode

    def __str__(self) -> str:
        node = self.node
        owner = f"{node.uid}:{node.gid}"
        return (
            f"make device {node.path} {node.kind} {node.major}:{node.minor} {node.mode:o} {owner}"
        )


class MountTmpfs(Struct, frozen=True):
    """Mount a file system in memory, on a folder that is made where it is missing."""

    target: str
    flags: tuple[str, ...]
    mode: int
    size: int | None

    def __str__(self) -> str:
        size = () if self.size is None else (f"size={self.size}",)
        options = ",".join((*self.flags, f"mode={self.mode:o}", *size))
        return f"mount tmpfs on {self.target} ({options})"


class LoadInit(Struct, frozen=True):
    """Run the program as the child of a small init, which is the container's first process."""

    def __str__(self) -> str:
        return "load init"


IsolationStep: TypeAlias = (
    LoadInit | LoadSeccomp | MakeNode | MountTmpfs | NoNewPrivileges | SetUlimits
)
