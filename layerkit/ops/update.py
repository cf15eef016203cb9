"""Update: other limits for a container that was made, also while it runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec.structs import asdict, replace

from layerkit.errors import ConflictError, UsageError
from layerkit.ops import containers, states
from layerkit.ops.container_config import encode
from layerkit.resources import UNLIMITED, Limits
from layerkit.sandbox.cgroups import group as groups
from layerkit.sandbox.cgroups import making, settings
from layerkit.store.files import guarded, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from layerkit.ops.home import Home
    from layerkit.store.records import ContainerRecord


def update(
    home: Home, container: ContainerRecord, wanted: Limits, warn: Callable[[str], None]
) -> None:
    """Change the limits that `wanted` says, now if the container runs, and for its next starts.

    `warn` is told what cannot be limited here. Raises `UsageError` for limits that make no sense,
    `ConflictError` where they contradict those that the container has, `SandboxError` for what the
    kernel refuses: then nothing is kept.
    """
    config = containers.read_config(home, container)
    limits = merged(config.wishes.limits, wanted)
    settings.check(limits, os.cpu_count() or 1)
    if states.read(home, container).is_running:
        _apply(container, _changes(limits, wanted), warn)
    wishes = replace(config.wishes, limits=limits)
    target = containers.folder_of(home, container) / "config.json"
    with guarded("write container"):
        write_whole(target, encode(replace(config, wishes=wishes)), home.store.scratch)


def merged(present: Limits, wanted: Limits) -> Limits:
    """The limits with those that are not None in `wanted`; raises as `update`, by docker's rules.

    Swap keeps the limit that it has, also the one that nobody wrote down: twice the memory.
    """
    said = {name: value for name, value in asdict(wanted).items() if value is not None}
    if not said:
        raise UsageError("nothing to update: wanted at least one limit")
    present = settings.with_swap(present)
    if wanted.cpus and (_is_set(present.cpu_period) or _is_set(present.cpu_quota)):
        raise ConflictError("cannot update --cpus: the container has --cpu-period or --cpu-quota")
    if present.cpus and (_is_set(wanted.cpu_period) or _is_set(wanted.cpu_quota)):
        raise ConflictError("cannot update --cpu-period or --cpu-quota: the container has --cpus")
    if wanted.memory and not wanted.memory_swap and 0 < (present.memory_swap or 0) < wanted.memory:
        raise ConflictError(
            f"cannot update --memory to {wanted.memory}: memory and swap together are limited to "
            f"{present.memory_swap}",
            hint="update --memory-swap at the same time",
        )
    lifted = {name: None for name in ("cpu_quota", "pids") if said.get(name) == UNLIMITED}
    return settings.with_swap(replace(present, **{**said, **lifted}))


def _is_set(number: int | None) -> bool:
    return number is not None and number > 0


def _changes(limits: Limits, wanted: Limits) -> Limits:
    """What is to be set now; one of memory and swap moves the other in one of the versions."""
    if wanted.memory or wanted.memory_swap:
        return replace(wanted, memory=limits.memory, memory_swap=limits.memory_swap)
    return wanted


def _apply(container: ContainerRecord, wanted: Limits, warn: Callable[[str], None]) -> None:
    group = groups.find(container.id)
    if group is None:
        warn("no limit is set now: the container has no control group")
        return
    if lacks := group.update(wanted):
        warn(f"no limit on {making.explain(lacks)}")
