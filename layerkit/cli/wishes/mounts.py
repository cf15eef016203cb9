"""Mounts: `-v`, `--mount` and `--tmpfs`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from layerkit.cli.wishes.paths import (
    CONSISTENCY,
    PRIVATE,
    SHARING,
    host_path,
    sharing_refused,
    target,
    volume_name,
)
from layerkit.cli.wishes.tmpfs import tmpfs
from layerkit.errors import UsageError
from layerkit.mount import BindMount, VolumeMount

if TYPE_CHECKING:
    from collections.abc import Iterable

    from layerkit.mount import Mount

_PARTS = 3
# Words that exclude each other; those for SELinux do nothing where there is none.
_KINDS = (("ro", "rw"), ("z", "Z"), PRIVATE + SHARING, ("nocopy",), CONSISTENCY)


def mounts(
    volumes: Iterable[str], long: Iterable[str], tmpfses: Iterable[str]
) -> tuple[Mount, ...]:
    """The mounts of `-v`, `--mount` and `--tmpfs`, in this order.

    Raises `UsageError` for a text that is none, and for two at the same place.
    """
    found: list[Mount] = [*map(volume, volumes)]
    texts = tuple(long)
    if texts:
        from layerkit.cli.wishes.longmount import mount  # noqa: PLC0415  reads CSV

        found += map(mount, texts)
    found += map(tmpfs, tmpfses)
    seen = set()
    for each in found:
        if each.target in seen:
            raise UsageError(f"duplicate mount point: {each.target}")
        seen.add(each.target)
    return tuple(found)


def volume(text: str) -> BindMount | VolumeMount:
    """The mount of `-v [SOURCE:]TARGET[:OPTIONS]`.

    A source that begins with `/` or `.` is a folder or file of the host, which is made if missing,
    else it is the name of a volume. Raises `UsageError`.
    """
    what = f"-v {text!r}"
    parts = text.split(":")
    if len(parts) > _PARTS or not all(parts):
        raise UsageError(f"invalid {what}: wanted [SOURCE:]TARGET[:OPTIONS]")
    if len(parts) == 1:
        return VolumeMount("", target(text, what))
    words = _words(parts[2], what) if len(parts) == _PARTS else ()
    readonly = "ro" in words
    if not parts[0].startswith(("/", ".")):
        if set(words) & {*PRIVATE}:
            raise UsageError(f"invalid {what}: propagation is for folders of the host")
        name = volume_name(parts[0], what)
        return VolumeMount(name, target(parts[1], what), readonly, nocopy="nocopy" in words)
    if "nocopy" in words:
        raise UsageError(f"invalid {what}: nocopy is for volumes")
    return BindMount(host_path(parts[0]), target(parts[1], what), readonly, create=True)


def _words(text: str, what: str) -> tuple[str, ...]:
    words = tuple(text.split(","))
    for word in words:
        if word in SHARING:
            raise sharing_refused(word, what)
        if not any(word in kind for kind in _KINDS):
            raise UsageError(f"invalid {what}: no option {word!r}: wanted ro, rw, nocopy or z")
    for kind in _KINDS:
        if sum(word in kind for word in words) > 1:
            raise UsageError(f"invalid {what}: wanted only one of {', '.join(kind)}")
    return words
