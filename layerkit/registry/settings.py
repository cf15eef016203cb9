"""Configuration files of other tools: read when wanted, every value checked and named if wrong."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeVar

from layerkit.errors import UsageError
from layerkit.registry import outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_T = TypeVar("_T")

_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_LIMIT = 1 << 20  # bytes; such files have a few hundred


class Table:
    """One table of the file at `path`; `name` says which, "" for the outermost.

    What is missing is "", False or empty. Every method raises `UsageError` for a value of another
    kind, with file, table and key.
    """

    def __init__(self, path: Path, name: str, values: dict[str, Any]) -> None:
        self.path = path
        self._name = name
        self._values = values

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def error(self, key: str, problem: str) -> UsageError:
        """What to raise for the value of `key`."""
        where = outcome.clean(self._child(_quoted(key)))
        return UsageError(f"cannot use {self.path}: {where}: {problem}")

    def text(self, key: str) -> str:
        """A string."""
        return self._of(key, str, "a string", "")

    def flag(self, key: str) -> bool:
        """True or false."""
        return self._of(key, bool, "true or false", False)

    def items(self, key: str) -> list[Any]:
        """The values of a list, or the one value that stands alone."""
        value = self._values.get(key, [])
        return value if isinstance(value, list) else [value]

    def texts(self, key: str) -> list[str]:
        """The strings of a list, or the one string that stands alone."""
        values = self.items(key)
        if not all(isinstance(value, str) for value in values):
            raise self.error(key, "wanted a string or a list of strings")
        return values

    def table(self, key: str) -> Table:
        """The table of this name."""
        values = self._of(key, dict, "a table", {})
        return Table(self.path, self._child(_quoted(key)), values)

    def tables(self, key: str) -> list[Table]:
        """The tables of this name, in their order."""
        values = self._of(key, list, "a list of tables", [])
        if not all(isinstance(value, dict) for value in values):
            raise self.error(key, "wanted a list of tables")
        return [
            Table(self.path, self._child(f"{key} #{number}"), value)
            for number, value in enumerate(values, 1)
        ]

    def _child(self, name: str) -> str:
        return f"{self._name}.{name}" if self._name else name

    def _of(self, key: str, kind: type[_T], wanted: str, default: _T) -> _T:
        value = self._values.get(key, default)
        if not isinstance(value, kind):
            raise self.error(key, f"got {outcome.clean(repr(value))}, wanted {wanted}")
        return value


def read_toml(path: Path) -> Table | None:
    """The TOML file at `path`, None if there is none that this user may read."""
    import tomllib  # noqa: PLC0415  most users have no such file

    return _read(path, tomllib.loads, "TOML")


def read_json(path: Path) -> Table | None:
    """The JSON object at `path`, None if there is none that this user may read."""
    return _read(path, json.loads, "JSON")


def _read(path: Path, parse: Callable[[str], Any], form: str) -> Table | None:
    try:
        with path.open("rb") as file:
            data = file.read(_LIMIT + 1)
    except OSError:
        return None  # another user's configuration is as good as none
    if len(data) > _LIMIT:
        raise UsageError(f"cannot use {path}: more than {_LIMIT} bytes")
    try:
        document = parse(data.decode())
    except (ValueError, RecursionError) as error:
        reason = outcome.clean(str(error))
        raise UsageError(f"cannot use {path}: not valid {form} ({reason})") from None
    if not isinstance(document, dict):
        raise UsageError(f"cannot use {path}: wanted a {form} object")
    return Table(path, "", document)


def _quoted(key: str) -> str:
    return key if _BARE.fullmatch(key) else f'"{key}"'
