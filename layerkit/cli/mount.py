"""`layerkit mount`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from layerkit.cli import output, progress
from layerkit.cli.completion import complete_both

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("mount")
@click.argument("name", nargs=-1, shell_complete=complete_both)
@click.pass_obj
def command(settings: Settings, name: tuple[str, ...]) -> int:
    """Mount the root of containers and images, and print where.

    An image is read-only; a container is one that does not run. Without a name, show what is mounted.
    """
    from layerkit.ops.mounts import mount, mounts  # noqa: PLC0415  not for --help

    mode = "none" if settings.progress == "auto" else settings.progress
    with settings.open_home() as home, progress.start(mode) as shown:
        if not name:
            for what, path in mounts(home):
                output.line(f"{what} {output.printable(os.fspath(path))}")
            return 0

        def show(each: str) -> None:
            path = mount(home, each, shown)
            output.line(output.printable(os.fspath(path)))

        return output.each(name, show, debug=settings.debug)
