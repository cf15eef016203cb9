"""`layerkit umount`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from layerkit.cli import output
from layerkit.cli.completion import complete_both
from layerkit.errors import UsageError

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("umount")
@click.argument("name", nargs=-1, shell_complete=complete_both)
@click.option("-a", "--all", "everything", is_flag=True, help="All that is mounted.")
@click.pass_obj
def command(settings: Settings, name: tuple[str, ...], *, everything: bool) -> int:
    """Unmount containers and images that were mounted."""
    from layerkit.ops.mounts import mounts, unmount  # noqa: PLC0415  not for --help

    if bool(name) == everything:
        raise UsageError("wanted names of containers or images, or --all")
    with settings.open_home() as home:
        names = tuple(what for what, _ in mounts(home)) if everything else name

        def release(each: str) -> None:
            unmount(home, each)
            output.line(each)

        return output.each(names, release, debug=settings.debug)
