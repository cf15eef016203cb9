"""`layerkit commit`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from layerkit.cli import environment, output, progress
from layerkit.cli.completion import complete_containers

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("commit")
@click.argument("container", metavar="CONTAINER[@SNAPSHOT]", shell_complete=complete_containers)
@click.argument("name", metavar="[NAME[:TAG]]", required=False)
@click.option("-m", "--message", metavar="TEXT", default="", help="The comment in the history.")
@click.option("-a", "--author", metavar="TEXT", default="", help="Who made it.")
@click.option(
    "-c",
    "--change",
    "changes",
    multiple=True,
    metavar="INSTRUCTION",
    help="A line of a Dockerfile for the config: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, "
    "USER, VOLUME or WORKDIR.",
)
@click.pass_obj
def command(
    settings: Settings,
    *,
    container: str,
    name: str | None,
    message: str,
    author: str,
    changes: tuple[str, ...],
) -> None:
    """Make an image of what a container changed.

    It has the layers of the container's image and one more. What is mounted into the container is
    not in it. A running container is not stopped: it is read as it is at the moment.
    SOURCE_DATE_EPOCH fixes the time of its making, and no file in the layer is newer.
    """
    from layerkit.ops.commit import CommitOptions, commit  # noqa: PLC0415  not for --help

    options = CommitOptions(
        created=environment.creation_time(),
        name=name,
        message=message,
        author=author,
        changes=changes,
        latest=environment.source_date(),
    )
    with settings.open_home(for_all_ids=True) as home, progress.start(settings.progress) as shown:
        image_id = commit(home, container, options, shown)
    output.line(str(image_id))
