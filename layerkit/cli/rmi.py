"""`layerkit rmi`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from layerkit.cli import output
from layerkit.cli.completion import complete_images

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("rmi")
@click.argument("image", nargs=-1, required=True, shell_complete=complete_images)
@click.option("-f", "--force", is_flag=True, help="Also with several names, or in use.")
@click.pass_obj
def command(
    settings: Settings,
    *,
    image: tuple[str, ...],
    force: bool,
) -> int:
    """Remove images.

    With its last name an image goes, and with it the layers that no other image has.
    """
    from layerkit.ops.remove import remove_image  # noqa: PLC0415  not for --help

    with settings.open_home(for_all_ids=True) as home:

        def remove(name: str) -> None:
            for line in remove_image(home, name, force=force):
                output.line(line)

        return output.each(image, remove, debug=settings.debug)
