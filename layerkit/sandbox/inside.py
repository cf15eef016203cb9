"""What the steps of one start hand on to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from layerkit.mount import BindMount
    from layerkit.sandbox.users import Identity


@dataclass(slots=True)
class Inside:
    """The state of a process that becomes a container; every number is an open descriptor.

    `lifeline` is readable (at its end) when the parent died. `streams` are the prepared ends of
    stdin (None: /dev/null), stdout and stderr, empty with a terminal. `target` is a pidfd of the process whose
    namespaces are joined. `root`, `old_root` and `proc`
    are set by the steps that open them; `workdir_denied` says that root may not enter
    the working directory, but the user perhaps may; `found` that the program's file was found.
    """

    channel: int
    lifeline: int
    streams: tuple[int | None, ...] = ()
    size: tuple[int, int] | None = None
    target: int | None = None
    trampoline: int | None = None
    root: int = -1
    old_root: int = -1
    proc: int = -1
    held: dict[BindMount, int] = field(default_factory=dict)
    identity: Identity | None = None
    workdir_denied: bool = False
    found: bool = False
