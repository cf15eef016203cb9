"""`layerkit layers`."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Any

import click

from layerkit.cli import authfile, output, progress, template
from layerkit.cli.completion import complete_images
from layerkit.cli.looking import open_looker, platform_option
from layerkit.cli.units import human_size
from layerkit.errors import NotFoundError
from layerkit.tree import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from layerkit.cli.app import Settings
    from layerkit.digest import Digest
    from layerkit.ops.inside import LayerInfo
    from layerkit.ops.layer_report import LayerChange, LayerRow
    from layerkit.tree import Change

_TITLES = {
    "Number": "LAYER",
    "Digest": "DIGEST",
    "DiffID": "DIFF ID",
    "BlobSize": "BLOB SIZE",
    "Size": "SIZE",
    "Files": "FILES",
    "Wasted": "WASTED",
}
_TABLE = r"\t".join(f"{{{{.{field}}}}}" for field in _TITLES)
_CHANGES = {
    "layer": "LAYER",
    "kind": "KIND",
    "size": "SIZE",
    "path": "PATH",
    "why": "WHY",
}
_CHANGE_TABLE = r"{{.layer}}\t{{.kind}}\t{{.size}}\t{{.path}}"


@click.command("layers")
@click.argument("image", shell_complete=complete_images)
@click.option("--files", is_flag=True, help="What each layer adds (A), changes (C), deletes (D).")
@click.option(
    "--layer", "only", type=click.IntRange(1), metavar="N", help="Only the Nth layer from below."
)
@click.option("--no-trunc", is_flag=True, help="Print digests in full.")
@click.option("--format", "text", metavar="FORMAT", help="json, table, or a Go template.")
@platform_option
@authfile.option
@click.pass_obj
def command(
    settings: Settings,
    *,
    image: str,
    files: bool,
    only: int | None,
    no_trunc: bool,
    text: str | None,
    platform: str | None,
) -> None:
    """Show the layers of an image, and what each one changes.

    The lowest is number 1. WASTED is the size of its files of which the image shows no name. Outside of tables, sizes
    are bytes. An image that is not here is read from its registry, and nothing of it is kept.
    """
    from layerkit.ops.layer_report import layer_changes, layer_rows  # noqa: PLC0415  not for --help

    shape = template.parse(text or "table", _CHANGE_TABLE if files else _TABLE)
    with (
        progress.start(settings.progress) as shown,
        open_looker(settings, shown, platform) as looker,
    ):
        found = looker.image(image, comparable=files)
        infos = found.layers()
        numbers = _numbers(found.name, len(infos), only)
        changes = {number: layer_changes(found, number) for number in numbers} if files else {}
        rows = [] if files else [row for row in layer_rows(found) if row.number in numbers]
    exact = not shape.is_table
    if files and text is None:
        lines = list(_headed(changes, infos, full=no_trunc))
    elif files:
        each = itertools.chain.from_iterable(changes.values())
        lines = shape.lines([_change(change, exact=exact) for change in each], _CHANGES)
    else:
        lines = shape.lines([_record(row, exact=exact, full=no_trunc) for row in rows], _TITLES)
    for line in lines:
        output.line(line)
    if not files and text is None and only is None:
        output.notice("note", _total(rows))


def _numbers(name: str, count: int, only: int | None) -> Sequence[int]:
    if only is None:
        return range(1, count + 1)
    if only > count:
        raise NotFoundError(f"no layer {only} in {name}: it has {count}")
    return [only]


def _record(row: LayerRow, *, exact: bool, full: bool) -> dict[str, Any]:
    return {
        "Number": row.number,
        "Digest": _digest(row.blob, full=full),
        "DiffID": _digest(row.diff_id, full=full),
        "BlobSize": row.blob_size if exact else human_size(row.blob_size),
        "Size": row.size if exact else human_size(row.size),
        "Files": row.entries,
        "Wasted": row.wasted if exact else human_size(row.wasted),
    }


def _digest(digest: Digest, *, full: bool) -> str:
    return str(digest) if full else digest.short


def _total(rows: Sequence[LayerRow]) -> str:
    packed, unpacked, wasted = (
        human_size(sum(getattr(row, name) for row in rows))
        for name in ("blob_size", "size", "wasted")
    )
    files = sum(row.entries for row in rows)
    return (
        f"{len(rows)} layer{'' if len(rows) == 1 else 's'}, {packed} to download, {unpacked} "
        f"unpacked in {files} entries, {wasted} wasted"
    )


def _headed(
    changes: Mapping[int, Sequence[LayerChange]], infos: Sequence[LayerInfo], *, full: bool
) -> Iterator[str]:
    """The changes of each layer below a line that says which it is."""
    separator = ""
    for number, of_layer in changes.items():
        yield f"{separator}Layer {number}: {_digest(infos[number - 1].blob, full=full)}"
        separator = "\n"
        for each in of_layer:
            path = output.printable(_path(each.change))
            size = f"\t{human_size(each.size)}" if _has_size(each) else ""
            yield f"{each.change.letter} {path}{size}"


def _has_size(each: LayerChange) -> bool:
    """Whether it is about a file, or about a folder with files that went."""
    after = each.change.after
    return each.size > 0 or (after is not None and after.kind is Kind.FILE)


def _change(each: LayerChange, *, exact: bool) -> dict[str, Any]:
    return {
        "layer": each.number,
        "kind": each.change.letter,
        "path": _path(each.change),
        "why": list(each.change.why),
        "size": each.size if exact else human_size(each.size),
    }


def _path(change: Change) -> str:
    return "/" + os.fsdecode(change.path)
