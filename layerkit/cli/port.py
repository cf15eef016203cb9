"""`layerkit port`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from layerkit.cli import listing, output
from layerkit.cli.completion import complete_containers

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("port")
@click.argument("container", shell_complete=complete_containers)
@click.argument("port", metavar="[PORT[/PROTO]]", required=False)
@click.pass_obj
def command(settings: Settings, *, container: str, port: str | None) -> None:
    """Show the ports that a container publishes.

    With a port of the container, only where that is reached on the host.
    """
    from layerkit.ops import containers  # noqa: PLC0415  not for --help
    from layerkit.ops.port import published  # noqa: PLC0415  as above

    with settings.open_home() as home:
        found = published(home, containers.find_container(home, container), port)
    for each in found:
        place = f"{listing.host(each)}:{each.host_port}"
        output.line(place if port else f"{each} -> {place}")
