"""`layerkit update`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from layerkit.cli import output
from layerkit.cli.completion import complete_containers
from layerkit.cli.wishes.limits import changed_limits
from layerkit.cli.wishes.options import ContainerCommand, limit_options

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("update", cls=ContainerCommand)
@click.argument(
    "container", metavar="CONTAINER...", nargs=-1, required=True, shell_complete=complete_containers
)
@limit_options
@click.pass_obj
def command(settings: Settings, /, container: tuple[str, ...], **values: Any) -> int:
    """Change the limits of containers.

    Of those that run at once, and for every start from now on. The rest stays as it was.
    """
    from layerkit.ops import containers  # noqa: PLC0415  not for --help
    from layerkit.ops.update import update  # noqa: PLC0415  as above

    wanted = changed_limits(values)
    with settings.open_home() as home:

        def update_one(name: str) -> None:
            found = containers.find_container(home, name)
            update(home, found, wanted, partial(output.notice, "warning"))
            output.line(name)

        return output.each(container, update_one, debug=settings.debug)
