"""`layerkit run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from layerkit.cli import authfile, making, output
from layerkit.cli.attaching import manners, notify, stdio
from layerkit.cli.completion import complete_images
from layerkit.cli.wishes.options import ContainerCommand, container_options, run_options

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("run", cls=ContainerCommand, context_settings={"allow_interspersed_args": False})
@click.argument("image", required=False, shell_complete=complete_images)
@click.argument("command_line", metavar="[COMMAND] [ARG...]", nargs=-1, type=click.UNPROCESSED)
@container_options
@run_options
@authfile.option
@click.pass_obj
def command(
    settings: Settings, /, image: str | None, command_line: tuple[str, ...], **values: Any
) -> int:
    """Create and run a new container from an image.

    The exit code is that of the command.
    """
    from layerkit.ops import run  # noqa: PLC0415  not for --help

    wanted = making.wishes(image, command_line, values)
    streams = stdio(wants_input=wanted.interactive)
    if wanted.tty and streams.stdin is not None and not values["detach"]:
        run.require_terminal(streams.stdin)
    explain = output.aside if settings.debug else None
    with settings.open_home() as home:
        container = making.made(settings, home, wanted, values)
        if values["detach"]:
            run.start_detached(home, container, explain=explain, observe=notify)
            output.line(container.id)
            return 0
        polite = manners(values["detach_keys"], tty=wanted.tty, proxy=values["sig_proxy"])
        return run.start_attached(
            home, container, stdio=streams, manners=polite, explain=explain, observe=notify
        ).shell_code
