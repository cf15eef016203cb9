"""How long to wait, how often to try, how much to read: values, so that tests can scale them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The patience with a registry: seconds for `connect`, `read` (without a byte) and the waits.

    `assemble` is how many of them a registry may take to answer the end of an upload, as it may
    have to copy and hash it. `attempts` counts the first one too; `token` and `error` are bytes of
    body.
    """

    connect: float = 10.0
    read: float = 30.0
    assemble: float = 600.0
    redirects: int = 10
    attempts: int = 4
    first_wait: float = 0.5
    longest_wait: float = 30.0
    token: int = 1 << 20
    error: int = 64 << 10


DEFAULT = Limits()
