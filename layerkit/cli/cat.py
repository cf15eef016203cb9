"""`layerkit cat`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from layerkit.cli import authfile, output, progress
from layerkit.cli.completion import complete_both
from layerkit.cli.looking import open_looker, platform_option, prepare
from layerkit.errors import UsageError

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("cat")
@click.argument(
    "files",
    metavar="IMAGE|CONTAINER:/PATH...",
    nargs=-1,
    required=True,
    shell_complete=complete_both,
)
@platform_option
@authfile.option
@click.pass_obj
def command(settings: Settings, files: tuple[str, ...], platform: str | None) -> int:
    """Print files of images or containers.

    An image that is not here is read from its registry, from the top layer down and only as far as
    the file; nothing of it is kept.
    """
    from layerkit.ops.cat import cat  # noqa: PLC0415  not for --help
    from layerkit.ops.look import split  # noqa: PLC0415

    # Bars would run into the file.
    mode = "none" if settings.progress == "auto" else settings.progress
    prepare(settings, [split(text)[0] for text in files])
    with progress.start(mode) as shown, open_looker(settings, shown, platform) as looker:

        def print_one(text: str) -> None:
            name, path = split(text)
            if path is None:
                raise UsageError(f"no path in {text!r}: wanted IMAGE:/PATH or CONTAINER:/PATH")
            for piece in cat(looker.find(name), path):
                output.raw(piece)

        return output.each(files, print_one, debug=settings.debug)
