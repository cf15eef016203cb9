"""`layerkit top`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from layerkit.cli import output, template
from layerkit.cli.completion import complete_containers

if TYPE_CHECKING:
    from layerkit.cli.app import Settings

_NARROWEST = 20
"""The least width of a column, as docker has it here."""


@click.command("top", context_settings={"allow_interspersed_args": False})
@click.argument("container", shell_complete=complete_containers)
@click.argument("options", metavar="[PS OPTIONS]", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def command(settings: Settings, *, container: str, options: tuple[str, ...]) -> None:
    """List the processes of a container.

    With other options for ps, such as -o pid,rss,args, these are what the host's ps gets; the PID
    column must be among what it prints.
    """
    from layerkit.ops import containers  # noqa: PLC0415  not for --help
    from layerkit.ops.top import top  # noqa: PLC0415  as above

    with settings.open_home() as home:
        titles, rows = top(home, containers.find_container(home, container), options)
    cells = [titles, *([output.printable(cell) for cell in row] for row in rows)]
    for line in template.align(cells, narrowest=_NARROWEST):
        output.line(line)
