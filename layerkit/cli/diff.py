"""`layerkit diff`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from layerkit.cli import output
from layerkit.cli.completion import complete_containers

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("diff")
@click.argument("container", shell_complete=complete_containers)
@click.pass_obj
def command(settings: Settings, container: str) -> None:
    """Show what a container changed in its file system.

    A line each: A added, C changed, D deleted, and the path. What layerkit itself puts into every
    container is not shown.
    """
    from layerkit.ops.diff import diff_container  # noqa: PLC0415  not for --help

    with settings.open_home() as home:
        changes = diff_container(home, container)
    for change in changes:
        path = output.printable("/" + os.fsdecode(change.path))
        output.line(f"{change.letter} {path}")
