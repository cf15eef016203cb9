"""The steps that a container's start is made of, as values; `str()` of a step is its line in `--debug`."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from layerkit.sandbox.cgroups.steps import JoinCgroups, MountCgroups
from layerkit.sandbox.isolation import IsolationStep

if TYPE_CHECKING:
    from pathlib import Path

    from layerkit.mount import BindMount, RootMount
    from layerkit.sandbox.ids import Ids
    from layerkit.sandbox.spec import ProcessSpec


@dataclass(frozen=True, slots=True)
class Unshare:
    """Leave these namespaces for new ones."""

    namespaces: tuple[str, ...]

    def __str__(self) -> str:
        return f"unshare {' '.join(self.namespaces)}"


@dataclass(frozen=True, slots=True)
class JoinNamespaces:
    """Leave these namespaces for those of a container that runs."""

    namespaces: tuple[str, ...]

    def __str__(self) -> str:
        return f"join {' '.join(self.namespaces)}"


@dataclass(frozen=True, slots=True)
class JoinNetwork:
    """Leave the network namespace for the one that a descriptor of ours is of."""

    descriptor: int

    def __str__(self) -> str:
        return "join its network"


@dataclass(frozen=True, slots=True)
class NewKeyring:
    """Leave the caller's session keyring."""

    def __str__(self) -> str:
        return "join a new session keyring"


@dataclass(frozen=True, slots=True)
class LoopbackUp:
    """Bring up the loopback interface of the new network namespace."""

    def __str__(self) -> str:
        return "bring up lo"


@dataclass(frozen=True, slots=True)
class IsolateMounts:
    """Let no mount made from here on reach the host."""

    def __str__(self) -> str:
        return "make all mounts slaves of the host's"


@dataclass(frozen=True, slots=True)
class HoldBind:
    """Take hold of a host file or folder while the host's paths still lead to it."""

    bind: BindMount

    def __str__(self) -> str:
        return f"hold {self.bind.source} for {self.bind.target}"


@dataclass(frozen=True, slots=True)
class MountRoot:
    """Mount the root on any host folder: in this mount namespace nobody else looks at it."""

    root: RootMount
    target: Path

    def __str__(self) -> str:
        return f"mount {self.root} on {self.target}"


@dataclass(frozen=True, slots=True)
class PivotRoot:
    """Make `root` the root; the old one stays reachable by a descriptor."""

    root: Path

    def __str__(self) -> str:
        return f"pivot to {self.root}"


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    """Make a folder on a file system that a step before mounted."""

    path: str
    mode: int = 0o755

    def __str__(self) -> str:
        return f"make folder {self.path} {self.mode:o}"


@dataclass(frozen=True, slots=True)
class MountFs:
    """Mount a kernel file system on a folder, refused when the path is anything but a folder."""

    fstype: str
    target: str
    flags: tuple[str, ...]
    options: tuple[tuple[str, str | None], ...] = ()

    def __str__(self) -> str:
        options = (key if value is None else f"{key}={value}" for key, value in self.options)
        return f"mount {self.fstype} on {self.target} ({','.join((*self.flags, *options))})"


@dataclass(frozen=True, slots=True)
class DetachOldRoot:
    """Let go of the host's file systems."""

    def __str__(self) -> str:
        return "detach the old root"


@dataclass(frozen=True, slots=True)
class MakeDevice:
    """Make a character device that everybody may read and write."""

    path: str
    major: int
    minor: int

    def __str__(self) -> str:
        return f"make device {self.path} {self.major}:{self.minor}"


@dataclass(frozen=True, slots=True)
class Symlink:
    """Make a symbolic link, if `needs` exists (empty: always)."""

    path: str
    to: str
    needs: str = ""

    def __str__(self) -> str:
        condition = f" if there is {self.needs}" if self.needs else ""
        return f"link {self.path} -> {self.to}{condition}"


@dataclass(frozen=True, slots=True)
class Sysctl:
    """Set a kernel parameter of the container's own namespaces; `required`: if unknown, fail."""

    name: str
    value: str
    required: bool = False

    def __str__(self) -> str:
        return f"sysctl {self.name} = {self.value}"


@dataclass(frozen=True, slots=True)
class AttachBind:
    """Show what `HoldBind` holds at its target; links on the way stay inside the root."""

    bind: BindMount

    def __str__(self) -> str:
        return f"bind {self.bind.target}{' read-only' if self.bind.readonly else ''}"


@dataclass(frozen=True, slots=True)
class MakeMountpoint:
    """Make the folder or file that a mount is to cover where it is missing."""

    path: str
    is_folder: bool

    def __str__(self) -> str:
        return f"make mount point {self.path}"


