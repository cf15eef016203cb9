"""`layerkit export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from layerkit.cli import progress, target
from layerkit.cli.completion import complete_containers

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("export")
@click.argument("container", shell_complete=complete_containers)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write to this file, not to standard output.",
)
@click.pass_obj
def command(settings: Settings, container: str, output: Path | None) -> None:
    """Write the root file system of a container as a tar.

    It is what the container shows without its own mounts: volumes are not in it, /etc/hosts and
    the like are empty. Extended attributes are in it (for GNU tar: --xattrs --xattrs-include='*').
    """
    from layerkit.ops.export import export  # noqa: PLC0415  not for --help

    target.check(output)
    with settings.open_home(for_all_ids=True) as home, progress.start(settings.progress) as shown:
        target.write(output, export(home, container, shown))
