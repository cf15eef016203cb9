"""What a start in a user namespace takes from the host, as it cannot make it itself. Pure.

Nobody but root of the machine may make devices, and a sysfs belongs to a network.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from layerkit.mount import BindMount

if TYPE_CHECKING:
    from layerkit.sandbox.spec import SandboxSpec

SYS = BindMount(Path("/sys"), "/sys", readonly=True)
"""The host's own one, for who has the host's network."""
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


def binds(spec: SandboxSpec) -> tuple[BindMount, ...]:
    """All that has to be held before the host's paths are gone; nothing without a user namespace."""
    if spec.ids is None:
        return ()
    return (*devices(spec), *((SYS,) if binds_sys(spec) else ()))


def binds_sys(spec: SandboxSpec) -> bool:
    """Whether /sys is the host's."""
    return spec.ids is not None and spec.network == "host"


def devices(spec: SandboxSpec) -> tuple[BindMount, ...]:
    """The host's devices, in place of copies: those of every container and those that are wished for."""
    sources = {f"/dev/{name}": Path("/dev", name) for name in _DEVICES}
    sources.update((node.path, node.source) for node in spec.devices if node.source is not None)
    return tuple(BindMount(source, target, is_file=True) for target, source in sources.items())
