"""What commands have in common that join the user's terminal or pipes to a container."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from layerkit.cli.wishes.keys import DETACH_KEYS, detach_keys

if TYPE_CHECKING:
    from layerkit.ops.run import Manners, Stdio


def stdio(*, wants_input: bool) -> Stdio:
    """The user's streams, with standard input or without."""
    from layerkit.ops.run import Stdio  # noqa: PLC0415  not for --help

    return Stdio(sys.stdin.fileno() if wants_input and sys.stdin else None, 1, 2)


def manners(keys: str | None, *, tty: bool, proxy: bool = True) -> Manners:
    """How to attach; `keys` as `--detach-keys` has them, None for docker's."""
    from layerkit.ops.run import Manners  # noqa: PLC0415  not for --help

    return Manners(
        terminal=tty,
        detach_keys=DETACH_KEYS if keys is None else detach_keys(keys),
        passes_signals=proxy,
    )
