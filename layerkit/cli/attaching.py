"""What commands have in common that join the user's terminal or pipes to a container."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from layerkit.cli import output
from layerkit.cli.wishes.keys import DETACH_KEYS, detach_keys
from layerkit.events import Notice

if TYPE_CHECKING:
    from layerkit.events import Event
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


def notify(event: Event) -> None:
    """Show what a container that starts cannot have."""
    if isinstance(event, Notice):
        output.notice(event.severity, event.text)
