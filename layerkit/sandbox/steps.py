"""The steps that a container's start is made of, as values; `str()` of a step is its line in `--debug`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from layerkit.sandbox.cgroups.steps import JoinCgroups, MountCgroups
from layerkit.sandbox.isolation import IsolationStep
from layerkit.sandbox.process_steps import ProcessStep

if TYPE_CHECKING:
    from pathlib import Path

    from layerkit.mount import BindMount, RootMount


class Unshare(Struct, frozen=True):
    """Leave these namespaces for new ones."""

    namespaces: tuple[str, ...]

    def __str__(self) -> str:
        return f"unshare {' '.join(self.namespaces)}"


class JoinNamespaces(Struct, frozen=True):
    """Leave these namespaces for those of a container that runs."""

    namespaces: tuple[str, ...]

    def __str__(self) -> str:
        return f"join {' '.join(self.namespaces)}"


class JoinNetwork(Struct, frozen=True):
    """Leave the network namespace for the one that a descriptor of ours is of."""

    descriptor: int

    def __str__(self) -> str:
        return "join its network"


class NewKeyring(Struct, frozen=True):
    """Leave the caller's session keyring."""

    def __str__(self) -> str:
        return "join a new session keyring"


class LoopbackUp(Struct, frozen=True):
    """Bring up the loopback interface of the new network namespace."""

    def __str__(self) -> str:
        return "bring up lo"


class IsolateMounts(Struct, frozen=True):
    """Let no mount made from here on reach the host."""

    def __str__(self) -> str:
        return "make all mounts slaves of the host's"


class HoldBind(Struct, frozen=True):
    """Take hold of a host file or folder while the host's paths still lead to it."""

    bind: BindMount

    def __str__(self) -> str:
        return f"hold {self.bind.source} for {self.bind.target}"


class MountRoot(Struct, frozen=True):
    """Mount the root on any host folder: in this mount namespace nobody else looks at it."""

    root: RootMount
    target: Path

    def __str__(self) -> str:
        return f"mount {self.root} on {self.target}"


class PivotRoot(Struct, frozen=True):
    """Make `root` the root; the old one stays reachable by a descriptor."""

    root: Path

    def __str__(self) -> str:
        return f"pivot to {self.root}"


class MakeDirectory(Struct, frozen=True):
    """Make a folder on a file system that a step before mounted."""

    path: str
    mode: int = 0o755

    def __str__(self) -> str:
        return f"make folder {self.path} {self.mode:o}"


class MountFs(Struct, frozen=True):
    """Mount a kernel file system on a folder, refused when the path is anything but a folder."""

    fstype: str
    target: str
    flags: tuple[str, ...]
    options: tuple[tuple[str, str | None], ...] = ()

    def __str__(self) -> str:
        options = (key if value is None else f"{key}={value}" for key, value in self.options)
        return f"mount {self.fstype} on {self.target} ({','.join((*self.flags, *options))})"


class DetachOldRoot(Struct, frozen=True):
    """Let go of the host's file systems."""

    def __str__(self) -> str:
        return "detach the old root"


class MakeDevice(Struct, frozen=True):
    """Make a character device that everybody may read and write."""

    path: str
    major: int
    minor: int

    def __str__(self) -> str:
        return f"make device {self.path} {self.major}:{self.minor}"


class Symlink(Struct, frozen=True):
    """Make a symbolic link, if `needs` exists (empty: always)."""

    path: str
    to: str
    needs: str = ""

    def __str__(self) -> str:
        condition = f" if there is {self.needs}" if self.needs else ""
        return f"link {self.path} -> {self.to}{condition}"


class Sysctl(Struct, frozen=True):
    """Set a kernel parameter of the container's own namespaces; `required`: if unknown, fail."""

    name: str
    value: str
    required: bool = False

    def __str__(self) -> str:
        return f"sysctl {self.name} = {self.value}"


class AttachBind(Struct, frozen=True):
    """Show what `HoldBind` holds at its target; links on the way stay inside the root."""

    bind: BindMount

    def __str__(self) -> str:
        return f"bind {self.bind.target}{' read-only' if self.bind.readonly else ''}"


class MakeMountpoint(Struct, frozen=True):
    """Make the folder or file that a mount is to cover where it is missing."""

    path: str
    is_folder: bool

    def __str__(self) -> str:
        return f"make mount point {self.path}"


class ReadonlyPath(Struct, frozen=True):
    """Make a path below /proc read-only, if it exists."""

    path: str

    def __str__(self) -> str:
        return f"make {self.path} read-only"


class MaskPath(Struct, frozen=True):
    """Hide a file or folder below /proc or /sys, if it exists; `*` stands for any part of a name."""

    path: str

    def __str__(self) -> str:
        return f"mask {self.path}"


class SetHostname(Struct, frozen=True):
    """Set the name of the new UTS namespace."""

    name: str

    def __str__(self) -> str:
        return f"set hostname {self.name}"


class SetUmask(Struct, frozen=True):
    """Set the umask; until here it is 0."""

    mask: int

    def __str__(self) -> str:
        return f"umask {self.mask:03o}"


class MakeWorkdir(Struct, frozen=True):
    """Make the working directory, with its parents, where it is missing."""

    path: str

    def __str__(self) -> str:
        return f"make working directory {self.path}"


class ReadonlyRoot(Struct, frozen=True):
    """Make the root file system read-only; what is mounted in it stays as it is."""

    def __str__(self) -> str:
        return "make / read-only"


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
    | IsolationStep
    | ProcessStep
)
