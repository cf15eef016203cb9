"""What a text names to look into: a container, a snapshot, an image here, or an image in a registry."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Self

from layerkit import platforms
from layerkit import reference as references
from layerkit.errors import NotFoundError, UsageError
from layerkit.events import Notice, ignore
from layerkit.ops.history import read_config
from layerkit.ops.images import find_image, image_of
from layerkit.ops.inside import LocalImage
from layerkit.ops.snapshots import open_inside

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from layerkit.events import Observer
    from layerkit.oci import Platform
    from layerkit.ops.home import Home
    from layerkit.ops.inside import Inside, Layered, LocalContainer
    from layerkit.ops.remote import RemoteImage
    from layerkit.reference import Reference
    from layerkit.registry import Client
    from layerkit.store.records import ImageRecord


def split(text: str) -> tuple[str, bytes | None]:
    """Name and path of `NAME:/PATH`, which is cut at the first `:/`; None where it has no path."""
    name, colon, path = text.partition(":/")
    return name, b"/" + os.fsencode(path) if colon else None


class Looker:
    """Finds what texts name, and keeps it open until the `with` block ends.

    Where nothing here has a name, the image for `platform` is read from its registry; `connect`
    makes the client, which is closed at the end. A note tells `observe` of it. With
    `explicit_platform`, what is here for another platform is refused.
    """

    def __init__(
        self,
        home: Home,
        *,
        connect: Callable[[], AbstractContextManager[Client]],
        platform: Platform,
        explicit_platform: bool = False,
        observe: Observer = ignore,
    ) -> None:
        self._home = home
        self._connect = connect
        self._platform = platform
        self._explicit = explicit_platform
        self._observe = observe
        self._open = contextlib.ExitStack()
        self._known: dict[str, Inside] = {}
        self._client: Client | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._open.close()

    def find(self, text: str) -> Inside:
        """The container, snapshot or image that `text` names, an image last.

        Raises `NotFoundError`, `UsageError`, and `RegistryError` with its kinds.
        """
        known = self._known.get(text)
        if known is None:
            known = self._known[text] = self._container(text) or self.image(text)
        return known

    def image(self, text: str, *, comparable: bool = False) -> Layered:
        """The image that `text` names; raises as `find`.

        A remote one compares the content of files only if it is told so now.
        """
        try:
            record = find_image(self._home, text)
        except NotFoundError as error:
            return self._remote(_reference(text, error), comparable=comparable)
        self._check_platform(record, text)
        image = LocalImage(self._home.store, record, text)
        self._open.callback(image.close)
        return image

    def _container(self, text: str) -> LocalContainer | None:
        try:
            found, container = open_inside(self._home, text)
        except NotFoundError:
            return None
        self._open.callback(container.close)
        self._check_platform(image_of(self._home, found.manifest), text)
        return container

    def _check_platform(self, image: ImageRecord, text: str) -> None:
        if not self._explicit:
            return
        got = platforms.normalize(read_config(self._home, image).platform)
        if got.os and got not in platforms.acceptable(self._platform):
            raise NotFoundError(
                f"image with reference {text} was found but does not match the specified "
                f"platform: wanted {self._platform}, actual: {got}"
            )

    def _remote(self, reference: Reference, *, comparable: bool) -> RemoteImage:
        from layerkit.ops.remote import open_remote  # noqa: PLC0415  loads what speaks HTTP

        if self._client is None:
            self._client = self._open.enter_context(self._connect())
        name = reference.familiar
        self._observe(Notice("note", f"{name} is not here: it is read from the registry"))
        return open_remote(
            self._client,
            reference,
            platform=self._platform,
            limits=self._home.store.limits,
            explicit_platform=self._explicit,
            observe=self._observe,
            comparable=comparable,
        )


def _reference(text: str, missing: NotFoundError) -> Reference:
    """The name of an image in a registry; raises `missing` where the text can only be an id."""
    if text.startswith("sha256:"):
        raise missing
    try:
        return references.parse(text)
    except UsageError:
        raise missing from None
