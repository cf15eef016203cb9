"""`layerkit rename`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from layerkit.cli.completion import complete_containers

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("rename")
@click.argument("container", shell_complete=complete_containers)
@click.argument("name")
@click.pass_obj
def command(settings: Settings, *, container: str, name: str) -> None:
    """Give a container another name."""
    from layerkit.ops import containers  # noqa: PLC0415  not for --help
    from layerkit.ops.rename import rename  # noqa: PLC0415  as above

    with settings.open_home() as home:
        rename(home, containers.find_container(home, container), name)
