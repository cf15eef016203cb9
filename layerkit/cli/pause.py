"""`layerkit pause`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from layerkit.cli import output
from layerkit.cli.completion import complete_containers

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("pause")
@click.argument(
    "container", metavar="CONTAINER...", nargs=-1, required=True, shell_complete=complete_containers
)
@click.pass_obj
def command(settings: Settings, *, container: tuple[str, ...]) -> int:
    """Hold all processes of containers still."""
    from layerkit.ops import containers  # noqa: PLC0415  not for --help
    from layerkit.ops.pause import pause  # noqa: PLC0415  as above

    with settings.open_home() as home:

        def pause_one(name: str) -> None:
            pause(home, containers.find_container(home, name))
            output.line(name)

        return output.each(container, pause_one, debug=settings.debug)
