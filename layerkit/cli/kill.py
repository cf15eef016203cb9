"""`layerkit kill`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from layerkit.cli import output
from layerkit.cli.completion import complete_containers
from layerkit.cli.wishes.signals import signal_number

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("kill")
@click.argument(
    "container", metavar="CONTAINER...", nargs=-1, required=True, shell_complete=complete_containers
)
@click.option(
    "-s", "--signal", default="KILL", metavar="SIGNAL", help="Signal to send (default: KILL)."
)
@click.pass_obj
def command(settings: Settings, *, container: tuple[str, ...], signal: str) -> int:
    """Send a signal to the first process of containers."""
    from layerkit.ops import containers  # noqa: PLC0415  not for --help
    from layerkit.ops.stop import kill  # noqa: PLC0415  as above

    number = signal_number(signal, "--signal")
    with settings.open_home() as home:

        def kill_one(name: str) -> None:
            kill(home, containers.find_container(home, name), number)
            output.line(name)

        return output.each(container, kill_one, debug=settings.debug)