@dataclass(frozen=True, slots=True)
class ReadonlyPath:
    """Make a path below /proc read-only, if it exists."""

    path: str

    def __str__(self) -> str:
        return f"make {self.path} read-only"


@dataclass(frozen=True, slots=True)
class MaskPath:
    """Hide a file or folder below /proc or /sys, if it exists; `*` stands for any part of a name."""

    path: str

    def __str__(self) -> str:
        return f"mask {self.path}"


@dataclass(frozen=True, slots=True)
class SetHostname:
    """Set the name of the new UTS namespace."""

    name: str

    def __str__(self) -> str:
        return f"set hostname {self.name}"


@dataclass(frozen=True, slots=True)
class SetUmask:
    """Set the umask; until here it is 0."""

    mask: int

    def __str__(self) -> str:
        return f"umask {self.mask:03o}"


@dataclass(frozen=True, slots=True)
class MakeWorkdir:
    """Make the working directory, with its parents, where it is missing."""

    path: str

    def __str__(self) -> str:
        return f"make working directory {self.path}"


@dataclass(frozen=True, slots=True)
class ReadonlyRoot:
    """Make the root file system read-only; what is mounted in it stays as it is."""

    def __str__(self) -> str:
        return "make / read-only"


@dataclass(frozen=True, slots=True)
class FindUser:
    """Look the user up in the container's passwd and group files; sets HOME where it is missing.

    Its ids must be among `ids`, None for all.
    """

    user: str
    groups: tuple[str, ...] = ()
    ids: Ids | None = None

    def __str__(self) -> str:
        more = f" in {' '.join(self.groups)}" if self.groups else ""
        return f"find user {self.user or 'root'}{more}"


@dataclass(frozen=True, slots=True)
class OpenTerminal:
    """Make a pseudo-terminal of the container's devpts the controlling one, perhaps /dev/console."""

    is_console: bool = True

    def __str__(self) -> str:
        return f"open a terminal{' on /dev/console' if self.is_console else ''}"


@dataclass(frozen=True, slots=True)
class OpenStreams:
    """Put the prepared pipes on descriptors 0 to 2."""

    def __str__(self) -> str:
        return "open stdin, stdout, stderr"


@dataclass(frozen=True, slots=True)
class EnterWorkdir:
    """Change to the working directory."""

    path: str

    def __str__(self) -> str:
        return f"enter {self.path}"


@dataclass(frozen=True, slots=True)
class BoundCapabilities:
    """Give up all other capabilities for this process and all that come from it."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"bound capabilities to {' '.join(self.names) or 'none'}"


@dataclass(frozen=True, slots=True)
class BecomeUser:
    """Become the user that `FindUser` found, with the groups of that user and no other.

    Without `sets_groups` the kernel lets nobody here choose groups; those there are mean nothing.
    """

    sets_groups: bool = True

    def __str__(self) -> str:
        return "become the user"


@dataclass(frozen=True, slots=True)
class SetCapabilities:
    """Permitted and effective are these, inheritable and ambient are empty (CVE-2022-29162)."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"set {len(self.names)} capabilities"


@dataclass(frozen=True, slots=True)
class CheckWorkdir:
    """Make sure that the working directory lies in the root (CVE-2024-21626)."""

    path: str

    def __str__(self) -> str:
        return f"check that {self.path} is inside"


@dataclass(frozen=True, slots=True)
class CloseFiles:
    """Close every descriptor but 0 to 2 and the two that execve needs and closes."""

    def __str__(self) -> str:
        return "close all other files"


@dataclass(frozen=True, slots=True)
class Execute:
    """Become the program, looked up in the PATH of its own environment."""

    process: ProcessSpec

    def __str__(self) -> str:
        return f"execute {shlex.join(self.process.args)}"


Step: TypeAlias = (
    Unshare
    | JoinNamespaces
    | JoinNetwork
    | JoinCgroups
    | NewKeyring
    | LoopbackUp
    | IsolateMounts
    | HoldBind
    | MountRoot
    | PivotRoot
    | MakeDirectory
    | MountFs
    | MountCgroups
    | DetachOldRoot
    | MakeDevice
    | Symlink
    | Sysctl
    | AttachBind
    | MakeMountpoint
    | ReadonlyPath
    | MaskPath
    | SetHostname
    | SetUmask
    | MakeWorkdir
    | ReadonlyRoot
    | FindUser
    | OpenTerminal
    | OpenStreams
    | EnterWorkdir
    | BoundCapabilities
    | BecomeUser
    | SetCapabilities
    | CheckWorkdir
    | CloseFiles
    | Execute
    | IsolationStep
)
