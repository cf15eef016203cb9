"""`--mount`: fields with names, separated by commas, quoted as in CSV."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

from layerkit.cli.wishes import sizes
from layerkit.cli.wishes.paths import (
    CONSISTENCY,
    PRIVATE,
    SHARING,
    host_path,
    sharing_refused,
    target,
    volume_name,
)
from layerkit.cli.wishes.tmpfs import octal
from layerkit.errors import UsageError
from layerkit.mount import BindMount, TmpfsMount, VolumeMount

if TYPE_CHECKING:
    from collections.abc import Callable

    from layerkit.mount import Mount

_ALIASES = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly"}
_COMMON = ("type", "source", "target", "readonly", "consistency")
_OWN = {
    "bind": ("bind-propagation", "bind-recursive", "bind-nonrecursive", "bind-create-src"),
    "volume": ("volume-nocopy",),
    "tmpfs": ("tmpfs-size", "tmpfs-mode"),
}
_SWITCHES = ("readonly", "volume-nocopy", "bind-nonrecursive", "bind-create-src")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def mount(text: str) -> Mount:
    """The mount of `--mount type=bind|volume|tmpfs,…`; raises `UsageError`."""
    what = f"--mount {text!r}"
    fields = _fields(text, what)
    kind = fields.get("type", "volume").lower()
    if kind not in _OWN:
        raise UsageError(f"invalid {what}: no type {kind!r}: wanted one of {', '.join(_OWN)}")
    for key in fields:
        if key not in _COMMON and key not in _OWN[kind]:
            raise UsageError(f"invalid {what}: {key} does not go with type={kind}")
    if fields.get("consistency", "default") not in CONSISTENCY:
        raise UsageError(f"invalid {what}: wanted consistency={'|'.join(CONSISTENCY)}")
    if "target" not in fields:
        raise UsageError(f"invalid {what}: target is missing")
    return _MAKERS[kind](fields, target(fields["target"], what), what)


def _fields(text: str, what: str) -> dict[str, str]:
    """The fields by their usual names; a switch without a value is true."""
    known = (*_COMMON, *(key for keys in _OWN.values() for key in keys))
    fields: dict[str, str] = {}
    for field in _split(text, what):
        written, equals, value = field.partition("=")
        key = _ALIASES.get(written.lower(), written.lower())
        if key not in known:
            raise UsageError(f"invalid {what}: no field {written!r}: wanted {', '.join(known)}")
        if key in fields:
            raise UsageError(f"invalid {what}: {key} is there twice")
        if not equals and key in _SWITCHES:
            value = "true"
        if not value or value != value.strip():
            raise UsageError(f"invalid {what}: wanted {written}=VALUE without spaces around it")
        fields[key] = value
    return fields


def _split(text: str, what: str) -> list[str]:
    try:
        return next(csv.reader([text.strip()], strict=True))
    except (csv.Error, StopIteration):
        raise UsageError(f"invalid {what}: wanted KEY=VALUE,… with quotes as in CSV") from None


def _bind(fields: dict[str, str], place: str, what: str) -> BindMount:
    source = fields.get("source", "")
    if not source.startswith(("/", ".")):
        raise UsageError(f"invalid {what}: wanted source=PATH, absolute or with ./ before it")
    propagation = fields.get("bind-propagation", "rprivate").lower()
    if propagation in SHARING:
        raise sharing_refused(propagation, what)
    if propagation not in PRIVATE:
        raise UsageError(f"invalid {what}: wanted bind-propagation={'|'.join(PRIVATE)}")
    if _is_set(fields, "bind-nonrecursive", what) or fields.get("bind-recursive", "enabled") != (
        "enabled"
    ):
        raise UsageError(f"unsupported {what}: a bind mount has what is mounted below its source")
    create = _is_set(fields, "bind-create-src", what)
    return BindMount(host_path(source), place, _is_set(fields, "readonly", what), create=create)


def _volume(fields: dict[str, str], place: str, what: str) -> VolumeMount:
    name = volume_name(fields["source"], what) if "source" in fields else ""
    readonly = _is_set(fields, "readonly", what)
    if readonly and not name:
        raise UsageError(f"invalid {what}: readonly for a volume that is new")
    return VolumeMount(name, place, readonly, nocopy=_is_set(fields, "volume-nocopy", what))


def _tmpfs(fields: dict[str, str], place: str, what: str) -> TmpfsMount:
    if "source" in fields:
        raise UsageError(f"invalid {what}: a tmpfs has no source")
    size = sizes.size(fields.get("tmpfs-size", "0"), f"tmpfs-size of {what}") or None
    mode = octal(fields.get("tmpfs-mode", "1777"), what)
    return TmpfsMount(place, size, mode, ("ro",) if _is_set(fields, "readonly", what) else ())


_MAKERS: dict[str, Callable[[dict[str, str], str, str], Mount]] = {
    "bind": _bind,
    "volume": _volume,
    "tmpfs": _tmpfs,
}


def _is_set(fields: dict[str, str], key: str, what: str) -> bool:
    value = fields.get(key, "false")
    if value not in _BOOLEANS:
        raise UsageError(f"invalid {what}: {key}={value}: wanted true or false")
    return _BOOLEANS[value]
