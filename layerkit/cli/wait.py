"""`layerkit wait`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from layerkit.cli import output
from layerkit.cli.completion import complete_containers

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("wait")
@click.argument(
    "container", metavar="CONTAINER...", nargs=-1, required=True, shell_complete=complete_containers
)
@click.pass_obj
def command(settings: Settings, *, container: tuple[str, ...]) -> int:
    """Wait until containers have ended, and print their exit codes."""
    from layerkit.ops import containers  # noqa: PLC0415  not for --help
    from layerkit.ops.stop import wait  # noqa: PLC0415  as above

    with settings.open_home() as home:

        def wait_for_one(name: str) -> None:
            output.line(str(wait(home, containers.find_container(home, name))))

        return output.each(container, wait_for_one, debug=settings.debug)
