"""Variables and labels: `-e`, `--env-file`, `--label`, `--label-file`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from layerkit.cli import environment
from layerkit.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

_FILE_LIMIT = 1 << 20  # bytes; the kernel takes 2 MiB of arguments and variables together
_MARK = "\ufeff"  # editors of Windows put it before a text


def variables(texts: Iterable[str], files: Iterable[str]) -> tuple[str, ...]:
    """`KEY=VALUE` of the files, then of `-e`; a mere `KEY` has our value.

    Without a value of ours, a `KEY` of a file is left out, one of `-e` stands alone, which takes the
    variable away. Raises `UsageError` for a file that cannot be read, and for what has no name.
    """
    found = [environment.passed_on(line) for path in files for line in _lines(path, "--env-file")]
    found = [each for each in found if "=" in each]
    for text in texts:
        if not text.partition("=")[0]:
            raise UsageError(f"invalid --env {text!r}: wanted KEY or KEY=VALUE")
        found.append(environment.passed_on(text))
    return tuple(found)


def labels(texts: Iterable[str], files: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """The labels of the files, then of `--label`; the last one with a key counts.

    A mere `KEY` of a file is left out, one of `--label` has an empty value. Raises `UsageError`.
    """
    lines = [line for path in files for line in _lines(path, "--label-file") if "=" in line]
    found = {}
    for text in (*lines, *texts):
        key, _, value = text.partition("=")
        if key.split() != [key]:
            raise UsageError(f"invalid --label {text!r}: wanted KEY or KEY=VALUE")
        found[key] = value
    return tuple(found.items())


def _lines(path: str, option: str) -> list[str]:
    """The lines of a file but for comments; nothing in them is quoted."""
    found = []
    text = _read(path, option).removeprefix(_MARK)
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.removesuffix("\r").lstrip()
        if not line or line.startswith("#"):
            continue
        key = line.partition("=")[0]
        if key.split() != [key] or "\0" in line:
            raise UsageError(
                f"invalid {option} {path}: line {number}: {line[:80]!r}: wanted KEY=VALUE or KEY, "
                "no space in KEY"
            )
        found.append(line)
    return found


def _read(path: str, option: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(_FILE_LIMIT + 1)
        if len(data) <= _FILE_LIMIT:
            return data.decode()
        reason = f"more than {_FILE_LIMIT} bytes"
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
    except UnicodeDecodeError:
        reason = "not UTF-8"
    raise UsageError(f"cannot read {option} {path}: {reason}")
