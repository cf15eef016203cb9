"""`layerkit unpack`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from layerkit.cli import output
from layerkit.cli.completion import complete_images

if TYPE_CHECKING:
    from collections import Counter

    from layerkit.cli.app import Settings

_NOUNS = {"owner": "owner", "device": "device file", "xattr": "extended attribute"}


@click.command("unpack")
@click.argument("image", shell_complete=complete_images)
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.pass_obj
def command(settings: Settings, image: str, directory: Path) -> None:
    """Write the root file system of an image into a directory.

    DIR is new or empty. Owners, devices and extended attributes are kept as far as the user's
    rights and the file system allow; a note tells what was not.
    """
    from layerkit.ops.unpack import unpack  # noqa: PLC0415  not for --help

    with settings.open_home() as home:
        lost = unpack(home, image, directory)
    if lost:
        output.notice("note", _describe(lost))


def _describe(lost: Counter[str]) -> str:
    counted = ", ".join(
        f"{count} {_NOUNS[what]}{'' if count == 1 else 's'}" for what, count in lost.items()
    )
    return f"not kept, for lack of rights or of support in the file system: {counted}"
