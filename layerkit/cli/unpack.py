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

    Without root's rights, root's files become the user's. Other owners become the user's
    subordinate ids where newuidmap and /etc/subuid give some, else they are recorded in the
    extended attribute user.rootlesscontainers.
    """
    from layerkit.ops.unpack import unpack  # noqa: PLC0415  not for --help

    with settings.open_home() as home:
        skipped = unpack(home, image, directory)
    if skipped:
        output.notice("note", _describe(skipped))


def _describe(skipped: Counter[str]) -> str:
    counted = [_count(skipped[what], noun) for what, noun in _NOUNS.items() if skipped[what]]
    sentences = []
    if recorded := skipped["recorded"]:
        sentences.append(f"{_count(recorded, 'owner')} only recorded, in user.rootlesscontainers")
    if counted:
        lack = "for lack of rights or of support in the file system"
        sentences.append(f"not kept, {lack}: {', '.join(counted)}")
    return "; ".join(sentences)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
