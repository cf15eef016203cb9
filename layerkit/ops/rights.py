"""What holds the processes of a container back, the first one and those of `exec` alike."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from layerkit.sandbox import capabilities, sysctls, ulimits
from layerkit.sandbox.seccomp.programs import find_program

if TYPE_CHECKING:
    from collections.abc import Callable

    from layerkit.ops.home import Home
    from layerkit.ops.wishes import Wishes
    from layerkit.resources import Ulimit

_UNCONFINED = "unconfined"


class Rights(NamedTuple):
    """As `SandboxSpec` and `ExecSpec` have them; `seccomp` is a compiled program."""

    capabilities: tuple[str, ...]
    seccomp: bytes | None
    no_new_privileges: bool
    ulimits: tuple[Ulimit, ...]


def check(wishes: Wishes) -> None:
    """Raise `UsageError` for rights that cannot be had, before there is a container."""
    _capabilities(wishes, privileged=False)
    sysctls.check(wishes.sysctls, own_network=wishes.networking.mode != "host")


def find(
    home: Home, wishes: Wishes, warn: Callable[[str], None], *, privileged: bool = False
) -> Rights:
    """The rights that a container's processes get; all of ours for a `privileged` one.

    `warn` is told which limits are lowered. Raises `UsageError` and `SandboxError` for a seccomp
    profile that cannot be used.
    """
    isolation = wishes.isolation
    names = _capabilities(wishes, privileged=privileged)
    program = None
    if isolation.seccomp != _UNCONFINED and not (privileged or isolation.privileged):
        profile = None if isolation.seccomp is None else Path(isolation.seccomp)
        program = find_program(profile, names, home.store.root / "seccomp")
    limits, notes = ulimits.fitting(wishes.ulimits) if wishes.ulimits else ((), ())
    for note in notes:
        warn(note)
    return Rights(names, program, isolation.no_new_privileges, limits)


def _capabilities(wishes: Wishes, *, privileged: bool) -> tuple[str, ...]:
    isolation = wishes.isolation
    return capabilities.granted(
        isolation.cap_add,
        isolation.cap_drop,
        capabilities.available(),
        privileged=privileged or isolation.privileged,
    )
