"""What `run` and `create` have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from layerkit import platforms
from layerkit.cli import progress
from layerkit.cli.pull import pull_aside, pull_missing
from layerkit.cli.wishes import options
from layerkit.cli.wishes.cidfile import cidfile
from layerkit.errors import NotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from layerkit.cli.app import Settings
    from layerkit.ops.create import ContainerRecord, ImageRecord
    from layerkit.ops.home import Home
    from layerkit.ops.wishes import Wishes


def wishes(image: str | None, words: tuple[str, ...], values: Mapping[str, Any]) -> Wishes:
    """What the command line asks for: with a snapshot there is no image, and the command is first."""
    if values["snapshot"] is not None:
        return options.wishes("", words if image is None else (image, *words), values)
    if image is None:
        raise UsageError("missing argument 'IMAGE'", hint="see: layerkit run --help")
    return options.wishes(image, words, values)


def made(
    settings: Settings, home: Home, wanted: Wishes, values: Mapping[str, Any]
) -> ContainerRecord:
    """A new container; `--pull`, `--platform` and `--cidfile` are done."""
    from layerkit.ops.create import create  # noqa: PLC0415  not for --help

    platform = platforms.parse(values["platform"]) if values["platform"] else None

    def pull(name: str) -> ImageRecord:
        if values["pull"] == "never":
            raise NotFoundError(f"no such image: {name}", hint="--pull never was asked for")
        return pull_missing(settings, home, name, platform).image

    # Bars and the container would draw over each other.
    mode = "none" if settings.progress == "auto" else settings.progress
    with progress.start(mode) as shown, cidfile(values["cidfile"]) as write:
        if values["pull"] == "always" and wanted.image:
            pull_aside(settings, home, wanted.image, platform)
        container = create(home, wanted, pull=pull, observe=shown)
        write(container.id)
    return container
