"""`layerkit ls`."""

from __future__ import annotations

import os
import stat
from datetime import datetime
from typing import TYPE_CHECKING

import click

from layerkit.cli import authfile, output, progress
from layerkit.cli.completion import complete_both
from layerkit.cli.looking import open_looker, platform_option, prepare
from layerkit.tree import Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from layerkit.cli.app import Settings
    from layerkit.ops.ls import Row
    from layerkit.tree import Entry

_TYPES = {
    Kind.FILE: stat.S_IFREG,
    Kind.DIRECTORY: stat.S_IFDIR,
    Kind.SYMLINK: stat.S_IFLNK,
    Kind.CHARACTER: stat.S_IFCHR,
    Kind.BLOCK: stat.S_IFBLK,
    Kind.FIFO: stat.S_IFIFO,
    Kind.SOCKET: stat.S_IFSOCK,
}
_LINK_MODE = 0o777  # whatever an archive says


@click.command("ls")
@click.argument("name", metavar="IMAGE|CONTAINER[:/PATH]", shell_complete=complete_both)
@click.option("-l", "long", is_flag=True, help="Mode, links, owner, group, size, time and target.")
@click.option("-R", "--recursive", is_flag=True, help="Also all directories below.")
@platform_option
@authfile.option
@click.pass_obj
def command(
    settings: Settings, *, name: str, long: bool, recursive: bool, platform: str | None
) -> None:
    """List a directory of an image or container.

    Every name in it, in byte order; without a path, the root. What a terminal must not get is
    shown as escapes. An image that is not here is read from its registry, and nothing of it is kept.
    """
    from layerkit.ops.look import split  # noqa: PLC0415  not for --help
    from layerkit.ops.ls import ls  # noqa: PLC0415

    text, path = split(name)
    prepare(settings, [text])
    with (
        progress.start(settings.progress) as shown,
        open_looker(settings, shown, platform) as looker,
    ):
        listings = ls(looker.find(text), path or b"/", links=long, recursive=recursive)
    separator = ""
    for listing in listings:
        if recursive and listing.path is not None:
            output.line(f"{separator}{_name(listing.path)}:")
            separator = "\n"
        for line in _long(listing.rows) if long else [_name(row.name) for row in listing.rows]:
            output.line(line)


def _name(name: bytes) -> str:
    return output.printable(os.fsdecode(name))


def _long(rows: Sequence[Row]) -> list[str]:
    """The lines of `ls -ln --time-style=long-iso`, but that directories have no size."""
    cells = [_cells(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        " ".join(
            (
                stat.filemode(_mode(row.node.entry)),
                *(cell.rjust(width) for cell, width in zip(columns, widths, strict=True)),
                _target(row),
            )
        )
        for row, columns in zip(rows, cells, strict=True)
    ]


def _mode(entry: Entry) -> int:
    return _TYPES[entry.kind] | (_LINK_MODE if entry.kind is Kind.SYMLINK else entry.mode)


def _cells(row: Row) -> tuple[str, ...]:
    entry = row.node.entry
    return str(row.links), str(entry.uid), str(entry.gid), _size(entry), _time(entry)


def _size(entry: Entry) -> str:
    match entry.kind:
        case Kind.CHARACTER | Kind.BLOCK:
            return "{}, {}".format(*entry.device)
        case Kind.SYMLINK:
            return str(len(entry.link))
        case _:
            return str(entry.size)


def _time(entry: Entry) -> str:
    """The time in this zone; what no calendar has, in seconds."""
    try:
        time = datetime.fromtimestamp(entry.seconds).astimezone()
    except (OverflowError, OSError, ValueError):
        return str(entry.seconds)
    return f"{time:%Y-%m-%d %H:%M}"


def _target(row: Row) -> str:
    if row.node.kind is not Kind.SYMLINK:
        return _name(row.name)
    return f"{_name(row.name)} -> {_name(row.node.entry.link)}"
