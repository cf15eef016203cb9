"""`layerkit unpack`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from layerkit.cli import progress
from layerkit.cli.completion import complete_images

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("unpack")
@click.argument("image", shell_complete=complete_images)
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.pass_obj
def command(settings: Settings, image: str, directory: Path) -> None:
    """Write the root file system of an image into a directory.

    DIR is new or empty. Owners, devices and extended attributes are kept as far as the user's
    rights and the file system allow; a note tells what was not.

    Without root's rights, root's files become the user's. Other owners become the user's
    subordinate ids where newuidmap and /etc/subuid give some, else they are recorded in the
    extended attribute user.rootlesscontainers.
    """
    from layerkit.ops.unpack import unpack  # noqa: PLC0415  not for --help

    # What draws bars has a thread of its own, which a user namespace does not allow.
    mode = "none" if settings.progress == "auto" else settings.progress
    with settings.open_home() as home, progress.start(mode) as shown:
        unpack(home, image, directory, shown)
