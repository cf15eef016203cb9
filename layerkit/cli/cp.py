"""`layerkit cp`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from layerkit.cli import output, progress, target
from layerkit.cli.completion import complete_containers
from layerkit.cli.units import human_size
from layerkit.errors import UsageError

if TYPE_CHECKING:
    from layerkit.cli.app import Settings

_STDIN, _STDOUT = 0, 1
_STREAM = "-"


@click.command("cp")
@click.argument("source", metavar="SRC", shell_complete=complete_containers)
@click.argument("destination", metavar="DST", shell_complete=complete_containers)
@click.option(
    "-a",
    "--archive",
    is_flag=True,
    help="Keep owners and extended attributes; on this machine also devices and setuid bits.",
)
@click.option("-L", "--follow-link", is_flag=True, help="Follow a symlink that SRC is.")
@click.option("-q", "--quiet", is_flag=True, help="Do not say what was copied.")
@click.pass_obj
def command(
    settings: Settings,
    *,
    source: str,
    destination: str,
    archive: bool,
    follow_link: bool,
    quiet: bool,
) -> None:
    """Copy files between a container and this machine.

    One of SRC and DST is CONTAINER:PATH, the other a path here, or - for a tar on standard input or
    output. SRC/. means what is in a directory. A path here with a colon begins with / or ./.
    """
    from layerkit.ops import cp  # noqa: PLC0415  not for --help

    options = cp.CopyOptions(archive, follow_link, os.getcwd())
    given, wanted = cp.place(source), cp.place(destination)
    with settings.open_home(for_all_ids=True) as home, progress.start(settings.progress) as shown:
        if wanted.path == _STREAM and wanted.container is None and given.container is not None:
            if os.isatty(_STDOUT):
                raise UsageError("refusing to write a tar to the terminal")
            target.write(None, cp.copy_tar_out(home, given, options, shown))
            return
        if given.path == _STREAM and given.container is None and wanted.container is not None:
            if os.isatty(_STDIN):
                raise UsageError("nothing to copy: standard input is a terminal")
            size = cp.copy_tar_in(home, _STDIN, wanted, options, shown)
        else:
            size = cp.copy(home, given, wanted, options, shown)
    if not quiet and sys.stderr.isatty():
        output.aside(f"Successfully copied {human_size(size)} to {output.printable(destination)}")
