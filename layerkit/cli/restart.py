"""`layerkit restart`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from layerkit.cli import output
from layerkit.cli.attaching import notify
from layerkit.cli.completion import complete_containers
from layerkit.cli.wishes.signals import signal_number

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("restart")
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
    """Stop containers if they run, and start them."""
    from layerkit.ops import containers, run  # noqa: PLC0415  not for --help
    from layerkit.ops.stop import stop  # noqa: PLC0415  as above

    number = None if signal is None else signal_number(signal, "--signal")
    with settings.open_home() as home:

        def restart_one(name: str) -> None:
            found = containers.find_container(home, name)
            stop(home, found, patience=timeout, number=number)
            run.start_detached(home, found, observe=notify)
            output.line(name)

        return output.each(container, restart_one, debug=settings.debug)
