"""What a container was made with, as a value and as the `config.json` in its folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import asdict

from layerkit.mount import BindMount, TmpfsMount, VolumeMount
from layerkit.ops.wishes import Isolation, Networking, Wishes
from layerkit.ports import Publication
from layerkit.resources import Device, Limits, Ulimit
from layerkit.sandbox.spec import ProcessSpec

if TYPE_CHECKING:
    from layerkit.mount import Mount

_MOUNTS: dict[str, Any] = {"bind": BindMount, "volume": VolumeMount, "tmpfs": TmpfsMount}


class ContainerConfig(Struct, frozen=True):
    """The process as image and user want it, and what the user wished for around it.

    `stop_signal` is the one that asks it to end. `earlier_targets` are those of the mounts of the
    container whose snapshot it was made from. `user_xattrs` says where overlayfs keeps its marks in
    what the container changes, as in `OverlayMount`; None where nobody wrote it down.
    """

    process: ProcessSpec
    hostname: str
    wishes: Wishes
    stop_signal: str = "SIGTERM"
    earlier_targets: tuple[str, ...] = ()
    user_xattrs: bool | None = None

    @property
    def targets(self) -> tuple[str, ...]:
        """All places for which something may have been made to be mounted on."""
        return (*self.earlier_targets, *(mount.target for mount in self.wishes.mounts))

    @property
    def network(self) -> str:
        """The mode of the network, as docker names it."""
        return self.wishes.networking.mode


def encode(config: ContainerConfig) -> bytes:
    """The config as JSON."""
    return json.dumps(_plain(config), default=os.fspath).encode("ascii")


def decode(text: bytes) -> ContainerConfig:
    """The config that `encode` wrote; raises `ValueError`, `TypeError`, `KeyError` for what is none."""
    values = _frozen(json.loads(text))
    if not isinstance(values, dict):
        raise TypeError("it is no JSON object")
    if "args" in values:
        values = _of_the_first_version(values)
    process = ProcessSpec(**values.pop("process"))
    return ContainerConfig(process, values.pop("hostname"), _wishes(values.pop("wishes")), **values)


def _wishes(values: dict[str, Any]) -> Wishes:
    values.pop("runtime", None)  # written by an earlier version, and never acted on
    networking = dict(values["networking"])
    networking["publications"] = tuple(Publication(**each) for each in networking["publications"])
    special = {
        "mounts": tuple(map(_mount, values["mounts"])),
        "devices": tuple(Device(**_with_source(each)) for each in values["devices"]),
        "limits": Limits(**values["limits"]),
        "ulimits": tuple(Ulimit(**each) for each in values["ulimits"]),
        "networking": Networking(**networking),
        "isolation": Isolation(**values["isolation"]),
    }
    return Wishes(**{**values, **special})


def _mount(values: dict[str, Any]) -> Mount:
    rest = {key: value for key, value in values.items() if key != "kind"}
    mount: Mount = _MOUNTS[values["kind"]](**_with_source(rest))
    return mount


def _with_source(values: dict[str, Any]) -> dict[str, Any]:
    return {**values, "source": Path(values["source"])} if "source" in values else values


def _plain(value: object) -> object:
    """Structs as dicts, mounts among them with their kind."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if not isinstance(value, Struct):
        return value
    fields = {name: _plain(each) for name, each in asdict(value).items()}
    kinds = [kind for kind, mount in _MOUNTS.items() if isinstance(value, mount)]
    return {"kind": kinds[0], **fields} if kinds else fields


def _frozen(value: Any) -> Any:
    """Lists as tuples, all the way down."""
    if isinstance(value, dict):
        return {key: _frozen(each) for key, each in value.items()}
    return tuple(_frozen(each) for each in value) if isinstance(value, list) else value


def _of_the_first_version(values: dict[str, Any]) -> dict[str, Any]:
    """From before containers had more than a process, a host name and a network."""
    process = {key: values[key] for key in ("args", "env", "cwd", "user")}
    wishes = Wishes(tty=values["tty"], networking=Networking(mode=values["network"]))
    plain = _frozen(_plain(wishes))
    return {"process": process, "hostname": values["hostname"], "wishes": plain}
