"""`layerkit import`."""  # noqa: N999  a module is called as its command

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from layerkit import platforms
from layerkit.cli import environment, output, progress
from layerkit.errors import UsageError

if TYPE_CHECKING:
    from layerkit.cli.app import Settings

_STDIN = 0


@click.command("import")
@click.argument("file", metavar="FILE|-")
@click.argument("name", required=False)
@click.option(
    "-c",
    "--change",
    "changes",
    multiple=True,
    metavar="INSTRUCTION",
    help="A line of a Dockerfile for the config: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, "
    "USER, VOLUME or WORKDIR.",
)
@click.option("-m", "--message", metavar="TEXT", help="The comment in the image's history.")
@click.option("--platform", metavar="OS/ARCH[/VARIANT]", help="What it runs on, if not on ours.")
@click.pass_obj
def command(
    settings: Settings,
    *,
    file: str,
    name: str | None,
    changes: tuple[str, ...],
    message: str | None,
    platform: str | None,
) -> None:
    """Make an image of a root file system tar.

    It may be compressed: gzip, zstd, bzip2, xz. SOURCE_DATE_EPOCH fixes the time of its making.
    """
    from layerkit.ops.import_tar import ImportOptions, import_tar  # noqa: PLC0415  not for --help

    options = ImportOptions(
        platform=platforms.parse(platform) if platform else environment.host_platform(),
        created=environment.creation_time(),
        message=message or f"Imported from {file}",
        name=name,
        changes=changes,
    )
    origin = _stdin() if file == "-" else Path(file)
    with settings.open_home() as home, progress.start(settings.progress) as shown:
        image_id = import_tar(home, origin, options, shown)
    output.line(str(image_id))


def _stdin() -> int:
    if os.isatty(_STDIN):
        raise UsageError("nothing to import: standard input is a terminal")
    return _STDIN
