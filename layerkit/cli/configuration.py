"""The configuration file (TOML): its text to values, every key and every value checked.

A key that does not exist is refused like a wrong value: a typo must not leave a limit where it was.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from layerkit.cli.app import DRIVERS, PROGRESS
from layerkit.cli.units import parse_size
from layerkit.errors import UsageError
from layerkit.limits import DEFAULT, Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the files say; None where they say nothing about a global option."""

    root: Path | None = None
    driver: str | None = None
    progress: str | None = None
    limits: Limits = DEFAULT


def parse(files: Iterable[tuple[str, str]]) -> Configuration:
    """The configuration in these files, path and text; of a key the last file's value holds.

    Raises `UsageError`, naming file and key.
    """
    options: dict[str, Any] = {}
    limits: dict[str, int] = {}
    for path, text in files:
        try:
            found = _checked(_loaded(text), "", {**_OPTIONS, "limits": _table})
            limits.update(_checked(found.pop("limits", {}), "limits.", _LIMITS))
        except ValueError as error:  # TOMLDecodeError is one
            raise UsageError(f"invalid configuration {path}: {error}") from None
        options.update(found)
    return Configuration(**options, limits=Limits(**limits))


def _loaded(text: str) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415  where there is no file, nothing is to be read

    return tomllib.loads(text)


def _checked(
    table: dict[str, Any], prefix: str, known: dict[str, Callable[[Any], Any]]
) -> dict[str, Any]:
    """The table with each value as its reader in `known` gives it; `ValueError` names the key."""
    values = {}
    for key, value in table.items():
        if key not in known:
            raise ValueError(f"unknown key {prefix + key!r}, known are {', '.join(known)}")
        try:
            values[key] = known[key](value)
        except ValueError as error:
            raise ValueError(f"{prefix}{key}: {error}") from None
    return values


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"wanted a table, got {value!r}")  # noqa: TRY004  told as any bad value
    return value


def _path(value: Any) -> Path:
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise ValueError(f"wanted an absolute path, got {value!r}")
    return Path(value)


def _one_of(choices: Sequence[str]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value not in choices:
            raise ValueError(f"wanted one of {', '.join(choices)}, got {value!r}")
        return str(value)

    return read


def _size(value: Any) -> int:
    size = parse_size(value) if isinstance(value, str) else value
    if type(size) is not int or size < 0:
        raise ValueError(f"wanted a size as 500000, '500MiB' or '100G', got {value!r}")
    return size


def _count(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ValueError(f"wanted a number from 1 on, got {value!r}")
    return value


_OPTIONS: dict[str, Callable[[Any], Any]] = {
    "root": _path,
    "driver": _one_of(DRIVERS),
    "progress": _one_of(PROGRESS),
}
_COUNTS = {"expansion", "entries", "implied_folders"}
_LIMITS: dict[str, Callable[[Any], Any]] = {
    each.name: _count if each.name in _COUNTS else _size for each in fields(Limits)
}
