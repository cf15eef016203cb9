"""Makes the groups of a new container.

What the kernel does not have, or this user may not, is no error but a `Lack`, as docker warns and
discards; only `cpus` where nothing controls processors is an error, as in docker.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, Literal

from layerkit import linux
from layerkit.errors import SandboxError
from layerkit.resources import DeviceRule
from layerkit.sandbox.cgroups import devices, files, settings
from layerkit.sandbox.cgroups.group import PARENT, Cgroup, as_it_is
from layerkit.sandbox.cgroups.hierarchies import LIMITING, discover, folder, home_of, in_use
from layerkit.sandbox.cgroups.settings import Lack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from layerkit.resources import Device, Limits
    from layerkit.sandbox.cgroups.hierarchies import Hierarchy


def create(
    identifier: str,
    limits: Limits,
    rules: Iterable[DeviceRule] = devices.DEFAULT_RULES,
    *,
    hierarchies: Iterable[Hierarchy] | None = None,
    parent: str = PARENT,
) -> Cgroup:
    """New groups with these limits, in all trees where this process may make them.

    What an earlier one of this name left is replaced, unless it has processes. When this raises,
    no group stays.
    """
    trees = in_use(discover() if hierarchies is None else hierarchies)
    if limits.cpus and home_of("cpu", trees) is None:
        raise SandboxError(f"cannot limit the processors to {limits.cpus}: no cpu controller")
    name = f"{parent}/{identifier}"
    made: list[Hierarchy] = []
    denied: dict[str, str] = {}
    try:
        for tree in trees:
            try:
                made.append(_make(tree, parent, name, denied))
            except OSError as error:
                _take_back((tree,), name)
                _note_denied(error, tree, denied)
        lacks = _limit(made, name, limits, denied) + _allow(made, name, tuple(rules), denied)
    except BaseException:
        _take_back(trees, name)
        raise
    return Cgroup(name, tuple(made), tuple(lacks))


def rule_for(device: Device) -> DeviceRule:
    """The rule that lets a container use a device of the host. Raises `SandboxError` if it is none."""
    try:
        status = os.stat(device.source)
    except OSError as error:
        raise SandboxError(f"cannot use device {device.source}: {error.strerror}") from None
    kinds: dict[int, Literal["b", "c"]] = {stat.S_IFBLK: "b", stat.S_IFCHR: "c"}
    kind = kinds.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        raise SandboxError(f"cannot use device {device.source}: it is not a device")
    return DeviceRule(kind, os.major(status.st_rdev), os.minor(status.st_rdev), device.access)


def explain(lacks: Iterable[Lack]) -> str:
    """One line of what is not limited, such as `memory, pids (Permission denied)`; empty for none."""
    reasons: dict[str, list[str]] = {}
    for lack in dict.fromkeys(lacks):
        reasons.setdefault(lack.reason, []).append(lack.limit.replace("_", " "))
    return "; ".join(f"{', '.join(limits)} ({reason})" for reason, limits in reasons.items())


def _make(tree: Hierarchy, parent: str, name: str, denied: dict[str, str]) -> Hierarchy:
    """Make the group's folder in one tree; the tree with the controllers that the group has."""
    above, place = folder(tree, parent), folder(tree, name)
    if not os.path.isdir(above):
        with contextlib.suppress(FileExistsError):  # somebody else was faster
            os.mkdir(above, 0o755)
    if tree.is_unified:
        for level in (tree.mount, above):
            _pass_down(level, tree.controllers, denied)
    try:
        os.mkdir(place, 0o755)
    except FileExistsError:
        files.remove(place)
        os.mkdir(place, 0o755)
    if "cpuset" in tree.controllers and not tree.is_unified:
        for file in ("cpuset.cpus", "cpuset.mems"):
            _inherit(file, (tree.mount, above, place))
    return as_it_is(tree, place)


def _take_back(trees: Iterable[Hierarchy], name: str) -> None:
    """Remove what was just made, and so has no processes."""
    for tree in trees:
        with contextlib.suppress(OSError):
            os.rmdir(folder(tree, name))


def _note_denied(error: OSError, tree: Hierarchy, denied: dict[str, str]) -> None:
    if error.errno not in files.DENIED:
        raise SandboxError(
            f"cannot make a control group below {tree.mount}: {error.strerror}"
        ) from error
    for controller in (*tree.controllers, *(("devices",) if tree.is_unified else ())):
        denied[controller] = f"{tree.mount}: {error.strerror}"


def _pass_down(level: str, controllers: Iterable[str], denied: dict[str, str]) -> None:
    """Let groups below `level` have the controllers, one by one: one that cannot is no reason."""
    control = f"{level}/cgroup.subtree_control"
    there = files.text(control).split()
    for name in sorted(LIMITING.intersection(controllers).difference(there)):
        try:
            files.write(control, f"+{name}")
        except OSError as error:  # EBUSY: there are processes in the group, as in a container
            denied[name] = f"{control}: {error.strerror}"


def _inherit(file: str, levels: tuple[str, ...]) -> None:
    """Copy the content down to the last level, which has none: nothing could join the group."""
    top, above, place = (f"{level}/{file}" for level in levels)
    content = files.text(above).strip()
    if not content:
        content = files.text(top)
        files.write(above, content)
    files.write(place, content)


def _limit(made: list[Hierarchy], name: str, limits: Limits, denied: dict[str, str]) -> list[Lack]:
    writes, lacks = settings.plan(made, name, settings.with_swap(limits), denied=denied)
    return [*lacks, *files.write_all(writes)]


def _allow(
    made: list[Hierarchy], name: str, rules: tuple[DeviceRule, ...], denied: dict[str, str]
) -> list[Lack]:
    """Hold the devices back, where version 1 has no controller for them by a program."""
    if devices.allow_all(rules):
        return []
    if tree := home_of("devices", made):
        return files.write_all(settings.plan_devices(tree, name, rules))
    for tree in made:
        if tree.is_unified:
            return list(_attach(folder(tree, name), rules))
    return [Lack("devices", denied.get("devices", "there is no devices controller"))]


def _attach(place: str, rules: tuple[DeviceRule, ...]) -> Iterator[Lack]:
    group = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        linux.attach_device_program(group, devices.program(rules))
    except OSError as error:
        if error.errno not in files.DENIED | {errno.ENOSYS}:
            raise SandboxError(f"cannot limit the devices: {error.strerror}") from None
        yield Lack("devices", f"bpf: {error.strerror}")
    finally:
        os.close(group)
