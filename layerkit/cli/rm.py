"""`layerkit rm`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from layerkit.cli import output
from layerkit.cli.completion import complete_containers

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("rm")
@click.argument(
    "container", metavar="CONTAINER...", nargs=-1, required=True, shell_complete=complete_containers
)
@click.option("-f", "--force", is_flag=True, help="Kill containers that run.")
@click.option("-v", "--volumes", is_flag=True, help="Remove their volumes without a name, too.")
@click.pass_obj
def command(settings: Settings, *, container: tuple[str, ...], force: bool, volumes: bool) -> int:
    """Remove containers, with what they changed.

    With -f, a container that is not there is no error.
    """
    from layerkit.ops import containers  # noqa: PLC0415  not for --help
    from layerkit.ops.rm import remove  # noqa: PLC0415  as above

    with settings.open_home(for_all_ids=True) as home:

        def remove_one(name: str) -> None:
            found = containers.find_container(home, name)
            remove(home, found, force=force, volumes=volumes)
            output.line(name)

        return output.each(container, remove_one, debug=settings.debug)
