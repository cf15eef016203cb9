"""`layerkit stop`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from layerkit.cli import output
from layerkit.cli.completion import complete_containers
from layerkit.cli.wishes.signals import signal_number

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("stop")
@click.argument(
    "container", metavar="CONTAINER...", nargs=-1, required=True, shell_complete=complete_containers
)
@click.option("-s", "--signal", metavar="SIGNAL", help="Signal that asks it to end.")
@click.option(
    "-t",
    "--timeout",
    "--time",
    type=click.IntRange(min=-1),
    metavar="SECONDS",
    help="How long it may take before it is killed, -1 for ever (default: 10).",
)
@click.pass_obj
def command(
    settings: Settings, *, container: tuple[str, ...], signal: str | None, timeout: int | None
) -> int:
    """Ask containers to end, and kill those that do not."""
    from layerkit.ops import containers  # noqa: PLC0415  not for --help
    from layerkit.ops.stop import stop  # noqa: PLC0415  as above

    number = None if signal is None else signal_number(signal, "--signal")
    with settings.open_home() as home:

        def stop_one(name: str) -> None:
            stop(home, containers.find_container(home, name), patience=timeout, number=number)
            output.line(name)

        return output.each(container, stop_one, debug=settings.debug)
