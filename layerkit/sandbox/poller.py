"""Waits for descriptors, and calls what waits for each."""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

READ = select.POLLIN
WRITE = select.POLLOUT

Waiting: TypeAlias = "tuple[int, int, Callable[[], None]]"
"""A descriptor, the event (READ or WRITE), and what to do then; also when there was an error."""


def turn(waiting: Iterable[Waiting], *, patient: bool = True) -> bool:
    """Wait until something happens and do what is due; not `patient`: do only what is due now.

    Whether anything was.
    """
    due: dict[int, list[tuple[int, Callable[[], None]]]] = {}
    for descriptor, event, action in waiting:
        due.setdefault(descriptor, []).append((event, action))
    poller = select.poll()
    for descriptor, actions in due.items():
        poller.register(descriptor, sum(event for event, _ in actions))
    ready = poller.poll(None if patient else 0)
    for descriptor, events in ready:
        for event, action in due[descriptor]:
            if events & (event | ~(READ | WRITE)):
                action()
    return bool(ready)
