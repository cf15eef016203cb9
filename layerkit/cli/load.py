"""`layerkit load`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from layerkit.cli import environment, output, progress

if TYPE_CHECKING:
    from layerkit.cli.app import Settings


@click.command("load")
@click.option(
    "-i",
    "--input",
    "path",
    type=click.Path(path_type=Path),
    metavar="PATH",
    required=True,
    help="A docker archive, an OCI archive, or an OCI layout directory.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print only the names of what was loaded.")
@click.pass_obj
def command(
    settings: Settings,
    *,
    path: Path,
    quiet: bool,
) -> None:
    """Load images from an archive or an OCI layout directory."""
    from layerkit.ops.load import load  # noqa: PLC0415  not for --help

    mode = "none" if quiet else settings.progress
    with settings.open_home() as home, progress.start(mode) as shown:
        loaded = load(home, path, platform=environment.host_platform(), observe=shown)
    for kind in {each.kind: None for each in loaded}:
        if not quiet:
            output.notice("note", f"format of {path}: {kind}")
    for each in loaded:
        output.line(f"Loaded image: {each.name}" if each.name else f"Loaded image ID: {each.id}")
