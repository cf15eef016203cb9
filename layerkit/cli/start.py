"""`layerkit start`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from layerkit.cli import output
from layerkit.cli.attaching import manners, notify, stdio
from layerkit.cli.completion import complete_containers
from layerkit.errors import UsageError

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("start")
@click.argument(
    "container", metavar="CONTAINER...", nargs=-1, required=True, shell_complete=complete_containers
)
@click.option("-a", "--attach", is_flag=True, help="Show what it writes, and pass signals on.")
@click.option("-i", "--interactive", is_flag=True, help="Give the container our standard input.")
@click.option(
    "--detach-keys", "keys", metavar="KEYS", help="Keys that leave the container running."
)
@click.pass_obj
def command(
    settings: Settings,
    *,
    container: tuple[str, ...],
    attach: bool,
    interactive: bool,
    keys: str | None,
) -> int:
    """Start containers that do not run.

    With -a or -i there can be one only, and the exit code is that of its command.
    """
    from layerkit.ops import containers, run  # noqa: PLC0415  not for --help

    explain = output.aside if settings.debug else None
    with settings.open_home() as home:
        if attach or interactive:
            if len(container) > 1:
                raise UsageError("cannot start and attach to multiple containers at once")
            found = containers.find_container(home, container[0])
            tty = containers.read_config(home, found).wishes.tty
            return run.start_attached(
                home,
                found,
                stdio=stdio(wants_input=interactive),
                manners=manners(keys, tty=tty),
                explain=explain,
                observe=notify,
            ).shell_code

        def start_one(name: str) -> None:
            found = containers.find_container(home, name)
            run.start_detached(home, found, explain=explain, observe=notify)
            output.line(name)

        return output.each(container, start_one, debug=settings.debug)
