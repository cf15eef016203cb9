"""`layerkit load`."""

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


@click.command("load")
@click.option(
    "-i",
    "--input",
    "path",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="A docker archive, an OCI archive, or an OCI layout directory, not standard input.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print only the names of what was loaded.")
@click.option(
    "--platform", metavar="OS/ARCH[/VARIANT]", help="Load only the image for this platform."
)
@click.pass_obj
def command(
    settings: Settings,
    *,
    path: Path | None,
    quiet: bool,
    platform: str | None,
) -> None:
    """Load images from an archive or an OCI layout directory.

    Archives may be compressed: gzip, zstd, bzip2, xz.
    """
    from layerkit.ops.load import load  # noqa: PLC0415  not for --help

    wanted = platforms.parse(platform) if platform else environment.host_platform()
    origin = _stdin() if path is None else path
    mode = "none" if quiet else settings.progress
    with settings.open_home() as home, progress.start(mode) as shown:
        loaded = load(
            home, origin, platform=wanted, explicit_platform=platform is not None, observe=shown
        )
    for kind in {each.kind: None for each in loaded}:
        if not quiet:
            output.notice("note", f"format of {path or 'standard input'}: {kind}")
    for each in loaded:
        output.line(f"Loaded image: {each.name}" if each.name else f"Loaded image ID: {each.id}")


def _stdin() -> int:
    if os.isatty(_STDIN):
        raise UsageError("nothing to load: standard input is a terminal, use -i")
    return _STDIN
