"""How long to wait, how often to try, how much to read: values, so that tests can scale them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The patience with a registry, in seconds, tries (the first counts) and bytes.

    `connect` and `read` (without a byte) end a request; what a registry asks to wait is kept up to
    `longest_asked`, and it gets `assemble` to answer the end of an upload, which it may have to copy
    and hash. A blob of `ranged_from` bytes or more is fetched in pieces of `extent`, on `per_host`
    connections to one registry and `jobs` in all; one that runs `slow_after` seconds below `floor`
    bytes a second, or below `slow_share` of its peers, is cut and asked again. `progress` bytes
    make a failed try not count. After `relief` seconds without trouble, a registry that had too
    much to do gets one connection more.
    """

    connect: float = 10.0
    read: float = 30.0
    assemble: float = 600.0
    redirects: int = 10
    attempts: int = 4
    first_wait: float = 0.5
    longest_wait: float = 30.0
    longest_asked: float = 60.0
    token: int = 1 << 20
    error: int = 64 << 10
    jobs: int = 16
    per_host: int = 6
    extent: int = 16 << 20
    ranged_from: int = 16 << 20
    blob_attempts: int = 6
    progress: int = 64 << 10
    floor: int = 8 << 10
    slow_after: float = 5.0
    slow_share: float = 1 / 8
    relief: float = 30.0


DEFAULT = Limits()
