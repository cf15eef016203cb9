"""Prune: what nobody needs goes, but nothing that somebody may be working on."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from layerkit.errors import StoreError
from layerkit.events import Notice, ignore
from layerkit.ops import containers, holdings, reap
from layerkit.store import files, incoming
from layerkit.store.usage import measure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from layerkit.events import Observer
    from layerkit.ops.holdings import Holding
    from layerkit.ops.home import Home
    from layerkit.store.incoming import Incoming
    from layerkit.store.store import Store

AGE = timedelta(days=7)
"""How long what may be gone on with is kept."""
UNLOCKED_AGE = timedelta(days=1)
"""What has no lock is left alone for at least this long after its last change."""


@dataclass(frozen=True, slots=True)
class Removed:
    """One thing that went: what it was (`kind`), its digest or file name, its bytes on the disk."""

    kind: str
    name: str
    size: int


def prune(
    home: Home,
    *,
    now: float,
    older_than: timedelta = AGE,
    dry_run: bool = False,
    observe: Observer = ignore,
) -> list[Removed]:
    """Remove what has not changed since `older_than` before `now` and nobody needs; what went.

    That is what stopped and killed processes left in `ingest`, and layers, blobs and views that no
    image has, and so no container; and, whatever their age, containers that were to go at their end,
    but whose monitor was killed. With `dry_run` nothing goes. Raises `StoreError`.

    A running process loses nothing. Its downloads and layers are locked while it is at them. What
    has no lock there (`put-…`, `gone-…`, `tree-…`) changes as long as somebody is at it, so it goes
    only when nothing in it did for `UNLOCKED_AGE`, also where `older_than` is less. Who brings an
    image in holds the store's `arrival` until it has its name; then, whatever their age, layers,
    blobs and views stay, which a note says.
    """
    removed = list(_leftovers(home.store, now, older_than, dry_run=dry_run))
    removed += _containers(
        home, now - max(older_than, UNLOCKED_AGE).total_seconds(), dry_run=dry_run
    )
    with home.store.standstill() as alone:
        if alone:
            removed += _unclaimed(home, now - older_than.total_seconds(), dry_run=dry_run)
        else:
            text = "an image is being brought in: layers and blobs without an image stay for now"
            observe(Notice("note", text))
    return removed


def prune_downloads(store: Store, now: float) -> None:
    """Remove downloads that nobody went on with for `AGE`, as far as that can be done."""
    with contextlib.suppress(StoreError):
        for item in incoming.listing(store.scratch):
            if item.download and measure(item.path).changed <= now - AGE.total_seconds():
                incoming.remove(item)


def _leftovers(
    store: Store, now: float, older_than: timedelta, *, dry_run: bool
) -> Iterator[Removed]:
    for item in incoming.listing(store.scratch):
        age = older_than if item.has_lock else max(older_than, UNLOCKED_AGE)
        usage = measure(item.path)
        if usage.changed > now - age.total_seconds():
            continue
        if not item.held if dry_run else incoming.remove(item):
            yield Removed(*_title(item), usage.size)


def _containers(home: Home, before: float, *, dry_run: bool) -> Iterator[Removed]:
    """Those that killed monitors should have removed, and folders that no container has."""
    for container, state in reap.due(home):
        size = measure(containers.folder_of(home, container)).size
        if dry_run or reap.reap(home, container, state):
            yield Removed("container", container.id, size)
    for folder in reap.strays(home):
        usage = measure(folder)
        if usage.changed <= before:
            if not dry_run:
                with files.guarded("remove"):
                    files.remove_tree(folder, home.store.scratch)
            yield Removed("container", folder.name, usage.size)


def _title(item: Incoming) -> tuple[str, str]:
    if item.download:
        return "partial download", str(item.download)
    return "temporary file", item.path.name


def _unclaimed(home: Home, before: float, *, dry_run: bool) -> list[Removed]:
    """Layers, blobs and views without an image that last changed before then, removed."""
    claimed = holdings.claims(home)
    loose = [each for each in holdings.holdings(home) if each not in claimed]
    usages = {each: holdings.usage(home, each) for each in loose}
    old = [each for each in loose if usages[each].changed <= before]
    going = old if dry_run else _remove(home, old)
    return [Removed(each.kind.value, str(each.digest), usages[each].size) for each in going]


def _remove(home: Home, loose: list[Holding]) -> list[Holding]:
    with home.store.database.transaction():  # so that nobody names an image with them meanwhile
        claimed = holdings.claims(home)
        going = [each for each in loose if each not in claimed]
        for each in going:
            holdings.remove(home, each)
    return going
