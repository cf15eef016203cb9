"""`layerkit create`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from layerkit.cli import authfile, making, output
from layerkit.cli.completion import complete_images
from layerkit.cli.wishes.options import ContainerCommand, container_options

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("create", cls=ContainerCommand, context_settings={"allow_interspersed_args": False})
@click.argument("image", required=False, shell_complete=complete_images)
@click.argument("command_line", metavar="[COMMAND] [ARG...]", nargs=-1, type=click.UNPROCESSED)
@container_options
@authfile.option
@click.pass_obj
def command(
    settings: Settings, /, image: str | None, command_line: tuple[str, ...], **values: Any
) -> int:
    """Create a container from an image, to be started later.

    Prints its id.
    """
    wanted = making.wishes(image, command_line, values)
    with settings.open_home() as home:
        output.line(making.made(settings, home, wanted, values).id)
    return 0
