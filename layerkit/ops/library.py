"""What the commands do, as calls with plain arguments and safe defaults; `layerkit` exports them.

Where nothing else is said, registries are asked without credentials, proxies and configuration, and
images are for the platform of this machine.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from layerkit import platforms
from layerkit import reference as references
from layerkit.events import ignore
from layerkit.ops import cat, diff, snapshots
from layerkit.ops.home import Home
from layerkit.ops.host import host_platform
from layerkit.ops.images import find_image
from layerkit.ops.inside import LocalImage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from layerkit.events import Observer
    from layerkit.oci import Platform
    from layerkit.ops.connect import Client
    from layerkit.ops.inside import Comparable, Inside, LocalContainer
    from layerkit.ops.load import Loaded
    from layerkit.ops.pull import PullResult
    from layerkit.ops.wishes import Wishes
    from layerkit.sandbox.process import ExitStatus, Stdio
    from layerkit.tree import Change


def open_home(root: str | os.PathLike[str]) -> Home:
    """The state directory at `root`, made where it is not there; to be closed by `with`.

    Raises `StoreError`.
    """
    return Home(Path(root).absolute())


def pull(
    home: Home,
    name: str,
    *,
    platform: str | None = None,
    client: Client | None = None,
    observe: Observer = ignore,
) -> PullResult:
    """Bring the image of this name from its registry into the store, every byte checked.

    `client` is one that `connect` made, by default an anonymous one. With `platform`
    (`OS/ARCH[/VARIANT]`) an image for another one is refused. `observe` is called by several
    threads. Raises `UsageError`, `RegistryError` and its kinds, `NotFoundError`, `IntegrityError`,
    `StoreError`.
    """
    from layerkit.ops import connect, pull  # noqa: PLC0415  loads what speaks HTTP

    reference = references.parse(name)
    with connect.connect() if client is None else contextlib.nullcontext(client) as used:
        return pull.pull(
            home,
            reference,
            client=used,
            platform=_platform(platform),
            explicit_platform=platform is not None,
            observe=observe,
        )


def load(
    home: Home,
    path: str | os.PathLike[str],
    *,
    platform: str | None = None,
    observe: Observer = ignore,
) -> list[Loaded]:
    """Bring all images of an OCI layout, an OCI archive or a docker archive into the store.

    Raises `UsageError` where there is none, `IntegrityError` and its kinds for one that is broken,
    `NotFoundError`, `StoreError`.
    """
    from layerkit.ops import load  # noqa: PLC0415  only here

    return load.load(
        home,
        Path(path),
        platform=_platform(platform),
        explicit_platform=platform is not None,
        observe=observe,
    )


def open_image(home: Home, name: str) -> AbstractContextManager[LocalImage]:
    """The image in the store that a name, an id or the beginning of an id means, to look into.

    Raises `NotFoundError`.
    """
    return contextlib.closing(LocalImage(home.store, find_image(home, name), name))


def open_container(home: Home, name: str) -> AbstractContextManager[LocalContainer]:
    """The root file system of `CONTAINER` as it is, or of `CONTAINER@SNAPSHOT`, to look into.

    Raises `NotFoundError`.
    """
    return contextlib.closing(snapshots.open_inside(home, name)[1])


def read_file(inside: Inside, path: str | bytes) -> Iterator[bytes]:
    """The bytes of a file, in pieces; symlinks are followed inside the root.

    Raises `NotFoundError`, `UsageError` for what is no file, `StoreError`.
    """
    return cat.cat(inside, os.fsencode(path))


def compare(old: Comparable, new: Comparable) -> list[Change]:
    """The changes from one image or container to another, sorted by path.

    What layerkit itself put into a container does not show. Raises `StoreError`.
    """
    return diff.changes_between(old, new)


def changes(home: Home, name: str) -> list[Change]:
    """What `CONTAINER`, or `CONTAINER@SNAPSHOT`, changed of its image, sorted by path.

    Raises `NotFoundError`, `StoreError`.
    """
    return diff.diff_container(home, name)


def run(
    home: Home,
    wishes: Wishes,
    *,
    stdio: Stdio | None = None,
    client: Client | None = None,
    observe: Observer = ignore,
) -> ExitStatus:
    """Run a new container to its end; an image that is not here is pulled, with `client` as there.

    By default the container has no input, and its output is that of this process. Needs root, and
    a process with one thread. Raises `SandboxError` and its kinds when the command could not be
    started, `UsageError`, and what `pull` raises.
    """
    from layerkit.ops import run  # noqa: PLC0415  only here

    status = run.run(
        home,
        wishes,
        stdio=stdio or run.Stdio(None, 1, 2),
        manners=run.Manners(wishes.tty, detach_keys=()),
        pull=lambda name: pull(home, name, client=client, observe=observe).image,
        observe=observe,
    )
    # There are no keys that detach, so it was a signal.
    return status if isinstance(status, run.ExitStatus) else run.ExitStatus(signal=status.signal)


def _platform(text: str | None) -> Platform:
    return host_platform() if text is None else platforms.parse(text)
